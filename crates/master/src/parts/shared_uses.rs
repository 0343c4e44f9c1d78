//! How often each framework holds each shared volume: it counts once for its framework, from the first to the last, and once for each role
//! above, however many frameworks have it for that.
//!
//! Relies on whoever holds a volume giving it back. What roles have more than once is kept by the difference: a change costs the depth of
//! one role. Never knows what else anybody holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_allocator::SharedAgain;
use holdfast_model::{
    AgentId, FrameworkId, Identity, Quantities, Resources, Role, Scalar, SharedMap,
};

/// A shared volume (allocated) of an agent.
type Place = (AgentId, Identity);

/// How often a framework holds a volume; nothing that is held zero times.
#[derive(Debug, Default)]
pub(super) struct SharedUses {
    uses: BTreeMap<FrameworkId, BTreeMap<Place, u32>>,
    roles: SharedInRoles,
}

/// How many frameworks have a volume for each role.
#[derive(Debug, Default)]
struct SharedInRoles {
    /// By the volume, without allocation.
    volumes: BTreeMap<Place, Sharers>,
    again: SharedMap<Role, SharedAgain>,
    changed: BTreeSet<Role>,
}

#[derive(Debug)]
struct Sharers {
    /// As large as it was when the first came, so that as much is taken away as was added.
    size: Scalar,
    /// How many have it for a role itself, and for the role or one below it.
    counts: BTreeMap<Role, (u32, u32)>,
}

impl SharedInRoles {
    /// One more framework has a volume for the role that it is allocated to.
    fn joined(&mut self, place: &Place, size: Scalar) {
        let role = role_of(place);
        let SharedInRoles { volumes, again, changed } = self;
        let volume = (place.0.clone(), place.1.unallocated());
        let sharers =
            volumes.entry(volume).or_insert_with(|| Sharers { size, counts: BTreeMap::new() });
        for path in with_those_above(&role) {
            let (own, all) = sharers.counts.entry(path.clone()).or_default();
            let is_own = path == role;
            let more = [is_own && 0 < *own, 0 < *all];
            (*own, *all) = (*own + u32::from(is_own), *all + 1);
            if more.contains(&true) {
                change(
                    again,
                    &path,
                    &place.1.name,
                    more.map(|it| (it, sharers.size)),
                    Scalar::plus,
                );
                changed.insert(path);
            }
        }
    }

    /// One has it no more.
    fn left(&mut self, place: &Place) {
        let role = role_of(place);
        let SharedInRoles { volumes, again, changed } = self;
        let volume = (place.0.clone(), place.1.unallocated());
        let sharers =
            volumes.get_mut(&volume).expect("whoever leaves a shared volume has joined it");
        for path in with_those_above(&role) {
            let count = sharers.counts.get_mut(&path).expect("it was counted for each role above");
            let is_own = path == role;
            let (own, all) = (count.0 - u32::from(is_own), count.1 - 1);
            *count = (own, all);
            let less = [is_own && 0 < own, 0 < all];
            if less.contains(&true) {
                change(
                    again,
                    &path,
                    &place.1.name,
                    less.map(|it| (it, sharers.size)),
                    Scalar::minus,
                );
                changed.insert(path);
            } else if all == 0 {
                sharers.counts.remove(&path);
            }
        }
        if sharers.counts.is_empty() {
            volumes.remove(&volume);
        }
    }
}

/// Changes what a role's own frameworks and all below it have again. What nobody has is not kept.
fn change(
    again: &mut SharedMap<Role, SharedAgain>,
    role: &Role,
    name: &str,
    by: [(bool, Scalar); 2],
    change: fn(Scalar, Scalar) -> Scalar,
) {
    let row = again.get_or_insert_with(role.clone(), SharedAgain::default);
    for (sums, (is_meant, by)) in [&mut row.own, &mut row.all].into_iter().zip(by) {
        if is_meant {
            change_sum(sums, name, |it| change(it, by));
        }
    }
    if row.all.is_empty() {
        again.remove(role);
    }
}

fn change_sum(sums: &mut Quantities, name: &str, change: impl Fn(Scalar) -> Scalar) {
    let sum = change(sums.get(name).copied().unwrap_or_default());
    if sum == Scalar::ZERO {
        sums.remove(name);
    } else {
        sums.insert(name.to_owned(), sum);
    }
}

fn role_of((_, identity): &Place) -> Role {
    identity.allocation.clone().unwrap_or_else(Role::any)
}

/// `a`, `a/b` and `a/b/c` for `a/b/c`.
fn with_those_above(role: &Role) -> impl Iterator<Item = Role> + '_ {
    let ends = role.as_str().match_indices('/').map(|(end, _)| end);
    let path = |end: usize| Role::parse(&role.as_str()[..end]);
    let above = ends.map(move |it| path(it).expect("what is above a role is a role"));
    above.chain(std::iter::once(role.clone()))
}

