//! One number for a whole state: the sum of the hashes of its records, cheap to keep up to date
//! record by record.
//!
//! It relies on SHA-256. It never depends on the order in which records were written: two copies
//! that hold the same records at the same commits have the same digest. It guards against faults,
//! not against an adversary who chooses the records.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// Digest of a set of records; the empty set is all zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Adds one record, or removes it if it is in: adding twice is removing.
    pub(crate) fn toggle(&mut self, tree: &str, key: &[u8], sequence: u64, value: &[u8]) {
        let mut hasher = Sha256::new();
        hasher.update((tree.len() as u64).to_le_bytes());
        hasher.update(tree.as_bytes());
        hasher.update((key.len() as u64).to_le_bytes());
        hasher.update(key);
        hasher.update(sequence.to_le_bytes());
        hasher.update(value);
        for (mine, theirs) in self.0.iter_mut().zip(hasher.finalize()) {
            *mine ^= theirs;
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// SHA-256 of `parts`, one after another.
pub(crate) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_field_does() {
        let (mut a, mut b) = (Digest::default(), Digest::default());
        a.toggle("t", b"k", 1, b"v");
        a.toggle("t", b"l", 2, b"w");
        b.toggle("t", b"l", 2, b"w");
        b.toggle("t", b"k", 1, b"v");
        assert_eq!(a, b);
        for (tree, key, sequence, value) in
            [("u", "l", 2, "w"), ("t", "m", 2, "w"), ("t", "l", 3, "w"), ("t", "l", 2, "x")]
        {
            let mut c = Digest::default();
            c.toggle("t", b"k", 1, b"v");
            c.toggle(tree, key.as_bytes(), sequence, value.as_bytes());
            assert_ne!(a, c);
        }
        b.toggle("t", b"l", 2, b"w");
        b.toggle("t", b"k", 1, b"v");
        assert_eq!(b, Digest::default());
    }
}
