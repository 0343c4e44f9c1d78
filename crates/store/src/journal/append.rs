//! Writes segments: makes one from a state, appends commits to it, and closes it when another
//! follows.
//!
//! It relies on `frame`, `segment` and `disk`. It never decides when to do so: the engine does.

use super::frame::{self, frame_bytes, Header, Kind};
use super::payload;
use super::scan::Next;
use super::segment::{chain_start, file_name, SegmentHeader, PAGE_BYTES};
use crate::contract::StoreError;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::records::Records;
use std::io;

/// The approximate payload of one snapshot frame.
const SNAPSHOT_PAYLOAD_BYTES: usize = 64 << 10;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The segment that commits go to.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    number: u64,
    file: String,
    lane_bytes: u64,
    next: Next,
}

/// What a new segment starts from.
pub(crate) struct Start<'a> {
    pub identity: &'a Identity,
    pub number: u64,
    pub sequence: u64,
    pub term: u64,
    pub records: &'a Records,
    /// Lanes are at least this long.
    pub lane_bytes_min: u64,
    /// A commit with a payload of this size must fit.
    pub payload_bytes: usize,
}

/// What a commit frame says beside its changes.
pub(crate) struct Commit<'a> {
    pub sequence: u64,
    pub term: u64,
    pub records: u64,
    pub state: Digest,
    pub entries: u32,
    pub payload: &'a [u8],
}

impl Journal {
    /// Continues a segment in which nothing is damaged or torn.
    pub fn resume(header: &SegmentHeader, file: &str, next: &Next) -> Journal {
        Journal {
            number: header.number,
            file: file.to_owned(),
            lane_bytes: header.lane_bytes,
            next: next.clone(),
        }
    }

    /// Makes a segment, whole and durable on return. A crash before leaves a file of another name,
    /// which is no segment.
    pub fn create(disk: &mut impl Disk, start: &Start<'_>) -> Result<Journal, StoreError> {
        let payloads = snapshot_payloads(start.records);
        let snapshot_bytes: usize =
            payloads.iter().map(|(payload, _)| frame_bytes(payload.len())).sum();
        let needed = snapshot_bytes + frame_bytes(start.payload_bytes) + frame_bytes(0);
        // Room for as many bytes of commits as the snapshot has: what is written stays within a few
        // times what was asked for.
        let lane_bytes = start
            .lane_bytes_min
            .max(2 * snapshot_bytes as u64)
            .max(needed as u64)
            .next_multiple_of(PAGE_BYTES as u64);
        let header = SegmentHeader {
            identity: start.identity.clone(),
            number: start.number,
            lane_bytes,
            base_sequence: start.sequence,
            base_term: start.term,
            base_records: start.records.count(),
            snapshot_frames: payloads.len() as u64,
            base_state: start.records.digest(),
        };
        let page = header.encode();
        let mut next = Next { offset: 0, ordinal: 0, chain: chain_start(&page) };
        let mut snapshot = Vec::with_capacity(snapshot_bytes);
        for (payload, entries) in payloads {
            let (bytes, hash) = frame::encode(&snapshot_header(&header, &next, entries), &payload);
            snapshot.extend(&bytes);
            next = Next {
                offset: next.offset + bytes.len() as u64,
                ordinal: next.ordinal + 1,
                chain: hash,
            };
        }
        let file = file_name(start.number);
        write_file(disk, &file, &header, &page, &snapshot)
            .map_err(|source| StoreError::Write { file: file.clone(), source })?;
        Ok(Journal { number: start.number, file, lane_bytes, next })
    }

    /// The segment's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether a commit with such a payload fits, and the closing frame after it.
    pub fn fits(&self, payload_bytes: usize) -> bool {
        self.next.offset + (frame_bytes(payload_bytes) + frame_bytes(0)) as u64 <= self.lane_bytes
    }

