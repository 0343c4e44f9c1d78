//! The one engine of every journaled store: commit, roll, checkpoint, poison. It is generic over
//! the disk and the mirror, so that the code that the simulator storms is the code that runs.
//!
//! It relies on `journal`, `mirror`, `records`. It never says "durable" before a sync returned, and
//! never goes on after a failure.

use crate::contract::{Checkpoint, DamagedRecord, RecordRef, StoreError};
use crate::disk::Disk;
use crate::entry::{check_batch, Entry, Sequence};
use crate::fence;
use crate::identity::Identity;
use crate::journal::watermark::{self, Mark};
use crate::journal::{payload, segment, Beginning, Commit, Journal, Start, Successor};
use crate::mirror::{Mirror, MirrorError, MirrorJob, Title};
use crate::records::{Change, Records, FENCED_TREE};
use std::collections::BTreeSet;

/// Bounds of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A journal segment has at least this many bytes for commits, twice (two copies). Default 1
    /// MiB.
    pub segment_bytes: u64,
    /// The mirror is updated when this many records differ from it (or an eighth of all records, if
    /// that is more). Default 1000.
    pub mirror_behind_records: u64,
    /// Earlier segments that are kept beside the current one. Default 1, at least 1.
    pub segments_kept: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { segment_bytes: 1 << 20, mirror_behind_records: 1000, segments_kept: 1 }
    }
}

/// Why the store takes no more changes.
#[derive(Clone, Debug)]
enum Stopped {
    Closed,
    Poisoned(String),
}

/// How far the mirror follows the journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorProgress {
    /// The commit at which the sealed mirror stands; `None` when it must be rebuilt.
    pub sealed: Option<u64>,
    /// The records that changed since.
    pub pending: BTreeSet<(String, Vec<u8>)>,
    /// The commit to which a running update brings the mirror.
    pub updating_to: Option<u64>,
    /// Whether the present mirror is evidence of damage and must be kept.
    pub keep_old: bool,
    /// Whether the mirror was just rebuilt because of damage, which is not tried twice in a row.
    pub rebuilt: bool,
    /// Whether an update is due because a segment is full.
    pub due: bool,
}

/// A store in operation: state in memory, the journal that proves it, and the mirror behind it.
#[derive(Clone, Debug)]
pub(crate) struct Engine<D, B> {
    pub disk: D,
    pub mirror: B,
    pub identity: Identity,
    pub bounds: Bounds,
    pub records: Records,
    pub sequence: u64,
    pub term: u64,
    pub journal: Journal,
    pub mark: Mark,
    pub progress: MirrorProgress,
    pub damaged: Vec<DamagedRecord>,
    /// The next segment, while it is being written.
    successor: Option<Box<Successor>>,
    boot: [u8; 16],
    stopped: Option<Stopped>,
}

/// What recovery found: an engine without its disk and mirror.
pub(crate) struct Parts {
    pub identity: Identity,
    pub bounds: Bounds,
    pub records: Records,
    pub sequence: u64,
    pub term: u64,
    pub journal: Journal,
    pub mark: Mark,
    pub progress: MirrorProgress,
}

impl<D: Disk, B: Mirror> Engine<D, B> {
    pub fn new(mut disk: D, mirror: B, parts: Parts) -> Engine<D, B> {
        let Parts { identity, bounds, records, sequence, term, journal, mark, progress } = parts;
        let damaged = records.fenced();
        let boot = disk.boot().unwrap_or_default();
        Engine {
            disk,
            mirror,
            identity,
            bounds,
            records,
            sequence,
            term,
            journal,
            mark,
            progress,
            damaged,
            successor: None,
            boot,
            stopped: None,
        }
    }

    pub fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError> {
        self.admit()?;
        let outcome = self.check(term, batch).and_then(|()| {
            let lifted = if self.damaged.is_empty() {
                Vec::new()
            } else {
                fence::lift(&self.records, batch)
            };
            self.write(term, batch, &lifted)
        });
        self.poison_on(outcome)
    }

