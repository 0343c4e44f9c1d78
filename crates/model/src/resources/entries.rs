//! How the amounts of a [`Resources`](super::Resources) are kept: a few in a sorted list, which is what nearly
//! every agent, offer and task has; many, such as thousands of reservations on one agent, in a shared map, so
//! that a change costs the same however many others there are.
//!
//! A clone shares everything. Relies on the order of identities. Never has an identity twice.

use std::slice;
use std::sync::Arc;

use super::Amount;
use crate::id::PersistenceId;
use crate::resource::Identity;
use crate::shared_index::SharedIndex;
use crate::shared_map::{SharedEntries, SharedMap};

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
    Many(Many),
}

/// Many entries, and their volumes by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Many {
    map: SharedMap<Identity, Amount>,
    volumes: SharedIndex<PersistenceId, Identity>,
}

impl Many {
    fn insert(&mut self, identity: Identity, amount: Amount) {
        if let Some(id) = &identity.persistence {
            self.volumes.insert(id, identity.clone());
        }
        self.map.insert(identity, amount);
    }

    fn remove(&mut self, identity: &Identity) {
        if let Some(id) = &identity.persistence {
            self.volumes.remove(id, identity);
        }
        self.map.remove(identity);
    }
}

impl FromIterator<(Identity, Amount)> for Many {
    fn from_iter<I: IntoIterator<Item = (Identity, Amount)>>(entries: I) -> Many {
        let mut many = Many::default();
        entries.into_iter().for_each(|(identity, amount)| many.insert(identity, amount));
        many
    }
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
            Entries::Many(many) => many.map.len(),
        }
    }

    pub(super) fn get(&self, identity: &Identity) -> Option<&Amount> {
        match self {
            Entries::Few(list) => find(list, identity).ok().map(|at| &list[at].1),
            Entries::Many(many) => many.map.get(identity),
        }
    }

    /// The amount of an identity, to be changed. It may not become empty by that.
    pub(super) fn get_mut(&mut self, identity: &Identity) -> Option<&mut Amount> {
        match self {
            Entries::Few(list) => {
                let at = find(list, identity).ok()?;
                Some(&mut Arc::make_mut(list)[at].1)
            }
            Entries::Many(many) => many.map.get_mut(identity),
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
                let mut many: Many = list.into_iter().collect();
                many.insert(identity, amount);
                *self = Entries::Many(many);
            }
            Entries::Many(many) => many.insert(identity, amount),
        }
    }

    pub(super) fn remove(&mut self, identity: &Identity) {
        match self {
            Entries::Few(list) => {
                if let Ok(at) = find(list, identity) {
                    Arc::make_mut(list).remove(at);
                }
            }
            Entries::Many(many) => {
                many.remove(identity);
                if many.map.len() <= MANY_MIN {
                    let list = many
                        .map
                        .iter()
                        .map(|(identity, amount)| (identity.clone(), amount.clone()));
                    *self = Entries::Few(Arc::new(list.collect()));
                }
            }
        }
    }

    /// Puts in all of another list that can be joined with this one entry by entry; false, and nothing is done, if that cannot be.
    ///
    /// `enlarge` adds an amount to one that is there.
    pub(super) fn take_in(
        &mut self,
        other: &Entries,
        enlarge: impl Fn(&Identity, &mut Amount, &Amount),
    ) -> bool {
        let (Entries::Few(list), Entries::Few(more)) = (self, other) else { return false };
        if FEW_MAX < list.len() + more.len() {
            return false;
        }
        let list = Arc::make_mut(list);
        let mut at = 0; // Both are sorted, so what comes later stands later.
        for (done, (identity, amount)) in more.iter().enumerate() {
            match find(&list[at..], identity) {
                Ok(found) => {
                    at += found;
                    enlarge(identity, &mut list[at].1, amount);
                }
                Err(place) => {
                    at += place;
                    if list.len() == list.capacity() {
                        list.reserve_exact(more.len() - done);
                    }
                    list.insert(at, (identity.clone(), amount.clone()));
                }
            }
            at += 1;
        }
        true
    }

    /// Takes all of another list out of this one; false, and nothing is done, if they are no lists.
    ///
    /// `reduce` makes less of an amount, and says whether nothing is left of it.
    pub(super) fn take_out(
        &mut self,
        other: &Entries,
        reduce: impl Fn(&Identity, &mut Amount, &Amount) -> bool,
    ) -> bool {
        let (Entries::Few(list), Entries::Few(less)) = (self, other) else { return false };
        let mut at = 0;
        for (identity, amount) in less.iter() {
            match find(&list[at..], identity) {
                Ok(found) => {
                    at += found;
                    let list = Arc::make_mut(list);
                    match reduce(identity, &mut list[at].1, amount) {
                        true => drop(list.remove(at)),
                        false => at += 1,
                    }
                }
                Err(place) => at += place,
            }
        }
        true
    }

    /// Whether this list is one in which all of `other` stand, in the same memory; what is left without them then.
    pub(super) fn without_these(&self, other: &Entries) -> Option<Entries> {
        let (Entries::Few(list), Entries::Few(less)) = (self, other) else { return None };
        let mut rest = Vec::with_capacity(list.len().saturating_sub(less.len()));
        let mut less = less.iter().peekable();
        for entry in list.iter() {
            match less.peek() {
                Some((identity, _)) if identity.is_same_memory(&entry.0) => drop(less.next()),
                _ if rest.len() == rest.capacity() => return None,
                _ => rest.push(entry.clone()),
            }
        }
        less.next().is_none().then(|| Entries::Few(Arc::new(rest)))
    }

    /// Each identity with its amount, in the order of identities.
    pub(super) fn iter(&self) -> Pieces<'_> {
        match self {
            Entries::Few(list) => Pieces::Few(list.iter()),
            Entries::Many(many) => Pieces::Many(many.map.iter()),
        }
    }

    /// Shares the words of equal identities. Only a list does; whoever has many has few such neighbours.
    pub(super) fn share(&mut self, known: &Entries) {
        let Entries::Few(list) = self else { return };
        for (identity, _) in Arc::make_mut(list) {
            if let Some(known) = known.same_unallocated(identity) {
                identity.share(known);
            }
        }
    }

    fn same_unallocated(&self, identity: &Identity) -> Option<&Identity> {
        match self {
            Entries::Few(list) => {
                list.iter().map(|(it, _)| it).find(|it| it.is_same_unallocated(identity))
            }
            Entries::Many(many) => many.map.get_key(&identity.unallocated()),
        }
    }

    /// The volumes that bear a name, in whichever role.
    pub(super) fn volumes_named<'a>(
        &'a self,
        id: &'a PersistenceId,
    ) -> impl Iterator<Item = &'a Identity> {
        let (few, many) = match self {
            Entries::Few(list) => (Some(list.iter().map(|(identity, _)| identity)), None),
            Entries::Many(many) => (None, Some(many.volumes.of(id))),
        };
        let few = few.into_iter().flatten().filter(move |it| it.persistence.as_ref() == Some(id));
        few.chain(many.into_iter().flatten())
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
        if cfg!(test) {
            assert!(list.windows(2).all(|it| it[0].0 < it[1].0), "entries come sorted");
        }
        match list.len() <= FEW_MAX {
            true => Entries::Few(Arc::new(list)),
            false => Entries::Many(list.into_iter().collect()),
        }
    }
}

