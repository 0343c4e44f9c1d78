//! An ordered map whose clone is as cheap as a pointer: what a core keeps, and what its readers see.
//!
//! A core publishes its state by cloning its maps. The clone and the original share everything; whoever
//! changes an entry afterwards copies that row and the few nodes on the way to it, once, and nothing
//! else. While nobody else holds a clone, changes are made in place. Iteration is in the order of keys.
//! A map never copies a row to read it.
//!
//! The tree is our own. `immutable-chunkmap`, which was here before, copies a chunk at each change and has iterators of 2 kB, which alone
//! were a quarter of an offer's instructions. Whoever finds a kept crate with changes in place and small iterators takes this one out again.

mod tree;

use std::borrow::Borrow;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use self::tree::{Node, Put};

/// See the module.
pub struct SharedMap<K: Ord + Clone, V> {
    /// There is none while the map is empty.
    root: Option<Arc<Node<K, V>>>,
    len: usize,
}

impl<K: Ord + Clone, V> SharedMap<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        SharedMap { root: None, len: 0 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_shared(key).map(Arc::as_ref)
    }

    /// The row of a key, to be kept beyond the life of the map.
    pub fn get_shared<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.root.as_ref()?.entry_of(key).map(|(_, row)| row)
    }

    /// Some row, if there is any.
    pub fn any_shared(&self) -> Option<&Arc<V>> {
        self.root.as_ref().map(|root| root.first_row())
    }

    /// The key that an entry has, which may be in other memory than the one that is asked with.
    pub fn get_key<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.root.as_ref()?.entry_of(key).map(|(key, _)| key)
    }

    /// Whether there is an entry for a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get_shared(key).is_some()
    }

    /// Puts a row in; returns the one that it replaces.
    pub fn insert(&mut self, key: K, row: V) -> Option<Arc<V>> {
        self.insert_shared(key, Arc::new(row))
    }

    /// As [`SharedMap::insert`], of a row that others may have, too.
    pub fn insert_shared(&mut self, key: K, row: Arc<V>) -> Option<Arc<V>> {
        let Some(root) = &mut self.root else {
            (self.root, self.len) = (Some(Node::of(key, row)), 1);
            return None;
        };
        match Node::put(root, key, row) {
            Put::Replaced(former) => return Some(former),
            Put::Added => {}
            Put::Split(first, right) => {
                let left = self.root.take().expect("it was just split");
                self.root = Some(Node::above(left, first, right));
            }
        }
        self.len += 1;
        None
    }

    /// Takes a row out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        let root = self.root.as_mut()?;
        let row = Node::take(root, key, false)?;
        while let Some(only) = root.only_child().cloned() {
            *root = only;
        }
        if root.is_empty() {
            self.root = None;
        }
        self.len -= 1;
        Some(row)
    }

    /// The row of a key, to be changed. It is copied first if a clone of the map still shows it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        V: Clone,
    {
        Node::row_mut(self.root.as_mut()?, key).map(Arc::make_mut)
    }

    /// The row of a key, made when there is none, to be changed.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V
    where
        V: Clone,
    {
        if !self.contains_key(&key) {
            self.insert(key.clone(), make());
        }
        self.get_mut(&key).expect("it is there by now")
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> SharedEntries<'_, K, V> {
        SharedEntries(tree::Walk::new(self.root.as_ref()))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The rows in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, row)| row)
    }

    /// The entries from this key on, in order. What lies before it costs nothing.
    pub fn range_from<Q: Ord + ?Sized>(&self, first: &Q) -> SharedEntries<'_, K, V>
    where
        K: Borrow<Q>,
    {
        SharedEntries(tree::Walk::from(self.root.as_ref(), first))
    }
}

/// Entries of a [`SharedMap`] in the order of their keys.
pub struct SharedEntries<'m, K: Ord + Clone, V>(tree::Walk<'m, K, V>);

impl<'m, K: Ord + Clone, V> Iterator for SharedEntries<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, row)| (key, row.as_ref()))
    }
}

impl<'m, K: Ord + Clone, V> IntoIterator for &'m SharedMap<K, V> {
    type Item = (&'m K, &'m V);
    type IntoIter = SharedEntries<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
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
        SharedMap { root: self.root.clone(), len: self.len }
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
