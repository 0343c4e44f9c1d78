//! The records that a journal has led to, in memory.
//!
//! It relies on `store` for what a record is. It never touches the network.

use std::collections::BTreeMap;
use std::ops::Bound;

use holdfast_store::{Entry, RecordRef, Sequence};

/// A record's name: tree and key.
pub(crate) type Name = (String, Vec<u8>);

/// All records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    all: BTreeMap<Name, (u64, Vec<u8>)>,
    bytes: u64,
}

impl Records {
    /// Carries out an entry of commit `sequence`.
    pub fn apply(&mut self, sequence: u64, entry: Entry) {
        let size = |name: &Name, value: &[u8]| (name.0.len() + name.1.len() + value.len()) as u64;
        let name = (entry.tree, entry.key);
        let former = match entry.value {
            Some(value) => {
                self.bytes += size(&name, &value);
                self.all.insert(name.clone(), (sequence, value))
            }
            None => self.all.remove(&name),
        };
        self.bytes -= former.map_or(0, |(_, value)| size(&name, &value));
    }

    /// Every record, in the order of trees and keys.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.all.iter().map(|(name, held)| reference(name, held))
    }

    /// The record that follows `name`; the first one, if there is no name.
    pub fn after(&self, name: Option<&Name>) -> Option<RecordRef<'_>> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.all.range((from, Bound::Unbounded)).next().map(|(name, held)| reference(name, held))
    }

    /// Bytes of all trees, keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn reference<'a>(name: &'a Name, (sequence, value): &'a (u64, Vec<u8>)) -> RecordRef<'a> {
    RecordRef { tree: &name.0, key: &name.1, value, sequence: Sequence(*sequence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_what_the_last_entry_says_and_their_bytes_are_counted() {
        let mut records = Records::default();
        for (sequence, entry) in [
            (1, Entry::put("t", "b", "one")),
            (2, Entry::put("s", "a", "")),
            (3, Entry::put("t", "b", "three!")),
            (4, Entry::delete("t", "gone")),
        ] {
            records.apply(sequence, entry);
        }
        let all: Vec<_> = records.iter().map(|it| (it.tree, it.key, it.sequence.0)).collect();
        assert_eq!(all, [("s", &b"a"[..], 2), ("t", b"b", 3)]);
        assert_eq!(records.bytes(), 2 + 8);
        let first = records.after(None).unwrap();
        let next = records.after(Some(&(first.tree.to_owned(), first.key.to_vec()))).unwrap();
        assert_eq!(next.value, b"three!");
        assert_eq!(records.after(Some(&("t".to_owned(), b"b".to_vec()))), None);
        records.apply(5, Entry::delete("t", "b"));
        assert_eq!(records.bytes(), 2);
    }
}
