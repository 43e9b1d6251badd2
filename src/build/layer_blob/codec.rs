//! The two compressions of a layer, block by block.
//!
//! A block's output depends on its bytes alone: every block begins with an empty window. A gzip layer
//! is one member of deflate blocks that end at a byte (RFC 1951, 3.2.4: an empty stored block); a zstd
//! layer is one frame a block (RFC 8878, 3.1). So blocks can be compressed at once, by any number of
//! threads, and are put together by writing one after the other.

use std::io;

use flate2::{Compress, Crc, FlushCompress};
use zstd::bulk::Compressor;

use crate::image::Compression;

/// zlib-rs, the level of gzip layers: see the table in [`super`].
const GZIP_LEVEL: u32 = 3;

/// zstd's own default. From level 5 on, zstd may search otherwise on machines without SIMD.
const ZSTD_LEVEL: i32 = 3;

/// Magic, deflate, no flags, no time, no extra flags, unknown system (RFC 1952, 2.3): nothing about
/// this machine.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The deflate block that says it is the last one; it is empty (RFC 1951, 3.2.3 and 3.2.6).
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Compresses one block after the other, each on its own.
pub(super) enum Encoder {
    Gzip(Compress),
    Zstd(Compressor<'static>),
}

/// A compressed block, and what the end of the layer has to say about its bytes.
pub(super) struct Compressed {
    pub(super) bytes: Vec<u8>,
    pub(super) checksum: Crc,
}

/// Returns how many tar bytes a block has.
pub(super) fn block_size(compression: Compression) -> usize {
    match compression {
        Compression::Gzip => 256 << 10,
        Compression::Zstd => 512 << 10,
    }
}

/// Returns what is in front of the first block.
pub(super) fn header(compression: Compression) -> &'static [u8] {
    match compression {
        Compression::Gzip => &GZIP_HEADER,
        Compression::Zstd => &[],
    }
}

/// Returns what is behind the last block; `checksum` is of all bytes.
pub(super) fn trailer(compression: Compression, checksum: &Crc) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            [&LAST_BLOCK, &checksum.sum().to_le_bytes()[..], &checksum.amount().to_le_bytes()]
                .concat()
        }
        Compression::Zstd => Vec::new(),
    }
}

impl Encoder {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => {
                Self::Gzip(Compress::new(flate2::Compression::new(GZIP_LEVEL), false))
            }
            Compression::Zstd => Self::Zstd(Compressor::new(ZSTD_LEVEL)?),
        })
    }

    pub(super) fn compress(&mut self, block: &[u8]) -> io::Result<Compressed> {
        let mut checksum = Crc::new();
        let bytes = match self {
            Self::Gzip(deflate) => {
                checksum.update(block);
                deflated(deflate, block)?
            }
            Self::Zstd(zstd) => zstd.compress(block)?,
        };
        Ok(Compressed { bytes, checksum })
    }
}

fn deflated(deflate: &mut Compress, block: &[u8]) -> io::Result<Vec<u8>> {
    // More than the block takes where nothing in it repeats, so that the compressor never has to stop
    // and wait for room: that would show in its output.
    let mut bytes = Vec::with_capacity(block.len() + block.len() / 8 + 1024);
    deflate.reset();
    deflate.compress_vec(block, &mut bytes, FlushCompress::Full)?;
    match deflate.total_in() == block.len() as u64 && bytes.ends_with(&[0, 0, 0xff, 0xff]) {
        true => Ok(bytes),
        false => Err(io::Error::other("the compressor did not take a whole block")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn layer(compression: Compression, blocks: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut all) = (Encoder::new(compression).unwrap(), Crc::new());
        let mut layer = header(compression).to_vec();
        for block in blocks {
            let compressed = encoder.compress(block).unwrap();
            all.combine(&compressed.checksum);
            layer.extend(compressed.bytes);
        }
        layer.extend(trailer(compression, &all));
        layer
    }

    #[test]
    fn blocks_make_one_gzip_member() {
        let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let lists: [Vec<&[u8]>; 3] = [vec![], vec![b"a"], vec![b"1", b"1", &noise, b"last"]];
        for blocks in lists {
            let mut read = Vec::new();
            // Reads one member and no more.
            let layer = layer(Compression::Gzip, &blocks);
            flate2::read::GzDecoder::new(layer.as_slice()).read_to_end(&mut read).unwrap();
            assert!(read == blocks.concat());
        }
    }

    #[test]
    fn blocks_make_zstd_frames_that_are_read_as_one_stream() {
        let blocks: [&[u8]; 3] = [b"first", b"first", b""];
        let layer = layer(Compression::Zstd, &blocks);
        assert_eq!(zstd::decode_all(layer.as_slice()).unwrap(), b"firstfirst");
    }

    #[test]
    fn a_block_knows_nothing_of_the_one_before() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut encoder = Encoder::new(compression).unwrap();
            let first = encoder.compress(b"the same bytes, the same bytes").unwrap().bytes;
            let again = encoder.compress(b"the same bytes, the same bytes").unwrap().bytes;
            assert_eq!(first, again);
        }
    }
}