/// What [`Entries::iter`] gives.
pub(super) enum Pieces<'e> {
    Few(slice::Iter<'e, (Identity, Amount)>),
    Many(SharedEntries<'e, Identity, Amount>),
}

impl<'e> Iterator for Pieces<'e> {
    type Item = (&'e Identity, &'e Amount);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Pieces::Few(list) => list.next().map(|(identity, amount)| (identity, amount)),
            Pieces::Many(map) => map.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Pieces::Few(list) => list.size_hint(),
            Pieces::Many(map) => map.size_hint(),
        }
    }
}

/// Where an identity stands, or would. Most are asked for with the words that stand there, which are found without being read.
fn find(list: &[(Identity, Amount)], identity: &Identity) -> Result<usize, usize> {
    if let Some(at) = list.iter().position(|(it, _)| it.is_same_memory(identity)) {
        return Ok(at);
    }
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
    fn equal_identities_share_their_words_and_keep_their_allocations() {
        let role = crate::role::Role::parse("db").unwrap();
        let known: Entries = (0..50).map(|it| (identity(it), amount(1))).collect();
        let mut task: Entries =
            [1, 77].into_iter().map(|it| (identity(it).allocated_to(&role), amount(1))).collect();
        let before = task.clone();
        task.share(&known);
        assert_eq!(task, before);
        let shares = |at: usize| {
            let (identity, _) = task.iter().nth(at).unwrap();
            known.iter().any(|(it, _)| it.shares_with(identity))
        };
        assert!(shares(0) && !shares(1));
    }

    #[test]
    fn volumes_are_found_by_their_name_however_many_there_are() {
        let volume = |number: usize, id: &str| {
            let disk = Resource::scalar(&format!("d{number:02}"), Scalar::whole(1));
            disk.volume(PersistenceId::made(id.to_owned()), "data", None).identity
        };
        let mut entries = Entries::default();
        for number in 0..50 {
            entries.insert(identity(number), amount(1));
            entries.insert(volume(number, &format!("v{}", number % 10)), amount(1));
            let named = |id: &str| {
                let id = PersistenceId::made(id.to_owned());
                entries.volumes_named(&id).cloned().collect::<Vec<_>>()
            };
            let expected: Vec<_> = (0..=number).step_by(10).map(|it| volume(it, "v0")).collect();
            assert_eq!((named("v0"), named("w")), (expected, vec![]));
        }
        entries.remove(&volume(20, "v0"));
        assert_eq!(entries.volumes_named(&PersistenceId::made("v0".to_owned())).count(), 4);
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
