//! A layer on its way to the scratch folder: tar bytes in, a compressed blob and its two digests out.
//!
//! The tar bytes are cut into blocks of fixed size, and each block is compressed on its own
//! ([`codec`]), so that as many threads compress as there are cores ([`pipeline`]) and the same tar
//! bytes become the same blob on every machine. Nothing of the layer stays in memory but the blocks
//! under way.
//!
//! # Level and block size
//!
//! Measured with zlib-rs 0.6.8 on one core of a shared machine, best of six, over 28 MB of programs
//! and sources as a tar (the first two columns) and over 11 MB of words and noise (`tests/bench`):
//!
//! | compressor | MB/s | of the tar | MB/s | of the words |
//! |---|---|---|---|---|
//! | zlib-rs 1, blocks of 256 KiB | 71 | 49.2 % | 131 | 50.9 % |
//! | zlib-rs 2 | 46 | 40.6 % | 84 | 44.7 % |
//! | **zlib-rs 3** | 40 | 39.1 % | 63 | 44.1 % |
//! | zlib-rs 4 | 33 | 38.5 % | 50 | 43.6 % |
//! | zlib-rs 6 | 25 | 37.9 % | 30 | 42.8 % |
//! | zlib-rs 3, blocks of 128 KiB | | 39.3 % | | 44.3 % |
//! | zlib-rs 3, blocks of 1 MiB | | 38.9 % | | 44.0 % |
//! | libdeflate 1, blocks of 256 KiB | 95 | 39.8 % | 74 | 44.6 % |
//! | **zstd 3, frames of 512 KiB** | 72 | 37.6 % | 34 | 42.9 % |
//!
//! Level 3 gives up 3 % of gzip 6's size for 1.6 to 2 times its speed; a layer is compressed once
//! and pulled by every node. libdeflate is faster at the same size, but it can't end a block without
//! ending the stream, so a layer would be many gzip members, and it brings a C compiler's output
//! into every digest. zlib-rs makes the same bytes with and without SIMD.
//!
//! All of this is pinned: `zlib-rs` and `zstd-sys` by exact version in `Cargo.toml`, the bytes of a
//! layer by golden digests in the tests, and what changes any of it raises
//! [`NATIVE_FORMAT`](super::NATIVE_FORMAT).

mod codec;
mod pipeline;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZero;

use camino::{Utf8Path, Utf8PathBuf};

use crate::image::{Blob, BlobContent, Compression, Digest, Hashing};
use pipeline::Pipeline;

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
    size: usize,
    pipeline: Pipeline,
}

impl LayerWriter {
    /// Returns a writer that leaves its blob in the folder `scratch`, compressed with gzip; one at a
    /// time.
    pub(super) fn create(scratch: &Utf8Path) -> io::Result<Self> {
        Self::with(scratch, Compression::Gzip, None)
    }

    /// Returns a writer as [`LayerWriter::create`] does; `threads` compress, one a core by default.
    pub(super) fn with(
        scratch: &Utf8Path,
        compression: Compression,
        threads: Option<NonZero<usize>>,
    ) -> io::Result<Self> {
        let size = codec::block_size(compression);
        let threads = threads.unwrap_or_else(pipeline::usual_threads);
        let pipeline = Pipeline::start(BlobWriter::create(scratch)?, compression, threads)?;
        Ok(Self { block: Vec::with_capacity(size), size, pipeline })
    }

    /// Returns the layer.
    pub(super) fn finish(mut self) -> io::Result<LayerBlob> {
        if !self.block.is_empty() {
            self.pipeline.push(self.block)?;
        }
        self.pipeline.finish()
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.size - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == self.size {
            let full = std::mem::replace(&mut self.block, Vec::with_capacity(self.size));
            self.pipeline.push(full)?;
        }
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
        Ok(Self::into_file(File::create(&path)?, path))
    }

    fn into_file(file: File, path: Utf8PathBuf) -> Self {
        Self { path, out: Hashing::new(BufWriter::with_capacity(1 << 16, file)) }
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
        text.truncate(size);
        text
    }

    /// Returns the blob's bytes, whose digests are checked.
    fn layer(bytes: &[u8], chunk: usize, compression: Compression, threads: usize) -> Vec<u8> {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Utf8Path::from_path(temp.path()).unwrap();
        let mut writer = LayerWriter::with(scratch, compression, NonZero::new(threads)).unwrap();
        bytes.chunks(chunk).for_each(|chunk| writer.write_all(chunk).unwrap());
        let LayerBlob { blob, diff_id } = writer.finish().unwrap();
        assert_eq!(diff_id, Digest::of(bytes));
        let BlobContent::File(file) = &blob.content else { panic!("a layer is a file") };
        let file = fs::read(file).unwrap();
        assert_eq!((Digest::of(&file), file.len() as u64), (blob.digest, blob.size));
        file
    }

    #[test]
    fn the_header_says_nothing_about_the_machine() {
        let file = layer(b"tar", 1, Compression::Gzip, 1);
        // Magic, deflate, no flags, no time, no extra flags, unknown system.
        assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn the_blob_does_not_depend_on_how_the_bytes_arrive_or_on_how_many_threads_there_are() {
        let bytes = text((1 << 19) + 77);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = layer(&bytes, bytes.len(), compression, 1);
            for (chunk, threads) in [(511, 2), (65_536, 3), (100_000, 64), (1 << 18, 8)] {
                assert!(layer(&bytes, chunk, compression, threads) == whole, "{chunk}");
            }
        }
    }

    /// These change only with the compressor, its level or the block size. Then raise
    /// `NATIVE_FORMAT`, and say in the changelog that every image gets a new digest.
    #[test]
    fn the_bytes_of_a_known_layer_are_known() {
        let bytes = text((3 << 18) + 1);
        let digest = |compression| Digest::of(&layer(&bytes, 1 << 16, compression, 2)).to_string();
        assert_eq!(
            digest(Compression::Gzip),
            "sha256:22668e5f0a055314eb83cbc5763557862bd2a2951927dcd6f7ee524268e6a98e"
        );
        assert_eq!(
            digest(Compression::Zstd),
            "sha256:bdf4f0d93c3c59b2e8e2e9f5cb58e361cf7cde84a966ecc789af86a660b85e41"
        );
    }

    #[test]
    fn a_layer_of_nothing_is_legal() {
        assert_eq!(layer(b"", 1, Compression::Gzip, 1).len(), 20);
        assert_eq!(layer(b"", 1, Compression::Zstd, 1).len(), 0);
    }

    #[test]
    fn a_full_disk_is_told_and_ends_all_threads() {
        let bytes = text(1 << 20);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let blob = BlobWriter::into_file(full, "none".into());
        let mut pipeline = Pipeline::start(blob, Compression::Gzip, NonZero::<usize>::MIN).unwrap();
        let error = loop {
            if let Err(error) = pipeline.push(bytes.clone()) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(pipeline);
    }
}
