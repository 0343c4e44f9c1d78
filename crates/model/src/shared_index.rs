//! An index: which values belong to a key. It is published with what it finds, so that readers find as fast as the core.
//!
//! Most keys have one value, which is kept as it is; several are a map of their own. Relies on [`SharedMap`]. Never keeps a key without
//! values.

use crate::shared_map::SharedMap;

/// Values by key, both in order. A clone shares what did not change since.
#[derive(Debug)]
pub struct SharedIndex<K: Ord + Clone, V: Ord + Clone>(SharedMap<K, Values<V>>);

#[derive(Clone, Debug)]
enum Values<V: Ord + Clone> {
    One(V),
    Several(SharedMap<V, ()>),
}

/// Puts a value in beside others. The row of all of them is the same: an allocation for each would be larger than what is kept.
fn insert<V: Ord + Clone>(all: &mut SharedMap<V, ()>, value: V) {
    let row = all.any_shared().cloned().unwrap_or_default();
    all.insert_shared(value, row);
}

impl<V: Ord + Clone> Values<V> {
    fn insert(&mut self, value: V) {
        match self {
            Values::One(only) if *only == value => {}
            Values::One(only) => {
                let mut both = SharedMap::new();
                both.insert(only.clone(), ());
                insert(&mut both, value);
                *self = Values::Several(both);
            }
            Values::Several(all) => insert(all, value),
        }
    }

    /// Whether none is left without this one.
    fn remove(&mut self, value: &V) -> bool {
        match self {
            Values::One(only) => only == value,
            Values::Several(all) => {
                all.remove(value);
                all.is_empty()
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &V> {
        let (one, several) = match self {
            Values::One(only) => (Some(only), None),
            Values::Several(all) => (None, Some(all.keys())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Default for SharedIndex<K, V> {
    fn default() -> Self {
        SharedIndex(SharedMap::new())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Clone for SharedIndex<K, V> {
    fn clone(&self) -> Self {
        SharedIndex(self.0.clone())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> PartialEq for SharedIndex<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.key_values().eq(other.key_values())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Eq for SharedIndex<K, V> {}

impl<K: Ord + Clone, V: Ord + Clone> SharedIndex<K, V> {
    /// Notes that a value belongs to a key; once is as good as twice.
    pub fn insert(&mut self, key: &K, value: V) {
        match self.0.get_mut(key) {
            Some(values) => values.insert(value),
            None => drop(self.0.insert(key.clone(), Values::One(value))),
        }
    }

    /// Notes that a value does not belong to a key.
    pub fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else { return };
        if values.remove(value) {
            self.0.remove(key);
        }
    }

    /// The values of a key, in order.
    pub fn of(&self, key: &K) -> impl Iterator<Item = &V> {
        self.0.get(key).into_iter().flat_map(Values::iter)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, in the order of their keys.
    pub fn key_values(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flat_map(|(key, values)| values.iter().map(move |it| (key, it)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_key_in_order() {
        let mut index = SharedIndex::default();
        for (key, value) in [("a", 2), ("b", 3), ("a", 1), ("b", 3)] {
            index.insert(&key, value);
        }
        let published = index.clone();
        assert_eq!(index.of(&"a").copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(index.key_values().collect::<Vec<_>>(), [(&"a", &1), (&"a", &2), (&"b", &3)]);
        index.remove(&"a", &1);
        index.remove(&"b", &9);
        index.remove(&"c", &9);
        assert_eq!((index.of(&"a").count(), index.of(&"b").count()), (1, 1));
        assert_eq!(published.of(&"a").count(), 2);
        index.remove(&"b", &3);
        assert_eq!(index.len(), 1, "nothing is left of a key without values");
        index.remove(&"a", &2);
        assert!(index.is_empty());
    }
}