impl SharedUses {
    /// What roles have more than once, which counts once for them.
    pub(super) fn again(&self) -> &SharedMap<Role, SharedAgain> {
        &self.roles.again
    }

    /// The roles for which that has changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> BTreeSet<Role> {
        std::mem::take(&mut self.roles.changed)
    }

    /// Notes that a framework holds `resources` (allocated); says what of that it did not share yet.
    pub(super) fn first_of<'a>(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &'a Resources,
    ) -> Cow<'a, Resources> {
        let mut counted = resources.unshared();
        for (identity, amount) in resources.shared() {
            let place = (agent.clone(), identity.clone());
            let held = self.uses.entry(framework.clone()).or_default();
            let held = held.entry(place.clone()).or_default();
            if *held == 0 {
                counted.to_mut().add_one_of(resources, identity);
                self.roles.joined(&place, amount.value.quantity());
            }
            *held += amount.copies;
        }
        counted
    }

    /// Notes that it gives them back; says what of that it shares no more.
    pub(super) fn last_of<'a>(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &'a Resources,
    ) -> Cow<'a, Resources> {
        let mut counted = resources.unshared();
        for (identity, amount) in resources.shared() {
            let Some(uses) = self.uses.get_mut(framework) else { continue };
            let place = (agent.clone(), identity.clone());
            let Some(held) = uses.get_mut(&place) else { continue };
            *held = held.saturating_sub(amount.copies);
            if *held == 0 {
                uses.remove(&place);
                counted.to_mut().add_one_of(resources, identity);
                self.roles.left(&place);
            }
            if uses.is_empty() {
                self.uses.remove(framework);
            }
        }
        counted
    }

    /// A framework holds nothing.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        let uses = self.uses.remove(framework).unwrap_or_default();
        uses.keys().for_each(|it| self.roles.left(it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{disk, role, volume};

    fn sharing(mb: i64) -> Resources {
        let mut shared = volume("v", mb);
        shared.identity.shared = true;
        [shared, disk(5)].iter().collect::<Resources>().allocated_to(&role("db"))
    }

    #[test]
    fn a_shared_volume_counts_from_its_first_use_to_its_last_on_each_agent() {
        let mut uses = SharedUses::default();
        let framework = FrameworkId::made("F1".to_owned());
        let [a, b] = ["S1", "S2"].map(|it| AgentId::made(it.to_owned()));
        let all = sharing(100);
        let alone = all.unshared().into_owned();
        assert_eq!(*uses.first_of(&framework, &a, &all), all);
        assert_eq!(*uses.first_of(&framework, &a, &all), alone);
        assert_eq!(*uses.first_of(&framework, &b, &all), all, "that is another volume");
        assert_eq!(*uses.last_of(&framework, &a, &all), alone);
        assert_eq!(*uses.last_of(&framework, &a, &all), all);
        assert_eq!(*uses.last_of(&framework, &b, &all), all);
        assert!(uses.uses.is_empty() && uses.roles.volumes.is_empty());
    }

    fn for_role(path: &str) -> Resources {
        sharing(100).unallocated().allocated_to(&role(path))
    }

    fn again(uses: &SharedUses, path: &str) -> [i64; 2] {
        let row = uses.again().get(&role(path)).cloned().unwrap_or_default();
        [row.own, row.all].map(|it| it.get("disk").map_or(0, |it| it.as_whole()))
    }

    #[test]
    fn a_role_has_once_what_several_of_its_frameworks_or_of_those_below_it_share() {
        let mut uses = SharedUses::default();
        let [f, g, h] = ["F1", "F2", "F3"].map(|it| FrameworkId::made(it.to_owned()));
        let agent = AgentId::made("S1".to_owned());
        let (a, b) = (for_role("db/a"), for_role("db/b"));
        let changed = |uses: &mut SharedUses| {
            uses.take_changed().iter().map(|it| it.to_string()).collect::<Vec<_>>()
        };
        uses.first_of(&f, &agent, &a);
        uses.first_of(&f, &agent, &a);
        assert!(changed(&mut uses).is_empty(), "one has it, however often");
        uses.first_of(&g, &agent, &a);
        assert_eq!((again(&uses, "db/a"), again(&uses, "db")), ([100, 100], [0, 100]));
        assert_eq!(changed(&mut uses), ["db", "db/a"]);
        uses.first_of(&h, &agent, &b);
        assert_eq!((again(&uses, "db/b"), again(&uses, "db")), ([0, 0], [0, 200]));
        assert_eq!(changed(&mut uses), ["db"]);
        uses.last_of(&g, &agent, &a);
        assert_eq!((again(&uses, "db/a"), again(&uses, "db")), ([0, 0], [0, 100]));
        uses.forget(&f);
        assert!(uses.again().is_empty(), "{:?}", uses.again());
        uses.last_of(&h, &agent, &b);
        assert!(uses.uses.is_empty() && uses.roles.volumes.is_empty());
    }
}
