//! The journal's file: records that are checksummed and chained, so that none can change, vanish or
//! move without being noticed. A record is its length, its number, the checksum of the record
//! before, its data, and its own checksum, which covers all of these. Bytes behind the last record
//! are a write that broke off, of which nobody was told. Never reads past damage, never repairs a
//! record.

use holdfast_sdk::net::{ensure, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const WRITE_BYTES_MAX: usize = 1 << 20; // What broke off cannot be longer.
const HEAD: usize = 16; // Length (4), number (8), checksum of the record before (4).

/// What a file holds: how many records, the last one's checksum, and where that ends.
pub struct Found {
    pub count: u64,
    pub last: u32,
    pub end: usize,
}

/// An open journal.
pub struct Chain {
    pub found: Found,
    file: File,
}

/// Reads all records; `see` is shown each one's number, data and checksum. Fails when one is
/// damaged, or `see` refuses it.
pub fn read(bytes: &[u8], mut see: impl FnMut(u64, &[u8], u32) -> Result<()>) -> Result<Found> {
    let (mut count, mut last, mut end) = (0, 0, 0);
    while let Some((number, _, data, sum)) =
        record(&bytes[end..]).filter(|it| (it.0, it.1) == (count, last))
    {
        see(number, data, sum)?;
        (count, last, end) = (count + 1, sum, end + HEAD + data.len() + 4);
    }
    let rest = &bytes[end..];
    let whole =
        rest.len() <= WRITE_BYTES_MAX && (0..rest.len()).all(|at| record(&rest[at..]).is_none());
    ensure!(
        whole,
        "record {count} at byte {end} is damaged; restore the volume, nothing was changed"
    );
    Ok(Found { count, last, end })
}

/// The record at the beginning: its number, the checksum of the one before, its data, its checksum.
fn record(bytes: &[u8]) -> Option<(u64, u32, &[u8], u32)> {
    let word =
        |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let end = HEAD + word(0)? as usize;
    let sum = word(end).filter(|sum| crc32fast::hash(&bytes[..end]) == *sum)?;
    Some((u64::from(word(8)?) << 32 | u64::from(word(4)?), word(12)?, &bytes[HEAD..end], sum))
}

impl Chain {
    /// Opens a journal, or makes one, and reads all of it.
    pub fn open(
        path: &Path,
        is_new: bool,
        see: impl FnMut(u64, &[u8], u32) -> Result<()>,
    ) -> Result<Chain> {
        let file = OpenOptions::new().read(true).write(true).create_new(is_new).open(path)?;
        file.try_lock()?; // Two writers would be one too many.
        File::open(path.parent().unwrap_or(path))?.sync_all()?;
        Ok(Chain { found: read(&std::fs::read(path)?, see)?, file })
    }

    /// Appends records, and returns once they are durable. After a failure the journal must be
    /// opened anew.
    pub fn append(&mut self, records: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        let Chain { found, file } = self;
        let (mut bytes, end) = (Vec::new(), found.end as u64);
        for data in records {
            let from = bytes.len();
            let length = u32::try_from(data.len())?.to_le_bytes();
            bytes.extend(
                [&length[..], &found.count.to_le_bytes(), &found.last.to_le_bytes(), &data]
                    .concat(),
            );
            found.last = crc32fast::hash(&bytes[from..]);
            bytes.extend(found.last.to_le_bytes());
            found.count += 1;
        }
        ensure!(bytes.len() <= WRITE_BYTES_MAX, "{} bytes are too many for one write", bytes.len());
        file.set_len(end)?; // What broke off before ends here.
        file.write_all_at(&bytes, end)?;
        file.sync_data()?;
        ensure!(
            file.metadata()?.nlink() != 0,
            "the journal was removed while it was written; what is on it is lost"
        );
        found.end += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sdk::net::bail;

    fn all(_number: u64, _data: &[u8], _sum: u32) -> Result<()> {
        Ok(())
    }

    fn written(records: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut chain = Chain::open(&path, true, all).unwrap();
        for number in 0..records {
            chain.append(std::iter::once(format!("record {number}").into_bytes())).unwrap();
        }
        (dir, path)
    }

    fn count(bytes: &[u8]) -> Option<u64> {
        read(bytes, all).ok().map(|it| it.count)
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let (_dir, path) = written(3);
        let mut chain = Chain::open(&path, false, all).unwrap();
        assert_eq!(chain.found.count, 3);
        chain.append((3..5).map(|number| format!("record {number}").into_bytes())).unwrap();
        drop(chain);
        assert_eq!(count(&std::fs::read(&path).unwrap()), Some(5));
        assert!(Chain::open(&path, true, all).is_err(), "a journal is never made where one is");
    }

    #[test]
    fn a_changed_byte_is_damage_unless_only_the_last_record_has_it() {
        let (_dir, path) = written(4);
        let whole = std::fs::read(&path).unwrap();
        let last = read(&whole[..whole.len() - 1], all).unwrap().end;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let expected = if at < last { None } else { Some(3) };
                assert_eq!(count(&bytes), expected, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_write_that_broke_off_is_cut_away_by_the_next() {
        let (_dir, path) = written(3);
        let whole = std::fs::read(&path).unwrap();
        let third = read(&whole[..whole.len() - 1], all).unwrap().end;
        for length in third..whole.len() {
            assert_eq!(count(&whole[..length]), Some(2), "cut at {length}");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut chain = Chain::open(&path, false, all).unwrap();
        chain.append(std::iter::once(b"other".to_vec())).unwrap();
        assert_eq!(count(&std::fs::read(&path).unwrap()), Some(3));
    }

    #[test]
    fn records_that_moved_vanished_or_are_anothers_are_damage() {
        let (_dir, path) = written(3);
        let whole = std::fs::read(&path).unwrap();
        let length = whole.len() / 3;
        let swapped = [&whole[length..2 * length], &whole[..length], &whole[2 * length..]].concat();
        let missing = [&whole[..length], &whole[2 * length..]].concat();
        let twice = [&whole[..length], &whole[..]].concat();
        assert_eq!([count(&swapped), count(&missing), count(&twice)], [None, None, None]);
        assert!(read(&whole, |_, data, _| if data == b"record 1" {
            bail!("not ours")
        } else {
            Ok(())
        })
        .is_err());
        let blank = vec![0; WRITE_BYTES_MAX + 1];
        assert_eq!(count(&[whole, blank].concat()), None, "so much cannot have broken off");
    }

    #[test]
    fn two_writers_are_one_too_many_and_a_removed_file_is_noticed() {
        let (_dir, path) = written(1);
        let mut chain = Chain::open(&path, false, all).unwrap();
        assert!(Chain::open(&path, false, all).is_err());
        std::fs::remove_file(&path).unwrap();
        let error = chain.append(std::iter::once(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("removed"), "{error}");
    }
}
