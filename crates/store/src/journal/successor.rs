//! The next segment, written beside the one in use, a little with each commit.
//!
//! A segment starts from the whole state, and the state may be large. Written inside the one commit
//! that finds its segment full, it would hold that commit up for as long as it takes. So the next
//! segment is begun in time: the state as it is at that moment goes into it in portions, in the
//! order of names; what is changed before its portion is written is kept as it was. Then follow
//! zeros up to the end, and all commits that were made meanwhile. Only when the file has all of it,
//! durably, does it get its name and take the next commit; until then the segment in use proves the
//! state alone.
//!
//! It relies on `append` for the form of a segment, which is the same as of one that is written at
//! once. It never decides when to do so, and nothing of it is evidence: a crash leaves a file of
//! another name, which is no segment.

use super::append::{snapshot_header, Commit, Journal};
use super::frame::{self, frame_bytes, Header, Kind};
use super::payload;
use super::scan::Next;
use super::segment::{chain_start, file_name, SegmentHeader, PAGE_BYTES};
use crate::contract::StoreError;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::records::{Held, RecordName, Records};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Bounds of the approximate payload of one snapshot frame, which is one portion of the work: small
/// beside a segment, so that small segments are written in portions, too.
const PORTION_BYTES_MIN: u64 = 512;
const PORTION_BYTES_MAX: u64 = 8 << 10;
const PORTIONS_PER_SEGMENT: u64 = 128;
static ZEROS: [u8; PORTION_BYTES_MAX as usize] = [0; PORTION_BYTES_MAX as usize];
/// How much may be written before it is synced, so that the last sync is short, too.
const UNSYNCED_BYTES_MAX: u64 = 1 << 20;
/// For each byte of a commit so many bytes of the next segment are written at least: enough to be
/// done with it within a fifth of a segment of the same size. When there is less room than that,
/// after a restart say, it is as many more as it takes.
const BYTES_PER_BYTE: u64 = 12;

/// What remains to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The state; the number of frames that are still to come.
    Snapshot { frames: u64 },
    /// Zeros from this offset of this lane on.
    Zeros { lane: u64, offset: u64 },
    /// The commits since.
    CatchUp,
}

/// A commit that the next segment does not have yet.
#[derive(Clone, Debug)]
struct Behind {
    sequence: u64,
    term: u64,
    records: u64,
    state: Digest,
    entries: u32,
    payload: Vec<u8>,
}

/// The state of the writing.
#[derive(Clone, Debug)]
struct Progress {
    stage: Stage,
    next: Next,
    /// The last record that is in the snapshot.
    written_to: Option<RecordName>,
    /// Records that were changed before they were written, as they are in the snapshot.
    as_it_was: BTreeMap<RecordName, Option<Held>>,
    behind: VecDeque<Behind>,
    /// How many bytes may be written; less than nothing after a large portion.
    credit: i64,
    written_bytes: u64,
    unsynced_bytes: u64,
}

/// A segment that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    header: SegmentHeader,
    page: Vec<u8>,
    /// The name of the file while it is no segment.
    fresh: String,
    portion_bytes: usize,
    progress: Progress,
}

/// What the next segment starts from.
pub(crate) struct Beginning<'a> {
    pub identity: &'a Identity,
    pub sequence: u64,
    pub term: u64,
    pub records: &'a Records,
    /// Lanes are at least this long.
    pub lane_bytes_min: u64,
}

