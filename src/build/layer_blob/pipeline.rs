//! The threads behind a layer: one digests the tar bytes, some compress blocks, one puts the blocks
//! in order, digests the blob and writes it.
//!
//! Every queue is bounded, so a layer takes the memory of a few blocks whatever its size.

use std::io::{self, Write as _};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::codec::{self, Compressed, Encoder};
use super::{BlobWriter, LayerBlob};
use crate::image::{Blob, Compression, Digest};

/// More threads than this would wait for the one that reads.
const MOST_THREADS: usize = 8;

type Block = Arc<Vec<u8>>;

/// Threads that wait for blocks.
pub(super) struct Pipeline {
    senders: Option<Senders>,
    tar: Option<JoinHandle<Digest>>,
    compressors: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<io::Result<Blob>>>,
    abandoned: Arc<AtomicBool>,
}

/// Where a block goes: to be digested, to be compressed, and the place of its result in the blob.
struct Senders {
    tar: SyncSender<Block>,
    jobs: SyncSender<Job>,
    results: SyncSender<Receiver<io::Result<Compressed>>>,
}

struct Job {
    block: Block,
    result: SyncSender<io::Result<Compressed>>,
}

/// Returns how many threads compress where nobody says: one a core.
pub(super) fn usual_threads() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

impl Pipeline {
    pub(super) fn start(
        blob: BlobWriter,
        compression: Compression,
        threads: NonZero<usize>,
    ) -> io::Result<Self> {
        let threads = threads.get().min(MOST_THREADS);
        let (tar, tar_blocks) = sync_channel::<Block>(2);
        let (jobs, waiting) = sync_channel::<Job>(threads);
        let (results, in_order) = sync_channel(2 * threads);
        let (waiting, abandoned) =
            (Arc::new(Mutex::new(waiting)), Arc::new(AtomicBool::new(false)));
        let mut pipeline = Self {
            senders: Some(Senders { tar, jobs, results }),
            tar: Some(named("tar digest", move || digest(&tar_blocks))?),
            compressors: Vec::new(),
            writer: Some(named("layer writer", {
                let abandoned = abandoned.clone();
                move || write(blob, compression, &in_order, &abandoned)
            })?),
            abandoned,
        };
        for _ in 0..threads {
            let (waiting, abandoned) = (waiting.clone(), pipeline.abandoned.clone());
            let work = move || compress(compression, &waiting, &abandoned);
            pipeline.compressors.push(named("compressor", work)?);
        }
        Ok(pipeline)
    }

    /// Hands a block over; waits while the threads have enough to do.
    pub(super) fn push(&mut self, block: Vec<u8>) -> io::Result<()> {
        let (block, (result, receiver)) = (Arc::new(block), sync_channel(1));
        let sent = self.senders.as_ref().is_some_and(|to| {
            to.results.send(receiver).is_ok()
                && to.tar.send(block.clone()).is_ok()
                && to.jobs.send(Job { block, result }).is_ok()
        });
        match sent {
            true => Ok(()),
            // A thread went away before it was told to; the writer knows why.
            false => Err(self.join().err().unwrap_or_else(stopped)),
        }
    }

    /// Returns the layer, when all blocks are written.
    pub(super) fn finish(mut self) -> io::Result<LayerBlob> {
        let (blob, diff_id) = self.join()?;
        Ok(LayerBlob { blob, diff_id })
    }

    fn join(&mut self) -> io::Result<(Blob, Digest)> {
        self.senders = None;
        let compressors = self.compressors.drain(..).map(JoinHandle::join);
        let panicked = compressors.filter(Result::is_err).count();
        let tar = self.tar.take().and_then(|thread| thread.join().ok());
        let writer = self.writer.take().ok_or_else(stopped)?;
        let blob = writer.join().map_err(|_| stopped())??;
        match (tar, panicked) {
            (Some(diff_id), 0) => Ok((blob, diff_id)),
            _ => Err(stopped()),
        }
    }
}

impl Drop for Pipeline {
    /// Ends the threads of a layer that nobody waits for any more.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        // There is nobody left to tell the error to.
        let _ = self.join();
    }
}

fn stopped() -> io::Error {
    io::Error::other("a thread that writes the layer stopped")
}

fn named<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn digest(blocks: &Receiver<Block>) -> Digest {
    let mut hasher = Sha256::new();
    blocks.iter().for_each(|block| hasher.update(block.as_slice()));
    Digest::from_sha256(hasher.finalize().into())
}

fn compress(compression: Compression, waiting: &Mutex<Receiver<Job>>, abandoned: &AtomicBool) {
    let mut encoder = Encoder::new(compression);
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, result }) = job else { return };
        if abandoned.load(Ordering::Relaxed) {
            return;
        }
        let compressed = match &mut encoder {
            Ok(encoder) => encoder.compress(&block),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        // Where the writer is gone, it has said why.
        let _ = result.send(compressed);
    }
}

fn write(
    mut blob: BlobWriter,
    compression: Compression,
    in_order: &Receiver<Receiver<io::Result<Compressed>>>,
    abandoned: &AtomicBool,
) -> io::Result<Blob> {
    let mut all = Crc::new();
    blob.write_all(codec::header(compression))?;
    for result in in_order {
        let Compressed { bytes, checksum } = result.recv().map_err(|_| stopped())??;
        all.combine(&checksum);
        blob.write_all(&bytes)?;
    }
    if abandoned.load(Ordering::Relaxed) {
        return Err(stopped());
    }
    blob.write_all(&codec::trailer(compression, &all))?;
    blob.finish()
}
