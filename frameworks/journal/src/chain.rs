//! The journal's file: records that are checksummed and chained, so that none can change, vanish or move without being noticed.
//!
//! A record is its length, its number, the checksum of the record before, its data, and its own checksum, which covers all of these. Bytes
//! behind the last record are a write that broke off; nobody was told of it. Never reads past damage, and never repairs a record.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use holdfast_sdk::net::{ensure, Result};

/// The longest write; what broke off cannot be longer.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// Length (4), number (8), checksum of the record before (4).
const HEAD: usize = 16;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub count: u64,
    /// The last record's checksum.
    pub last: u32,
    /// Where the last record ends.
    pub end: usize,
}

/// An open journal.
pub struct Chain {
    file: File,
    pub count: u64,
    last: u32,
    end: u64,
}

/// Reads all records; `is_ours` sees the data of each. Fails when one is damaged.
pub fn read(bytes: &[u8], is_ours: impl Fn(&[u8]) -> bool) -> Result<Found> {
    let (mut count, mut last, mut end) = (0, 0, 0);
    while let Some((number, previous, data, sum)) = record(&bytes[end..]).filter(|it| (it.0, it.1) == (count, last)) {
        ensure!(is_ours(data), "record {number} (after {previous:08x}) was written by another node; find out whose volume this is");
        (count, last, end) = (count + 1, sum, end + HEAD + data.len() + 4);
    }
    let rest = &bytes[end..];
    let whole = rest.len() <= WRITE_BYTES_MAX && (0..rest.len()).all(|at| record(&rest[at..]).is_none());
    ensure!(whole, "record {count} at byte {end} is damaged; restore the volume, nothing was changed");
    Ok(Found { count, last, end })
}

/// The record at the beginning: its number, the checksum of the one before, its data, its checksum.
fn record(bytes: &[u8]) -> Option<(u64, u32, &[u8], u32)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let end = HEAD + word(0)? as usize;
    let sum = word(end).filter(|sum| crc32fast::hash(&bytes[..end]) == *sum)?;
    Some((u64::from(word(8)?) << 32 | u64::from(word(4)?), word(12)?, &bytes[HEAD..end], sum))
}

impl Chain {
    /// Opens a journal, or makes one, and reads all of it.
    pub fn open(path: &Path, is_new: bool, is_ours: impl Fn(&[u8]) -> bool) -> Result<Chain> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(is_new).open(path)?;
        file.try_lock()?; // Two writers would be one too many.
        File::open(path.parent().unwrap_or(path))?.sync_all()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Found { count, last, end } = read(&bytes, is_ours)?;
        Ok(Chain { file, count, last, end: end as u64 })
    }

    /// Appends records, and returns once they are durable. After a failure the journal must be opened anew.
    pub fn append(&mut self, records: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        let mut bytes = Vec::new();
        for data in records {
            let from = bytes.len();
            bytes.extend_from_slice(&u32::try_from(data.len())?.to_le_bytes());
            bytes.extend_from_slice(&self.count.to_le_bytes());
            bytes.extend_from_slice(&self.last.to_le_bytes());
            bytes.extend_from_slice(&data);
            self.last = crc32fast::hash(&bytes[from..]);
            bytes.extend_from_slice(&self.last.to_le_bytes());
            self.count += 1;
        }
        ensure!(bytes.len() <= WRITE_BYTES_MAX, "{} bytes are too many for one write", bytes.len());
        self.file.set_len(self.end)?; // What broke off before ends here.
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        ensure!(self.file.metadata()?.nlink() != 0, "the journal was removed while it was written; what is on it is lost");
        self.end += bytes.len() as u64;
        Ok(())
    }
}
