//! An index: which values belong to a key. Keys without values are forgotten, so that two indexes of the same pairs are equal.

use std::collections::{BTreeMap, BTreeSet};

/// Values by key, both in order.
#[derive(Debug)]
pub(super) struct Index<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Index<K, V> {
    fn default() -> Index<K, V> {
        Index(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Ord> Index<K, V> {
    pub(super) fn insert(&mut self, key: &K, value: V) {
        match self.0.get_mut(key) {
            Some(values) => drop(values.insert(value)),
            None => drop(self.0.insert(key.clone(), BTreeSet::from([value]))),
        }
    }

    pub(super) fn remove(&mut self, key: &K, value: &V) {
        if let Some(values) = self.0.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn of(&self, key: &K) -> impl Iterator<Item = &V> {
        self.0.get(key).into_iter().flatten()
    }

    /// The values of a key from `first` on.
    pub(super) fn from<'a>(&'a self, key: &K, first: V) -> impl Iterator<Item = &'a V> {
        self.0.get(key).map(|it| it.range(first..)).into_iter().flatten()
    }

    /// How many pairs there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_key_without_values() {
        let mut index = Index::default();
        index.insert(&1, "a");
        index.insert(&1, "b");
        index.insert(&2, "c");
        assert_eq!(index.of(&1).copied().collect::<Vec<_>>(), ["a", "b"]);
        index.remove(&1, &"a");
        index.remove(&1, &"b");
        index.remove(&3, &"z");
        assert_eq!((index.len(), index.0.len(), index.of(&1).count()), (1, 1, 0));
    }
}
