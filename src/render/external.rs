//! Rendering by `kustomize build` or `kubectl kustomize`, whichever is installed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::{RenderError, Rendered, Renderer, closure};
use crate::image::Digest;
use crate::k8s::Object;
use crate::kustomize::{FileTree, FindError, MemoryTree, TreeError, inside};
use crate::system::{Command, Environment};

/// The renderer that calls a program.
#[derive(Debug, Clone)]
pub struct External {
    program: Option<Program>,
    environment: Environment,
    load_restrictor: LoadRestrictor,
    is_offline: bool,
    made: Arc<Mutex<Made>>,
}

/// The renderings that were made, by what they were made from: an overlay that is looked at again, as
/// after a lost race, is rendered again only if one of its files has changed.
#[derive(Debug, Default)]
struct Made {
    renderings: HashMap<Digest, Result<Rendered, String>>,
    bytes: usize,
}

/// How much of them is kept, in bytes.
const MOST_KEPT: usize = 64 << 20;

/// Which files a kustomization may use; `--load-restrictor`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadRestrictor {
    /// Files in its own folder and below.
    #[default]
    RootOnly,
    /// Any files.
    None,
}

#[derive(Debug, Clone)]
struct Program {
    path: Utf8PathBuf,
    command: &'static str,
}

impl External {
    /// Returns the renderer that calls `kustomize`, or `kubectl` if only that is on `PATH`.
    pub fn new(environment: &Environment) -> Self {
        let program =
            |(name, command)| environment.find_program(name).map(|path| Program { path, command });
        Self {
            program: [("kustomize", "build"), ("kubectl", "kustomize")]
                .into_iter()
                .find_map(program),
            environment: environment.clone(),
            load_restrictor: LoadRestrictor::default(),
            is_offline: false,
            made: Arc::default(),
        }
    }

    /// Sets which files a kustomization may use.
    pub fn with_load_restrictor(self, load_restrictor: LoadRestrictor) -> Self {
        Self { load_restrictor, made: Arc::default(), ..self }
    }

    /// Returns the same renderer, which refuses the overlay of a tree that needs what is elsewhere.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { is_offline: true, ..self }
    }

    /// Returns the program that it calls, or `None` if there is none.
    pub fn program(&self) -> Option<&Utf8Path> {
        self.program.as_ref().map(|program| program.path.as_path())
    }

    /// Returns what the kustomization in the folder `dir` of the disk renders to. It may use
    /// folders beside its own, as when one calls the program there.
    ///
    /// # Errors
    ///
    /// As [`Renderer::render`].
    pub async fn render_dir(&self, dir: &Utf8Path) -> Result<Rendered, RenderError> {
        let yaml = self.build_dir(dir).await?;
        read(dir, yaml)
    }

    /// Returns what the program prints for the folder `dir` of the disk, byte for byte and unread.
    ///
    /// # Errors
    ///
    /// As [`Renderer::render`].
    pub async fn build_dir(&self, dir: &Utf8Path) -> Result<String, RenderError> {
        // Else the program itself would be said not to be there.
        if !dir.is_dir() {
            return Err(FindError::Missing { dir: dir.to_owned() }.into());
        }
        let reason = match self.call(dir, dir).await? {
            Ok(yaml) => return Ok(yaml),
            Err(reason) => reason,
        };
        Err(RenderError::failed(dir, &reason))
    }

    /// Returns what the program prints in the folder `place`, or its complaint about it; errors
    /// call it `dir`.
    async fn call(
        &self,
        dir: &Utf8Path,
        place: &Utf8Path,
    ) -> Result<Result<String, String>, RenderError> {
        let Some(program) = &self.program else {
            return Err(RenderError::NoRenderer { dir: dir.to_owned() });
        };
        let restriction = match self.load_restrictor {
            LoadRestrictor::RootOnly => "LoadRestrictionsRootOnly",
            LoadRestrictor::None => "LoadRestrictionsNone",
        };
        let command = Command::new(program.path.as_str())
            .args([program.command, "--load-restrictor", restriction, "."])
            .only_env(&self.environment)
            .current_dir(place);
        let output = command.output().await.map_err(|error| RenderError::failed(dir, &error))?;
        if !output.status.success() {
            return Ok(Err(complaint(&output.stderr)));
        }
        String::from_utf8(output.stdout).map(Ok).map_err(|error| RenderError::failed(dir, &error))
    }

    /// Returns what the program prints for the copy `files` of the tree, or its complaint.
    async fn build_copy(
        &self,
        files: &MemoryTree,
        dir: &Utf8Path,
    ) -> Result<Result<String, String>, RenderError> {
        let fails = |cause: &std::io::Error| TreeError {
            path: dir.to_owned(),
            reason: format!("no place to copy it to: {cause}"),
        };
        let folder = TempDir::with_prefix("deployctl-render-").map_err(|cause| fails(&cause))?;
        let root = Utf8Path::from_path(folder.path())
            .and_then(|path| path.canonicalize_utf8().ok())
            .ok_or_else(|| fails(&std::io::ErrorKind::InvalidFilename.into()))?;
        write(files, &root).map_err(|cause| fails(&cause))?;
        // People know the files by their place in the repository.
        let printed = self.call(dir, &root.join(dir)).await?;
        Ok(printed
            .map_err(|reason| reason.replace(&format!("{root}/"), "").replace(root.as_str(), ".")))
    }
}

