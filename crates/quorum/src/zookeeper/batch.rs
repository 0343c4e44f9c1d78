//! Batches as bytes, each chained to the one before, and cut into parts where one node of the
//! ensemble cannot hold them.
//!
//! It relies on SHA-256. It never takes a batch for another: its number, its term and what was
//! before it are in its checksum.

use holdfast_store::Entry;
use sha2::{Digest as _, Sha256};

use super::head::{Checksum, Head};

/// Most bytes in one node: the ensemble takes packets of 1 MB unless it is told otherwise.
pub(crate) const PART_BYTES_MAX: usize = 512 << 10;

const MAGIC: &[u8; 4] = b"HFJB";
const FORMAT_VERSION: u8 = 1;
const HEADER_BYTES: usize = 4 + 1 + 4 + 8 + 8 + 32 + 32;
/// Stands for the length of a value that is not there.
const DELETED: u32 = u32::MAX;

/// A batch on its way into the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// What the head says once it is in.
    pub head: Head,
    /// The node of the batch itself.
    pub node: Vec<u8>,
    /// What is written before, if it does not fit into the node.
    pub parts: Vec<Vec<u8>>,
}

/// The node of a batch, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub term: u64,
    pub sequence: u64,
    pub previous: Checksum,
    pub checksum: Checksum,
    /// The number of parts that have its entries; 0 when they are in `payload`.
    pub parts: u64,
    pub payload: Vec<u8>,
}

/// Why bytes are no batch of this journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A newer version wrote it.
    #[error("batch {sequence} is of format {version}, which this version does not know; run the version that wrote it")]
    Newer {
        /// The number of the batch.
        sequence: u64,
        /// The format.
        version: u8,
    },
    /// It is not what was written.
    #[error(
        "batch {sequence} of the journal is damaged: {what}; restore the ensemble from a backup"
    )]
    Damaged {
        /// The number of the batch.
        sequence: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Makes the batch that follows `head`.
pub(crate) fn write(head: &Head, term: u64, batch: &[Entry]) -> Written {
    let mut payload = Vec::new();
    for entry in batch {
        write_entry(&mut payload, &entry.tree, &entry.key, entry.value.as_deref());
    }
    let sequence = head.sequence + 1;
    let checksum = chain(head.checksum, term, sequence, &payload);
    let is_large = PART_BYTES_MAX < payload.len();
    let parts: Vec<Vec<u8>> = match is_large {
        true => payload.chunks(PART_BYTES_MAX).map(<[u8]>::to_vec).collect(),
        false => Vec::new(),
    };
    let mut node = Vec::with_capacity(HEADER_BYTES + payload.len());
    node.extend_from_slice(MAGIC);
    node.push(FORMAT_VERSION);
    node.extend((parts.len() as u32).to_le_bytes());
    node.extend(term.to_le_bytes());
    node.extend(sequence.to_le_bytes());
    node.extend(head.checksum.0);
    node.extend(checksum.0);
    let log_bytes = head.log_bytes + (HEADER_BYTES + payload.len()) as u64;
    if !is_large {
        node.extend(payload);
    }
    Written { head: Head { term, sequence, checksum, log_bytes, ..head.clone() }, node, parts }
}

/// Reads the node of batch `sequence`.
pub(crate) fn read(sequence: u64, node: &[u8]) -> Result<Read, BatchError> {
    let damaged = |what| BatchError::Damaged { sequence, what };
    let mut rest = Reader(node);
    if rest.take(4) != Some(MAGIC) {
        return Err(damaged("it does not begin as batches do"));
    }
    match rest.take(1) {
        Some([FORMAT_VERSION]) => {}
        Some([version]) if FORMAT_VERSION < *version => {
            return Err(BatchError::Newer { sequence, version: *version })
        }
        _ => return Err(damaged("its format is unknown")),
    }
    let header = |rest: &mut Reader<'_>| {
        let (parts, term, number) = (rest.u32()?, rest.u64()?, rest.u64()?);
        Some((parts, term, number, rest.checksum()?, rest.checksum()?))
    };
    let (parts, term, number, previous, checksum) =
        header(&mut rest).ok_or_else(|| damaged("it is cut off"))?;
    if number != sequence {
        return Err(damaged("it bears another number"));
    }
    let payload = rest.0.to_vec();
    Ok(Read { term, sequence, previous, checksum, parts: u64::from(parts), payload })
}

