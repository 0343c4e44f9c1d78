//! Reads one segment file: every frame from whichever lane has it whole, holes where neither has
//! it, and how it ends.
//!
//! It relies on `frame` and `segment`. It never decides what a hole means: that takes the other
//! witnesses (`reconcile`).

use super::frame::{self, Frame, Header, Kind, Reading};
use super::payload::{self, Salvage};
use super::segment::{read_header, HeaderReading, SegmentHeader, PAGE_BYTES};
use crate::digest::Digest;
use crate::records::Change;
use crate::report::Finding;

/// One segment as read.
#[derive(Debug)]
pub(crate) struct SegmentReading {
    pub file: String,
    pub header: SegmentHeader,
    /// Frames and holes in order; holes after the last whole frame are in `tail` instead.
    pub parts: Vec<Part>,
    /// Broken frames after the last whole one: torn writes, or damage if they were acknowledged.
    pub tail: Vec<Hole>,
    /// The offset in the lane of bytes after the last frame that are no frame.
    pub trailing_offset: Option<u64>,
    /// Whether the segment says that another one follows.
    pub closed: bool,
    /// Whether at least one lane is there up to its end, so that what is blank in it was never
    /// written.
    pub end_seen: bool,
    /// The place of the next frame.
    pub next: Next,
    /// Faults of the file, although every frame may have been read.
    pub findings: Vec<Finding>,
}

/// A frame, or the lack of one.
#[derive(Debug)]
pub(crate) enum Part {
    Whole(Box<Frame>),
    Hole(Hole),
}

/// A frame that neither lane has whole, or a stretch without any.
#[derive(Debug)]
pub(crate) struct Hole {
    /// Offset in the lane.
    pub offset: u64,
    /// The frame's header, if one lane has it.
    pub header: Option<Box<Header>>,
    pub salvage: Salvage,
}

/// Where and how the next frame is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub offset: u64,
    pub ordinal: u64,
    pub chain: [u8; 32],
}

/// Why a file could not be read as a segment at all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Newer(u32),
    Damaged(String),
}

impl SegmentReading {
    /// Commits that are whole, in order.
    pub fn commits(&self) -> impl Iterator<Item = &Frame> {
        self.frames(Kind::Commit)
    }

    /// Whole frames of one kind.
    pub fn frames(&self, kind: Kind) -> impl Iterator<Item = &Frame> {
        self.parts.iter().filter_map(move |part| match part {
            Part::Whole(frame) if frame.header.kind == kind => Some(frame.as_ref()),
            _ => None,
        })
    }

    /// Holes before the last whole frame: certain damage.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(hole),
            Part::Whole(_) => None,
        })
    }

    /// Whether the whole snapshot is there.
    pub fn base_whole(&self) -> bool {
        self.frames(Kind::Snapshot).count() as u64 == self.header.snapshot_frames
    }

    /// The last whole commit, or the base: its sequence, term, digest and number of records.
    pub fn head(&self) -> (u64, u64, Digest, u64) {
        match self.commits().last() {
            Some(frame) => {
                (frame.header.sequence, frame.header.term, frame.header.state, frame.header.records)
            }
            None => (
                self.header.base_sequence,
                self.header.base_term,
                self.header.base_state,
                self.header.base_records,
            ),
        }
    }

    /// Whether nothing is damaged and nothing was torn, so that commits may be appended.
    pub fn is_spotless(&self) -> bool {
        self.findings.is_empty()
            && self.tail.is_empty()
            && self.trailing_offset.is_none()
            && !self.closed
            && self.holes().count() == 0
    }
}

/// Reads a segment from a file's bytes.
pub(crate) fn read_segment(file: &str, bytes: &[u8]) -> Result<SegmentReading, Unreadable> {
    let first = read_header(&bytes[..bytes.len().min(PAGE_BYTES)]);
    let last = read_header(&bytes[bytes.len().saturating_sub(PAGE_BYTES)..]);
    if let (HeaderReading::Newer(version), _) | (_, HeaderReading::Newer(version)) = (&first, &last)
    {
        return Err(Unreadable::Newer(*version));
    }
    let mut findings = Vec::new();
    let (header, chain) = match (first, last) {
        (HeaderReading::Whole(header, chain), HeaderReading::Whole(other, _))
            if header == other =>
        {
            (*header, chain)
        }
        (HeaderReading::Whole(header, chain), _) | (_, HeaderReading::Whole(header, chain)) => {
            findings.push(Finding::HeaderRepaired { file: file.to_owned() });
            (*header, chain)
        }
        _ => return Err(Unreadable::Damaged(format!("no whole header in {} bytes", bytes.len()))),
    };
    if bytes.len() as u64 != header.file_bytes() {
        findings.push(Finding::LengthWrong {
            file: file.to_owned(),
            found_bytes: bytes.len() as u64,
            expected_bytes: header.file_bytes(),
        });
    }
    let lane = |number: u64| {
        let start =
            usize::try_from(header.lane_start(number)).unwrap_or(usize::MAX).min(bytes.len());
        let end = start
            .saturating_add(usize::try_from(header.lane_bytes).unwrap_or(usize::MAX))
            .min(bytes.len());
        &bytes[start..end]
    };
    let lanes = [lane(0), lane(1)];
    let end_seen = lanes.iter().any(|lane| lane.len() as u64 == header.lane_bytes);
    let walk = Walk {
        lanes,
        out: SegmentReading {
            file: file.to_owned(),
            header,
            parts: Vec::new(),
            tail: Vec::new(),
            trailing_offset: None,
            closed: false,
            end_seen,
            next: Next { offset: 0, ordinal: 0, chain },
            findings,
        },
        chain: Some(chain),
    };
    Ok(walk.run())
}

