//! Fences, which keep a damaged record named after the damage itself was replaced by a whole file.
//!
//! A fence is an ordinary record in a hidden tree, so that it is as durable as the rest. It relies
//! on `records`. It never lifts a fence by itself: only a new value for that record, or a
//! settlement by its owner, does.

use crate::contract::DamagedRecord;
use crate::digest::hash;
use crate::entry::{Entry, Sequence};
use crate::records::{Records, FENCED_TREE};

/// The hidden key for a damaged record: a hash, so that long keys fit.
pub(crate) fn key(damaged: &DamagedRecord) -> Vec<u8> {
    match (&damaged.tree, &damaged.key) {
        (Some(tree), Some(key)) => record_key(tree, key),
        _ => [b"?".as_slice(), &hash(&[damaged.place.as_bytes(), damaged.reason.as_bytes()])]
            .concat(),
    }
}

fn record_key(tree: &str, key: &[u8]) -> Vec<u8> {
    [b"r".as_slice(), &hash(&[&(tree.len() as u64).to_le_bytes(), tree.as_bytes(), key])].concat()
}

/// The hidden record that fences `damaged`.
pub(crate) fn raise(damaged: &DamagedRecord) -> Entry {
    Entry { tree: FENCED_TREE.to_owned(), key: key(damaged), value: Some(encode(damaged)) }
}

/// The hidden deletes that lift the fences of whatever `batch` writes anew.
pub(crate) fn lift(records: &Records, batch: &[Entry]) -> Vec<Entry> {
    let mut lifted: Vec<Entry> = Vec::new();
    for entry in batch {
        let key = record_key(&entry.tree, &entry.key);
        if records.held(FENCED_TREE, &key).is_some() && !lifted.iter().any(|seen| seen.key == key) {
            lifted.push(Entry { tree: FENCED_TREE.to_owned(), key, value: None });
        }
    }
    lifted
}

fn encode(damaged: &DamagedRecord) -> Vec<u8> {
    let mut out = vec![1u8];
    let sequence = damaged.sequence.map(|s| s.0.to_le_bytes());
    let fields: [Option<&[u8]>; 6] = [
        damaged.tree.as_deref().map(str::as_bytes),
        damaged.key.as_deref(),
        sequence.as_ref().map(|bytes| bytes.as_slice()),
        damaged.last_known.as_deref(),
        Some(damaged.place.as_bytes()),
        Some(damaged.reason.as_bytes()),
    ];
    for field in fields {
        out.push(u8::from(field.is_some()));
        let bytes = field.unwrap_or_default();
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend(bytes);
    }
    out
}

/// The reverse of `encode`; `None` for bytes this version did not write.
pub(crate) fn decode(bytes: &[u8]) -> Option<DamagedRecord> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != 1 {
        return None;
    }
    let mut fields: Vec<Option<Vec<u8>>> = Vec::with_capacity(6);
    for _ in 0..6 {
        let (present, after) = rest.split_first()?;
        let (len, after) = after.split_first_chunk::<4>()?;
        let (field, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        fields.push((*present == 1).then(|| field.to_vec()));
        rest = after;
    }
    let text =
        |field: Option<Vec<u8>>| field.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut fields = fields.into_iter();
    Some(DamagedRecord {
        tree: text(fields.next()?),
        key: fields.next()?,
        sequence: match fields.next()? {
            Some(bytes) => Some(Sequence(u64::from_le_bytes(bytes.try_into().ok()?))),
            None => None,
        },
        last_known: fields.next()?,
        place: text(fields.next()?).unwrap_or_default(),
        reason: text(fields.next()?).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_round_trips() {
        let full = DamagedRecord {
            tree: Some("claims".into()),
            key: Some(vec![1, 2]),
            sequence: Some(Sequence(7)),
            last_known: Some(vec![9]),
            place: "journal:12".into(),
            reason: "checksum".into(),
        };
        let bare = DamagedRecord {
            tree: None,
            key: None,
            sequence: None,
            last_known: None,
            ..full.clone()
        };
        for damaged in [full, bare] {
            assert_eq!(decode(&encode(&damaged)), Some(damaged));
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[1, 1, 255, 0, 0, 0]), None);
    }
}
