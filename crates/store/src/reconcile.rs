//! Reconciles the copies: which state is proven, what repairs which copy, what must be named as
//! damaged or refused.
//!
//! The digest decides: every commit frame carries the digest of the whole state after it, so a
//! state put together from whatever sources is either exactly right or seen to be wrong. It relies
//! on `witness`. It never changes a file, and never picks a likely state where none is proven.

use crate::contract::DamagedRecord;
use crate::digest::Digest;
use crate::entry::Sequence;
use crate::journal::frame::Kind;
use crate::journal::payload::latest;
use crate::journal::scan::{base_changes, Hole, SegmentReading};
use crate::mirror::{MirrorReading, Survey};
use crate::records::{Change, RecordName, Records};
use crate::report::Finding;
use crate::witness::Witnesses;
use std::collections::{BTreeMap, BTreeSet};

/// A state and the commit it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub records: Records,
    pub sequence: u64,
    pub term: u64,
}

/// The state that was recovered, and how far it is proven.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// The newest segment proves it alone.
    Whole(State),
    /// It is proven by other sources than the newest segment alone; they are named.
    Proven(State, String),
    /// All but these records is proven.
    Fenced(State, Vec<DamagedRecord>),
    /// Commits are lost of which nobody knows what they touched; `state` is what can be proven
    /// without them.
    Lost { state: State, from: u64, to: u64, damaged: Vec<DamagedRecord> },
}

/// One commit that is proven, from whichever segment or salvage.
struct Proven {
    changes: Vec<Change>,
    term: u64,
    state: Digest,
    records: u64,
}

/// The evidence for one reconciliation.
pub(crate) struct Evidence<'a> {
    witnesses: &'a Witnesses,
    commits: BTreeMap<u64, Proven>,
    /// A proven state reaches at least this commit.
    target: u64,
    /// Nothing was acknowledged after `target`: the last segment is there, or the watermark is
    /// exact.
    end_known: bool,
}

