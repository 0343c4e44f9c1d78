//! One change to durable state: a put or a delete of one record, and the limits that every change
//! must keep.
//!
//! It relies on nothing. It never interprets a key or a value: to this crate they are bytes.

use std::fmt;

/// Longest tree name, in bytes.
pub const TREE_BYTES_MAX: usize = 64;
/// Longest key, in bytes. Short keys keep the mirror's pages inside sled's log (its blob files are
/// never synced).
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value, in bytes (1 MiB). In the mirror a value is cut into chunks of at most 4 KiB.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most bytes (trees, keys and values together) in one batch (16 MiB).
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Most entries in one batch.
pub const BATCH_ENTRIES_MAX: usize = 65_536;

/// A put (`value` is `Some`) or a delete (`value` is `None`) of the record `key` in `tree`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The tree, for example `claims`. At most [`TREE_BYTES_MAX`] bytes; may not start with a zero
    /// byte.
    pub tree: String,
    /// The key within the tree. At most [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// The new value, at most [`VALUE_BYTES_MAX`] bytes; `None` deletes the record (deleting what
    /// is not there is allowed).
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// A put of `value` under `key` in `tree`.
    pub fn put(
        tree: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Entry {
        Entry { tree: tree.into(), key: key.into(), value: Some(value.into()) }
    }

    /// A delete of `key` in `tree`.
    pub fn delete(tree: impl Into<String>, key: impl Into<Vec<u8>>) -> Entry {
        Entry { tree: tree.into(), key: key.into(), value: None }
    }

    /// Bytes of tree, key and value together.
    pub fn size_bytes(&self) -> usize {
        self.tree.len() + self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// An ordered list of entries that becomes durable as a whole or not at all. Later entries win over
/// earlier ones of the same key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch(pub Vec<Entry>);

impl Batch {
    /// Adds a put.
    pub fn put(
        &mut self,
        tree: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) {
        self.0.push(Entry::put(tree, key, value));
    }

    /// Adds a delete.
    pub fn delete(&mut self, tree: impl Into<String>, key: impl Into<Vec<u8>>) {
        self.0.push(Entry::delete(tree, key));
    }
}

impl std::ops::Deref for Batch {
    type Target = [Entry];
    fn deref(&self) -> &[Entry] {
        &self.0
    }
}

/// The limit that a batch breaks. Callers that want to reject an oversized request check first
/// ([`check_batch`]): a commit that is rejected stops the store for good, because its caller's
/// memory has already moved on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The tree name is empty, too long or reserved.
    #[error("tree name {tree:?} is empty, starts with a zero byte or is longer than {TREE_BYTES_MAX} bytes; use a short fixed name")]
    Tree {
        /// The name as given.
        tree: String,
    },
    /// The key is too long.
    #[error("key of {key_bytes} bytes in tree {tree:?}: the limit is {KEY_BYTES_MAX}; use a uuid or a hash as key")]
    Key {
        /// The tree of the entry.
        tree: String,
        /// The length that was given.
        key_bytes: usize,
    },
    /// The value is too long.
    #[error("value of {value_bytes} bytes in tree {tree:?}: the limit is {VALUE_BYTES_MAX}; keep large data in a file and its hash here")]
    Value {
        /// The tree of the entry.
        tree: String,
        /// The length that was given.
        value_bytes: usize,
    },
    /// Too much in one batch.
    #[error("batch of {entries} entries and {batch_bytes} bytes: the limits are {BATCH_ENTRIES_MAX} and {BATCH_BYTES_MAX}; split it")]
    Batch {
        /// The number of entries in the batch.
        entries: usize,
        /// The number of bytes in the batch.
        batch_bytes: usize,
    },
}

/// Checks every limit of a batch without touching a store.
///
/// # Errors
/// The first limit that is broken.
pub fn check_batch(batch: &[Entry]) -> Result<(), LimitError> {
    let mut batch_bytes = 0usize;
    for entry in batch {
        if entry.tree.is_empty()
            || entry.tree.len() > TREE_BYTES_MAX
            || entry.tree.starts_with('\0')
        {
            return Err(LimitError::Tree { tree: entry.tree.clone() });
        }
        if entry.key.len() > KEY_BYTES_MAX {
            return Err(LimitError::Key { tree: entry.tree.clone(), key_bytes: entry.key.len() });
        }
        let value_bytes = entry.value.as_ref().map_or(0, Vec::len);
        if value_bytes > VALUE_BYTES_MAX {
            return Err(LimitError::Value { tree: entry.tree.clone(), value_bytes });
        }
        batch_bytes = batch_bytes.saturating_add(entry.size_bytes());
    }
    if batch.len() > BATCH_ENTRIES_MAX || batch_bytes > BATCH_BYTES_MAX {
        return Err(LimitError::Batch { entries: batch.len(), batch_bytes });
    }
    Ok(())
}

/// The number of a commit: 1 for the first, one more for each that follows; 0 means nothing was
/// ever committed. After lost commits were accepted on open, the next number lies above every
/// number that was ever acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The next commit's number.
    pub fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named() {
        assert_eq!(
            check_batch(&[Entry::put("claims", "a", "b"), Entry::delete("claims", "")]),
            Ok(())
        );
        assert!(matches!(check_batch(&[Entry::put("", "a", "b")]), Err(LimitError::Tree { .. })));
        assert!(matches!(
            check_batch(&[Entry::put("\0damage", "a", "b")]),
            Err(LimitError::Tree { .. })
        ));
        assert!(matches!(
            check_batch(&[Entry::delete("t", vec![0; 257])]),
            Err(LimitError::Key { key_bytes: 257, .. })
        ));
        assert!(matches!(
            check_batch(&[Entry::put("t", "k", vec![0; VALUE_BYTES_MAX + 1])]),
            Err(LimitError::Value { .. })
        ));
        let big = vec![Entry::put("t", "k", vec![0; VALUE_BYTES_MAX]); 17];
        assert!(matches!(check_batch(&big), Err(LimitError::Batch { entries: 17, .. })));
    }
}
