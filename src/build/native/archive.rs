//! Layer archives: tar bytes that depend on paths, contents, modes and owners alone.
//!
//! ustar headers (POSIX.1-1988), with a PAX header (POSIX.1-2001) before an entry whose path, link
//! or numbers do not fit, or are not ASCII. User and group names are empty, every time is the
//! epoch. Which entries there are, and their order, is up to [`super::layer`].

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// Writes one layer's entries.
pub(super) struct Archive<W> {
    out: W,
    epoch: i64,
    /// Where a file's bytes are on their way; one for all files.
    buffer: Vec<u8>,
}

/// What all kinds of entries have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Permission bits.
    pub(super) mode: u32,
    /// Numeric owner and group.
    pub(super) owner: (u32, u32),
}

/// The largest number in a field of 8 and of 12 bytes, in octal with a final NUL.
const LARGEST_ID: u64 = 0o7_777_777;
const LARGEST_NUMBER: u64 = 0o77_777_777_777;

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, epoch: i64) -> Self {
        Self { out, epoch, buffer: vec![0; 1 << 16] }
    }

    /// Writes a folder; `path` has no slash at its end.
    pub(super) fn folder(&mut self, path: &str, attributes: Attributes) -> io::Result<()> {
        self.header(EntryType::Directory, &format!("{path}/"), attributes, 0, None)
    }

    /// Writes a symbolic link.
    pub(super) fn link(
        &mut self,
        path: &str,
        target: &str,
        attributes: Attributes,
    ) -> io::Result<()> {
        self.header(EntryType::Symlink, path, attributes, 0, Some(target))
    }

    /// Writes another name of the file that is in the archive as `first`.
    pub(super) fn hard_link(
        &mut self,
        path: &str,
        first: &str,
        attributes: Attributes,
    ) -> io::Result<()> {
        self.header(EntryType::Link, path, attributes, 0, Some(first))
    }

    /// Writes a file of `size` bytes, and fails with [`io::ErrorKind::InvalidData`] if `content` has
    /// more or fewer. `capabilities` is the file's extended attribute of that name, if it has one.
    pub(super) fn file(
        &mut self,
        path: &str,
        attributes: Attributes,
        capabilities: Option<&[u8]>,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        let mut extended = Extended::default();
        if let Some(capabilities) = capabilities {
            extended.add("SCHILY.xattr.security.capability", capabilities);
        }
        self.extended_header(EntryType::Regular, path, attributes, size, None, extended)?;
        let mut left = size;
        loop {
            let read = match content.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read as u64 > left || (read == 0 && left > 0) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if read == 0 {
                return self.pad(size);
            }
            self.out.write_all(&self.buffer[..read])?;
            left -= read as u64;
        }
    }

    /// Writes the end of the archive and returns what it was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 1024])?;
        Ok(self.out)
    }

    fn header(
        &mut self,
        kind: EntryType,
        path: &str,
        attributes: Attributes,
        size: u64,
        target: Option<&str>,
    ) -> io::Result<()> {
        self.extended_header(kind, path, attributes, size, target, Extended::default())
    }

    fn extended_header(
        &mut self,
        kind: EntryType,
        path: &str,
        attributes: Attributes,
        size: u64,
        target: Option<&str>,
        mut extended: Extended,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        if !path.is_ascii() || header.set_path(path).is_err() {
            extended.add("path", path.as_bytes());
            set_name(&mut header, path);
        }
        if let Some(target) = target {
            // Written as it is: `set_link_name` would tidy the path up.
            if !target.is_ascii() || header.set_link_name_literal(target).is_err() {
                extended.add("linkpath", target.as_bytes());
            }
        }
        let (user, group) = attributes.owner;
        header.set_uid(extended.number("uid", user.into(), LARGEST_ID));
        header.set_gid(extended.number("gid", group.into(), LARGEST_ID));
        header.set_size(extended.number("size", size, LARGEST_NUMBER));
        header.set_mtime(match u64::try_from(self.epoch) {
            Ok(time) => extended.number("mtime", time, LARGEST_NUMBER),
            Err(_) => {
                extended.add("mtime", self.epoch.to_string().as_bytes());
                0
            }
        });
        header.set_mode(attributes.mode);
        header.set_cksum();
        self.extended(&extended)?;
        self.out.write_all(header.as_bytes())
    }

    fn extended(&mut self, extended: &Extended) -> io::Result<()> {
        if extended.0.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        set_name(&mut header, "PaxHeaders.0");
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(extended.0.len() as u64);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(&extended.0)?;
        self.pad(extended.0.len() as u64)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let past = usize::try_from(size % 512).expect("a remainder below 512 fits");
        if past > 0 {
            self.out.write_all(&[0; 512][past..])?;
        }
        Ok(())
    }
}

/// The records of a PAX header.
#[derive(Default)]
struct Extended(Vec<u8>);