impl Successor {
    /// Begins the segment after `current`.
    pub fn begin(
        disk: &mut impl Disk,
        current: &Journal,
        start: &Beginning<'_>,
    ) -> Result<Successor, StoreError> {
        let state_bytes = start.records.encoded_bytes();
        let portion_bytes = (start.lane_bytes_min / PORTIONS_PER_SEGMENT)
            .clamp(PORTION_BYTES_MIN, PORTION_BYTES_MAX);
        // A frame but the last has a portion at least, so that they are no more than these; what
        // remains of them at the end is empty.
        let frames = state_bytes / portion_bytes + 1;
        let snapshot_bytes = state_bytes + frames * frame_bytes(frame::ALIGN_BYTES) as u64;
        // Room for as many bytes of commits as the snapshot has, and for all that the current
        // segment can still take.
        let lane_bytes = (start.lane_bytes_min.max(2 * snapshot_bytes) + current.room_bytes())
            .next_multiple_of(PAGE_BYTES as u64);
        let header = SegmentHeader {
            identity: start.identity.clone(),
            number: current.number() + 1,
            lane_bytes,
            base_sequence: start.sequence,
            base_term: start.term,
            base_records: start.records.count(),
            snapshot_frames: frames,
            base_state: start.records.digest(),
        };
        let page = header.encode();
        let progress = Progress {
            stage: Stage::Snapshot { frames },
            next: Next { offset: 0, ordinal: 0, chain: chain_start(&page) },
            written_to: None,
            as_it_was: BTreeMap::new(),
            behind: VecDeque::new(),
            credit: 0,
            written_bytes: 0,
            unsynced_bytes: 0,
        };
        let fresh = format!("{}.new", file_name(header.number));
        let portion_bytes = portion_bytes as usize;
        let mut successor = Successor { header, page, fresh, portion_bytes, progress };
        disk.create(&successor.fresh).map_err(|source| successor.failed(source))?;
        let page = successor.page.clone();
        successor.put(disk, 0, &page)?;
        Ok(successor)
    }

    /// Keeps a record as it is in the snapshot; to be called before each change of it.
    pub fn keep(&mut self, records: &Records, tree: &str, key: &[u8]) {
        let progress = &mut self.progress;
        if !matches!(progress.stage, Stage::Snapshot { .. }) {
            return;
        }
        let name = (tree.to_owned(), key.to_vec());
        if progress.written_to.as_ref().is_none_or(|it| *it < name) {
            progress.as_it_was.entry(name).or_insert_with(|| records.held(tree, key).cloned());
        }
    }

    /// Notes a commit that the segment in use has.
    pub fn note(&mut self, commit: &Commit<'_>) {
        self.progress.behind.push_back(Behind {
            sequence: commit.sequence,
            term: commit.term,
            records: commit.records,
            state: commit.state,
            entries: commit.entries,
            payload: commit.payload.to_vec(),
        });
    }