    pub fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError> {
        self.admit()?;
        let strike = Entry { tree: FENCED_TREE.to_owned(), key: fence::key(damaged), value: None };
        let outcome = self.check(term, &[]).and_then(|()| self.write(term, &[], &[strike]));
        self.poison_on(outcome)
    }

    pub fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        self.admit()?;
        let outcome = self.update_mirror(false);
        self.poison_on(outcome)
    }

    pub fn close(&mut self) -> Result<(), StoreError> {
        self.admit()?;
        let outcome = self.update_mirror(true);
        self.poison_on(outcome)?;
        self.stopped = Some(Stopped::Closed);
        Ok(())
    }

    pub fn visible(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        Box::new(self.records.visible())
    }

    fn admit(&self) -> Result<(), StoreError> {
        match &self.stopped {
            None => Ok(()),
            Some(Stopped::Closed) => Err(StoreError::Closed),
            Some(Stopped::Poisoned(reason)) => Err(StoreError::Poisoned { reason: reason.clone() }),
        }
    }

    fn poison_on<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store stops");
            self.stopped = Some(Stopped::Poisoned(error.to_string()));
        }
        outcome
    }

    fn check(&self, term: u64, batch: &[Entry]) -> Result<(), StoreError> {
        check_batch(batch)?;
        if term < self.term {
            return Err(StoreError::TermPast { term, latest: self.term });
        }
        Ok(())
    }

    /// The hot path: two writes, one sync, one unsynced write of the watermark; and a little of the
    /// next segment, when this one is filling up.
    fn write(&mut self, term: u64, batch: &[Entry], own: &[Entry]) -> Result<Sequence, StoreError> {
        self.take_mirror_result()?;
        let sequence = self.sequence + 1;
        let sizes = batch
            .iter()
            .chain(own)
            .map(|entry| payload::encoded_bytes(&entry.tree, &entry.key, entry.value.as_deref()));
        let mut body = Vec::with_capacity(sizes.sum());
        for entry in batch.iter().chain(own) {
            payload::encode(&mut body, sequence, &entry.tree, &entry.key, entry.value.as_deref());
        }
        if !self.journal.fits(body.len()) {
            self.roll(body.len())?;
        }
        for entry in batch.iter().chain(own) {
            if let Some(successor) = &mut self.successor {
                successor.keep(&self.records, &entry.tree, &entry.key);
            }
            self.records.apply(sequence, &entry.tree, &entry.key, entry.value.as_deref());
            self.progress.pending.insert((entry.tree.clone(), entry.key.clone()));
        }
        let commit = Commit {
            sequence,
            term,
            records: self.records.count(),
            state: self.records.digest(),
            entries: (batch.len() + own.len()) as u32,
            payload: &body,
        };
        self.journal.append(&mut self.disk, &commit)?;
        if let Some(successor) = &mut self.successor {
            successor.note(&commit);
        }
        (self.sequence, self.term) = (sequence, term);
        if !own.is_empty() {
            self.damaged = self.records.fenced();
        }
        self.write_mark(false)?;
        self.prepare(body.len())?;
        self.start_mirror_update_if_due();
        Ok(Sequence(sequence))
    }

    /// Writes some of the next segment, if it is time; goes on to it when it has all.
    fn prepare(&mut self, payload_bytes: usize) -> Result<(), StoreError> {
        let successor = match &mut self.successor {
            Some(successor) => successor,
            None if self.journal.is_filling() => {
                let start = Beginning {
                    identity: &self.identity,
                    sequence: self.sequence,
                    term: self.term,
                    records: &self.records,
                    lane_bytes_min: self.bounds.segment_bytes,
                };
                let begun = Successor::begin(&mut self.disk, &self.journal, &start)?;
                self.successor.insert(Box::new(begun))
            }
            None => return Ok(()),
        };
        if successor.advance(&mut self.disk, &self.records, &self.journal, payload_bytes)? {
            self.go_on_to_successor()?;
            self.write_mark(false)?;
        }
        Ok(())
    }

    /// Finishes the next segment, if one was begun, and takes it into use.
    fn go_on_to_successor(&mut self) -> Result<(), StoreError> {
        match self.successor.take() {
            Some(successor) => {
                let next = successor.finish(&mut self.disk, &self.records)?;
                self.replace_journal(next)
            }
            None => Ok(()),
        }
    }

    /// Makes room for a commit for which the segment has none. The next segment is nearly always
    /// written by then; otherwise it is written here.
    fn roll(&mut self, payload_bytes: usize) -> Result<(), StoreError> {
        self.go_on_to_successor()?;
        if self.journal.fits(payload_bytes) {
            return Ok(());
        }
        let start = Start {
            identity: &self.identity,
            number: self.journal.number() + 1,
            sequence: self.sequence,
            term: self.term,
            records: &self.records,
            lane_bytes_min: self.bounds.segment_bytes,
            payload_bytes,
        };
        let next = Journal::create(&mut self.disk, &start)?;
        self.replace_journal(next)
    }

    /// Notes in the present segment that another follows, which is durable, then trims old ones.
    fn replace_journal(&mut self, next: Journal) -> Result<(), StoreError> {
        let (records, state) = (self.records.count(), self.records.digest());
        let last = Commit {
            sequence: self.sequence,
            term: self.term,
            records,
            state,
            entries: 0,
            payload: &[],
        };
        self.journal.close(&mut self.disk, &last)?;
        self.journal = next;
        self.progress.due = true;
        self.trim()
    }

    fn trim(&mut self) -> Result<(), StoreError> {
        let kept = self.bounds.segments_kept.max(1);
        let failed = |file: &str| {
            let file = file.to_owned();
            move |source| StoreError::Write { file, source }
        };
        let names = self.disk.list().map_err(failed("the state directory"))?;
        let old: Vec<String> = names
            .into_iter()
            .filter(|name| {
                segment::number_of(name).is_some_and(|number| number + kept < self.journal.number())
            })
            .collect();
        for file in &old {
            self.disk.remove(file).map_err(failed(file))?;
        }
        Ok(())
    }

    fn write_mark(&mut self, last: bool) -> Result<(), StoreError> {
        self.mark = Mark {
            identity: self.identity.clone(),
            turn: self.mark.turn + 1,
            segment: self.journal.number(),
            sequence: self.sequence,
            term: self.term,
            mirror: self.progress.sealed.unwrap_or(0),
            state: self.records.digest(),
            boot: self.boot,
            last,
        };
        let file = watermark::FILE.to_owned();
        self.mark.write(&mut self.disk).map_err(|source| StoreError::Write { file, source })
    }

    fn start_mirror_update_if_due(&mut self) {
        let limit = self.bounds.mirror_behind_records.max(self.records.count() / 8);
        let behind = self.progress.pending.len() as u64;
        if self.progress.updating_to.is_none()
            && (behind >= limit || self.progress.due || self.progress.sealed.is_none())
        {
            self.start_mirror_update();
        }
    }

    fn start_mirror_update(&mut self) {
        let pending = std::mem::take(&mut self.progress.pending);
        let changes = match self.progress.sealed {
            Some(_) => pending.into_iter().map(|(tree, key)| self.change(tree, key)).collect(),
            None => self
                .records
                .all()
                .map(|(tree, key, _)| self.change(tree.to_owned(), key.to_vec()))
                .collect(),
        };
        let title = Title {
            identity: self.identity.clone(),
            sequence: self.sequence,
            term: self.term,
            state: self.records.digest(),
            counts: self.records.counts_all(),
        };
        self.progress.updating_to = Some(self.sequence);
        self.progress.due = false;
        self.mirror.start(MirrorJob {
            title,
            from: self.progress.sealed,
            changes,
            keep_old: self.progress.keep_old,
        });
    }

    fn change(&self, tree: String, key: Vec<u8>) -> Change {
        let held = self.records.held(&tree, &key);
        let (sequence, value) =
            held.map_or((self.sequence, None), |held| (held.sequence, Some(held.value.clone())));
        Change { sequence, tree, key, value }
    }

    fn take_mirror_result(&mut self) -> Result<(), StoreError> {
        match self.mirror.poll() {
            Some(outcome) => self.note_mirror(outcome),
            None => Ok(()),
        }
    }

    /// Rebuilds a damaged mirror from memory, once; a disk that fails stops the store.
    fn note_mirror(&mut self, outcome: Result<(), MirrorError>) -> Result<(), StoreError> {
        let updating_to = self.progress.updating_to.take();
        match outcome {
            Ok(()) => {
                (self.progress.sealed, self.progress.keep_old, self.progress.rebuilt) =
                    (updating_to, false, false);
                Ok(())
            }
            Err(MirrorError::Damaged(reason)) if !self.progress.rebuilt => {
                tracing::warn!(%reason, "the books are made anew");
                (self.progress.sealed, self.progress.keep_old, self.progress.rebuilt) =
                    (None, true, true);
                self.start_mirror_update();
                Ok(())
            }
            Err(error) => Err(StoreError::Mirror { what: error.to_string() }),
        }
    }

    fn update_mirror(&mut self, last: bool) -> Result<Checkpoint, StoreError> {
        while self.progress.sealed != Some(self.sequence) || self.mirror.busy() {
            match self.mirror.wait() {
                Some(outcome) => self.note_mirror(outcome)?,
                None => self.start_mirror_update(),
            }
        }
        self.write_mark(last)?;
        let file = watermark::FILE.to_owned();
        self.disk.sync(&file).map_err(|source| StoreError::Sync { file, source })?;
        Ok(Checkpoint {
            sequence: Sequence(self.sequence),
            counts: self.records.counts(),
            digest: self.records.digest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::mirror::SimulatedMirror;
    use crate::recover::{open, Opening};
    use crate::witness::Expected;
    use std::io;

    /// Counts what is written and synced.
    struct CountingDisk {
        disk: SimulatedDisk,
        written_bytes: u64,
        syncs: u64,
    }

    impl Disk for CountingDisk {
        fn list(&mut self) -> io::Result<Vec<String>> {
            self.disk.list()
        }
        fn read(&mut self, file: &str) -> io::Result<Vec<u8>> {
            self.disk.read(file)
        }
        fn create(&mut self, file: &str) -> io::Result<()> {
            self.disk.create(file)
        }
        fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.written_bytes += bytes.len() as u64;
            self.disk.write_at(file, offset, bytes)
        }
        fn sync(&mut self, file: &str) -> io::Result<()> {
            self.syncs += 1;
            self.disk.sync(file)
        }
        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.disk.rename(from, to)
        }
        fn remove(&mut self, file: &str) -> io::Result<()> {
            self.disk.remove(file)
        }
        fn sync_names(&mut self) -> io::Result<()> {
            self.disk.sync_names()
        }
        fn boot(&mut self) -> Option<[u8; 16]> {
            self.disk.boot()
        }
    }

    fn opened(
        mut disk: CountingDisk,
        bounds: Bounds,
    ) -> (Engine<CountingDisk, SimulatedMirror>, crate::OpenReport) {
        let mut mirror = SimulatedMirror::default();
        let opening = Opening {
            expected: Expected { kind: Some("agent".to_owned()), uuid: Some([7; 16]) },
            uuid_if_new: None,
            accept_lost_commits: false,
            bounds,
        };
        let (parts, report) = open(&mut disk, &mut mirror, &opening).unwrap();
        (Engine::new(disk, mirror, parts), report)
    }

    fn record(number: u64) -> Entry {
        let key = format!("claim-{:05}", number * 7919 % 10_000).into_bytes();
        Entry::put("claims", key, vec![number as u8; 560])
    }

    #[test]
    fn no_commit_writes_the_whole_state_though_segments_follow_each_other() {
        let disk = CountingDisk { disk: SimulatedDisk::new(3), written_bytes: 0, syncs: 0 };
        let (mut engine, _) = opened(disk, Bounds::default());
        for batch in 0..100 {
            let batch: Vec<Entry> = (batch * 100..batch * 100 + 100).map(record).collect();
            engine.commit(1, &batch).unwrap();
        }
        assert_eq!(engine.records.count(), 10_000);
        let state_bytes = engine.records.encoded_bytes();
        assert!(state_bytes > 5_500_000, "{state_bytes}");
        let (first, begun) = (engine.journal.number(), engine.disk.syncs);
        let (mut most_bytes, mut most_syncs, mut commits) = (0, 0, 0);
        while engine.journal.number() < first + 3 {
            let (bytes, syncs) = (engine.disk.written_bytes, engine.disk.syncs);
            // Some are changed, some go, some come back.
            let entry = match commits % 5 {
                0 => Entry::delete("claims", record(commits * 13).key),
                _ => record(commits * 13),
            };
            engine.commit(1, &[entry]).unwrap();
            commits += 1;
            // The first one still catches up with the large commits above.
            if first < engine.journal.number() {
                most_bytes = most_bytes.max(engine.disk.written_bytes - bytes);
                most_syncs = most_syncs.max(engine.disk.syncs - syncs);
            }
        }
        // Two copies of the commit, the watermark, and of the next segment what the commit pays for
        // and one portion more.
        assert!(most_bytes < 64 << 10, "one commit wrote {most_bytes} of {state_bytes} bytes");
        assert!(most_syncs <= 3, "one commit made {most_syncs} syncs");
        let syncs = engine.disk.syncs - begun;
        assert!(syncs < commits + commits / 20, "{syncs} syncs of {commits} commits");
        let (sequence, digest) = (engine.sequence, engine.records.digest());
        let mut disk = engine.disk;
        disk.disk.cut_power();
        let (engine, report) = opened(disk, Bounds::default());
        assert_eq!((engine.sequence, engine.records.digest()), (sequence, digest));
        let rebuilt = |it: &crate::Finding| matches!(it, crate::Finding::JournalRebuilt { .. });
        assert!(!report.findings.iter().any(rebuilt), "the last segment proves it alone: {report}");
    }

    #[test]
    fn after_a_restart_with_little_room_the_pace_is_higher_and_still_even() {
        let bounds = Bounds { segment_bytes: 1 << 20, ..Bounds::default() };
        let disk = CountingDisk { disk: SimulatedDisk::new(5), written_bytes: 0, syncs: 0 };
        let (mut engine, _) = opened(disk, bounds.clone());
        let small = |number: u64| Entry::put("claims", format!("k{}", number % 1000), [7; 300]);
        let mut number = 0;
        // Most of the room that there is for the next segment is used without it.
        while engine.journal.room_bytes() > 100 << 10 {
            engine.commit(1, &[small(number)]).unwrap();
            engine.successor = None;
            number += 1;
        }
        let mut disk = engine.disk;
        disk.disk.kill_process();
        let (mut engine, _) = opened(disk, bounds);
        let (segment, mut most_bytes) = (engine.journal.number(), 0);
        while engine.journal.number() == segment {
            let bytes = engine.disk.written_bytes;
            engine.commit(1, &[small(number)]).unwrap();
            most_bytes = most_bytes.max(engine.disk.written_bytes - bytes);
            number += 1;
        }
        assert!(most_bytes < 128 << 10, "one commit wrote {most_bytes} bytes");
    }

    #[test]
    fn a_commit_that_nothing_was_prepared_for_finds_room_all_the_same() {
        let bounds = Bounds { segment_bytes: 4096, ..Bounds::default() };
        for large_at in 0..30 {
            let disk = CountingDisk { disk: SimulatedDisk::new(3), written_bytes: 0, syncs: 0 };
            let (mut engine, _) = opened(disk, bounds.clone());
            for number in 0..30 {
                let small = Entry::put("claims", format!("k{}", number % 4), vec![1; 100]);
                let large = Entry::put("claims", "large", vec![2; 20_000]);
                let entry = if number == large_at { large } else { small };
                engine.commit(1, &[entry]).unwrap();
            }
            let digest = engine.records.digest();
            let mut disk = engine.disk;
            disk.disk.cut_power();
            let (engine, _) = opened(disk, bounds.clone());
            assert_eq!((engine.sequence, engine.records.digest()), (30, digest), "{large_at}");
        }
    }
}
