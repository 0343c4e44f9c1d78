//! An index: which values belong to a key. It is published with what it finds, so that readers find as fast as the core.

use holdfast_model::{FrameworkId, OfferId, OperationUuid, SharedMap, TaskId, TaskKey};
/// The least of all values of a type, from which a search begins.
pub(super) trait Least {
    fn least() -> Self;
}

impl Least for OfferId {
    fn least() -> OfferId {
        OfferId::made(String::new())
    }
}

impl Least for OperationUuid {
    fn least() -> OperationUuid {
        OperationUuid::NIL
    }
}

impl Least for TaskKey {
    fn least() -> TaskKey {
        (FrameworkId::made(String::new()), TaskId::made(String::new()))
    }
}

/// Values by key, both in order.
#[derive(Debug)]
pub(super) struct Index<K: Ord + Clone, V: Ord + Clone>(SharedMap<(K, V), ()>);

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

impl<K: Ord + Clone, V: Ord + Clone + Least> Index<K, V> {
    pub(super) fn insert(&mut self, key: &K, value: V) {
        self.0.insert((key.clone(), value), ());
    }

    pub(super) fn remove(&mut self, key: &K, value: &V) {
        self.0.remove(&(key.clone(), value.clone()));
    }

    pub(super) fn of<'a>(&'a self, key: &'a K) -> impl Iterator<Item = &'a V> {
        self.from(key, V::least())
    }

    /// The values of a key from `first` on.
    pub(super) fn from<'a>(&'a self, key: &'a K, first: V) -> impl Iterator<Item = &'a V> {
        let pairs = self.0.range((key.clone(), first)..);
        pairs.take_while(move |((it, _), ())| it == key).map(|((_, value), ())| value)
    }

    /// How many pairs there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::AgentId;
    use uuid::Uuid;

    #[test]
    fn values_are_found_by_their_key_in_order() {
        let (a, b) = (AgentId::made("a".to_owned()), AgentId::made("b".to_owned()));
        let uuid = |number| OperationUuid(Uuid::from_u128(number));
        let mut index = Index::default();
        for (key, number) in [(&a, 2), (&b, 3), (&a, 1)] {
            index.insert(key, uuid(number));
        }
        let published = index.clone();
        assert_eq!(index.of(&a).copied().collect::<Vec<_>>(), [uuid(1), uuid(2)]);
        assert_eq!(index.from(&a, uuid(2)).count(), 1);
        index.remove(&a, &uuid(1));
        index.remove(&b, &uuid(9));
        assert_eq!((index.len(), index.of(&a).count(), published.of(&a).count()), (2, 1, 2));
    }
}