impl Read {
    /// The entries, once all parts are in the payload and the chain is whole.
    pub fn entries(&self, previous: Checksum) -> Result<Vec<Entry>, BatchError> {
        let damaged = |what| BatchError::Damaged { sequence: self.sequence, what };
        if self.previous != previous {
            return Err(damaged("it does not follow what is before it"));
        }
        if chain(previous, self.term, self.sequence, &self.payload) != self.checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let mut rest = Reader(&self.payload);
        let mut entries = Vec::new();
        while !rest.0.is_empty() {
            entries.push(read_entry(&mut rest).ok_or_else(|| damaged("an entry is cut off"))?);
        }
        Ok(entries)
    }
}

fn chain(previous: Checksum, term: u64, sequence: u64, payload: &[u8]) -> Checksum {
    let mut hasher = Sha256::new();
    hasher.update(previous.0);
    hasher.update(term.to_le_bytes());
    hasher.update(sequence.to_le_bytes());
    hasher.update(payload);
    Checksum(hasher.finalize().into())
}

/// Appends a put or a delete.
pub(crate) fn write_entry(out: &mut Vec<u8>, tree: &str, key: &[u8], value: Option<&[u8]>) {
    out.extend((tree.len() as u16).to_le_bytes());
    out.extend(tree.as_bytes());
    out.extend((key.len() as u16).to_le_bytes());
    out.extend(key);
    out.extend(value.map_or(DELETED, |it| it.len() as u32).to_le_bytes());
    out.extend(value.unwrap_or_default());
}

/// Reads what [`write_entry`] wrote.
pub(crate) fn read_entry(rest: &mut Reader<'_>) -> Option<Entry> {
    let tree = rest.u16()?;
    let tree = std::str::from_utf8(rest.take(tree)?).ok()?.to_owned();
    let key = rest.u16()?;
    let key = rest.take(key)?.to_vec();
    let value = match rest.u32()? {
        DELETED => None,
        bytes => Some(rest.take(bytes as usize)?.to_vec()),
    };
    Some(Entry { tree, key, value })
}

/// Bytes that are read from the front.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(self.array()?)))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    fn checksum(&mut self) -> Option<Checksum> {
        Some(Checksum(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<Entry> {
        vec![Entry::put("claims", "a", "1"), Entry::delete("tasks", "b"), Entry::put("t", "", "")]
    }

    #[test]
    fn a_batch_comes_back_and_each_damaged_byte_is_seen() {
        let head = Head::new([1; 16]);
        let written = write(&head, 3, &batch());
        assert_eq!((written.head.term, written.head.sequence), (3, 1));
        assert!(written.parts.is_empty());
        let entries = |node: &[u8]| read(1, node).and_then(|it| it.entries(head.checksum));
        assert_eq!(entries(&written.node), Ok(batch()));
        for at in 0..written.node.len() {
            let mut flipped = written.node.clone();
            flipped[at] ^= 1;
            // The number of parts is proven by what they hold.
            let parts = read(1, &flipped).map(|it| it.parts);
            assert!(entries(&flipped).is_err() || parts != Ok(0), "flip at {at}");
            assert!(entries(&written.node[..at]).is_err(), "cut at {at}");
        }
        assert!(matches!(read(2, &written.node), Err(BatchError::Damaged { sequence: 2, .. })));
    }

    #[test]
    fn batches_are_chained() {
        let one = write(&Head::new([1; 16]), 1, &batch());
        let two = write(&one.head, 1, &[]);
        let read = read(2, &two.node).unwrap();
        assert_eq!(read.entries(one.head.checksum), Ok(Vec::new()));
        assert!(read.entries(Checksum::default()).is_err(), "it follows something else");
        let again = write(&one.head, 2, &[]);
        assert_ne!(two.head.checksum, again.head.checksum, "the term is a part of the history");
    }

    #[test]
    fn what_is_too_large_for_a_node_is_written_in_parts() {
        let large = vec![Entry::put("t", "k", vec![7; 1 << 20]); 3];
        let head = Head::new([1; 16]);
        let written = write(&head, 1, &large);
        assert_eq!(written.parts.len(), 7);
        assert!(written.parts.iter().all(|it| it.len() <= PART_BYTES_MAX));
        assert!(written.node.len() < 1000);
        let mut found = read(1, &written.node).unwrap();
        assert_eq!(found.parts, 7);
        found.payload = written.parts.concat();
        assert_eq!(found.entries(head.checksum), Ok(large));
        found.payload.pop();
        assert!(found.entries(head.checksum).is_err());
        assert!(3 << 20 < written.head.log_bytes);
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut node = write(&Head::new([1; 16]), 1, &[]).node;
        node[4] = 2;
        assert_eq!(read(1, &node), Err(BatchError::Newer { sequence: 1, version: 2 }));
    }
}
