//! An ordered map whose clone is as cheap as a pointer: what a core keeps, and what its readers see.
//!
//! A core publishes its state by cloning its maps. The clone and the original share everything; whoever
//! changes an entry afterwards copies that row and the few chunks on the way to it, once, and nothing
//! else. While nobody else holds a clone, changes are made in place. Relies on `immutable-chunkmap` for
//! the tree. Iteration is in the order of keys. A map never copies a row to read it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use immutable_chunkmap::map::{Map, NodeRef};

/// How many entries one chunk holds: the first change of a chunk after a publication copies so many
/// keys and pointers.
const CHUNK_ENTRIES: usize = 32;

/// See the module.
pub struct SharedMap<K: Ord + Clone, V>(Map<K, Arc<V>, CHUNK_ENTRIES>);

impl<K: Ord + Clone, V> SharedMap<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        SharedMap(Map::new())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(Arc::as_ref)
    }

    /// The row of a key, to be kept beyond the life of the map.
    pub fn get_shared<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// The key that an entry has, which may be in other memory than the one that is asked with.
    pub fn get_key<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.0.get_key(key)
    }

    /// Whether there is an entry for a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.get(key).is_some()
    }

    /// Puts a row in; returns the one that it replaces.
    pub fn insert(&mut self, key: K, row: V) -> Option<Arc<V>> {
        self.0.insert_cow(key, Arc::new(row))
    }

    /// Takes a row out.
    pub fn remove<Q: Ord>(&mut self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        if !self.contains_key(key) {
            return None; // A removal of nothing would still copy the way to where it is not.
        }
        self.0.remove_cow(key)
    }

    /// The row of a key, to be changed. It is copied first if a clone of the map still shows it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        if !self.contains_key(key) {
            return None; // As for a removal.
        }
        self.0.get_mut_cow(key).map(Arc::make_mut)
    }

    /// The row of a key, made when there is none, to be changed.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V
    where
        V: Clone,
    {
        Arc::make_mut(self.0.get_or_insert_cow(key, || Arc::new(make())))
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.into_iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.into_iter().map(|(key, _)| key)
    }

    /// The rows in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.into_iter().map(|(_, row)| row.as_ref())
    }

    /// The entries from this key on, in order. What lies before it costs nothing.
    pub fn range_from<Q: Ord + ?Sized>(&self, first: &Q) -> RangeFrom<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let mut range = RangeFrom { waiting: Vec::new(), here: Vec::new().into_iter() };
        let mut next = self.0.root();
        while let Some(node) = next {
            let mut pairs: Vec<(&K, &Arc<V>)> = node.pairs().collect();
            let at = pairs.partition_point(|(key, _)| (*key).borrow() < first);
            next = match at {
                0 => node.left(),
                _ if at == pairs.len() => node.right(),
                _ => {
                    range.here = pairs.split_off(at).into_iter();
                    range.wait_for(node.right());
                    None
                }
            };
            if at == 0 {
                range.waiting.push(node);
            }
        }
        range
    }
}

/// What [`SharedMap::range_from`] gives.
pub struct RangeFrom<'m, K: Ord + Clone, V> {
    /// Nodes whose own entries, and then those to their right, come after [`RangeFrom::here`], the nearest last.
    waiting: Vec<NodeRef<'m, K, Arc<V>, CHUNK_ENTRIES>>,
    here: std::vec::IntoIter<(&'m K, &'m Arc<V>)>,
}

impl<'m, K: Ord + Clone, V> RangeFrom<'m, K, V> {
    /// The entries below this node come next.
    fn wait_for(&mut self, node: Option<NodeRef<'m, K, Arc<V>, CHUNK_ENTRIES>>) {
        let mut next = node;
        while let Some(node) = next {
            next = node.left();
            self.waiting.push(node);
        }
    }
}

impl<'m, K: Ord + Clone, V> Iterator for RangeFrom<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, row)) = self.here.next() {
                return Some((key, row.as_ref()));
            }
            let node = self.waiting.pop()?;
            self.here = node.pairs().collect::<Vec<_>>().into_iter();
            self.wait_for(node.right());
        }
    }
}

