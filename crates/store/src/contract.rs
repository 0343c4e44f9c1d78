//! The contract that every store keeps: the durable one, the one in memory and the faulty one of
//! the simulator.
//!
//! It relies on `entry` alone. It never says how bytes reach a disk. `conformance` is this contract
//! as tests.

use crate::digest::Digest;
use crate::entry::{Entry, LimitError, Sequence};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// Durable state as records, changed by atomic batches.
///
/// A commit that returned `Ok` survives every crash. A commit that returned `Err` may or may not
/// survive, and the store is poisoned for good: every later change is refused, because a disk that
/// failed once may have dropped what it had promised (a failed fsync marks pages clean). To go on,
/// a new process opens the store again.
pub trait Store: Send {
    /// Makes `batch` durable as one atom, under leadership `term`; the number it got is one above
    /// [`Store::sequence`]. Group commit: concatenate the entries of many callers into one batch,
    /// for one sync. An empty batch is a commit too.
    ///
    /// # Errors
    /// Any error poisons the store. `TermPast` when `term` is below one already seen.
    fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError>;

    /// Every proven record in the order of trees and keys. Damaged records are not among them: see
    /// [`Store::damaged`]. Once the store is poisoned this says nothing about the disk.
    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_>;

    /// The value of one record.
    fn value(&self, tree: &str, key: &[u8]) -> Option<&[u8]>;

    /// The last durable commit.
    fn sequence(&self) -> Sequence;

    /// The highest term ever committed under; 0 when there is none.
    fn term(&self) -> u64;

    /// What could not be proven on open and has not been settled since. A record named here is
    /// fenced: it is not among [`Store::records`], also after a restart, until it is written again
    /// or settled.
    fn damaged(&self) -> &[DamagedRecord];

    /// Removes `damaged` from the list: its owner repaired it from a third source or accepts the
    /// loss. Durable like a commit.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError>;

    /// Brings the second copy up to the first and syncs it. Waits for the disk: not for the path of
    /// a request.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn checkpoint(&mut self) -> Result<Checkpoint, StoreError>;

    /// Checkpoint, then stop; every later call is refused. A store that is dropped without it is as
    /// safe, only slower to open.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn close(&mut self) -> Result<(), StoreError>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError> {
        (**self).commit(term, batch)
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        (**self).records()
    }

    fn value(&self, tree: &str, key: &[u8]) -> Option<&[u8]> {
        (**self).value(tree, key)
    }

    fn sequence(&self) -> Sequence {
        (**self).sequence()
    }

    fn term(&self) -> u64 {
        (**self).term()
    }

    fn damaged(&self) -> &[DamagedRecord] {
        (**self).damaged()
    }

    fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError> {
        (**self).settle(term, damaged)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        (**self).checkpoint()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        (**self).close()
    }
}

/// One record, borrowed from a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The tree that holds the record.
    pub tree: &'a str,
    /// The key within the tree.
    pub key: &'a [u8],
    /// The bytes that were put.
    pub value: &'a [u8],
    /// The commit that wrote it.
    pub sequence: Sequence,
}

/// What a checkpoint proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The commit up to which both copies agree.
    pub sequence: Sequence,
    /// The number of records in each tree.
    pub counts: BTreeMap<String, u64>,
    /// Digest of all records.
    pub digest: Digest,
}

/// Something acknowledged that neither copy can prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The tree, when known. `None` stands for unknown records touched by lost commits (`reason`
    /// names them).
    pub tree: Option<String>,
    /// The key, when known.
    pub key: Option<Vec<u8>>,
    /// The commit whose value is lost, when known.
    pub sequence: Option<Sequence>,
    /// An older value that is proven, if a copy still holds one. It may be out of date: evidence,
    /// not truth.
    pub last_known: Option<Vec<u8>>,
    /// File and offset of the damage.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DamagedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.tree, &self.key) {
            (Some(tree), Some(key)) => {
                write!(f, "record {tree}/{}", String::from_utf8_lossy(key).escape_debug())?
            }
            _ => write!(f, "unknown records")?,
        }
        write!(f, ": {} ({})", self.reason, self.place)
    }
}

/// Why a change was rejected. Every variant leaves the store poisoned.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An earlier call failed.
    #[error("the store stopped after an earlier failure ({reason}); restart this process, it will verify and recover on open")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed; open it again")]
    Closed,
    /// The caller's term is past: it was deposed.
    #[error("term {term} is past, term {latest} has written already; this leader was deposed: stop and campaign again")]
    TermPast {
        /// The term given.
        term: u64,
        /// The highest term seen.
        latest: u64,
    },
    /// The batch breaks a limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A write failed: disk full, read-only or broken.
    #[error(
        "cannot write {file}: {source}; check space and mount of the state directory, then restart"
    )]
    Write {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// A sync failed. Never retried: what it covered may be gone although a second sync would
    /// succeed.
    #[error(
        "cannot sync {file}: {source}; the disk may have dropped data: check it, then restart"
    )]
    Sync {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// The second copy could not be brought up.
    #[error("the books cannot be written: {what}; check space and mount of the state directory, then restart")]
    Mirror {
        /// What went wrong with the mirror.
        what: String,
    },
}