struct Walk<'a> {
    lanes: [&'a [u8]; 2],
    out: SegmentReading,
    /// The hash of the last frame; unknown after a hole.
    chain: Option<[u8; 32]>,
}

impl Walk<'_> {
    fn run(mut self) -> SegmentReading {
        let mut offset = 0usize;
        let mut ordinal = 0u64;
        loop {
            let readings = self.lanes.map(|lane| frame::read(lane, offset));
            if let Some(frame) = self.choose(&readings, ordinal) {
                self.note_repair(&readings, &frame, offset);
                offset += frame.len;
                ordinal = frame.header.ordinal + 1;
                self.take(frame, offset);
                continue;
            }
            let (hole, len) = self.hole(&readings, offset, ordinal);
            let known = hole.header.is_some();
            let next = match len {
                Some(len) => Some(offset + len),
                None => self
                    .lanes
                    .iter()
                    .filter_map(|lane| frame::find(lane, offset + frame::ALIGN_BYTES, ordinal))
                    .min(),
            };
            let Some(next) = next.filter(|next| *next < self.lane_bytes()) else {
                self.finish(known.then_some(hole), offset);
                return self.out;
            };
            self.out.parts.push(Part::Hole(hole));
            self.chain = None;
            offset = next;
            ordinal += 1;
        }
    }

    fn lane_bytes(&self) -> usize {
        self.lanes[0].len().max(self.lanes[1].len())
    }

    /// The whole frame at this place that continues the chain, if there is one.
    fn choose(&self, readings: &[Reading; 2], ordinal: u64) -> Option<Frame> {
        readings.iter().find_map(|reading| match reading {
            Reading::Whole(frame) if self.continues(frame, ordinal) => Some(frame.as_ref().clone()),
            _ => None,
        })
    }

    fn continues(&self, frame: &Frame, ordinal: u64) -> bool {
        match self.chain {
            Some(chain) => frame.header.previous == chain && frame.header.ordinal == ordinal,
            None => frame.header.ordinal >= ordinal,
        }
    }

    fn note_repair(&mut self, readings: &[Reading; 2], chosen: &Frame, offset: usize) {
        for (lane, reading) in readings.iter().enumerate() {
            if !matches!(reading, Reading::Whole(frame) if frame.as_ref() == chosen) {
                let file = self.out.file.clone();
                self.out.findings.push(Finding::LaneRepaired {
                    file,
                    lane,
                    offset: offset as u64,
                    sequence: chosen.header.sequence,
                });
            }
        }
    }

    fn take(&mut self, frame: Frame, next_offset: usize) {
        self.chain = Some(frame.hash);
        self.out.next = Next {
            offset: next_offset as u64,
            ordinal: frame.header.ordinal + 1,
            chain: frame.hash,
        };
        self.out.closed = frame.header.kind == Kind::Closing;
        self.out.parts.push(Part::Whole(Box::new(frame)));
    }

    /// Salvages a place where no lane has a whole frame; also returns the bytes to the next frame
    /// if a header says.
    fn hole(&self, readings: &[Reading; 2], offset: usize, ordinal: u64) -> (Hole, Option<usize>) {
        let known = readings.iter().find_map(|reading| match reading {
            Reading::Broken { header, payload, len } if self.fits(header, ordinal) => {
                Some((header.clone(), payload.clone(), *len))
            }
            _ => None,
        });
        let Some((header, payload, len)) = known else {
            return (
                Hole { offset: offset as u64, header: None, salvage: Salvage::default() },
                None,
            );
        };
        let copies: Vec<&[u8]> = self
            .lanes
            .iter()
            .map(|lane| lane.get(payload.start..payload.end.min(lane.len())).unwrap_or_default())
            .collect();
        let salvage = payload::salvage(&copies, header.entries);
        (Hole { offset: offset as u64, header: Some(header), salvage }, Some(len))
    }

    fn fits(&self, header: &Header, ordinal: u64) -> bool {
        match self.chain {
            Some(chain) => header.previous == chain && header.ordinal == ordinal,
            None => header.ordinal >= ordinal,
        }
    }

    /// Holes behind the last whole frame become the tail; bytes there that are not blank are named.
    fn finish(&mut self, last: Option<Hole>, offset: usize) {
        let keep = self
            .out
            .parts
            .iter()
            .rposition(|part| matches!(part, Part::Whole(_)))
            .map_or(0, |at| at + 1);
        for part in self.out.parts.split_off(keep) {
            if let Part::Hole(hole) = part {
                self.out.tail.push(hole);
            }
        }
        self.out.tail.extend(last);
        let blank =
            |lane: &&[u8]| lane.get(offset..).unwrap_or_default().iter().all(|byte| *byte == 0);
        if !self.lanes.iter().all(blank) {
            self.out.trailing_offset = Some(offset as u64);
        }
    }
}

/// Changes of a segment's snapshot that are whole.
pub(crate) fn base_changes(segment: &SegmentReading) -> impl Iterator<Item = &Change> {
    segment.frames(Kind::Snapshot).flat_map(|frame| &frame.changes)
}
