//! A layer's time stamps set to the build's, so that the same files make the same layer.
//!
//! Headers and the records of extended headers are changed one by one; everything else passes
//! through as it is, so that attributes, links and long names stay what docker made of them.

use std::io::{self, Read, Write};

/// A record longer than this is no extended header (BSD and GNU tar refuse it too).
const LARGEST_RECORDS: u64 = 1 << 20;

/// Records that say a time (POSIX `pax`, and what libarchive adds).
const TIMES: [&[u8]; 4] = [b"mtime", b"atime", b"ctime", b"LIBARCHIVE.creationtime"];

/// Copies the tar stream with all time stamps at `epoch`.
pub(super) fn with_time(tar: impl Read, epoch: u64, out: &mut impl Write) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        header.set_mtime(epoch);
        if let Some(gnu) = header.as_gnu_mut() {
            // Incremental archives have them; docker's do not, but they are times.
            gnu.atime = [0; 12];
            gnu.ctime = [0; 12];
        }
        let is_extended = matches!(header.entry_type().as_byte(), b'x' | b'g');
        if !is_extended {
            header.set_cksum();
            out.write_all(header.as_bytes())?;
            let size = io::copy(&mut entry, out)?;
            pad(size, out)?;
            continue;
        }
        let mut records = Vec::new();
        entry.take(LARGEST_RECORDS).read_to_end(&mut records)?;
        let records = without_times(&records)?;
        if !records.is_empty() {
            header.set_size(records.len() as u64);
            header.set_cksum();
            out.write_all(header.as_bytes())?;
            out.write_all(&records)?;
            pad(records.len() as u64, out)?;
        }
    }
    out.write_all(&[0; 1024])
}

/// Returns the records `LENGTH KEY=VALUE\n` that say no time.
fn without_times(records: &[u8]) -> io::Result<Vec<u8>> {
    let broken = || io::Error::other("an extended header in it is broken");
    let mut kept = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest.iter().position(|b| *b == b' ').ok_or_else(broken)?;
        let length = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(broken)?;
        let record = rest.get(..length).filter(|it| it.ends_with(b"\n")).ok_or_else(broken)?;
        let text = record.get(space + 1..).ok_or_else(broken)?;
        let equals = text.iter().position(|b| *b == b'=').ok_or_else(broken)?;
        let key = &text[..equals];
        if !TIMES.contains(&key) {
            kept.extend_from_slice(record);
        }
        rest = &rest[length..];
    }
    Ok(kept)
}

fn pad(size: u64, out: &mut impl Write) -> io::Result<()> {
    let over = usize::try_from(size % 512).expect("a remainder of 512 fits");
    if over == 0 { Ok(()) } else { out.write_all(&[0; 512][over..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(mtime: u64, long: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let time = format!("{mtime}.5");
        builder
            .append_pax_extensions([
                ("mtime", time.as_bytes()),
                ("SCHILY.xattr.user.a", b"b".as_slice()),
            ])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_mtime(mtime);
        header.set_mode(0o4755);
        header.set_size(4);
        builder.append_data(&mut header, "bin/app", b"text".as_slice()).unwrap();
        builder.append_pax_extensions([("mtime", time.as_bytes())]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mtime(mtime + 1);
        header.set_size(0);
        builder.append_data(&mut header, long, b"".as_slice()).unwrap();
        builder.into_inner().unwrap()
    }

    fn rewritten(tar: &[u8], epoch: u64) -> Vec<u8> {
        let mut out = Vec::new();
        with_time(tar, epoch, &mut out).unwrap();
        out
    }

    #[test]
    fn layers_that_differ_in_time_alone_become_the_same() {
        let long = "d/".repeat(120);
        let out = rewritten(&layer(1_000_000, &long), 7);
        assert_eq!(out, rewritten(&layer(5, &long), 7));
        assert_eq!(out, rewritten(&out, 7));
        let mut archive = tar::Archive::new(out.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut app = entries.next().unwrap().unwrap();
        let pax: Vec<_> = app.pax_extensions().unwrap().unwrap().map(Result::unwrap).collect();
        assert_eq!((pax.len(), pax[0].key().unwrap()), (1, "SCHILY.xattr.user.a"));
        drop(pax);
        assert_eq!(app.header().mtime().unwrap(), 7);
        assert_eq!(app.header().mode().unwrap(), 0o4755);
        let mut text = String::new();
        app.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let other = entries.next().unwrap().unwrap();
        assert_eq!(other.path().unwrap().to_str().unwrap().trim_end_matches('/').len(), 239);
        assert!(entries.next().is_none());
    }

    #[test]
    fn what_is_no_extended_header_is_an_error() {
        for bad in ["x", "9 mtime=1\n", "a b=c\n", "2 ", "0 a=b\n"] {
            assert!(without_times(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(without_times(b"11 mtime=1\n6 a=b\n").unwrap(), b"6 a=b\n");
    }
}
