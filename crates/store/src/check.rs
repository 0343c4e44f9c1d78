//! Checks a ledger without changing a byte of it: what an operator, or a script, asks before
//! trusting a disk.
//!
//! It relies on `recover::assess`, the same assessment that opening makes. It never needs the lock;
//! a ledger in use is read as it stands.

use crate::contract::RecordRef;
use crate::digest::Digest;
use crate::disk::RealDisk;
use crate::durable::located;
use crate::entry::Sequence;
use crate::export::write_export;
use crate::identity::Identity;
use crate::lock::DirLock;
use crate::mirror::{Mirror, MirrorError, MirrorJob, MirrorReading, SledMirror, Survey};
use crate::records::Records;
use crate::recover::assess;
use crate::report::{Finding, OpenError};
use crate::witness::Expected;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A ledger that changes while it is read is read again, at most this often.
const LIVE_TRIES: u32 = 5;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every byte against its checksum, as opening does.
    Bytes,
    /// Also every record of the mirror, read out of a copy in the temporary directory.
    Records,
}

/// The state of the mirror, the ledger's second copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorState {
    /// It was not read, since the process that owns the ledger may be writing it.
    InUse,
    /// There is no mirror.
    Missing,
    /// It is whole and stands at this commit.
    Whole(Sequence),
    /// A crash interrupted an update of it; it is rebuilt from the journal on open.
    Interrupted,
    /// It is damaged, for this reason.
    Damaged(String),
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The owner of the ledger; `None` when no file names one.
    pub identity: Option<Identity>,
    /// The last proven commit.
    pub sequence: Sequence,
    /// The highest term.
    pub term: u64,
    /// The number of records in each tree.
    pub counts: BTreeMap<String, u64>,
    /// Digest of all records.
    pub digest: Digest,
    /// Everything that is not as a clean close leaves it.
    pub findings: Vec<Finding>,
    /// Acknowledged commits that cannot be proven, first and last; opening would be refused.
    pub lost: Option<(u64, u64)>,
    /// The state of the second copy.
    pub mirror: MirrorState,
    /// Whether a process has the ledger open.
    pub in_use: bool,
}

impl CheckReport {
    /// Whether nothing is damaged and nothing is lost.
    pub fn is_sound(&self) -> bool {
        self.lost.is_none()
            && !matches!(self.mirror, MirrorState::Damaged(_))
            && !self.findings.iter().any(Finding::is_damage)
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{identity}")?,
            None => write!(f, "ledger of unknown owner")?,
        }
        let records: u64 = self.counts.values().sum();
        write!(
            f,
            ": commit {}, term {}, {records} records, books {:?}",
            self.sequence, self.term, self.mirror
        )?;
        if let Some((from, to)) = self.lost {
            write!(
                f,
                "\n  acknowledged commits {from} to {to} cannot be proven: opening will be refused"
            )?;
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// A ledger as read, with its records.
#[derive(Debug)]
pub struct Inspection {
    /// The report of the check.
    pub report: CheckReport,
    records: Records,
}

impl Inspection {
    /// Lists every proven record.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.records.visible()
    }

    /// Writes the ledger in the form that [`crate::import`] reads.
    ///
    /// # Errors
    /// Those of `writer`; `InvalidData` when no file names the ledger's owner.
    pub fn export(&self, writer: &mut dyn Write) -> io::Result<()> {
        let Some(identity) = &self.report.identity else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no file tells whose ledger this is",
            ));
        };
        write_export(identity, self.report.sequence.0, self.report.term, &self.records, writer)
    }
}

/// Checks the ledger in `dir` and changes nothing.
///
/// # Errors
/// `Absent`, `Newer`, `Io`. Damage is no error here but part of the report.
pub fn check(dir: &Path, depth: Depth) -> Result<CheckReport, OpenError> {
    inspect(dir, depth).map(|inspection| inspection.report)
}

