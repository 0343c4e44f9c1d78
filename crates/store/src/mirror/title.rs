//! Encodes the title page of a mirror, which is used in its seal, inside sled and at the head of an
//! export.
//!
//! It relies on `identity`. It never guesses: bytes that are not exactly a title of ours are none.

use super::Title;
use crate::digest::Digest;
use crate::identity::{Identity, KIND_BYTES_MAX};
use std::collections::BTreeMap;

/// The format of a title.
pub(crate) const VERSION: u8 = 1;

/// A title with its checksum.
pub(crate) fn encode(title: &Title) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(title.identity.encode());
    out.extend(title.sequence.to_le_bytes());
    out.extend(title.term.to_le_bytes());
    out.extend(title.state.0);
    out.extend((title.counts.len() as u32).to_le_bytes());
    for (tree, count) in &title.counts {
        out.push(tree.len() as u8);
        out.extend(tree.as_bytes());
        out.extend(count.to_le_bytes());
    }
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out
}

/// The reverse of `encode`.
pub(crate) fn decode(bytes: &[u8]) -> Option<Title> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (version, rest) = body.split_first()?;
    let (identity, rest) = rest.split_at_checked(KIND_BYTES_MAX + 16)?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (term, rest) = rest.split_first_chunk::<8>()?;
    let (state, rest) = rest.split_first_chunk::<32>()?;
    let (trees, mut rest) = rest.split_first_chunk::<4>()?;
    let mut counts = BTreeMap::new();
    for _ in 0..u32::from_le_bytes(*trees) {
        let (len, after) = rest.split_first()?;
        let (tree, after) = after.split_at_checked(*len as usize)?;
        let (count, after) = after.split_first_chunk::<8>()?;
        counts.insert(std::str::from_utf8(tree).ok()?.to_owned(), u64::from_le_bytes(*count));
        rest = after;
    }
    (*version == VERSION && rest.is_empty()).then_some(Title {
        identity: Identity::decode(identity)?,
        sequence: u64::from_le_bytes(*sequence),
        term: u64::from_le_bytes(*term),
        state: Digest(*state),
        counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_round_trip_and_every_flip_is_seen() {
        let title = Title {
            identity: Identity::new("master", [3; 16]),
            sequence: 9,
            term: 2,
            state: Digest([4; 32]),
            counts: [("claims".to_owned(), 3), ("\0fenced".to_owned(), 1)].into(),
        };
        let bytes = encode(&title);
        assert_eq!(decode(&bytes), Some(title));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(decode(&flipped), None);
            assert_eq!(decode(&bytes[..at]), None);
        }
    }
}
