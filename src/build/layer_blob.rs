//! A layer on its way to the scratch folder: tar bytes in, a gzip blob and its two digests out.
//!
//! Nothing of the layer stays in memory, so its size does not matter. The same tar bytes always
//! become the same blob: the gzip header says nothing about this machine, and compressor and level
//! are pinned (a golden digest in the tests notices when they change).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use crate::image::{Blob, BlobContent, Digest, Hashing};

/// gzip's own default. Changing it changes the digest of every image.
const LEVEL: Compression = Compression::new(6);

/// How many tar bytes the compressor gets at a time, whatever is written at a time: where it has to
/// stop and wait for more shows in its output. Changing it changes the digest of every image.
const BLOCK: usize = 1 << 17;

/// "Unknown" in the header's field for the operating system (RFC 1952, 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;

/// A finished layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerBlob {
    /// The compressed bytes.
    pub(super) blob: Blob,
    /// The digest of the tar bytes; the config document lists it.
    pub(super) diff_id: Digest,
}

/// Compresses and digests what is written to it.
pub(super) struct LayerWriter {
    /// Bytes that do not fill a block yet.
    block: Vec<u8>,
    tar: Sha256,
    gzip: GzEncoder<BlobWriter>,
}

impl LayerWriter {
    /// Returns a writer that leaves its blob in the folder `scratch`.
    pub(super) fn create(scratch: &Utf8Path) -> io::Result<Self> {
        let blob = BlobWriter::create(scratch)?;
        let gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(blob, LEVEL);
        Ok(Self { block: Vec::with_capacity(BLOCK), tar: Sha256::new(), gzip })
    }

    /// Returns the layer.
    pub(super) fn finish(mut self) -> io::Result<LayerBlob> {
        self.pass_on()?;
        let blob = self.gzip.finish()?.finish()?;
        Ok(LayerBlob { blob, diff_id: Digest::from_sha256(self.tar.finalize().into()) })
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.tar.update(&self.block);
        self.gzip.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.pass_on()?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Does nothing: to write out an unfinished block would show in the blob.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a file of the scratch folder out of what is written to it, named after its digest.
pub(super) struct BlobWriter {
    path: Utf8PathBuf,
    out: Hashing<BufWriter<File>>,
}

impl BlobWriter {
    /// Returns a writer that leaves its blob in the folder `scratch`; one at a time.
    pub(super) fn create(scratch: &Utf8Path) -> io::Result<Self> {
        let path = scratch.join("blob.partial");
        let out = BufWriter::with_capacity(1 << 16, File::create(&path)?);
        Ok(Self { path, out: Hashing::new(out) })
    }

    /// Returns the blob.
    pub(super) fn finish(mut self) -> io::Result<Blob> {
        self.out.flush()?;
        let (_, digest, size) = self.out.finish();
        let file = self.path.with_file_name(digest.hex());
        fs::rename(&self.path, &file)?;
        Ok(Blob { digest, size, content: BlobContent::File(file) })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that compresses: words in a scrambled order.
    fn text(size: usize) -> Vec<u8> {
        let words = ["layer", "config", "manifest", "digest", "\n", "index ", "0123456789"];
        let mut state = 1_u64;
        let mut text = Vec::new();
        while text.len() < size {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = words[usize::try_from(state >> 33).unwrap() % words.len()];
            text.extend_from_slice(word.as_bytes());
        }
        text
    }

    /// Returns the blob's bytes and the tar bytes' digest.
    fn layer(bytes: &[u8], chunk: usize) -> (Vec<u8>, Digest) {
        let temp = tempfile::tempdir().unwrap();
        let mut writer = LayerWriter::create(Utf8Path::from_path(temp.path()).unwrap()).unwrap();
        bytes.chunks(chunk).for_each(|chunk| writer.write_all(chunk).unwrap());
        let LayerBlob { blob, diff_id } = writer.finish().unwrap();
        let BlobContent::File(file) = &blob.content else { panic!("a layer is a file") };
        let file = fs::read(file).unwrap();
        assert_eq!((Digest::of(&file), file.len() as u64), (blob.digest, blob.size));
        (file, diff_id)
    }

    #[test]
    fn the_header_says_nothing_about_the_machine() {
        let (file, _) = layer(b"tar", 1);
        // Magic, deflate, no flags, no time, no extra flags, unknown system.
        assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn the_blob_does_not_depend_on_how_the_bytes_arrive() {
        let bytes = text(1 << 19);
        let (whole, diff_id) = layer(&bytes, bytes.len());
        assert_eq!(diff_id, Digest::of(&bytes));
        for chunk in [1, 511, 65_536, 100_000] {
            assert!(layer(&bytes, chunk).0 == whole, "{chunk}");
        }
    }
}
