//! The tree of a [`SharedMap`](super::SharedMap): entries in sorted leaves of a few dozen, found through nodes that know the first key of
//! each child but the first.
//!
//! Whoever shares a node with another tree copies it before a change, and nobody else copies anything. All leaves lie equally deep; a node
//! that has become sparse is joined with a neighbour. Memory follows the entries: a small tree is one small list. Never looks at a row.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::slice;
use std::sync::Arc;

/// How many entries a leaf, and how many children another node, has at most.
const FULL: usize = 32;
/// One that has fewer is joined with a neighbour.
const SPARSE: usize = 12;

/// How much room for more a leaf is given at most.
const SPARE: usize = 6;

/// An entry: rows are shared one by one, so that a copied leaf copies none.
pub(super) type Entry<K, V> = (K, Arc<V>);

/// A part of the tree with all that is below it.
pub(super) enum Node<K, V> {
    /// Sorted by key.
    Leaf(Vec<Entry<K, V>>),
    /// What leads to leaves.
    Inner(Inner<K, V>),
}

/// A node that leads to others.
pub(super) struct Inner<K, V> {
    /// Of each child but the first: no key of it is less than this one, and all keys before it are.
    firsts: Vec<K>,
    children: Vec<Arc<Node<K, V>>>,
}

/// What putting an entry in came to.
pub(super) enum Put<K, V> {
    Replaced(Arc<V>),
    Added,
    /// It was added, and the node was full: the entries from this key on are now in a node of their own, to its right.
    Split(K, Arc<Node<K, V>>),
}

impl<K: Clone, V> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(list) => Node::Leaf(list.clone()),
            Node::Inner(Inner { firsts, children }) => {
                Node::Inner(Inner { firsts: firsts.clone(), children: children.clone() })
            }
        }
    }
}

impl<K: Ord + Clone, V> Node<K, V> {
    /// A tree of one entry.
    pub(super) fn of(key: K, row: Arc<V>) -> Arc<Node<K, V>> {
        Arc::new(Node::Leaf(vec![(key, row)]))
    }

    /// A node above two others.
    pub(super) fn above(left: Arc<Self>, first: K, right: Arc<Self>) -> Arc<Node<K, V>> {
        Arc::new(Node::Inner(Inner { firsts: vec![first], children: vec![left, right] }))
    }

