//! How the amounts of a [`Resources`](super::Resources) are kept: a few in a sorted list, which is what nearly
//! every agent, offer and task has; many, such as thousands of reservations on one agent, in a shared map, so
//! that a change costs the same however many others there are.
//!
//! A clone shares everything. Relies on the order of identities. Never has an identity twice.

use std::sync::Arc;

use super::Amount;
use crate::resource::Identity;
use crate::shared_map::SharedMap;

/// How many entries a list has at most. Beyond, finding and moving them costs more than the map's chunks.
const FEW_MAX: usize = 32;
/// A map that has shrunk to this is a list again; a count that goes up and down around the limit does not move all of them each time.
const MANY_MIN: usize = 16;

/// See the file.
#[derive(Clone, Debug)]
pub(super) enum Entries {
    /// Sorted by identity.
    Few(Arc<Vec<(Identity, Amount)>>),
    /// More than fit a list, or not few enough again.
    Many(SharedMap<Identity, Amount>),
}

impl Default for Entries {
    fn default() -> Self {
        Entries::Few(Arc::default())
    }
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        match self {
            Entries::Few(list) => list.len(),
            Entries::Many(map) => map.len(),
        }
    }

    pub(super) fn get(&self, identity: &Identity) -> Option<&Amount> {
        match self {
            Entries::Few(list) => find(list, identity).ok().map(|at| &list[at].1),
            Entries::Many(map) => map.get(identity),
        }
    }

    /// The amount of an identity, to be changed. It may not become empty by that.
    pub(super) fn get_mut(&mut self, identity: &Identity) -> Option<&mut Amount> {
        match self {
            Entries::Few(list) => {
                let at = find(list, identity).ok()?;
                Some(&mut Arc::make_mut(list)[at].1)
            }
            Entries::Many(map) => map.get_mut(identity),
        }
    }

    /// Puts in an identity that is not there yet.
    pub(super) fn insert(&mut self, identity: Identity, amount: Amount) {
        match self {
            Entries::Few(list) if list.len() < FEW_MAX => {
                let at = find(list, &identity).expect_err("it is not there yet");
                Arc::make_mut(list).insert(at, (identity, amount));
            }
            Entries::Few(list) => {
                let list = std::mem::take(Arc::make_mut(list));
                let mut map: SharedMap<Identity, Amount> = list.into_iter().collect();
                map.insert(identity, amount);
                *self = Entries::Many(map);
            }
            Entries::Many(map) => drop(map.insert(identity, amount)),
        }
    }

    pub(super) fn remove(&mut self, identity: &Identity) {
        match self {
            Entries::Few(list) => {
                if let Ok(at) = find(list, identity) {
                    Arc::make_mut(list).remove(at);
                }
            }
            Entries::Many(map) => {
                map.remove(identity);
                if map.len() <= MANY_MIN {
                    let list =
                        map.iter().map(|(identity, amount)| (identity.clone(), amount.clone()));
                    *self = Entries::Few(Arc::new(list.collect()));
                }
            }
        }
    }

    /// Each identity with its amount, in the order of identities.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Identity, &Amount)> {
        let (few, many) = match self {
            Entries::Few(list) => {
                (Some(list.iter().map(|(identity, amount)| (identity, amount))), None)
            }
            Entries::Many(map) => (None, Some(map.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// Whether the two are the same memory, which says that they are equal without a look at them.
    pub(super) fn is_same(&self, other: &Entries) -> bool {
        matches!((self, other), (Entries::Few(one), Entries::Few(other)) if Arc::ptr_eq(one, other))
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.len() == other.len() && self.iter().eq(other.iter()))
    }
}

impl Eq for Entries {}

impl FromIterator<(Identity, Amount)> for Entries {
    /// Of sorted entries.
    fn from_iter<I: IntoIterator<Item = (Identity, Amount)>>(entries: I) -> Self {
        let list: Vec<(Identity, Amount)> = entries.into_iter().collect();
        debug_assert!(list.windows(2).all(|it| it[0].0 < it[1].0), "entries come sorted");
        match list.len() <= FEW_MAX {
            true => Entries::Few(Arc::new(list)),
            false => Entries::Many(list.into_iter().collect()),
        }
    }
}

fn find(list: &[(Identity, Amount)], identity: &Identity) -> Result<usize, usize> {
    list.binary_search_by(|(it, _)| it.cmp(identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Resource;
    use crate::value::{Scalar, Value};

    fn identity(number: usize) -> Identity {
        Resource::scalar(&format!("r{number:03}"), Scalar::whole(1)).identity
    }

    fn amount(count: i64) -> Amount {
        Amount { value: Value::Scalar(Scalar::whole(count)), copies: 1, detail: None }
    }

    #[test]
    fn a_list_becomes_a_map_and_a_list_again_and_says_the_same() {
        let mut entries = Entries::default();
        for number in (0..100).rev() {
            entries.insert(identity(number), amount(number as i64));
        }
        assert!(matches!(entries, Entries::Many(_)));
        let numbers = |entries: &Entries| -> Vec<String> {
            entries.iter().map(|(it, _)| it.name.clone()).collect()
        };
        assert_eq!(numbers(&entries), (0..100).map(|it| format!("r{it:03}")).collect::<Vec<_>>());
        let before = entries.clone();
        for number in 10..100 {
            entries.remove(&identity(number));
        }
        assert!(matches!(entries, Entries::Few(_)));
        assert_eq!((entries.len(), before.len()), (10, 100), "a clone keeps what it had");
        *entries.get_mut(&identity(3)).unwrap() = amount(33);
        assert_eq!(entries.get(&identity(3)), Some(&amount(33)));
        assert_eq!(entries.get(&identity(10)), None);
    }

    #[test]
    fn a_list_and_a_map_of_the_same_are_equal() {
        let list: Entries = (0..20).map(|it| (identity(it), amount(1))).collect();
        let mut map: Entries = (0..40).map(|it| (identity(it), amount(1))).collect();
        (20..40).for_each(|it| map.remove(&identity(it)));
        assert!(matches!((&list, &map), (Entries::Few(_), Entries::Many(_))));
        assert_eq!(list, map);
    }
}
