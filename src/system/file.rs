//! Files that are written whole or not at all.

use std::fs;
use std::io::{self, Write as _};

use camino::Utf8Path;

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
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
}
