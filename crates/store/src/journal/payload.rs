//! Encodes the changes inside a frame, each with a checksum for its name and one for its value.
//!
//! There are two checksums so that a broken value still shows which record it belonged to. It
//! relies on `records`, and never trusts a length.

use crate::records::Change;
use std::collections::BTreeMap;

const HEAD_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// Appends one change to `out`.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    sequence: u64,
    tree: &str,
    key: &[u8],
    value: Option<&[u8]>,
) {
    let start = out.len();
    out.push(u8::from(value.is_some()));
    out.push(tree.len() as u8);
    out.extend((key.len() as u16).to_le_bytes());
    out.extend((value.map_or(0, <[u8]>::len) as u32).to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(tree.as_bytes());
    out.extend(key);
    let name_crc = crc32fast::hash(&out[start..]);
    out.extend(name_crc.to_le_bytes());
    out.extend(value.unwrap_or_default());
    out.extend(value_crc(name_crc, value.unwrap_or_default()).to_le_bytes());
}

/// Bytes that `encode` will write.
pub(crate) fn encoded_bytes(tree: &str, key: &[u8], value: Option<&[u8]>) -> usize {
    HEAD_BYTES + tree.len() + key.len() + CRC_BYTES + value.map_or(0, <[u8]>::len) + CRC_BYTES
}

/// The checksum of a value covers its name's checksum: a value that ended up in another record does
/// not pass.
fn value_crc(name_crc: u32, value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&name_crc.to_le_bytes());
    hasher.update(value);
    hasher.finalize()
}

/// One change as found: its name is whole, its value perhaps not.
pub(crate) struct Found {
    pub change: Change,
    pub whole: bool,
    len: usize,
}

/// The changes of a frame that could be read.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// Changes that are proven.
    pub changes: Vec<Change>,
    /// Changes whose name is proven and whose value is not (`value` is `None` here whatever it
    /// was).
    pub valueless: Vec<Change>,
    /// Whether all changes were at least named.
    pub complete: bool,
}

/// All changes of an undamaged payload; `None` if it is not exactly `count` whole changes.
pub(crate) fn decode(payload: &[u8], count: u32) -> Option<Vec<Change>> {
    let salvage = salvage(&[payload], count);
    (salvage.complete && salvage.valueless.is_empty()).then_some(salvage.changes)
}

/// Reads as many changes as the copies of one payload prove together.
pub(crate) fn salvage(copies: &[&[u8]], count: u32) -> Salvage {
    let mut out = Salvage::default();
    let mut offset = 0;
    for _ in 0..count {
        let found: Vec<Found> =
            copies.iter().filter_map(|copy| read(copy.get(offset..)?)).collect();
        let Some(best) = found.iter().find(|each| each.whole).or(found.first()) else { return out };
        offset += best.len;
        if best.whole {
            out.changes.push(best.change.clone());
        } else {
            out.valueless.push(best.change.clone());
        }
    }
    out.complete = copies.iter().any(|copy| copy.len() == offset);
    out
}

fn read(bytes: &[u8]) -> Option<Found> {
    let head = bytes.get(..HEAD_BYTES)?;
    let tree_len = head[1] as usize;
    let key_len = u16::from_le_bytes(head[2..4].try_into().ok()?) as usize;
    let value_len = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
    let sequence = u64::from_le_bytes(head[8..16].try_into().ok()?);
    let name_end = HEAD_BYTES + tree_len + key_len;
    let name = bytes.get(..name_end)?;
    let name_crc = u32::from_le_bytes(bytes.get(name_end..name_end + CRC_BYTES)?.try_into().ok()?);
    if crc32fast::hash(name) != name_crc || head[0] > 1 {
        return None;
    }
    let tree = std::str::from_utf8(&name[HEAD_BYTES..HEAD_BYTES + tree_len]).ok()?.to_owned();
    let value_start = name_end + CRC_BYTES;
    let len = value_start + value_len + CRC_BYTES;
    let value = bytes.get(value_start..value_start + value_len);
    let crc = bytes
        .get(value_start + value_len..len)
        .and_then(|crc| crc.try_into().ok())
        .map(u32::from_le_bytes);
    let whole = value.is_some_and(|value| crc == Some(value_crc(name_crc, value)));
    let value = (whole && head[0] == 1).then(|| value.unwrap_or_default().to_vec());
    Some(Found {
        change: Change { sequence, tree, key: name[HEAD_BYTES + tree_len..].to_vec(), value },
        whole,
        len,
    })
}

/// The last change of each key, in key order: what a later reader needs of many changes.
pub(crate) fn latest(
    changes: impl IntoIterator<Item = Change>,
) -> BTreeMap<(String, Vec<u8>), Change> {
    let mut latest: BTreeMap<(String, Vec<u8>), Change> = BTreeMap::new();
    for change in changes {
        let key = (change.tree.clone(), change.key.clone());
        if latest.get(&key).is_none_or(|known| known.sequence <= change.sequence) {
            latest.insert(key, change);
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<Change>) {
        let mut bytes = Vec::new();
        encode(&mut bytes, 3, "claims", b"a", Some(b"first value"));
        encode(&mut bytes, 4, "tasks", b"b", None);
        encode(&mut bytes, 5, "claims", b"c", Some(b""));
        let change = |sequence, tree: &str, key: &[u8], value: Option<&[u8]>| Change {
            sequence,
            tree: tree.into(),
            key: key.into(),
            value: value.map(<[u8]>::to_vec),
        };
        let changes = vec![
            change(3, "claims", b"a", Some(b"first value")),
            change(4, "tasks", b"b", None),
            change(5, "claims", b"c", Some(b"")),
        ];
        (bytes, changes)
    }

    #[test]
    fn changes_round_trip_and_every_flip_is_seen() {
        let (bytes, changes) = sample();
        assert_eq!(decode(&bytes, 3), Some(changes));
        assert_eq!(decode(&bytes, 2), None);
        assert_eq!(decode(&bytes[..bytes.len() - 1], 3), None);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(decode(&flipped, 3), None, "byte {at} bit {bit}");
                let saved = salvage(&[&flipped, &bytes], 3);
                assert!(saved.complete && saved.changes.len() == 3);
            }
        }
    }

    #[test]
    fn a_broken_value_keeps_its_name() {
        let (mut bytes, changes) = sample();
        let at = bytes.windows(5).position(|window| window == b"first").unwrap();
        bytes[at] ^= 1;
        let saved = salvage(&[&bytes], 3);
        assert!(saved.complete);
        assert_eq!(saved.changes, changes[1..]);
        assert_eq!(
            (saved.valueless[0].tree.as_str(), saved.valueless[0].key.as_slice()),
            ("claims", b"a".as_slice())
        );
    }
}
