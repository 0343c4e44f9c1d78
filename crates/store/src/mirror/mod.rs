//! The books: the second copy of every record, brought up to the journal lazily and synced at checkpoints.
//!
//! Relies on `records` and `digest`. The books are closed and sealed (every file's length and checksums noted) except while
//! they are brought up, so that they can be proven without being opened. Never on the path of a commit.

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

/// What the books hold, by their seal or by their own title page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub identity: Identity,
    /// The commit they are brought up to.
    pub sequence: u64,
    pub term: u64,
    pub state: Digest,
    /// Records per tree, hidden trees included.
    pub counts: BTreeMap<String, u64>,
}

/// What can be said of the books without opening them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Survey {
    Missing,
    /// Every byte is as the seal says.
    Sealed(Title),
    /// They were being brought up when the process died (or the seal was lost).
    Interrupted,
    Damaged(String),
    /// Written by a later version.
    Newer(u32),
}

/// The books as read record by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MirrorReading {
    pub title: Option<Title>,
    /// Every record whose checksum holds.
    pub records: Vec<Change>,
    /// What is wrong; empty and with a title means proven.
    pub problems: Vec<String>,
}

/// Work for the books.
#[derive(Clone, Debug)]
pub(crate) struct MirrorJob {
    /// What they will hold.
    pub title: Title,
    /// The commit the sealed books stand at; `None`: make them anew from `changes`, which are all records then.
    pub from: Option<u64>,
    pub changes: Vec<Change>,
    /// Old books are evidence of damage: keep them under another name.
    pub keep_old: bool,
}

/// Why the books could not be brought up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MirrorError {
    /// They do not hold what their seal says: they must be made anew.
    #[error("the books are damaged: {0}")]
    Damaged(String),
    /// The disk refused.
    #[error("{0}")]
    Failed(String),
}

/// The second copy.
pub(crate) trait Mirror: Send {
    /// Looks without opening.
    fn survey(&mut self) -> Survey;
    /// Reads every record, of a copy: what is there stays as it is.
    fn read(&mut self) -> MirrorReading;
    /// Starts work off the caller's thread; at most one at a time.
    fn start(&mut self, job: MirrorJob);
    /// The result of the work, once it is done. Work is running until then.
    fn poll(&mut self) -> Option<Result<(), MirrorError>>;
    /// Waits for the result; `None` when no work was started.
    fn wait(&mut self) -> Option<Result<(), MirrorError>>;
    /// Work was started and its result not yet taken.
    fn busy(&self) -> bool;
}
