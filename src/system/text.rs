//! Texts of users: files and standard input.

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;

/// Why bytes are not the text that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// They are in another encoding. YAML allows some; `kubectl` reads none of them.
    #[error("it is {0}; save it as UTF-8")]
    Other(&'static str),
    /// They are no text, or in an encoding that can't be told.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The line, counted from 1.
        line: usize,
    },
}

/// Returns the text of the file at `path`, as [`read_text`] does.
///
/// # Errors
///
/// Fails if the file can't be read or is not UTF-8.
pub fn read_text_file(path: &Utf8Path) -> io::Result<String> {
    read_text(File::open(path)?)
}

/// Returns all the text that `source` has, without a byte order mark: editors on Windows write one.
///
/// # Errors
///
/// Fails if it can't be read, or is not UTF-8: then with an [`EncodingError`], which names the encoding
/// if it can be told.
pub fn read_text(mut source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    text(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn text(bytes: Vec<u8>) -> Result<String, EncodingError> {
    if let Some(encoding) = other_encoding(&bytes) {
        return Err(EncodingError::Other(encoding));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        EncodingError::NotUtf8 { line }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Returns the encoding that the first bytes tell, if it is not UTF-8. YAML 1.2.2, section 5.2.
fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => Some("UTF-32 (little-endian)"),
        [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, _, ..] => Some("UTF-32 (big-endian)"),
        // Windows PowerShell writes this one behind `>`.
        [0xFF, 0xFE, ..] | [1..=255, 0, ..] => Some("UTF-16 (little-endian)"),
        [0xFE, 0xFF, ..] | [0, 1..=255, ..] => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_that_is_not_utf_8_is_named() {
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let wide = |text: &str| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        let cases: [(Vec<u8>, &str); 7] = [
            (little("\u{feff}kind: ä"), "UTF-16 (little-endian)"),
            (little("kind: ä"), "UTF-16 (little-endian)"),
            (big("\u{feff}kind: ä"), "UTF-16 (big-endian)"),
            (big("kind: ä"), "UTF-16 (big-endian)"),
            (wide("\u{feff}kind"), "UTF-32 (big-endian)"),
            (wide("kind"), "UTF-32 (big-endian)"),
            (vec![0xFF, 0xFE, 0, 0, b'k', 0, 0, 0], "UTF-32 (little-endian)"),
        ];
        for (bytes, encoding) in cases {
            assert_eq!(text(bytes.clone()), Err(EncodingError::Other(encoding)), "{bytes:?}");
        }
    }

    #[test]
    fn utf_8_is_read_with_and_without_its_mark() {
        for bytes in ["ä: 1", "\u{feff}ä: 1"] {
            assert_eq!(text(bytes.into()), Ok("ä: 1".to_owned()));
        }
        assert_eq!(text(Vec::new()), Ok(String::new()));
        assert_eq!(text(b"a: 1\nb: \xe4\n".to_vec()), Err(EncodingError::NotUtf8 { line: 2 }));
    }
}
