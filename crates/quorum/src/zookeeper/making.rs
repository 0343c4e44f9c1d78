//! A checkpoint on its way into the ensemble, while commits go on.
//!
//! It relies on the service's thread, on which chunks are written. It never makes a commit wait: a
//! chunk that is refused ends this checkpoint, and the next one begins later.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::checkpoint::{Writer, CHUNK_BYTES_MAX};
use super::commit::{CommitError, Pen};
use super::head::{Head, Pointer};
use super::layout::piece;
use super::records::Records;

/// Chunks that are on their way at once.
const AT_ONCE: u64 = 4;
/// Bytes of the log from which on a checkpoint is worth its while, however small the state is.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Making {
    writer: Writer,
    folder: String,
    /// Bytes of the log that it will stand for.
    stands_for: u64,
    sent: u64,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    folder_made: AtomicBool,
    written: AtomicU64,
    failed: AtomicBool,
}

/// Whether it is time to begin one: the log has grown as large as the state.
pub(crate) fn is_due(head: &Head, records: &Records) -> bool {
    LOG_BYTES_MIN.max(records.bytes()) <= head.log_bytes
}

impl Making {
    /// Begins one at the head.
    pub fn begin(head: &Head, pen: &Pen, on: &Handle) -> Making {
        let writer = Writer::begin(head, head.term);
        let folder = pen.layout.checkpoint(&writer.pointer());
        let progress = Arc::new(Progress::default());
        let (pen, path, told) = (pen.clone(), folder.clone(), progress.clone());
        on.spawn(async move {
            match pen.make(&path, &[]).await {
                Ok(()) => told.folder_made.store(true, Ordering::Release),
                Err(error) => told.fail(&error),
            }
        });
        Making { writer, folder, stands_for: head.log_bytes, sent: 0, progress }
    }

    /// Goes on by as much as `bytes` of commits are worth, without waiting.
    pub fn advance(&mut self, records: &Records, bytes: usize, pen: &Pen, on: &Handle) {
        if !self.progress.folder_made.load(Ordering::Acquire) {
            return;
        }
        for _ in 0..1 + 2 * bytes / CHUNK_BYTES_MAX {
            let on_their_way = self.sent - self.progress.written.load(Ordering::Acquire);
            if self.has_failed() || AT_ONCE <= on_their_way {
                return;
            }
            let Some(chunk) = self.writer.next_chunk(records) else { return };
            let path = piece(&self.folder, self.sent);
            self.sent += 1;
            let (pen, told) = (pen.clone(), self.progress.clone());
            on.spawn(async move {
                match pen.make(&path, &chunk).await {
                    Ok(()) => {
                        told.written.fetch_add(1, Ordering::AcqRel);
                    }
                    Err(error) => told.fail(&error),
                }
            });
        }
    }

    /// Whether it will never be whole.
    pub fn has_failed(&self) -> bool {
        self.progress.failed.load(Ordering::Acquire)
    }

    /// What the next commit may put into the head, once every chunk is in the ensemble.
    pub fn ready(&self) -> Option<Pointer> {
        let is_written = self.progress.written.load(Ordering::Acquire) == self.sent;
        (self.writer.is_whole() && is_written && !self.has_failed()).then(|| self.writer.pointer())
    }

    /// The head with this checkpoint in it.
    pub fn publish(&self, head: Head, pointer: Pointer) -> Head {
        let log_bytes = head.log_bytes - self.stands_for;
        Head { checkpoint: Some(pointer), log_bytes, ..head }
    }
}

impl Progress {
    fn fail(&self, error: &CommitError) {
        tracing::warn!("a checkpoint of the journal is given up: {error}");
        self.failed.store(true, Ordering::Release);
    }
}
