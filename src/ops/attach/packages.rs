//! Reading the lock files of a build context.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::{AttachError, Subject};
use crate::attestation::sbom::{Gap, LockFile, Sbom, is_lock_file};
use crate::build::BuildError;
use crate::build::context::{Context, EntryKind};
use crate::image::Method;

/// A lock file that is longer is not read.
const LONGEST: u64 = 32 << 20;

/// More lock files than this are not read.
const MOST: usize = 256;

/// Returns what the lock files in the image's build context say.
pub(super) async fn sbom(subject: &Subject<'_>) -> Result<Sbom, AttachError> {
    let root = subject.context.to_owned();
    let dockerfile = match &subject.recipe.method {
        Method::Dockerfile(dockerfile) => {
            Some(dockerfile.file.clone().unwrap_or_else(|| "Dockerfile".into()))
        }
        Method::Native(_) => None,
    };
    let read = tokio::task::spawn_blocking(move || read(&root, dockerfile.as_deref())).await;
    let read = read.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    read.map_err(|source| AttachError::Context { image: subject.image.to_string(), source })
}

fn read(root: &Utf8Path, dockerfile: Option<&Utf8Path>) -> Result<Sbom, BuildError> {
    let entries = Context::open(root, dockerfile)?.entries(Utf8Path::new("."))?;
    let is_file = |kind: &EntryKind| matches!(kind, EntryKind::File { .. });
    let found = entries.into_iter().filter(|it| is_file(&it.kind) && is_lock_file(&it.path));
    let (mut files, mut gaps) = (Vec::new(), Vec::new());
    for path in found.map(|entry| entry.path) {
        match read_text(root, &path) {
            Ok(_) if files.len() == MOST => {
                let reason = format!("it is not read: there are more than {MOST} lock files");
                gaps.push(Gap { path, line: None, reason });
            }
            Ok(text) => files.push(LockFile { path, text }),
            Err(reason) => gaps.push(Gap { path, line: None, reason }),
        }
    }
    if files.is_empty() && gaps.is_empty() {
        let reason = "there is no lock file in the build context".to_owned();
        gaps.push(Gap { path: Utf8PathBuf::from("."), line: None, reason });
    }
    Ok(gaps.into_iter().fold(Sbom::of(&files), Sbom::lacking))
}

fn read_text(root: &Utf8Path, path: &Utf8Path) -> Result<String, String> {
    let file = std::fs::File::open(root.join(path)).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text))
}
