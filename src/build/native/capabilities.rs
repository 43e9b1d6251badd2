//! Linux file capabilities: the extended attribute `security.capability`.

use std::fs::File;

use camino::Utf8Path;
use rustix::io::Errno;

use crate::build::BuildError;

const NAME: &str = "security.capability";

/// No revision of the attribute is longer.
const LONGEST: usize = 64;

/// `VFS_CAP_REVISION_2` and `VFS_CAP_FLAGS_EFFECTIVE` (linux/capability.h).
const REVISION: u32 = 0x0200_0000 | 1;

/// Returns the attribute of a file whose permitted and effective capabilities are the bits of `set`.
pub(super) fn attribute(set: u64) -> Vec<u8> {
    let [a, b, c, d, e, f, g, h] = set.to_le_bytes();
    let (low, high, none) = ([a, b, c, d], [e, f, g, h], [0; 4]);
    // Permitted and inheritable, the lower half of both first.
    [REVISION.to_le_bytes(), low, none, high, none].concat()
}

/// Returns the attribute that an open file has in the file system, if it has one.
pub(super) fn of_file(path: &Utf8Path, file: &File) -> Result<Option<Vec<u8>>, BuildError> {
    let mut value = [0; LONGEST];
    let length = rustix::fs::fgetxattr(file, NAME, &mut value);
    read(path, length, &value)
}

/// Returns the attribute that the file at `path` has, if it has one.
pub(super) fn at(path: &Utf8Path) -> Result<Option<Vec<u8>>, BuildError> {
    let mut value = [0; LONGEST];
    let length = rustix::fs::lgetxattr(path.as_str(), NAME, &mut value);
    read(path, length, &value)
}

fn read(
    path: &Utf8Path,
    length: Result<usize, Errno>,
    value: &[u8],
) -> Result<Option<Vec<u8>>, BuildError> {
    match length {
        Ok(length) => Ok(Some(value[..length].to_vec())),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(BuildError::file(path, format!("its capabilities: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `setcap cap_net_bind_service=ep` writes.
    #[test]
    fn the_attribute_is_what_setcap_writes() {
        let expected = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(attribute(1 << 10), expected);
        assert_eq!(attribute(1 << 39)[12..16], [128, 0, 0, 0]);
    }

    #[test]
    fn a_file_without_capabilities_has_no_attribute() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(of_file("x".into(), &file).unwrap(), None);
        assert_eq!(at("Cargo.toml".into()).unwrap(), None);
    }
}
