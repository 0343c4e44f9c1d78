//! The header of a segment file, and the layout of the file.
//!
//! ```text
//! page 0   lane A             lane B            last page
//! header | frames, zeros ... | the same again | header again
//! ```
//! It relies on `identity`. A segment is written out in full, zeros included, before its first commit: a commit then overwrites
//! bytes that exist, its fdatasync has no metadata to write, and a file shorter than its header says is damage, never a torn
//! commit. The two lanes lie apart, so that one bad page, or a cut tail, never takes both copies of a commit.

use crate::digest::Digest;
use crate::identity::Identity;

/// Size of a header page.
pub(crate) const PAGE_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"HFJOURN\0";
/// The format this version writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;
const FIELDS_BYTES: usize = 8 + 4 + 48 + 8 * 6 + 32;

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub identity: Identity,
    /// Segments are numbered from 1.
    pub number: u64,
    pub lane_bytes: u64,
    /// The commit whose state the snapshot is.
    pub base_sequence: u64,
    pub base_term: u64,
    pub base_records: u64,
    pub snapshot_frames: u64,
    pub base_state: Digest,
}

/// The content of a header page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderReading {
    /// A header, and the hash that the first frame chains to.
    Whole(Box<SegmentHeader>, [u8; 32]),
    /// A header of a later format.
    Newer(u32),
    /// Not a header.
    Damaged,
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE_BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.identity.encode());
        for number in [
            self.number,
            self.lane_bytes,
            self.base_sequence,
            self.base_term,
            self.base_records,
            self.snapshot_frames,
        ] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.base_state.0);
        assert_eq!(out.len(), FIELDS_BYTES, "the header's fields take exactly their bytes");
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out.resize(PAGE_BYTES, 0);
        out
    }

    /// The length of a whole file.
    pub fn file_bytes(&self) -> u64 {
        self.lane_bytes.saturating_mul(2).saturating_add(2 * PAGE_BYTES as u64)
    }

    /// Where lane 0 or 1 starts.
    pub fn lane_start(&self, lane: u64) -> u64 {
        (PAGE_BYTES as u64).saturating_add(self.lane_bytes.saturating_mul(lane))
    }
}

/// The hash that the first frame of a segment chains to.
pub(crate) fn chain_start(page: &[u8]) -> [u8; 32] {
    crate::digest::hash(&[&page[..FIELDS_BYTES.min(page.len())]])
}

/// Reads a header page.
pub(crate) fn read_header(page: &[u8]) -> HeaderReading {
    let Some((fields, rest)) = page.split_at_checked(FIELDS_BYTES) else {
        return HeaderReading::Damaged;
    };
    let crc = rest.get(..4).and_then(|crc| crc.try_into().ok()).map(u32::from_le_bytes);
    if fields[..8] != MAGIC || crc != Some(crc32fast::hash(fields)) {
        return HeaderReading::Damaged;
    }
    let version =
        u32::from_le_bytes(fields[8..12].try_into().expect("four bytes of a fixed header"));
    if version != VERSION {
        return HeaderReading::Newer(version);
    }
    let Some(identity) = Identity::decode(&fields[12..60]) else { return HeaderReading::Damaged };
    let long = |at: usize| {
        u64::from_le_bytes(
            fields[60 + at * 8..68 + at * 8].try_into().expect("eight bytes of a fixed header"),
        )
    };
    let header = SegmentHeader {
        identity,
        number: long(0),
        lane_bytes: long(1),
        base_sequence: long(2),
        base_term: long(3),
        base_records: long(4),
        snapshot_frames: long(5),
        base_state: Digest(
            fields[108..140].try_into().expect("thirty-two bytes of a fixed header"),
        ),
    };
    HeaderReading::Whole(Box::new(header), chain_start(page))
}

/// The file of a segment.
pub(crate) fn file_name(number: u64) -> String {
    format!("journal-{number:012}.seg")
}

/// The number in a segment's file name.
pub(crate) fn number_of(file: &str) -> Option<u64> {
    file.strip_prefix("journal-")?.strip_suffix(".seg")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_every_flip_is_seen() {
        let header = SegmentHeader {
            identity: Identity::new("agent", [1; 16]),
            number: 3,
            lane_bytes: 8192,
            base_sequence: 17,
            base_term: 2,
            base_records: 5,
            snapshot_frames: 1,
            base_state: Digest([9; 32]),
        };
        let page = header.encode();
        assert_eq!(page.len(), PAGE_BYTES);
        assert_eq!(
            read_header(&page),
            HeaderReading::Whole(Box::new(header.clone()), chain_start(&page))
        );
        for at in 0..FIELDS_BYTES + 4 {
            let mut flipped = page.clone();
            flipped[at] ^= 1;
            assert_eq!(read_header(&flipped), HeaderReading::Damaged);
        }
        assert_eq!(read_header(&page[..10]), HeaderReading::Damaged);
        let mut newer = page;
        newer[8] = 2;
        let crc = crc32fast::hash(&newer[..FIELDS_BYTES]).to_le_bytes();
        newer[FIELDS_BYTES..FIELDS_BYTES + 4].copy_from_slice(&crc);
        assert_eq!(read_header(&newer), HeaderReading::Newer(2));
        assert_eq!(number_of(&file_name(12)), Some(12));
        assert_eq!(number_of("journal-x.seg"), None);
    }
}