impl<'a> Evidence<'a> {
    /// Sorts the evidence.
    pub fn new(witnesses: &'a Witnesses, boot: Option<[u8; 16]>) -> Evidence<'a> {
        let mut commits: BTreeMap<u64, Proven> = BTreeMap::new();
        let mark = witnesses.watermark.newest.as_ref();
        let mut target = mark
            .map_or(0, |mark| mark.sequence)
            .max(witnesses.sealed().map_or(0, |title| title.sequence));
        for segment in &witnesses.segments {
            for frame in segment.commits() {
                let header = &frame.header;
                let proven = Proven {
                    changes: frame.changes.clone(),
                    term: header.term,
                    state: header.state,
                    records: header.records,
                };
                commits.insert(header.sequence, proven);
            }
            for hole in segment.holes().chain(&segment.tail) {
                let Some(header) =
                    hole.header.as_ref().filter(|header| header.kind == Kind::Commit)
                else {
                    continue;
                };
                if hole.salvage.complete && hole.salvage.valueless.is_empty() {
                    let changes = hole.salvage.changes.clone();
                    let proven = Proven {
                        changes,
                        term: header.term,
                        state: header.state,
                        records: header.records,
                    };
                    commits.entry(header.sequence).or_insert(proven);
                }
            }
            let certain = segment
                .holes()
                .filter_map(|hole| hole.header.as_ref())
                .map(|header| header.sequence)
                .max();
            // A frame, even a broken one, was only written once the one before it was acknowledged.
            let before_torn = segment
                .tail
                .iter()
                .filter_map(|hole| hole.header.as_ref())
                .map(|header| header.sequence.saturating_sub(1))
                .max();
            target = target.max(segment.head().0).max(segment.header.base_sequence);
            target = target.max(certain.unwrap_or(0)).max(before_torn.unwrap_or(0));
        }
        let newest = witnesses.newest();
        let last_present = newest.is_some_and(|segment| {
            !segment.closed && segment.end_seen && segment.header.number == witnesses.last_number()
        });
        // A later mark may have been in a damaged slot.
        let exact =
            witnesses.watermark.damaged_slots == 0 && mark.is_some_and(|mark| mark.is_exact(boot));
        Evidence { witnesses, commits, target, end_known: last_present || exact }
    }

    /// Recovers the state; `read_mirror` is called only if the newest segment does not prove it.
    pub fn recover(&self, read_mirror: impl FnOnce() -> MirrorReading) -> Recovered {
        if let Some(state) = self.newest_alone() {
            return Recovered::Whole(state);
        }
        let mirror = read_mirror();
        let bases = self.bases(&mirror);
        let replayed =
            bases.iter().filter_map(|(base, label)| Some((self.replay(base)?, label.clone())));
        if let Some((state, label)) = replayed.max_by_key(|(state, _)| state.sequence) {
            return Recovered::Proven(state, label);
        }
        if let Some(state) = self.union(&mirror) {
            return Recovered::Proven(state, "all copies together".to_owned());
        }
        self.unproven(bases, &mirror)
    }

    fn newest_alone(&self) -> Option<State> {
        let newest = self.witnesses.newest()?;
        let state = fold(newest)?;
        let mark = self.witnesses.watermark.newest.as_ref();
        let forked = mark.is_some_and(|mark| {
            mark.sequence == state.sequence && mark.state != state.records.digest()
        });
        (self.end_known && state.sequence >= self.target && !forked).then_some(state)
    }

    /// States that are proven at some commit, and by what.
    fn bases(&self, mirror: &MirrorReading) -> Vec<(State, String)> {
        let mut bases: Vec<(State, String)> = Vec::new();
        for segment in &self.witnesses.segments {
            if let Some(base) = base_state(segment) {
                bases.push((base, format!("the snapshot of {}", segment.file)));
            }
        }
        if let (Some(title), true) = (&mirror.title, mirror.problems.is_empty()) {
            let mut records = Records::default();
            mirror.records.iter().for_each(|change| records.apply_change(change));
            if records.digest() == title.state && self.agrees(title.sequence, title.state) {
                bases.push((
                    State { records, sequence: title.sequence, term: title.term },
                    "the books".to_owned(),
                ));
            }
        }
        bases
    }

    /// Whether no commit known here contradicts this digest.
    fn agrees(&self, sequence: u64, state: Digest) -> bool {
        let by_commit = self.commits.get(&sequence).is_none_or(|proven| proven.state == state);
        let mark = self.witnesses.watermark.newest.as_ref();
        by_commit && mark.is_none_or(|mark| mark.sequence != sequence || mark.state == state)
    }

    /// The commits after `base`, without a gap, up to what must be reached; proven by the last
    /// one's digest.
    fn replay(&self, base: &State) -> Option<State> {
        let mut state = base.clone();
        while let Some(next) = self.commits.get(&(state.sequence + 1)) {
            next.changes.iter().for_each(|change| state.records.apply_change(change));
            state.sequence += 1;
            state.term = state.term.max(next.term);
            if state.records.digest() != next.state || state.records.count() != next.records {
                return None;
            }
        }
        let reached = self.end_known
            && state.sequence >= self.target
            && self.agrees(state.sequence, state.records.digest());
        reached.then_some(state)
    }

    /// The latest proven value of each record from all copies; right if the digest of the last
    /// commit says so.
    fn union(&self, mirror: &MirrorReading) -> Option<State> {
        let newest = self.witnesses.newest()?;
        let (sequence, term, digest, count) = newest.head();
        if !self.end_known || sequence < self.target {
            return None;
        }
        let records = self.latest_of_all(newest, mirror);
        (records.digest() == digest && records.count() == count).then_some(State {
            records,
            sequence,
            term,
        })
    }

    fn latest_of_all(&self, newest: &SegmentReading, mirror: &MirrorReading) -> Records {
        let mut changes: Vec<Change> = base_changes(newest).cloned().collect();
        let base_whole = newest.base_whole();
        // A whole snapshot supersedes everything before it: an older copy may hold what was deleted
        // since.
        let after = if base_whole { newest.header.base_sequence } else { 0 };
        let older =
            self.witnesses.segments.iter().filter(|_| !base_whole).flat_map(base_changes).cloned();
        changes.extend(older);
        changes.extend(
            self.witnesses
                .segments
                .iter()
                .flat_map(salvaged)
                .filter(|change| change.sequence > after),
        );
        changes.extend(mirror.records.iter().filter(|change| change.sequence > after).cloned());
        changes
            .extend(self.commits.range(after + 1..).flat_map(|(_, proven)| proven.changes.clone()));
        let mut records = Records::default();
        latest(changes).values().for_each(|change| records.apply_change(change));
        records
    }

    /// Names what can be named; what cannot be named is lost.
    fn unproven(&self, bases: Vec<(State, String)>, mirror: &MirrorReading) -> Recovered {
        if let Some(recovered) = self.named(mirror) {
            return recovered;
        }
        let best = bases.into_iter().map(|(base, _)| base).max_by_key(|base| base.sequence);
        let mut state = best.unwrap_or(State { records: Records::default(), sequence: 0, term: 0 });
        let mut from = None;
        let mut damaged = Vec::new();
        while state.sequence < self.target {
            let sequence = state.sequence + 1;
            match self.commits.get(&sequence) {
                Some(proven) => {
                    proven.changes.iter().for_each(|change| state.records.apply_change(change));
                    state.term = state.term.max(proven.term);
                }
                None => from = from.or(Some(sequence)),
            }
            state.sequence = sequence;
        }
        let marked_term = self.witnesses.watermark.newest.as_ref().map_or(0, |mark| mark.term);
        state.term = state.term.max(marked_term);
        let from = from.unwrap_or(self.target + 1);
        let to = self.target.max(from);
        let reason =
            format!("commits {from} to {to} are lost, and which records they wrote is unknown");
        damaged.push(DamagedRecord { place: "journal".to_owned(), reason, ..unknown() });
        // Numbers that may have been acknowledged are never used again.
        state.sequence = to;
        Recovered::Lost { state, from, to, damaged }
    }

    /// Fences the unproven changes, if each of them at least has a proven name.
    fn named(&self, mirror: &MirrorReading) -> Option<Recovered> {
        let newest = self.witnesses.newest()?;
        if !self.end_known {
            return None;
        }
        let mut holes: Vec<&Hole> = newest.holes().collect();
        holes.extend(newest.tail.iter().filter(|hole| {
            hole.header.as_ref().is_some_and(|header| header.sequence <= self.target)
        }));
        if holes.iter().any(|hole| hole.header.is_none() || !hole.salvage.complete) {
            return None;
        }
        let snapshots = newest.frames(Kind::Snapshot).count()
            + holes.iter().filter(|hole| kind(hole) == Some(Kind::Snapshot)).count();
        let base = newest.header.base_sequence;
        let present: BTreeSet<u64> = newest
            .commits()
            .map(|frame| frame.header.sequence)
            .chain(holes.iter().filter_map(|hole| of(hole)))
            .collect();
        if snapshots as u64 != newest.header.snapshot_frames
            || (base + 1..=self.target).any(|sequence| !present.contains(&sequence))
        {
            return None;
        }
        let mut changes: Vec<Change> =
            newest.frames(Kind::Snapshot).flat_map(|frame| frame.changes.clone()).collect();
        changes.extend(newest.commits().flat_map(|frame| frame.changes.clone()));
        changes.extend(holes.iter().flat_map(|hole| hole.salvage.changes.clone()));
        let proven = latest(changes);
        let older = self.latest_of_all(newest, mirror);
        let mut damaged: BTreeMap<(String, Vec<u8>), DamagedRecord> = BTreeMap::new();
        for hole in &holes {
            for lost in &hole.salvage.valueless {
                let key = (lost.tree.clone(), lost.key.clone());
                if proven.get(&key).is_none_or(|change| change.sequence < lost.sequence) {
                    damaged.insert(key, name_damage(&newest.file, hole, lost, &older));
                }
            }
        }
        let mut records = Records::default();
        proven
            .iter()
            .filter(|(key, _)| !damaged.contains_key(*key))
            .for_each(|(_, change)| records.apply_change(change));
        let term = newest
            .commits()
            .map(|frame| frame.header.term)
            .chain([newest.header.base_term])
            .max()
            .unwrap_or(0);
        let sequence = newest.head().0.max(self.target);
        Some(Recovered::Fenced(State { records, sequence, term }, damaged.into_values().collect()))
    }

    /// The keys in which the sealed mirror differs from `state`; `None` when it must be rebuilt.
    /// Findings say why.
    pub fn mirror_behind(
        &self,
        state: &State,
        findings: &mut Vec<Finding>,
    ) -> Option<(u64, BTreeSet<RecordName>)> {
        let mark = self.witnesses.watermark.newest.as_ref().map_or(0, |mark| mark.mirror);
        let title = match &self.witnesses.survey {
            Survey::Sealed(title) => title,
            Survey::Missing if mark > 0 => {
                findings.push(Finding::MirrorMissing);
                return None;
            }
            Survey::Interrupted => {
                findings.push(Finding::MirrorInterrupted);
                return None;
            }
            Survey::Damaged(reason) => {
                findings.push(Finding::MirrorDamaged { reason: reason.clone() });
                return None;
            }
            Survey::Missing | Survey::Newer(_) => return None,
        };
        let base = self
            .witnesses
            .segments
            .iter()
            .find(|segment| segment.header.base_sequence == title.sequence);
        let contradicted = base.is_some_and(|segment| segment.header.base_state != title.state);
        if title.sequence < mark || contradicted || !self.agrees(title.sequence, title.state) {
            let reason = format!(
                "they stand at commit {} and are not the books that were there before",
                title.sequence
            );
            findings.push(Finding::MirrorDamaged { reason });
            return None;
        }
        let mut keys = BTreeSet::new();
        for sequence in title.sequence + 1..=state.sequence {
            let proven = self.commits.get(&sequence)?;
            keys.extend(
                proven.changes.iter().map(|change| (change.tree.clone(), change.key.clone())),
            );
        }
        Some((title.sequence, keys))
    }
}

fn kind(hole: &Hole) -> Option<Kind> {
    hole.header.as_ref().map(|header| header.kind)
}

/// The sequence of a commit hole.
fn of(hole: &Hole) -> Option<u64> {
    hole.header.as_ref().filter(|header| header.kind == Kind::Commit).map(|header| header.sequence)
}

fn unknown() -> DamagedRecord {
    DamagedRecord {
        tree: None,
        key: None,
        sequence: None,
        last_known: None,
        place: String::new(),
        reason: String::new(),
    }
}

fn name_damage(file: &str, hole: &Hole, lost: &Change, older: &Records) -> DamagedRecord {
    DamagedRecord {
        tree: Some(lost.tree.clone()),
        key: Some(lost.key.clone()),
        sequence: Some(Sequence(lost.sequence)),
        last_known: older.held(&lost.tree, &lost.key).map(|held| held.value.clone()),
        place: format!("{file}, lane offset {}", hole.offset),
        reason: format!("the value written by commit {} is damaged in every copy", lost.sequence),
    }
}

fn salvaged(segment: &SegmentReading) -> impl Iterator<Item = Change> + '_ {
    segment.holes().flat_map(|hole| hole.salvage.changes.iter().cloned())
}

/// The state of a segment's snapshot, if its digest holds.
fn base_state(segment: &SegmentReading) -> Option<State> {
    let mut records = Records::default();
    base_changes(segment).for_each(|change| records.apply_change(change));
    let header = &segment.header;
    let proven = segment.base_whole()
        && records.digest() == header.base_state
        && records.count() == header.base_records;
    proven.then_some(State { records, sequence: header.base_sequence, term: header.base_term })
}

/// The state at the end of a segment, if it has no hole and every digest on the way holds at the
/// end.
fn fold(segment: &SegmentReading) -> Option<State> {
    if segment.holes().next().is_some() {
        return None;
    }
    let mut state = base_state(segment)?;
    for frame in segment.commits() {
        if frame.header.sequence != state.sequence + 1 {
            return None;
        }
        frame.changes.iter().for_each(|change| state.records.apply_change(change));
        (state.sequence, state.term) = (frame.header.sequence, state.term.max(frame.header.term));
    }
    let (_, _, digest, count) = segment.head();
    (state.records.digest() == digest && state.records.count() == count).then_some(state)
}
