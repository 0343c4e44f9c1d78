//! The report of what opening a store found, as text for people and as variants for programs.
//!
//! It relies on `identity` and `contract`. It never leaves anything out: a repair that is not
//! reported would be silent.

use crate::contract::DamagedRecord;
use crate::digest::Digest;
use crate::entry::Sequence;
use crate::identity::Identity;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fmt, io};

/// One thing found on open or check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There was no store, and a new one was made.
    Created,
    /// The journal ends in a write that was never acknowledged, as after a crash. Harmless.
    TornTail {
        /// The segment file.
        file: String,
        /// The offset in the lane where the torn write starts, in bytes.
        offset: u64,
    },
    /// One of the two copies of a commit was damaged or incomplete; the other proved it.
    LaneRepaired {
        /// The segment file.
        file: String,
        /// The damaged lane: 0 or 1.
        lane: usize,
        /// The offset in the lane, in bytes.
        offset: u64,
        /// The number of the commit.
        sequence: u64,
    },
    /// One of the two header pages of a segment was damaged.
    HeaderRepaired {
        /// The segment file.
        file: String,
    },
    /// A segment file is shorter or longer than it was made.
    LengthWrong {
        /// The segment file.
        file: String,
        /// The length that it has.
        found_bytes: u64,
        /// The length that it was made with.
        expected_bytes: u64,
    },
    /// A journal file is damaged beyond its two copies, or is not ours.
    SegmentDamaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment that must have existed is gone.
    SegmentMissing {
        /// The number of the segment.
        number: u64,
    },
    /// The newest journal file alone could not prove the state; together with other witnesses it
    /// was proven, and the journal was written anew.
    JournalRebuilt {
        /// The sources that proved the state together.
        source: String,
        /// The commit that the new journal starts from.
        sequence: u64,
    },
    /// The watermark file is missing or partly damaged; the journal proved the state without it.
    WatermarkDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The mirror was missing; it is rebuilt at the next checkpoint.
    MirrorMissing,
    /// The mirror was damaged; it is set aside and rebuilt at the next checkpoint.
    MirrorDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// A crash interrupted an update of the mirror; it is rebuilt at the next checkpoint. Harmless.
    MirrorInterrupted,
    /// A damaged file was kept as evidence.
    SetAside {
        /// The name that the file had.
        file: String,
        /// The name that it has now, in the same directory.
        aside: String,
    },
    /// Acknowledged commits are lost, and the caller chose to go on without them.
    CommitsLost {
        /// The first lost commit.
        from: u64,
        /// The last lost commit that is known of.
        to: u64,
    },
    /// A record cannot be proven and is fenced.
    RecordDamaged(DamagedRecord),
}

impl Finding {
    /// Whether the finding is damage. A first start and the traces of a crash are not.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Finding::Created | Finding::TornTail { .. } | Finding::MirrorInterrupted)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Created => write!(f, "a new store was made"),
            Finding::TornTail { file, offset } => {
                write!(f, "{file}: a write at lane offset {offset} was cut off before it was acknowledged")
            }
            Finding::LaneRepaired { file, lane, offset, sequence } => {
                write!(f, "{file}: copy {lane} of commit {sequence} at lane offset {offset} is damaged; the other copy proves it")
            }
            Finding::HeaderRepaired { file } => {
                write!(f, "{file}: one of two header pages is damaged; the other proves it")
            }
            Finding::LengthWrong { file, found_bytes, expected_bytes } => {
                write!(f, "{file}: {found_bytes} bytes long, it was made with {expected_bytes}")
            }
            Finding::SegmentDamaged { file, reason } => write!(f, "{file}: {reason}"),
            Finding::SegmentMissing { number } => write!(f, "journal segment {number} is missing"),
            Finding::JournalRebuilt { source, sequence } => {
                write!(f, "the journal was written anew at commit {sequence}, proven by {source}")
            }
            Finding::WatermarkDamaged { reason } => write!(f, "watermark: {reason}"),
            Finding::MirrorMissing => {
                write!(f, "the books are missing; they are made anew from the journal")
            }
            Finding::MirrorDamaged { reason } => {
                write!(f, "the books are damaged ({reason}); they are made anew from the journal")
            }
            Finding::MirrorInterrupted => {
                write!(f, "a crash interrupted the books; they are made anew from the journal")
            }
            Finding::SetAside { file, aside } => write!(f, "{file} is kept as {aside}"),
            Finding::CommitsLost { from, to } => {
                write!(f, "acknowledged commits {from} to {to} are lost")
            }
            Finding::RecordDamaged(record) => write!(f, "{record}"),
        }
    }
}

/// The report of opening a store: its state, and everything that was found and repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The kind and uuid of the ledger.
    pub identity: Identity,
    /// The number of the last commit.
    pub sequence: Sequence,
    /// The highest term committed under.
    pub term: u64,
    /// The number of proven records per tree.
    pub counts: BTreeMap<String, u64>,
    /// Digest of all records.
    pub digest: Digest,
    /// Everything that was not as a clean close leaves it.
    pub findings: Vec<Finding>,
}

impl OpenReport {
    /// Whether no damage was found.
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_damage)
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: u64 = self.counts.values().sum();
        write!(
            f,
            "{}: commit {}, term {}, {records} records",
            self.identity, self.sequence, self.term
        )?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// Why a store was not opened. Nothing was changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or handle) has it open.
    #[error("{} is in use by {holder}; stop that process first", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// The process that holds it, as far as known.
        holder: String,
    },
    /// The directory holds another ledger.
    #[error("the state directory holds the ledger of {found}, not of {expected}; point the state directory at the right place")]
    WrongIdentity {
        /// The owner of the ledger that is there.
        found: Identity,
        /// The owner that was expected (a uuid of zeros means any).
        expected: Identity,
    },
    /// The kind of ledger is not a usable name.
    #[error("ledger kind {kind:?} must be 1 to 32 bytes without zero bytes")]
    BadKind {
        /// The kind as given.
        kind: String,
    },
    /// There is no store and making one was not asked for.
    #[error("there is no ledger in {}; check the state directory, or start the process once to make one", dir.display())]
    Absent {
        /// The state directory.
        dir: PathBuf,
    },
    /// Written by a later version.
    #[error("{file} has format {version}, newer than this program reads; run the newer program, or export there and import here")]
    Newer {
        /// The file.
        file: String,
        /// The format of the file.
        version: u32,
    },
    /// Acknowledged commits cannot be proven by any copy on this machine, and which records they
    /// touched is unknown.
    #[error(
        "acknowledged commits {from} to {to} cannot be proven: {reason}. Nothing was changed; restore the missing file, or import an export in \
         another directory (`holdfast ledger export --damaged-too` makes one of what is provable)"
    )]
    CommitsLost {
        /// The first lost commit.
        from: u64,
        /// The last lost commit that is known of.
        to: u64,
        /// The findings, one line each.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{file}: {source}; check space, permissions and mount of the state directory")]
    Io {
        /// The file or directory.
        file: String,
        /// The cause.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(file: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
        let file = file.into();
        move |source| OpenError::Io { file, source }
    }
}