    /// Goes on by as much as a commit of this size to `current` pays for. `true` when all is
    /// written.
    pub fn advance(
        &mut self,
        disk: &mut impl Disk,
        records: &Records,
        current: &Journal,
        payload_bytes: usize,
    ) -> Result<bool, StoreError> {
        let left = self.header.file_bytes().saturating_sub(self.progress.written_bytes);
        // Twice, so that it is done with half the room still free.
        let pace = BYTES_PER_BYTE.max(2 * left / current.room_bytes().max(1));
        let earned = pace.saturating_mul(frame_bytes(payload_bytes) as u64);
        self.progress.credit = self.progress.credit.saturating_add_unsigned(earned);
        while self.progress.credit > 0 && !self.is_complete() {
            self.portion(disk, records)?;
        }
        if self.progress.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.sync(disk)?;
        }
        Ok(self.is_complete())
    }

    /// Writes all that remains, makes it durable and gives it its name.
    pub fn finish(
        mut self,
        disk: &mut impl Disk,
        records: &Records,
    ) -> Result<Journal, StoreError> {
        while !self.is_complete() {
            self.portion(disk, records)?;
        }
        self.sync(disk)?;
        let file = file_name(self.header.number);
        disk.rename(&self.fresh, &file)
            .and_then(|()| disk.sync_names())
            .map_err(|source| self.failed(source))?;
        Ok(Journal::resume(&self.header, &file, &self.progress.next))
    }

    fn is_complete(&self) -> bool {
        self.progress.stage == Stage::CatchUp && self.progress.behind.is_empty()
    }

    fn portion(&mut self, disk: &mut impl Disk, records: &Records) -> Result<(), StoreError> {
        match self.progress.stage {
            Stage::Snapshot { frames } => self.snapshot(disk, records, frames),
            Stage::Zeros { lane, offset } => self.zeros(disk, lane, offset),
            Stage::CatchUp => match self.progress.behind.pop_front() {
                Some(commit) => self.catch_up(disk, &commit),
                None => Ok(()),
            },
        }
    }

    fn snapshot(
        &mut self,
        disk: &mut impl Disk,
        records: &Records,
        frames: u64,
    ) -> Result<(), StoreError> {
        let (mut payload, mut entries) = (Vec::new(), 0);
        while payload.len() < self.portion_bytes {
            let Some(((tree, key), held)) = self.progress.next_record(records) else { break };
            payload::encode(&mut payload, held.sequence, &tree, &key, Some(&held.value));
            entries += 1;
        }
        let header = snapshot_header(&self.header, &self.progress.next, entries);
        self.append(disk, &header, &payload)?;
        self.progress.stage = match frames - 1 {
            0 => {
                assert!(
                    self.progress.next_record(records).is_none(),
                    "a frame but the last has a portion at least"
                );
                Stage::Zeros { lane: 0, offset: self.progress.next.offset }
            }
            frames => Stage::Snapshot { frames },
        };
        Ok(())
    }

    fn zeros(&mut self, disk: &mut impl Disk, lane: u64, offset: u64) -> Result<(), StoreError> {
        let left = self.header.lane_bytes - offset;
        let bytes = left.min(self.portion_bytes as u64);
        self.put(disk, self.header.lane_start(lane) + offset, &ZEROS[..bytes as usize])?;
        self.progress.stage = match (bytes < left, lane) {
            (true, _) => Stage::Zeros { lane, offset: offset + bytes },
            (false, 0) => Stage::Zeros { lane: 1, offset: self.progress.next.offset },
            (false, _) => {
                let page = self.page.clone();
                self.put(disk, self.header.lane_start(2), &page)?;
                Stage::CatchUp
            }
        };
        Ok(())
    }

    fn catch_up(&mut self, disk: &mut impl Disk, commit: &Behind) -> Result<(), StoreError> {
        let next = &self.progress.next;
        let header = Header {
            kind: Kind::Commit,
            entries: commit.entries,
            ordinal: next.ordinal,
            sequence: commit.sequence,
            term: commit.term,
            records: commit.records,
            previous: next.chain,
            state: commit.state,
        };
        self.append(disk, &header, &commit.payload)
    }

    /// Puts a frame into both lanes.
    fn append(
        &mut self,
        disk: &mut impl Disk,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let (bytes, hash) = frame::encode(header, payload);
        let offset = self.progress.next.offset;
        assert!(
            offset + bytes.len() as u64 <= self.header.lane_bytes,
            "there is room for the snapshot and for all that the segment before could take"
        );
        for lane in 0..2 {
            self.put(disk, self.header.lane_start(lane) + offset, &bytes)?;
        }
        self.progress.next =
            Next { offset: offset + bytes.len() as u64, ordinal: header.ordinal + 1, chain: hash };
        Ok(())
    }

    fn put(&mut self, disk: &mut impl Disk, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        disk.write_at(&self.fresh, offset, bytes).map_err(|source| self.failed(source))?;
        self.progress.credit = self.progress.credit.saturating_sub_unsigned(bytes.len() as u64);
        self.progress.written_bytes += bytes.len() as u64;
        self.progress.unsynced_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self, disk: &mut impl Disk) -> Result<(), StoreError> {
        disk.sync(&self.fresh)
            .map_err(|source| StoreError::Sync { file: self.fresh.clone(), source })?;
        self.progress.unsynced_bytes = 0;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Write { file: self.fresh.clone(), source }
    }
}

impl Progress {
    /// The next record of the snapshot, as it was when the snapshot was begun.
    fn next_record(&mut self, records: &Records) -> Option<(RecordName, Held)> {
        loop {
            let present = records.after(self.written_to.as_ref());
            let kept = self.as_it_was.first_key_value();
            let present_name = present.map(|(tree, key, _)| (tree, key));
            let kept_name = kept.map(|((tree, key), _)| (tree.as_str(), key.as_slice()));
            let of_kept = match (present_name, kept_name) {
                (None, None) => return None,
                (Some(present), Some(kept)) => kept <= present,
                (present, _) => present.is_none(),
            };
            if of_kept {
                let (name, held) = self.as_it_was.pop_first()?;
                self.written_to = Some(name.clone());
                match held {
                    Some(held) => return Some((name, held)),
                    None => continue, // It was made since.
                }
            }
            let (tree, key, held) = present?;
            let name = (tree.to_owned(), key.to_vec());
            self.written_to = Some(name.clone());
            return Some((name, held.clone()));
        }
    }
}
