//! Encodes a record for sled: cut into chunks of at most 4 KiB, each with version, checksum and the
//! commit that wrote it.
//!
//! Small values never leave sled's log for its blob files, which it never syncs. It relies on
//! `records`. It never returns a value of which one chunk is missing or of another commit.

use crate::records::Change;

/// The format of a chunk.
pub(crate) const VERSION: u8 = 1;
/// Largest sled value, header included.
const CHUNK_BYTES_MAX: usize = 4096;
/// version, crc, sequence, number of chunks.
const HEAD_BYTES: usize = 1 + 4 + 8 + 4;
const PAYLOAD_BYTES_MAX: usize = CHUNK_BYTES_MAX - HEAD_BYTES;

/// The sled key of one chunk of a record.
pub(crate) fn chunk_key(key: &[u8], index: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 6);
    out.extend((key.len() as u16).to_be_bytes());
    out.extend(key);
    out.extend(index.to_be_bytes());
    out
}

/// The record's key and the chunk's index in a sled key.
pub(crate) fn split_key(chunk_key: &[u8]) -> Option<(&[u8], u32)> {
    let (len, rest) = chunk_key.split_first_chunk::<2>()?;
    let (key, index) = rest.split_at_checked(u16::from_be_bytes(*len) as usize)?;
    Some((key, u32::from_be_bytes(index.try_into().ok()?)))
}

/// The chunks of a value, in order.
pub(crate) fn cut(tree: &str, key: &[u8], sequence: u64, value: &[u8]) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> =
        if value.is_empty() { vec![&[]] } else { value.chunks(PAYLOAD_BYTES_MAX).collect() };
    let count = pieces.len() as u32;
    let seal = |(index, piece): (usize, &&[u8])| {
        let mut out = Vec::with_capacity(HEAD_BYTES + piece.len());
        out.push(VERSION);
        out.extend(checksum(tree, key, index as u32, sequence, count, piece).to_le_bytes());
        out.extend(sequence.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(*piece);
        out
    };
    pieces.iter().enumerate().map(seal).collect()
}

/// One chunk as read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub sequence: u64,
    pub count: u32,
    pub payload: &'a [u8],
}

/// Reads a chunk; the error says what is wrong.
pub(crate) fn read<'a>(
    tree: &str,
    key: &[u8],
    index: u32,
    bytes: &'a [u8],
) -> Result<Chunk<'a>, String> {
    let (head, payload) = bytes.split_at_checked(HEAD_BYTES).ok_or("a chunk is too short")?;
    if head[0] != VERSION {
        return Err(format!("a chunk has format {}, this program reads {VERSION}", head[0]));
    }
    let crc = u32::from_le_bytes(head[1..5].try_into().expect("four bytes of a fixed header"));
    let sequence =
        u64::from_le_bytes(head[5..13].try_into().expect("eight bytes of a fixed header"));
    let count = u32::from_le_bytes(head[13..17].try_into().expect("four bytes of a fixed header"));
    if crc != checksum(tree, key, index, sequence, count, payload) {
        return Err("a checksum does not match".to_owned());
    }
    Ok(Chunk { sequence, count, payload })
}

/// Joins the chunks of one tree, which come in key order, into records. Broken ones go to
/// `problems`.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    open: Option<(Change, u32, u32)>,
}

impl Joiner {
    /// Takes the next chunk.
    pub fn push(
        &mut self,
        tree: &str,
        chunk_key: &[u8],
        bytes: &[u8],
        records: &mut Vec<Change>,
        problems: &mut Vec<String>,
    ) {
        let Some((key, index)) = split_key(chunk_key) else {
            problems.push(format!("{tree}: a key is not ours"));
            return;
        };
        let chunk = match read(tree, key, index, bytes) {
            Ok(chunk) => chunk,
            Err(reason) => {
                problems.push(format!(
                    "{tree}/{}: {reason}",
                    String::from_utf8_lossy(key).escape_debug()
                ));
                return;
            }
        };
        match &mut self.open {
            Some((change, next, count))
                if change.key == key
                    && *next == index
                    && change.sequence == chunk.sequence
                    && *count == chunk.count =>
            {
                change.value.get_or_insert_default().extend(chunk.payload);
                *next += 1;
            }
            _ if index == 0 => {
                self.finish(records, problems);
                let change = Change {
                    sequence: chunk.sequence,
                    tree: tree.to_owned(),
                    key: key.to_vec(),
                    value: Some(chunk.payload.to_vec()),
                };
                self.open = Some((change, 1, chunk.count));
            }
            _ => problems.push(format!(
                "{tree}/{}: a chunk is out of place",
                String::from_utf8_lossy(key).escape_debug()
            )),
        }
    }

    /// Ends the tree.
    pub fn finish(&mut self, records: &mut Vec<Change>, problems: &mut Vec<String>) {
        match self.open.take() {
            Some((change, next, count)) if next == count => records.push(change),
            Some((change, ..)) => {
                problems.push(format!(
                    "{}/{}: a chunk is missing",
                    change.tree,
                    String::from_utf8_lossy(&change.key).escape_debug()
                ));
            }
            None => {}
        }
    }
}

fn checksum(tree: &str, key: &[u8], index: u32, sequence: u64, count: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[VERSION, tree.len() as u8]);
    hasher.update(tree.as_bytes());
    hasher.update(&(key.len() as u16).to_le_bytes());
    hasher.update(key);
    hasher.update(&index.to_le_bytes());
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&count.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(chunks: &[(Vec<u8>, Vec<u8>)]) -> (Vec<Change>, Vec<String>) {
        let (mut joiner, mut records, mut problems) = (Joiner::default(), Vec::new(), Vec::new());
        for (key, bytes) in chunks {
            joiner.push("t", key, bytes, &mut records, &mut problems);
        }
        joiner.finish(&mut records, &mut problems);
        (records, problems)
    }

    fn chunks(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        cut("t", b"key", 7, value)
            .into_iter()
            .enumerate()
            .map(|(at, bytes)| (chunk_key(b"key", at as u32), bytes))
            .collect()
    }

    #[test]
    fn values_of_all_sizes_round_trip_in_small_chunks() {
        for len in [0, 1, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1, 1 << 20] {
            let value: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let cut = chunks(&value);
            assert!(cut.iter().all(|(_, bytes)| bytes.len() <= CHUNK_BYTES_MAX));
            let (records, problems) = join(&cut);
            assert_eq!(
                (records[0].value.as_deref(), records[0].sequence, problems.len()),
                (Some(value.as_slice()), 7, 0)
            );
        }
    }

    #[test]
    fn a_missing_or_changed_chunk_is_named() {
        let whole = chunks(&vec![5; 3 * PAYLOAD_BYTES_MAX]);
        for at in 0..3 {
            let mut less = whole.clone();
            less.remove(at);
            assert!(!join(&less).1.is_empty() && join(&less).0.is_empty());
            let mut changed = whole.clone();
            changed[at].1[30] ^= 1;
            assert!(!join(&changed).1.is_empty() && join(&changed).0.is_empty());
        }
    }
}
