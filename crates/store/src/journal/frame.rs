//! One frame of the journal: a header with its own checksum, a payload of changes, a checksum and a
//! hash over all of it.
//!
//! Each frame names the hash of the one before (the chain) and the digest of the whole state after
//! it, so a state is proven by its last frame alone. It relies on `payload` and `digest`. It never
//! reads past the bytes it is given.

use super::payload;
use crate::digest::{hash, Digest};
use crate::records::Change;

const MAGIC: [u8; 4] = *b"HFr\x01";
/// Header without its checksum.
const HEADER_BYTES: usize = 112;
/// Header, its checksum, then after the payload its checksum and the hash.
const OVERHEAD_BYTES: usize = HEADER_BYTES + 4 + 4 + 32;
/// Frames start at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One commit.
    Commit,
    /// A part of the state that a segment starts from.
    Snapshot,
    /// The last frame of a segment: another segment follows.
    Closing,
}

/// The header of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    pub entries: u32,
    /// Position in the segment, from 0.
    pub ordinal: u64,
    pub sequence: u64,
    pub term: u64,
    /// Records after this frame.
    pub records: u64,
    /// Hash of the frame before, or of the segment's header.
    pub previous: [u8; 32],
    /// Digest of the state after this frame; for snapshot frames, of the state they are part of.
    pub state: Digest,
}

/// A whole frame as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub header: Header,
    pub changes: Vec<Change>,
    pub hash: [u8; 32],
    /// Bytes to the next frame.
    pub len: usize,
}

/// What a lane holds at a place where a frame should start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A whole frame.
    Whole(Box<Frame>),
    /// A whole header with a damaged rest; with the range of the payload, and the bytes to the next
    /// frame.
    Broken { header: Box<Header>, payload: std::ops::Range<usize>, len: usize },
    /// No header.
    Nothing,
}

/// Bytes that a frame with such a payload takes.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (OVERHEAD_BYTES + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

/// A frame as bytes, and its hash.
pub(crate) fn encode(header: &Header, payload: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let mut out = Vec::with_capacity(frame_bytes(payload.len()));
    out.extend(MAGIC);
    out.push(match header.kind {
        Kind::Commit => 1,
        Kind::Snapshot => 2,
        Kind::Closing => 3,
    });
    out.extend([0u8; 3]);
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(header.entries.to_le_bytes());
    out.extend(header.ordinal.to_le_bytes());
    out.extend(header.sequence.to_le_bytes());
    out.extend(header.term.to_le_bytes());
    out.extend(header.records.to_le_bytes());
    out.extend(header.previous);
    out.extend(header.state.0);
    assert_eq!(out.len(), HEADER_BYTES, "the header's fields take exactly its bytes");
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out.extend(payload);
    out.extend(crc32fast::hash(payload).to_le_bytes());
    let own = hash(&[&out]);
    out.extend(own);
    out.resize(frame_bytes(payload.len()), 0);
    (out, own)
}

/// Reads what stands at `offset` of a lane.
pub(crate) fn read(lane: &[u8], offset: usize) -> Reading {
    let Some((header, payload_bytes)) = lane.get(offset..).and_then(read_header) else {
        return Reading::Nothing;
    };
    let start = offset + HEADER_BYTES + 4;
    let payload = start..start + payload_bytes;
    let len = frame_bytes(payload_bytes);
    match read_rest(lane, offset, &header, payload.clone()) {
        Some((changes, hash)) => Reading::Whole(Box::new(Frame { header, changes, hash, len })),
        None => Reading::Broken { header: Box::new(header), payload, len },
    }
}

fn read_rest(
    lane: &[u8],
    offset: usize,
    header: &Header,
    payload: std::ops::Range<usize>,
) -> Option<(Vec<Change>, [u8; 32])> {
    let body = lane.get(payload.clone())?;
    let crc = u32::from_le_bytes(lane.get(payload.end..payload.end + 4)?.try_into().ok()?);
    let found: [u8; 32] = lane.get(payload.end + 4..payload.end + 36)?.try_into().ok()?;
    if crc != crc32fast::hash(body) || found != hash(&[lane.get(offset..payload.end + 4)?]) {
        return None;
    }
    Some((payload::decode(body, header.entries)?, found))
}

fn read_header(bytes: &[u8]) -> Option<(Header, usize)> {
    let (head, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    if head[..4] != MAGIC || rest.get(..4)? != crc32fast::hash(head).to_le_bytes() {
        return None;
    }
    let kind = match head[4] {
        1 => Kind::Commit,
        2 => Kind::Snapshot,
        3 => Kind::Closing,
        _ => return None,
    };
    let word = |at: usize| {
        u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes of a fixed header"))
    };
    let long = |at: usize| {
        u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes of a fixed header"))
    };
    let header = Header {
        kind,
        entries: word(12),
        ordinal: long(16),
        sequence: long(24),
        term: long(32),
        records: long(40),
        previous: head[48..80].try_into().expect("thirty-two bytes of a fixed header"),
        state: Digest(head[80..112].try_into().expect("thirty-two bytes of a fixed header")),
    };
    Some((header, word(8) as usize))
}

/// The next offset from `from` on, at which a whole frame with a higher ordinal stands.
pub(crate) fn find(lane: &[u8], from: usize, ordinal: u64) -> Option<usize> {
    (from..lane.len()).step_by(ALIGN_BYTES).find(|offset| {
        lane[*offset..].starts_with(&MAGIC) && matches!(read(lane, *offset), Reading::Whole(frame) if frame.header.ordinal > ordinal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_round_trips_and_every_flip_is_seen() {
        let mut body = Vec::new();
        payload::encode(&mut body, 9, "t", b"k", Some(b"v"));
        let header = Header {
            kind: Kind::Commit,
            entries: 1,
            ordinal: 4,
            sequence: 9,
            term: 2,
            records: 1,
            previous: [7; 32],
            state: Digest([8; 32]),
        };
        let (bytes, own) = encode(&header, &body);
        let Reading::Whole(frame) = read(&bytes, 0) else { panic!("the frame is whole") };
        assert_eq!((&frame.header, frame.hash, frame.len), (&header, own, bytes.len()));
        let meaningful = OVERHEAD_BYTES + body.len();
        for at in 0..meaningful {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(!matches!(read(&flipped, 0), Reading::Whole(_)), "byte {at}");
        }
        for len in 0..meaningful {
            assert!(!matches!(read(&bytes[..len], 0), Reading::Whole(_)), "cut at {len}");
        }
        let shifted = [vec![0xAA; 16], bytes].concat();
        assert_eq!(find(&shifted, 0, 3), Some(16));
        assert_eq!(find(&shifted, 0, 4), None);
    }
}
