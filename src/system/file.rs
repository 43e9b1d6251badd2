//! Files that are written whole or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

/// Replaces the file at `path` by `bytes`: whoever reads it sees the old file or the new one. A
/// symbolic link stays, and what it points at is replaced; permissions stay as they are.
///
/// # Errors
///
/// Fails if the folder can't be written; then the file is as it was.
pub fn replace_file(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    let folder = target.parent().ok_or_else(|| io::Error::other("it is in no folder"))?;
    let mut new = tempfile::Builder::new().prefix(".deployctl-").tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(fs::metadata(&target)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// A file that is written later, whole; that it can be is known from the beginning.
#[derive(Debug)]
pub struct PendingFile {
    target: Utf8PathBuf,
    /// `None` where the target is a pipe or a device, which nothing can take the place of.
    new: Option<NamedTempFile>,
}

impl PendingFile {
    /// Returns the file at `path`, which is made when it is finished.
    ///
    /// # Errors
    ///
    /// Fails if there is a folder at `path`, or if its own folder can't be written.
    pub fn begin(path: &Utf8Path) -> io::Result<Self> {
        let target = match path.canonicalize_utf8() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let there = fs::metadata(&target).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return Ok(Self { target, new: None });
        }
        let mode = there.map_or(Permissions::from_mode(0o666), |there| there.permissions());
        let folder = target.parent().filter(|folder| !folder.as_str().is_empty());
        let folder = folder.unwrap_or(Utf8Path::new("."));
        let mut new = tempfile::Builder::new();
        let new = new
            .prefix(".deployctl-")
            .permissions(mode)
            .tempfile_in(folder)
            .map_err(|error| without_path(&error))?;
        Ok(Self { target, new: Some(new) })
    }

    /// Removes what is there, for whom nothing is better than what was there before.
    pub fn clear(&self) {
        if self.new.is_some() {
            // What can't be removed is told when it can't be replaced.
            let _ = fs::remove_file(&self.target);
        }
    }

    /// Writes `bytes`; whoever reads the file sees what was there before, or all of them.
    ///
    /// # Errors
    ///
    /// Fails if the disk is full, for example; then what was there before stays.
    pub fn finish(self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut new) = self.new else { return fs::write(&self.target, bytes) };
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(&self.target).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Returns whether files can be made in `folder`, which is left as it is.
///
/// # Errors
///
/// Fails if it is no folder, or not one that this process may write to.
pub fn check_folder(folder: &Utf8Path) -> io::Result<()> {
    tempfile::Builder::new()
        .prefix(".deployctl-")
        .tempfile_in(folder)
        .map_err(|error| without_path(&error))
        .map(drop)
}

/// Returns `error` without the name of the temporary file, which says nothing to anybody.
fn without_path(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let text = text.rsplit_once(" at path ").map_or(text.as_str(), |(text, _)| text);
    io::Error::new(error.kind(), text)
}

/// Returns whether there is a folder at `path`, not a link to one, that belongs to the user who
/// runs this process and that nobody else can enter.
pub fn is_private_folder(path: &Utf8Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == own && found.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_link_stays_a_link() {
        let dir = tempfile::TempDir::new().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let (file, link) = (dir.join("file"), dir.join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace_file(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(dir).unwrap().count(), 2);
    }

    #[test]
    fn a_pending_file_is_there_when_it_is_finished_and_not_before() {
        let dir = tempfile::TempDir::new().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let file = dir.join("report.xml");
        let pending = PendingFile::begin(&file).unwrap();
        assert!(!file.exists());
        pending.finish(b"one").unwrap();
        drop(PendingFile::begin(&file).unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
        PendingFile::begin(&file).unwrap().clear();
        assert!(!file.exists());
        assert!(PendingFile::begin(dir).is_err());
        let missing = PendingFile::begin(&dir.join("no/report.xml")).unwrap_err();
        assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
        PendingFile::begin(Utf8Path::new("/dev/null")).unwrap().finish(b"gone").unwrap();
    }
}
