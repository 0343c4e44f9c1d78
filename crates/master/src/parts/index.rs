//! An index: which values belong to a key. It is published with what it finds, so that readers find as fast as the core.
//!
//! A map of maps, since a range of a [`SharedMap`] costs as much as all that lies before it.

use holdfast_model::SharedMap;

/// Values by key, both in order. Keys without values are forgotten.
#[derive(Debug)]
pub(super) struct Index<K: Ord + Clone, V: Ord + Clone>(SharedMap<K, SharedMap<V, ()>>);

impl<K: Ord + Clone, V: Ord + Clone> Default for Index<K, V> {
    fn default() -> Index<K, V> {
        Index(SharedMap::new())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Clone for Index<K, V> {
    fn clone(&self) -> Index<K, V> {
        Index(self.0.clone())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Index<K, V> {
    pub(super) fn insert(&mut self, key: &K, value: V) {
        self.0.get_or_insert_with(key.clone(), SharedMap::new).insert(value, ());
    }

    pub(super) fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else { return };
        values.remove(value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of(&self, key: &K) -> impl Iterator<Item = &V> {
        self.0.get(key).into_iter().flat_map(SharedMap::keys)
    }

    /// How many pairs there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(SharedMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_key_in_order() {
        let mut index = Index::default();
        for (key, value) in [("a", 2), ("b", 3), ("a", 1)] {
            index.insert(&key, value);
        }
        let published = index.clone();
        assert_eq!(index.of(&"a").copied().collect::<Vec<_>>(), [1, 2]);
        index.remove(&"a", &1);
        index.remove(&"b", &9);
        index.remove(&"c", &9);
        assert_eq!((index.len(), index.of(&"a").count(), published.of(&"a").count()), (2, 1, 2));
        index.remove(&"b", &3);
        assert_eq!(index.0.len(), 1, "nothing is left of a key without values");
    }
}