    /// How many bytes of frames the segment can still take.
    pub fn room_bytes(&self) -> u64 {
        self.lane_bytes.saturating_sub(self.next.offset)
    }

    /// Whether so little room is left that the next segment should be begun.
    pub fn is_filling(&self) -> bool {
        self.room_bytes() < self.lane_bytes / 8 * 3
    }

    /// Appends one commit: durable on return. One write into each lane, one sync.
    pub fn append(&mut self, disk: &mut impl Disk, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.write(disk, Kind::Commit, commit)
    }

    /// Notes in this segment that another one follows; that one is durable already.
    pub fn close(&mut self, disk: &mut impl Disk, last: &Commit<'_>) -> Result<(), StoreError> {
        self.write(disk, Kind::Closing, last)
    }

    fn write(
        &mut self,
        disk: &mut impl Disk,
        kind: Kind,
        commit: &Commit<'_>,
    ) -> Result<(), StoreError> {
        let header = Header {
            kind,
            entries: commit.entries,
            ordinal: self.next.ordinal,
            sequence: commit.sequence,
            term: commit.term,
            records: commit.records,
            previous: self.next.chain,
            state: commit.state,
        };
        let (bytes, hash) = frame::encode(&header, commit.payload);
        assert!(
            self.next.offset + bytes.len() as u64 <= self.lane_bytes,
            "the engine asks whether a frame fits"
        );
        for lane in 0..2 {
            let offset = PAGE_BYTES as u64 + lane * self.lane_bytes + self.next.offset;
            let written = disk.write_at(&self.file, offset, &bytes);
            written.map_err(|source| StoreError::Write { file: self.file.clone(), source })?;
        }
        disk.sync(&self.file)
            .map_err(|source| StoreError::Sync { file: self.file.clone(), source })?;
        self.next = Next {
            offset: self.next.offset + bytes.len() as u64,
            ordinal: self.next.ordinal + 1,
            chain: hash,
        };
        Ok(())
    }
}

/// The header of the next frame of a segment's snapshot.
pub(super) fn snapshot_header(header: &SegmentHeader, next: &Next, entries: u32) -> Header {
    Header {
        kind: Kind::Snapshot,
        entries,
        ordinal: next.ordinal,
        sequence: header.base_sequence,
        term: header.base_term,
        records: header.base_records,
        previous: next.chain,
        state: header.base_state,
    }
}

fn snapshot_payloads(records: &Records) -> Vec<(Vec<u8>, u32)> {
    let mut payloads: Vec<(Vec<u8>, u32)> = Vec::new();
    for (tree, key, held) in records.all() {
        if payloads.last().is_none_or(|(payload, _)| payload.len() >= SNAPSHOT_PAYLOAD_BYTES) {
            payloads.push((Vec::new(), 0));
        }
        if let Some((payload, entries)) = payloads.last_mut() {
            payload::encode(payload, held.sequence, tree, key, Some(&held.value));
            *entries += 1;
        }
    }
    payloads
}

/// Writes the whole file under another name, zeros and all, and gives it its name when it is
/// durable.
fn write_file(
    disk: &mut impl Disk,
    file: &str,
    header: &SegmentHeader,
    page: &[u8],
    snapshot: &[u8],
) -> io::Result<()> {
    let fresh = format!("{file}.new");
    disk.create(&fresh)?;
    disk.write_at(&fresh, 0, page)?;
    for lane in 0..2 {
        disk.write_at(&fresh, header.lane_start(lane), snapshot)?;
        let mut offset = header.lane_start(lane) + snapshot.len() as u64;
        while offset < header.lane_start(lane + 1) {
            let len = (header.lane_start(lane + 1) - offset).min(ZEROS.len() as u64);
            disk.write_at(&fresh, offset, &ZEROS[..len as usize])?;
            offset += len;
        }
    }
    disk.write_at(&fresh, header.lane_start(2), page)?;
    disk.sync(&fresh)?;
    disk.rename(&fresh, file)?;
    disk.sync_names()
}
