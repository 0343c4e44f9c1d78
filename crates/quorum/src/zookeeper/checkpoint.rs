//! Checkpoints: all records as bytes, in chunks, made a little with each commit.
//!
//! It relies on a record's last entry being all that counts. A checkpoint is begun at one commit
//! and its chunks are made while others follow, so some of its records are newer than its
//! beginning; whoever reads it carries out all commits since then over it and has what they led to.
//! It never needs a copy of the records, and a commit never waits for more than one chunk of it.

use holdfast_store::Entry;
use sha2::{Digest as _, Sha256};

use super::batch::{read_entry, write_entry, Reader};
use super::head::{Checksum, Head, Pointer};
use super::records::{Name, Records};

/// Most bytes of a chunk.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 << 10;

/// A checkpoint that is being made.
#[derive(Debug)]
pub(crate) struct Writer {
    pointer: Pointer,
    /// The last record that was taken.
    taken: Option<Name>,
    /// What was taken and is in no chunk yet.
    waiting: Vec<u8>,
    all_taken: bool,
}

impl Writer {
    /// Begins one at `head`, under `term`.
    pub fn begin(head: &Head, term: u64) -> Writer {
        let checksum = Checksum::default();
        let pointer =
            Pointer { term, from: head.sequence, at: head.checksum, chunks: 0, bytes: 0, checksum };
        Writer { pointer, taken: None, waiting: Vec::new(), all_taken: false }
    }

    /// The next chunk; `None` once all have been made. An empty state is one empty chunk.
    pub fn next_chunk(&mut self, records: &Records) -> Option<Vec<u8>> {
        while !self.all_taken && self.waiting.len() < CHUNK_BYTES_MAX {
            match records.after(self.taken.as_ref()) {
                Some(record) => {
                    self.waiting.extend(record.sequence.0.to_le_bytes());
                    write_entry(&mut self.waiting, record.tree, record.key, Some(record.value));
                    self.taken = Some((record.tree.to_owned(), record.key.to_vec()));
                }
                None => self.all_taken = true,
            }
        }
        if self.waiting.is_empty() && 0 < self.pointer.chunks {
            return None;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(CHUNK_BYTES_MAX));
        let chunk = std::mem::replace(&mut self.waiting, rest);
        self.pointer.chunks += 1;
        self.pointer.bytes += chunk.len() as u64;
        self.pointer.checksum = chain(self.pointer.checksum, &chunk);
        Some(chunk)
    }

    /// Whether [`Writer::next_chunk`] has nothing more.
    pub fn is_whole(&self) -> bool {
        self.all_taken && self.waiting.is_empty() && 0 < self.pointer.chunks
    }

    /// What the head says of it; the whole truth once all chunks have been made.
    pub fn pointer(&self) -> Pointer {
        self.pointer
    }
}

/// The chunks are not those that the head names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint of the journal is damaged; restore the ensemble from a backup")]
pub struct CheckpointError;

/// Reads a checkpoint: the records, from which the commits after `pointer.from` lead on.
pub(crate) fn read(pointer: &Pointer, chunks: &[Vec<u8>]) -> Result<Records, CheckpointError> {
    let checksum = chunks.iter().fold(Checksum::default(), |sum, it| chain(sum, it));
    if checksum != pointer.checksum || chunks.len() as u64 != pointer.chunks {
        return Err(CheckpointError);
    }
    let bytes = chunks.concat();
    let mut rest = Reader(&bytes);
    let mut records = Records::default();
    while !rest.0.is_empty() {
        let (sequence, entry) = record(&mut rest).ok_or(CheckpointError)?;
        records.apply(sequence, entry);
    }
    Ok(records)
}

fn record(rest: &mut Reader<'_>) -> Option<(u64, Entry)> {
    Some((rest.u64()?, read_entry(rest)?))
}

fn chain(previous: Checksum, chunk: &[u8]) -> Checksum {
    let mut hasher = Sha256::new();
    hasher.update(previous.0);
    hasher.update((chunk.len() as u64).to_le_bytes());
    hasher.update(chunk);
    Checksum(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(records: &mut Records, sequence: u64, key: u32, bytes: usize) -> Entry {
        let entry = Entry::put("t", key.to_be_bytes(), vec![sequence as u8; bytes]);
        records.apply(sequence, entry.clone());
        entry
    }

    #[test]
    fn a_checkpoint_that_was_made_while_commits_went_on_leads_to_the_same_records() {
        let mut records = Records::default();
        for key in 0..40 {
            put(&mut records, 1, key, 60_000);
        }
        let head = Head { sequence: 1, ..Head::new([0; 16]) };
        let mut writer = Writer::begin(&head, 1);
        let (mut chunks, mut since, mut sequence) = (Vec::new(), Vec::new(), 1);
        while let Some(chunk) = writer.next_chunk(&records) {
            assert!(chunk.len() <= CHUNK_BYTES_MAX);
            chunks.push(chunk);
            sequence += 1;
            let key = (sequence as u32 * 17) % 60;
            since.push((sequence, put(&mut records, sequence, key, 400_000)));
            let gone = Entry::delete("t", ((sequence as u32 * 5) % 40).to_be_bytes());
            records.apply(sequence, gone.clone());
            since.push((sequence, gone));
        }
        assert!(writer.is_whole() && 8 < chunks.len());
        assert_eq!(writer.pointer().from, 1);
        let mut found = read(&writer.pointer(), &chunks).unwrap();
        since.into_iter().for_each(|(sequence, entry)| found.apply(sequence, entry));
        assert_eq!(found, records);
        chunks[3][7] ^= 1;
        assert_eq!(read(&writer.pointer(), &chunks), Err(CheckpointError));
    }

    #[test]
    fn nothing_is_a_checkpoint_too() {
        let mut writer = Writer::begin(&Head::new([0; 16]), 1);
        assert!(!writer.is_whole());
        let chunk = writer.next_chunk(&Records::default()).unwrap();
        assert!(chunk.is_empty() && writer.is_whole());
        assert_eq!(writer.next_chunk(&Records::default()), None);
        assert_eq!(read(&writer.pointer(), &[chunk]), Ok(Records::default()));
        assert_eq!(read(&writer.pointer(), &[]), Err(CheckpointError));
    }

    #[test]
    fn a_record_that_is_larger_than_a_chunk_is_cut() {
        let mut records = Records::default();
        put(&mut records, 3, 1, 1 << 20);
        let mut writer = Writer::begin(&Head::new([0; 16]), 1);
        let chunks: Vec<_> = std::iter::from_fn(|| writer.next_chunk(&records)).collect();
        assert_eq!(chunks.len(), 5);
        assert_eq!(read(&writer.pointer(), &chunks), Ok(records));
    }
}