    pub(super) fn entry_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Entry<K, V>>
    where
        K: Borrow<Q>,
    {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(list) => return place(list, key).ok().map(|at| &list[at]),
                Node::Inner(inner) => node = &inner.children[inner.at(key)],
            }
        }
    }

    /// The row of the first entry.
    pub(super) fn first_row(&self) -> &Arc<V> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(list) => return &list[0].1,
                Node::Inner(inner) => node = &inner.children[0],
            }
        }
    }

    /// The row of a key, to be replaced or changed. Nodes that others share are copied on the way.
    pub(super) fn row_mut<'n, Q: Ord + ?Sized>(
        mut node: &'n mut Arc<Self>,
        key: &Q,
    ) -> Option<&'n mut Arc<V>>
    where
        K: Borrow<Q>,
    {
        let mut is_there = false;
        loop {
            is_there = is_there || is_free_to_change(node, key)?;
            match Arc::make_mut(node) {
                Node::Leaf(list) => {
                    let at = place(list, key).ok()?;
                    return Some(&mut list[at].1);
                }
                Node::Inner(inner) => {
                    let at = inner.at(key);
                    node = &mut inner.children[at];
                }
            }
        }
    }

    pub(super) fn put(node: &mut Arc<Self>, key: K, row: Arc<V>) -> Put<K, V> {
        match Arc::make_mut(node) {
            Node::Leaf(list) => match place(list, &key) {
                Ok(at) => Put::Replaced(std::mem::replace(&mut list[at].1, row)),
                Err(at) => put_into_leaf(list, at, (key, row)),
            },
            Node::Inner(inner) => {
                let at = inner.at(&key);
                match Node::put(&mut inner.children[at], key, row) {
                    Put::Split(first, right) => inner.adopt(at, first, right),
                    done => done,
                }
            }
        }
    }

    /// Takes an entry out, if it is there, which may be known.
    pub(super) fn take<Q: Ord + ?Sized>(
        node: &mut Arc<Self>,
        key: &Q,
        is_there: bool,
    ) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        let is_there = is_there || is_free_to_change(node, key)?;
        match Arc::make_mut(node) {
            Node::Leaf(list) => {
                let at = place(list, key).ok()?;
                Some(list.remove(at).1)
            }
            Node::Inner(inner) => {
                let at = inner.at(key);
                let row = Node::take(&mut inner.children[at], key, is_there)?;
                inner.join_if_sparse(at);
                Some(row)
            }
        }
    }

    /// The only child of a node that has no other.
    pub(super) fn only_child(&self) -> Option<&Arc<Self>> {
        match self {
            Node::Inner(inner) if inner.children.len() == 1 => inner.children.first(),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.width() == 0
    }

    fn width(&self) -> usize {
        match self {
            Node::Leaf(list) => list.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }
}

/// A node that others share is not copied for a change of what is not there: `None` then, and else whether it is known to be there.
fn is_free_to_change<K: Ord + Clone + Borrow<Q>, V, Q: Ord + ?Sized>(
    node: &Arc<Node<K, V>>,
    key: &Q,
) -> Option<bool> {
    if Arc::strong_count(node) == 1 {
        return Some(false); // Changed in place, it costs no copy; what is below may be shared.
    }
    node.entry_of(key).map(|_| true)
}

fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(list: &[Entry<K, V>], key: &Q) -> Result<usize, usize> {
    list.binary_search_by(|(it, _)| it.borrow().cmp(key))
}

fn put_into_leaf<K: Clone, V>(
    list: &mut Vec<Entry<K, V>>,
    at: usize,
    entry: Entry<K, V>,
) -> Put<K, V> {
    if list.len() < FULL {
        if list.len() == list.capacity() {
            list.reserve_exact((list.len() / 2).clamp(1, SPARE).min(FULL - list.len()));
        }
        list.insert(at, entry);
        return Put::Added;
    }
    // Entries that come in order fill leaf after leaf.
    let cut = if at == FULL { FULL } else { FULL / 2 };
    let mut right = list.split_off(cut);
    list.shrink_to(cut + SPARE / 2);
    match cut <= at {
        true => right.insert(at - cut, entry),
        false => list.insert(at, entry),
    }
    Put::Split(right[0].0.clone(), Arc::new(Node::Leaf(right)))
}

impl<K: Ord + Clone, V> Inner<K, V> {
    /// Which child a key belongs to.
    fn at<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.firsts.partition_point(|first| first.borrow().cmp(key) != Ordering::Greater)
    }

    /// Takes in what was split off a child; it may have to be split itself.
    fn adopt(&mut self, at: usize, first: K, right: Arc<Node<K, V>>) -> Put<K, V> {
        self.firsts.insert(at, first);
        self.children.insert(at + 1, right);
        if self.children.len() <= FULL {
            return Put::Added;
        }
        // As with entries that come in order; but no node has a single child.
        let cut = if at + 2 == self.children.len() { FULL - 1 } else { FULL / 2 };
        let (first, right) = self.cut(cut);
        Put::Split(first, Arc::new(Node::Inner(right)))
    }

    /// Cuts off the children from this one on; returns them with the first key that they had.
    fn cut(&mut self, at: usize) -> (K, Inner<K, V>) {
        let (firsts, children) = (self.firsts.split_off(at), self.children.split_off(at));
        let first = self.firsts.pop().expect("each child but the first has a first key");
        (first, Inner { firsts, children })
    }

    /// Joins a child that has become sparse with a neighbour, and shares out what is too much for one.
    fn join_if_sparse(&mut self, at: usize) {
        if SPARSE <= self.children[at].width() || self.children.len() == 1 {
            return;
        }
        let left = at.saturating_sub(1);
        let right = Arc::unwrap_or_clone(self.children.remove(left + 1));
        let first = self.firsts.remove(left);
        let cut_off = match (Arc::make_mut(&mut self.children[left]), right) {
            (Node::Leaf(list), Node::Leaf(more)) => {
                list.extend(more);
                (FULL < list.len()).then(|| {
                    let right = list.split_off(list.len() / 2);
                    (right[0].0.clone(), Node::Leaf(right))
                })
            }
            (Node::Inner(inner), Node::Inner(more)) => {
                inner.firsts.push(first);
                inner.firsts.extend(more.firsts);
                inner.children.extend(more.children);
                (FULL < inner.children.len()).then(|| {
                    let (first, right) = inner.cut(inner.children.len() / 2);
                    (first, Node::Inner(right))
                })
            }
            _ => unreachable!("all leaves lie equally deep"),
        };
        if let Some((first, right)) = cut_off {
            self.firsts.insert(left, first);
            self.children.insert(left + 1, Arc::new(right));
        }
    }
}

/// Entries in the order of their keys.
pub(super) struct Walk<'m, K, V> {
    here: slice::Iter<'m, Entry<K, V>>,
    /// What is still to come of the nodes above, the nearest last.
    above: Vec<slice::Iter<'m, Arc<Node<K, V>>>>,
}

