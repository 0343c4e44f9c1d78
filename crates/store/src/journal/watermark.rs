//! The watermark: the last commit that was acknowledged to callers as durable.
//!
//! Written after each commit's sync and not synced itself, so it costs no wait; the kernel brings
//! it to the disk within seconds, a checkpoint at once. It only ever says what is true, so a
//! journal that ends before it has lost something. A journal that ends after it is the normal sight
//! after a power cut. It relies on `identity`. It is never read on the hot path.
//!
//! What cannot be proven: after a power cut, the very last commit, when damage also takes *both*
//! lanes of it before the kernel wrote the watermark out: it then looks like a write that was torn
//! before it was acknowledged (and is reported as that). Every earlier commit is proven by a later
//! frame; a segment file that is gone is known from the chain of segments, and then only an exact
//! watermark (see [`Mark::is_exact`]) is taken for the end, else opening is refused.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::identity::Identity;
use std::io;

/// The file.
pub(crate) const FILE: &str = "watermark";
const MAGIC: [u8; 8] = *b"HFWATER\x01";
/// Slots are written in turn and lie on pages of their own, so that a torn write leaves the others.
const SLOTS: u64 = 4;
const SLOT_BYTES: u64 = 4096;
const FIELDS_BYTES: usize = 8 + 48 + 8 * 5 + 32 + 16 + 1;

/// One watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub identity: Identity,
    /// Counts watermarks; the highest is the newest.
    pub turn: u64,
    pub segment: u64,
    /// The last acknowledged commit.
    pub sequence: u64,
    pub term: u64,
    /// The commit at which the mirror was last proven and synced; it can only be newer.
    pub mirror: u64,
    /// Digest of the state at `sequence`.
    pub state: Digest,
    /// The boot of the machine that wrote it; zeros when unknown.
    pub boot: [u8; 16],
    /// Whether the store was closed and synced with this mark, so that nothing follows.
    pub last: bool,
}

/// The content of the watermark file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatermarkReading {
    /// The newest whole watermark.
    pub newest: Option<Mark>,
    /// The number of slots that hold something which is not a watermark.
    pub damaged_slots: u64,
    /// The offset of the only damaged slot, as after a crash while it was written.
    pub torn: Option<u64>,
    /// Whether the file exists.
    pub present: bool,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIELDS_BYTES + 4);
        out.extend(MAGIC);
        out.extend(self.identity.encode());
        for number in [self.turn, self.segment, self.sequence, self.term, self.mirror] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.state.0);
        out.extend(self.boot);
        out.push(u8::from(self.last));
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn decode(slot: &[u8]) -> Option<Mark> {
        let (fields, rest) = slot.split_at_checked(FIELDS_BYTES)?;
        if fields[..8] != MAGIC || rest.get(..4)? != crc32fast::hash(fields).to_le_bytes() {
            return None;
        }
        let long = |at: usize| {
            u64::from_le_bytes(
                fields[56 + at * 8..64 + at * 8].try_into().expect("eight bytes of a fixed slot"),
            )
        };
        Some(Mark {
            identity: Identity::decode(&fields[8..56])?,
            turn: long(0),
            segment: long(1),
            sequence: long(2),
            term: long(3),
            mirror: long(4),
            state: Digest(fields[96..128].try_into().expect("thirty-two bytes of a fixed slot")),
            boot: fields[128..144].try_into().expect("sixteen bytes of a fixed slot"),
            last: fields[144] == 1,
        })
    }

    /// Whether nothing can have been acknowledged after this mark: it was written when the store
    /// was closed, or the machine that wrote it still runs, so that no later mark can have been
    /// lost.
    pub fn is_exact(&self, boot: Option<[u8; 16]>) -> bool {
        self.last || boot.is_some_and(|boot| boot == self.boot)
    }

    /// Writes this watermark over the oldest one. Not synced.
    pub fn write(&self, disk: &mut impl Disk) -> io::Result<()> {
        disk.write_at(FILE, (self.turn % SLOTS) * SLOT_BYTES, &self.encode())
    }
}

/// Makes the file anew with this watermark in every slot: all of it is synced on return.
pub(crate) fn create(disk: &mut impl Disk, mark: &Mark) -> io::Result<()> {
    let fresh = format!("{FILE}.new");
    disk.create(&fresh)?;
    let mut slot = mark.encode();
    slot.resize(SLOT_BYTES as usize, 0);
    for turn in 0..SLOTS {
        disk.write_at(&fresh, turn * SLOT_BYTES, &slot)?;
    }
    disk.sync(&fresh)?;
    disk.rename(&fresh, FILE)?;
    disk.sync_names()
}

/// Reads the file's bytes.
pub(crate) fn read(bytes: &[u8]) -> WatermarkReading {
    let mut reading = WatermarkReading { present: true, ..WatermarkReading::default() };
    let mut damaged = 0;
    for slot in 0..SLOTS {
        let start = (slot * SLOT_BYTES) as usize;
        let page =
            bytes.get(start..bytes.len().min(start + SLOT_BYTES as usize)).unwrap_or_default();
        match Mark::decode(page) {
            Some(mark) if reading.newest.as_ref().is_none_or(|newest| newest.turn <= mark.turn) => {
                reading.newest = Some(mark)
            }
            Some(_) => {}
            None => (reading.damaged_slots, damaged) = (reading.damaged_slots + 1, slot),
        }
    }
    reading.torn = (reading.damaged_slots == 1).then_some(damaged * SLOT_BYTES);
    reading
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    #[test]
    fn the_newest_whole_slot_wins() {
        let mut disk = SimulatedDisk::new(1);
        let mut mark = Mark {
            identity: Identity::new("agent", [1; 16]),
            turn: 1,
            segment: 1,
            sequence: 0,
            term: 0,
            mirror: 0,
            state: Digest::default(),
            boot: [7; 16],
            last: false,
        };
        create(&mut disk, &mark).unwrap();
        for turn in 2..9 {
            (mark.turn, mark.sequence) = (turn, turn * 10);
            mark.write(&mut disk).unwrap();
        }
        assert!(
            mark.is_exact(Some([7; 16])) && !mark.is_exact(Some([8; 16])) && !mark.is_exact(None)
        );
        let bytes = disk.read(FILE).unwrap();
        assert_eq!(
            read(&bytes),
            WatermarkReading { newest: Some(mark), damaged_slots: 0, torn: None, present: true }
        );
        let mut damaged = bytes.clone();
        damaged[20] ^= 1; // turn 8 lies in slot 0
        let reading = read(&damaged);
        assert_eq!(
            (reading.newest.map(|mark| mark.turn), reading.damaged_slots, reading.torn),
            (Some(7), 1, Some(0))
        );
        damaged[SLOT_BYTES as usize + 20] ^= 1; // turn 5
        assert_eq!(read(&damaged).torn, None);
        assert_eq!(read(&bytes[..100]).damaged_slots, 4);
        assert_eq!(read(&[]).newest, None);
    }
}
