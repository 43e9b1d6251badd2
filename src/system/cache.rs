//! Files in folders for caches: replaced whole, and only so many.

use std::fs;
use std::io::Write as _;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};

/// Replaces the file at `path`, whose folder is made if it is missing, and removes the oldest ones
/// beside it where they are more than `most`. A cache that can't be written is none, so nothing fails.
pub fn keep_in_cache(path: &Utf8Path, bytes: &[u8], most: usize) {
    let Some(folder) = path.parent() else { return };
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        new.write_all(bytes)?;
        new.persist(path).map_err(|error| error.error)
    });
    if written.is_ok() {
        prune(folder, most);
    }
}

fn prune(folder: &Utf8Path, most: usize) {
    let Ok(entries) = folder.read_dir_utf8() else { return };
    let mut files: Vec<(SystemTime, Utf8PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.into_path())))
        .collect();
    let too_many = files.len().saturating_sub(most);
    if too_many > 0 {
        files.sort();
    }
    for (_, path) in files.into_iter().take(too_many) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
        for number in 0..5 {
            let path = folder.join(number.to_string());
            fs::write(&path, "").unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
        keep_in_cache(&folder.join("new"), b"", 3);
        let mut left: Vec<_> = folder
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["3", "4", "new"]);
    }
}
