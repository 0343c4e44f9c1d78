//! The mirror: the second copy of every record, which follows the journal lazily and is synced at
//! checkpoints.
//!
//! It relies on `records` and `digest`. The mirror is closed and sealed (every file's length and
//! checksums noted) except while it is updated, so that it can be proven without being opened. It
//! is never on the path of a commit. On disk and in reports it is called `books`.

mod chunk;
mod seal;
mod simulated;
mod sled_files;
mod sled_mirror;
pub(crate) mod title;

pub(crate) use simulated::SimulatedMirror;
pub(crate) use sled_files::aside_name;
pub(crate) use sled_mirror::SledMirror;

use crate::digest::Digest;
use crate::identity::Identity;
use crate::records::Change;
use std::collections::BTreeMap;

/// The content of the mirror, by its seal or by its own title page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub identity: Identity,
    /// The commit up to which it follows the journal.
    pub sequence: u64,
    pub term: u64,
    pub state: Digest,
    /// Records per tree, hidden trees included.
    pub counts: BTreeMap<String, u64>,
}

/// What can be said of the mirror without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Survey {
    Missing,
    /// Every byte is as the seal says.
    Sealed(Title),
    /// It was being updated when the process died (or the seal was lost).
    Interrupted,
    Damaged(String),
    /// Written by a later version.
    Newer(u32),
}

/// The mirror as read record by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MirrorReading {
    pub title: Option<Title>,
    /// Every record whose checksum holds.
    pub records: Vec<Change>,
    /// What is wrong with it; empty and with a title means proven.
    pub problems: Vec<String>,
}

/// An update of the mirror.
#[derive(Clone, Debug)]
pub(crate) struct MirrorJob {
    /// The content after the update.
    pub title: Title,
    /// The commit at which the sealed mirror stands; `None` to rebuild it from `changes`, which are
    /// all records then.
    pub from: Option<u64>,
    pub changes: Vec<Change>,
    /// Whether the old mirror is evidence of damage, to be kept under another name.
    pub keep_old: bool,
}

/// Why the mirror could not be updated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MirrorError {
    /// It does not hold what its seal says and must be rebuilt.
    #[error("the books are damaged: {0}")]
    Damaged(String),
    /// The disk failed.
    #[error("{0}")]
    Failed(String),
}

/// The second copy of a store, updated by a worker of its own.
pub(crate) trait Mirror: Send {
    /// Surveys the mirror without opening it.
    fn survey(&mut self) -> Survey;
    /// Reads every record out of a copy, so that the original stays as it is.
    fn read(&mut self) -> MirrorReading;
    /// Starts an update off the caller's thread; at most one at a time.
    fn start(&mut self, job: MirrorJob);
    /// Takes the result of the update once it is done.
    fn poll(&mut self) -> Option<Result<(), MirrorError>>;
    /// Waits for the result; `None` when no update was started.
    fn wait(&mut self) -> Option<Result<(), MirrorError>>;
    /// Whether an update was started and its result not yet taken.
    fn busy(&self) -> bool;
}