impl<'m, K, V> Walk<'m, K, V> {
    /// All entries.
    pub(super) fn new(root: Option<&'m Arc<Node<K, V>>>) -> Self {
        let mut iter = Walk { here: [].iter(), above: Vec::new() };
        if let Some(root) = root {
            iter.descend(root);
        }
        iter
    }

    /// Those from this key on.
    pub(super) fn from<Q: Ord + ?Sized>(root: Option<&'m Arc<Node<K, V>>>, first: &Q) -> Self
    where
        K: Borrow<Q> + Ord + Clone,
    {
        let mut iter = Walk { here: [].iter(), above: Vec::new() };
        let mut next = root;
        while let Some(node) = next.take() {
            match node.as_ref() {
                Node::Leaf(list) => {
                    let at = place(list, first).unwrap_or_else(|at| at);
                    iter.here = list[at..].iter();
                }
                Node::Inner(inner) => {
                    let mut children = inner.children[inner.at(first)..].iter();
                    next = children.next();
                    iter.above.push(children);
                }
            }
        }
        iter
    }

    /// Goes on with the first leaf of this node.
    fn descend(&mut self, node: &'m Arc<Node<K, V>>) {
        let mut next = Some(node);
        while let Some(node) = next.take() {
            match node.as_ref() {
                Node::Leaf(list) => self.here = list.iter(),
                Node::Inner(inner) => {
                    let mut children = inner.children.iter();
                    next = children.next();
                    self.above.push(children);
                }
            }
        }
    }
}

impl<'m, K, V> Iterator for Walk<'m, K, V> {
    type Item = &'m Entry<K, V>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.here.next() {
                return Some(entry);
            }
            match self.above.last_mut()?.next() {
                Some(node) => self.descend(node),
                None => drop(self.above.pop()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_map::SharedMap;

    /// Checks what is relied on below this node; returns how deep its leaves lie.
    fn check(node: &Arc<Node<u32, u32>>) -> usize {
        assert!(node.width() <= FULL);
        let Node::Inner(inner) = node.as_ref() else {
            assert!(!node.is_empty());
            return 0;
        };
        assert!(1 < inner.children.len() && inner.firsts.len() + 1 == inner.children.len());
        let depths: Vec<usize> = inner.children.iter().map(check).collect();
        assert!(depths.windows(2).all(|it| it[0] == it[1]), "all leaves lie equally deep");
        for (at, first) in inner.firsts.iter().enumerate() {
            let (left, right) = (&inner.children[at], &inner.children[at + 1]);
            assert!(Walk::new(Some(left)).all(|it| it.0 < *first));
            assert!(Walk::new(Some(right)).all(|it| *first <= it.0));
        }
        depths[0] + 1
    }

    fn check_map(map: &SharedMap<u32, u32>, expected: impl Iterator<Item = u32>) {
        if let Some(root) = &map.root {
            check(root);
        }
        assert!(map.keys().copied().eq(expected));
        assert_eq!(map.len(), map.iter().count());
    }

    const MANY: u32 = 3_000;

    #[test]
    fn a_tree_of_thousands_stays_one_in_whichever_order_they_come_and_go() {
        let up = |it: u32| it;
        let down = |it: u32| MANY - 1 - it;
        let scattered = |it: u32| it * 1_009 % MANY;
        let orders: [&dyn Fn(u32) -> u32; 3] = [&up, &down, &scattered];
        for (come, go) in orders.iter().flat_map(|it| orders.iter().map(move |go| (it, go))) {
            let mut map = SharedMap::new();
            for number in 0..MANY {
                assert_eq!(map.insert(come(number), number), None);
            }
            check_map(&map, 0..MANY);
            assert!(2 <= check(map.root.as_ref().unwrap()), "it has leaves at some depth");
            let whole = map.clone();
            for number in 0..MANY {
                assert!(map.remove(&go(number)).is_some() && map.remove(&go(number)).is_none());
                if number % 100 == 0 {
                    let gone: std::collections::BTreeSet<u32> = (0..=number).map(go).collect();
                    check_map(&map, (0..MANY).filter(|it| !gone.contains(it)));
                }
            }
            assert!(map.is_empty() && map.root.is_none());
            check_map(&whole, 0..MANY);
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_leaves() {
        let map: SharedMap<u32, u32> = (0..1_000).map(|it| (it, it)).collect();
        let Node::Inner(inner) = map.root.as_ref().unwrap().as_ref() else {
            panic!("a thousand entries are no leaf")
        };
        assert_eq!((inner.children.len(), inner.children[0].width()), (32, FULL));
    }
}