impl Extended {
    /// Adds a record. It begins with its own length, digits included.
    fn add(&mut self, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} {key}=").as_bytes());
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    /// Returns what goes into the plain header: `value` if it fits, else 0 beside a record.
    fn number(&mut self, key: &str, value: u64, largest: u64) -> u64 {
        if value <= largest {
            return value;
        }
        self.add(key, value.to_string().as_bytes());
        0
    }
}

/// Puts the beginning of `path` into the header, for readers that know no PAX.
fn set_name(header: &mut Header, path: &str) {
    let name = &mut header.as_old_mut().name;
    let end = (0..=path.len().min(name.len())).rev().find(|&end| path.is_char_boundary(end));
    let start = &path.as_bytes()[..end.unwrap_or_default()];
    name.fill(0);
    name[..start.len()].copy_from_slice(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Attributes = Attributes { mode: 0o644, owner: (0, 0) };

    fn read_back(bytes: &[u8]) -> Vec<(String, String, u64, u64, u64)> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let extended: Vec<(String, String)> = entry
                    .pax_extensions()
                    .unwrap()
                    .into_iter()
                    .flatten()
                    .map(|record| record.unwrap())
                    .map(|record| (record.key().unwrap().into(), record.value().unwrap().into()))
                    .collect();
                let number = |key: &str, plain: u64| {
                    let record = extended.iter().find(|record| record.0 == key);
                    record.map_or(plain, |record| record.1.parse().unwrap())
                };
                let header = entry.header();
                let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
                (
                    path,
                    String::from_utf8(link.unwrap_or_default()).unwrap(),
                    number("uid", header.uid().unwrap()),
                    number("mtime", header.mtime().unwrap()),
                    header.size().unwrap(),
                )
            })
            .collect()
    }

    #[track_caller]
    fn check(path: &str, target: Option<&str>, owner: u32, epoch: i64, is_extended: bool) {
        let mut archive = Archive::new(Vec::new(), epoch);
        let attributes = Attributes { mode: 0o644, owner: (owner, 0) };
        match target {
            Some(target) => archive.link(path, target, attributes).unwrap(),
            None => archive.file(path, attributes, None, 3, &mut "abc".as_bytes()).unwrap(),
        }
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let size = if target.is_some() { 0 } else { 3 };
        let target = target.unwrap_or_default().to_owned();
        let expected = (path.to_owned(), target, u64::from(owner), epoch as u64, size);
        assert_eq!(read_back(&bytes), [expected]);
        assert_eq!(bytes[156] == b'x', is_extended, "{path}");
    }

    #[test]
    fn ustar_where_it_fits() {
        check("a", None, 0, 0, false);
        check("a", Some("../b//c/."), 65_532, 1_700_000_000, false);
        check(&format!("{}/{}", "d".repeat(120), "f".repeat(90)), None, 0, 0, false);
    }

    #[test]
    fn pax_where_it_does_not() {
        check(&"f".repeat(101), None, 0, 0, true);
        check(&"f/".repeat(2000), None, 0, 0, true);
        check("grün", None, 0, 0, true);
        check("a", Some(&"t".repeat(101)), 0, 0, true);
        check("a", Some("grün"), 0, 0, true);
        check("a", None, 3_000_000_000, 0, true);
        check("a", None, 0, 0o100_000_000_000, true);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 80..120 {
            let mut extended = Extended::default();
            extended.add("path", "x".repeat(length).as_bytes());
            let text = String::from_utf8(extended.0.clone()).unwrap();
            let stated: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(stated, extended.0.len());
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_is_an_error() {
        for content in ["ab", "abcd"] {
            let mut archive = Archive::new(Vec::new(), 0);
            let error = archive.file("a", PLAIN, None, 3, &mut content.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_second_name_refers_to_the_first() {
        let mut archive = Archive::new(Vec::new(), 0);
        archive.hard_link("b", "a", PLAIN).unwrap();
        let bytes = archive.finish().unwrap();
        let entry = read_back(&bytes).remove(0);
        assert_eq!((entry.0.as_str(), entry.1.as_str(), entry.4), ("b", "a", 0));
        assert_eq!(bytes[156], b'1');
    }

    #[test]
    fn capabilities_are_bytes_of_the_pax_header() {
        let mut archive = Archive::new(Vec::new(), 0);
        let attribute = [1, 0, 0, 2, 0, 4, 0, 0, b'=', 255];
        archive.file("a", PLAIN, Some(&attribute), 0, &mut [].as_slice()).unwrap();
        let bytes = archive.finish().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let record = entry.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
        assert_eq!(record.key().unwrap(), "SCHILY.xattr.security.capability");
        assert_eq!(record.value_bytes(), attribute);
    }

    #[test]
    fn a_folder_ends_with_a_slash() {
        let mut archive = Archive::new(Vec::new(), 0);
        archive.folder("a/b", PLAIN).unwrap();
        assert_eq!(read_back(&archive.finish().unwrap())[0].0, "a/b/");
    }
}
