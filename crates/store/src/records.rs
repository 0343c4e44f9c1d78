//! The set of records in memory into which a store folds its journal, with a running digest.
//!
//! It relies on `digest`. It never touches a disk. Memory: the bytes of every key and value plus
//! about 100 bytes a record; states of some hundred thousand records (a few hundred MB) are what
//! this crate is made for.

use crate::contract::{DamagedRecord, RecordRef};
use crate::digest::Digest;
use crate::entry::Sequence;
use crate::journal::payload;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The tree that keeps what is fenced, hidden from callers (they may not use names that start with
/// a zero byte).
pub(crate) const FENCED_TREE: &str = "\0fenced";

/// The tree and the key of a record.
pub(crate) type RecordName = (String, Vec<u8>);

/// A record's value and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub sequence: u64,
    pub value: Vec<u8>,
}

/// One change with the commit that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub sequence: u64,
    pub tree: String,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// All records of a store, with their digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    trees: BTreeMap<String, BTreeMap<Vec<u8>, Held>>,
    digest: Digest,
    count: u64,
    /// The bytes that all of them take in a journal.
    encoded_bytes: u64,
}

fn encoded_bytes(tree: &str, key: &[u8], value: &[u8]) -> u64 {
    payload::encoded_bytes(tree, key, Some(value)) as u64
}

impl Records {
    pub fn apply(&mut self, sequence: u64, tree: &str, key: &[u8], value: Option<&[u8]>) {
        self.remove(tree, key);
        let Some(value) = value else { return };
        self.digest.toggle(tree, key, sequence, value);
        self.count += 1;
        self.encoded_bytes += encoded_bytes(tree, key, value);
        let held = Held { sequence, value: value.to_vec() };
        match self.trees.get_mut(tree) {
            Some(keys) => keys.insert(key.to_vec(), held),
            None => self.trees.entry(tree.to_owned()).or_default().insert(key.to_vec(), held),
        };
    }

    pub fn apply_change(&mut self, change: &Change) {
        self.apply(change.sequence, &change.tree, &change.key, change.value.as_deref());
    }

    fn remove(&mut self, tree: &str, key: &[u8]) {
        let Some(keys) = self.trees.get_mut(tree) else { return };
        let Some(old) = keys.remove(key) else { return };
        if keys.is_empty() {
            self.trees.remove(tree);
        }
        self.digest.toggle(tree, key, old.sequence, &old.value);
        self.count -= 1;
        self.encoded_bytes -= encoded_bytes(tree, key, &old.value);
    }

    pub fn held(&self, tree: &str, key: &[u8]) -> Option<&Held> {
        self.trees.get(tree)?.get(key)
    }

    /// Every record, the hidden tree included.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[u8], &Held)> {
        self.trees.iter().flat_map(|(tree, keys)| {
            keys.iter().map(move |(key, held)| (tree.as_str(), key.as_slice(), held))
        })
    }

    /// The first record after the one of this name, in the order of [`Records::all`].
    pub fn after(&self, name: Option<&RecordName>) -> Option<(&str, &[u8], &Held)> {
        let Some((tree, key)) = name else { return self.all().next() };
        let later = (Bound::Excluded(key.as_slice()), Bound::Unbounded);
        let in_tree = self.trees.get_key_value(tree).and_then(|(tree, keys)| {
            let (key, held) = keys.range::<[u8], _>(later).next()?;
            Some((tree.as_str(), key.as_slice(), held))
        });
        in_tree.or_else(|| {
            let later = (Bound::Excluded(tree.as_str()), Bound::Unbounded);
            let (tree, keys) = self.trees.range::<str, _>(later).next()?;
            let (key, held) = keys.first_key_value()?;
            Some((tree.as_str(), key.as_slice(), held))
        })
    }

    /// The bytes that all records take in a journal, the hidden tree included.
    pub fn encoded_bytes(&self) -> u64 {
        self.encoded_bytes
    }

    /// Lists every record that a caller may see.
    pub fn visible(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.all().filter(|(tree, _, _)| !tree.starts_with('\0')).map(|(tree, key, held)| {
            RecordRef { tree, key, value: &held.value, sequence: Sequence(held.sequence) }
        })
    }

    /// The number of records per tree, without the hidden tree.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.trees
            .iter()
            .filter(|(tree, _)| !tree.starts_with('\0'))
            .map(|(tree, keys)| (tree.clone(), keys.len() as u64))
            .collect()
    }

    /// The number of records per tree, the hidden tree included.
    pub fn counts_all(&self) -> BTreeMap<String, u64> {
        self.trees.iter().map(|(tree, keys)| (tree.clone(), keys.len() as u64)).collect()
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of records, the hidden tree included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Lists what is fenced, as kept in the hidden tree.
    pub fn fenced(&self) -> Vec<DamagedRecord> {
        self.trees
            .get(FENCED_TREE)
            .into_iter()
            .flatten()
            .filter_map(|(_, held)| crate::fence::decode(&held.value))
            .collect()
    }
}