impl<'m, K: Ord + Clone, V> IntoIterator for &'m SharedMap<K, V> {
    type Item = (&'m K, &'m V);
    type IntoIter = Box<dyn Iterator<Item = (&'m K, &'m V)> + 'm>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<K: Ord + Clone + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("there is an entry for the key")
    }
}

impl<K: Ord + Clone, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap(self.0.clone())
    }
}

impl<K: Ord + Clone, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap::new()
    }
}

impl<K: Ord + Clone + fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Eq> Eq for SharedMap<K, V> {}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::new();
        entries.into_iter().for_each(|(key, row)| drop(map.insert(key, row)));
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clone_keeps_what_it_showed_and_shares_what_did_not_change() {
        let mut map: SharedMap<u32, String> = (0..100).map(|n| (n, n.to_string())).collect();
        let view = map.clone();
        map.get_mut(&7).unwrap().push('!');
        map.remove(&8);
        map.get_or_insert_with(200, String::new).push('x');
        assert_eq!((map.get(&7).unwrap().as_str(), view.get(&7).unwrap().as_str()), ("7!", "7"));
        assert_eq!((map.get(&8), view.get(&8).map(String::as_str)), (None, Some("8")));
        assert_eq!((map.len(), view.len()), (100, 100));
        let shared = |n| Arc::ptr_eq(map.get_shared(&n).unwrap(), view.get_shared(&n).unwrap());
        assert!(shared(9) && !shared(7));
    }

    #[test]
    fn a_row_that_nobody_else_holds_is_changed_in_place() {
        let mut map: SharedMap<u32, String> = [(1, "a".to_owned())].into_iter().collect();
        let before = Arc::as_ptr(map.get_shared(&1).unwrap());
        map.get_mut(&1).unwrap().push('b');
        assert_eq!(Arc::as_ptr(map.get_shared(&1).unwrap()), before);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u16),
        Remove(u8),
        Change(u8, u16),
        GetOrInsert(u8, u16),
        Publish,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<u8>(), any::<u16>()).prop_map(|(key, row)| Step::Insert(key, row)),
            any::<u8>().prop_map(Step::Remove),
            (any::<u8>(), any::<u16>()).prop_map(|(key, row)| Step::Change(key, row)),
            (any::<u8>(), any::<u16>()).prop_map(|(key, row)| Step::GetOrInsert(key, row)),
            Just(Step::Publish),
        ]
    }

    fn is_same(map: &SharedMap<u8, u16>, model: &BTreeMap<u8, u16>) -> bool {
        map.len() == model.len()
            && map.iter().eq(model.iter())
            && map.keys().eq(model.keys())
            && map.values().eq(model.values())
            && [0, 1, 40, 200, 255]
                .iter()
                .all(|first| map.range_from(first).eq(model.range(first..)))
            && (0..=u8::MAX).all(|key| map.get(&key) == model.get(&key))
    }

    proptest! {
        #[test]
        fn it_is_a_btreemap_whose_clones_stand_still(steps in prop::collection::vec(step(), 0..400)) {
            let (mut map, mut model) = (SharedMap::new(), BTreeMap::new());
            let mut published = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(key, row) => {
                        prop_assert_eq!(map.insert(key, row).map(|it| *it), model.insert(key, row));
                    }
                    Step::Remove(key) => {
                        prop_assert_eq!(map.remove(&key).map(|it| *it), model.remove(&key));
                    }
                    Step::Change(key, row) => {
                        if let Some(it) = map.get_mut(&key) { *it = row }
                        if let Some(it) = model.get_mut(&key) { *it = row }
                    }
                    Step::GetOrInsert(key, row) => {
                        prop_assert_eq!(map.get_or_insert_with(key, || row), model.entry(key).or_insert(row));
                    }
                    Step::Publish => published.push((map.clone(), model.clone())),
                }
            }
            published.push((map, model));
            for (view, shown) in &published {
                prop_assert!(is_same(view, shown));
            }
        }
    }
}