/// Reads the ledger in `dir` and changes nothing.
///
/// # Errors
/// As [`check`].
pub fn inspect(dir: &Path, depth: Depth) -> Result<Inspection, OpenError> {
    for _ in 1..LIVE_TRIES {
        match inspect_once(dir, depth) {
            // The process that has it open may have rolled its journal between two of our reads.
            Ok(inspection) if inspection.report.in_use && inspection.report.lost.is_some() => {}
            Err(OpenError::Io { .. }) if DirLock::is_taken(dir) => {}
            other => return other,
        }
    }
    inspect_once(dir, depth)
}

fn inspect_once(dir: &Path, depth: Depth) -> Result<Inspection, OpenError> {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let absent = || OpenError::Absent { dir: dir.to_owned() };
    if !dir.is_dir() {
        return Err(absent());
    }
    let in_use = DirLock::is_taken(dir);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let scratch =
        std::env::temp_dir().join(format!("holdfast-check-{}-{turn}", std::process::id()));
    let mut mirror = ReadOnlyMirror { mirror: SledMirror::new(dir, &scratch), in_use };
    let assessment =
        assess(&mut RealDisk::new(dir), &mut mirror, &Expected { kind: None, uuid: None });
    let assessment = assessment.map_err(|error| located(error, dir))?.ok_or_else(absent)?;
    let state = match &assessment.witnesses.survey {
        _ if in_use => MirrorState::InUse,
        Survey::Missing => MirrorState::Missing,
        Survey::Interrupted => MirrorState::Interrupted,
        Survey::Damaged(reason) => MirrorState::Damaged(reason.clone()),
        Survey::Newer(version) => {
            MirrorState::Damaged(format!("format {version} is newer than this program"))
        }
        Survey::Sealed(title) if depth == Depth::Records => match mirror.read().problems.first() {
            Some(problem) => MirrorState::Damaged(problem.clone()),
            None => MirrorState::Whole(Sequence(title.sequence)),
        },
        Survey::Sealed(title) => MirrorState::Whole(Sequence(title.sequence)),
    };
    let report = CheckReport {
        identity: assessment.identity,
        sequence: Sequence(assessment.state.sequence),
        term: assessment.state.term,
        counts: assessment.state.records.counts(),
        digest: assessment.state.records.digest(),
        findings: assessment.findings,
        lost: assessment.lost,
        mirror: state,
        in_use,
    };
    Ok(Inspection { report, records: assessment.state.records })
}

/// A mirror that is only read, and not even that while its owner may write it.
struct ReadOnlyMirror {
    mirror: SledMirror,
    in_use: bool,
}

impl Mirror for ReadOnlyMirror {
    fn survey(&mut self) -> Survey {
        match self.in_use {
            true => Survey::Interrupted,
            false => self.mirror.survey(),
        }
    }

    fn read(&mut self) -> MirrorReading {
        self.mirror.read()
    }

    fn start(&mut self, _: MirrorJob) {}

    fn poll(&mut self) -> Option<Result<(), MirrorError>> {
        None
    }

    fn wait(&mut self) -> Option<Result<(), MirrorError>> {
        None
    }

    fn busy(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Store;
    use crate::entry::Entry;
    use crate::{DurableStore, Options};
    use std::fs;

    #[test]
    fn a_check_sees_what_is_there_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(check(dir.path(), Depth::Bytes), Err(OpenError::Absent { .. })));
        let (mut store, _) =
            DurableStore::open(dir.path(), Options::new("agent").create_as([1; 16])).unwrap();
        store.commit(1, &[Entry::put("claims", "a", "b")]).unwrap();
        let live = inspect(dir.path(), Depth::Bytes).unwrap();
        assert!(live.report.in_use && live.report.mirror == MirrorState::InUse);
        assert_eq!(live.records().count(), 1);
        store.close().unwrap();
        drop(store);
        let report = check(dir.path(), Depth::Records).unwrap();
        assert!(report.is_sound() && report.mirror == MirrorState::Whole(Sequence(1)), "{report}");
        let seal = dir.path().join("books.seal");
        let before = fs::read(&seal).unwrap();
        fs::write(&seal, b"scribble").unwrap();
        let report = check(dir.path(), Depth::Records).unwrap();
        assert!(!report.is_sound() && report.lost.is_none(), "{report}");
        fs::write(&seal, before).unwrap();
        assert!(check(dir.path(), Depth::Bytes).unwrap().is_sound());
    }
}