#[async_trait]
impl Renderer for External {
    async fn render(&self, tree: &dyn FileTree, dir: &Utf8Path) -> Result<Rendered, RenderError> {
        if self.program.is_none() {
            return Err(RenderError::NoRenderer { dir: dir.to_owned() });
        }
        let place = inside(dir).unwrap_or_default();
        let files = closure::needed(tree, dir, self.load_restrictor)?;
        if self.is_offline
            && let Some((file, entry)) = closure::remote(&files)
        {
            return Err(RenderError::Remote { file: file.to_owned(), entry });
        }
        let key = key(&files, &place);
        let failed = |reason| RenderError::failed(dir, &reason);
        if let Some(made) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return made.map_err(failed);
        }
        let printed = self.build_copy(&files, &place).await?;
        // A field that names files in a way of its own needs them all.
        if printed.as_ref().is_err_and(|reason| reason.contains("no such file")) {
            let all = closure::everything(tree)?;
            if all != files {
                let yaml = self.build_copy(&all, &place).await?.map_err(failed)?;
                return read(dir, yaml);
            }
        }
        let made = match printed {
            Ok(yaml) => Ok(read(dir, yaml)?),
            Err(reason) => Err(reason),
        };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).keep(key, &made);
        made.map_err(failed)
    }
}

fn read(dir: &Utf8Path, yaml: String) -> Result<Rendered, RenderError> {
    let objects = Object::read_all(&yaml).map_err(|error| RenderError::failed(dir, &error))?;
    Ok(Rendered { yaml, objects })
}

/// Returns what stands for a rendering of the folder `place` of `files`.
fn key(files: &MemoryTree, place: &Utf8Path) -> Digest {
    let mut text = format!("{place}\0").into_bytes();
    for (path, bytes) in &files.0 {
        text.extend_from_slice(format!("{path}\0{}\0", bytes.len()).as_bytes());
        text.extend_from_slice(bytes);
    }
    Digest::of(&text)
}

impl Made {
    fn get(&self, key: &Digest) -> Option<Result<Rendered, String>> {
        self.renderings.get(key).cloned()
    }

    fn keep(&mut self, key: Digest, made: &Result<Rendered, String>) {
        let bytes = made.as_ref().map_or(0, |rendered| rendered.yaml.len());
        if self.bytes + bytes > MOST_KEPT {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.renderings.insert(key, made.clone());
    }
}

/// Returns what the program complains about, without its own frame: `Error: …`, or as kubectl logs
/// it, `E1122 … "command failed" err="…"`.
fn complaint(stderr: &str) -> String {
    let words = stderr.trim();
    let logged = words.split_once("\"command failed\" err=").map(|(_, rest)| rest);
    // A complaint of several lines is logged as `err=<`, indented lines, `>`.
    let lines = logged.and_then(|rest| rest.strip_prefix('<')?.strip_suffix('>'));
    if let Some(lines) = lines {
        let lines: Vec<&str> = lines.trim().lines().map(str::trim).collect();
        return lines.join("\n");
    }
    match logged.and_then(|rest| rest.strip_prefix('"')?.strip_suffix('"')) {
        Some(text) => text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\"),
        None => words
            .strip_prefix("Error: ")
            .or_else(|| words.strip_prefix("error: "))
            .unwrap_or(words)
            .to_owned(),
    }
}

fn write(files: &MemoryTree, root: &Utf8Path) -> std::io::Result<()> {
    for (path, bytes) in &files.0 {
        let place = root.join(path);
        std::fs::create_dir_all(place.parent().unwrap_or(root))?;
        std::fs::write(place, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_comes_without_its_frame() {
        assert_eq!(complaint("Error: no \"x\"\n"), "no \"x\"");
        let logged = r#"E1122 16:31:04.0 4832 run.go:72] "command failed" err="no \"x\"""#;
        assert_eq!(complaint(logged), "no \"x\"");
        let lines =
            "E1122 16:31:04.0 4832 run.go:72] \"command failed\" err=<\n\tno \"x\"\n\tno y\n >\n";
        assert_eq!(complaint(lines), "no \"x\"\nno y");
    }
}
