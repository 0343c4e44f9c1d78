//! Offer filters: what frameworks declined and are not to be offered again for a while.
//!
//! A filter belongs to one role of one framework and one agent; it blocks what it contains, and lets
//! anything larger or different pass. All that may be long, expiring and forgetting, can be done in
//! slices. It never reads a clock: callers pass the time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref, Range};

use holdfast_model::resources::Amount;
use holdfast_model::{AgentId, FrameworkId, Identity, Instant, Resources, Role, SharedMap};

/// How many filters of an agent are looked through for equal resources, to share them.
const SHARED_AMONG: usize = 8;

/// What one role of a framework declined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    framework: FrameworkId,
    role: Role,
    until: Instant,
    declined: Resources,
}

/// The filters that have not expired.
///
/// No empty collection is kept, and the indexes hold exactly what `active` holds, so that two
/// values with the same filters are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    active: ActiveFilters,
    /// The agents for which each framework has filters.
    places: BTreeMap<FrameworkId, BTreeSet<AgentId>>,
    /// Every filter's agent by the time when it expires.
    expiries: BTreeSet<(Instant, AgentId)>,
}

/// What an allocation reads of the filters. A clone shares everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActiveFilters {
    /// In the order of frameworks and roles. Keyed by agent, since a division asks about one agent
    /// for all contenders.
    by_agent: SharedMap<AgentId, Vec<Filter>>,
    len: usize,
}

/// The filters on one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentFilters<'f>(&'f [Filter]);

impl AgentFilters<'_> {
    /// When the last filter expires that blocks an offer of these resources (without allocations)
    /// at `now`.
    pub fn blocked_until<'p>(
        &self,
        framework: &FrameworkId,
        role: &Role,
        pieces: impl Iterator<Item = (&'p Identity, &'p Amount)> + Clone,
        now: Instant,
    ) -> Option<Instant> {
        let covered = |declined: &Resources| {
            pieces.clone().all(|(identity, amount)| declined.contains_amount(identity, amount))
        };
        self.0[range_of(self.0, framework, role)]
            .iter()
            .filter(|it| now < it.until && covered(&it.declined))
            .map(|it| it.until)
            .max()
    }
}

/// Where the filters of one role of a framework stand.
fn range_of(row: &[Filter], framework: &FrameworkId, role: &Role) -> Range<usize> {
    let first = row.partition_point(|it| {
        it.framework.cmp(framework).then_with(|| it.role.cmp(role)) == Ordering::Less
    });
    let alike = |it: &&Filter| it.framework == *framework && it.role == *role;
    first..first + row[first..].iter().take_while(alike).count()
}

impl Deref for Filters {
    type Target = ActiveFilters;

    fn deref(&self) -> &ActiveFilters {
        &self.active
    }
}

impl ActiveFilters {
    /// When the last filter expires that blocks an offer of `offered` (without allocations) at
    /// `now`.
    pub fn blocked_until(
        &self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        offered: &Resources,
        now: Instant,
    ) -> Option<Instant> {
        self.of_agent(agent).blocked_until(framework, role, pieces(offered).iter().copied(), now)
    }

    /// The filters on one agent.
    pub(crate) fn of_agent(&self, agent: &AgentId) -> AgentFilters<'_> {
        AgentFilters(self.by_agent.get(agent).map(Vec::as_slice).unwrap_or_default())
    }

    /// The number of filters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn pieces(resources: &Resources) -> Vec<(&Identity, &Amount)> {
    resources.entries().collect()
}

impl Filters {
    /// Adds a filter: `declined` (without allocations) is not offered until `until`.
    pub fn insert(
        &mut self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        declined: Resources,
        until: Instant,
    ) {
        let row = self.active.by_agent.get_or_insert_with(agent.clone(), Vec::new);
        let range = range_of(row, framework, role);
        let older = &row[range.clone()];
        if older.iter().any(|it| until <= it.until && it.declined.contains(&declined)) {
            return; // An older filter blocks as much for as long.
        }
        // Many decline the same; it is kept once.
        let same = row.iter().take(SHARED_AMONG).find(|it| it.declined == declined);
        let declined = same.map_or(declined, |it| it.declined.clone());
        let is_superseded = |it: &Filter| it.until <= until && declined.contains(&it.declined);
        let gone: Vec<Filter> = row.extract_if(range.clone(), |it| is_superseded(it)).collect();
        if row.len() == row.capacity() {
            row.reserve_exact(4 + row.len() / 8);
        }
        let filter = Filter { framework: framework.clone(), role: role.clone(), until, declined };
        row.insert(range.end - gone.len(), filter);
        for it in &gone {
            if row.iter().all(|other| other.until != it.until) {
                self.expiries.remove(&(it.until, agent.clone()));
            }
        }
        self.active.len = self.active.len + 1 - gone.len();
        self.expiries.insert((until, agent.clone()));
        match self.places.get_mut(framework) {
            Some(places) => drop(places.insert(agent.clone())),
            None => drop(self.places.insert(framework.clone(), BTreeSet::from([agent.clone()]))),
        }
    }

    /// Removes filters that have expired, of agent after agent until so many are enough; returns
    /// whose they were, who may now be offered the agents again. There may be more: see
    /// [`Filters::next_expiry`].
    pub fn expire(&mut self, now: Instant, enough: usize) -> Vec<(AgentId, FrameworkId)> {
        let mut asked = Vec::new();
        while asked.len() < enough {
            let due = self.expiries.first().filter(|(until, _)| *until <= now);
            let Some((_, agent)) = due.cloned() else { break };
            let gone = self.retain(&agent, |it| now < it.until);
            asked.extend(gone.into_iter().map(|framework| (agent.clone(), framework)));
        }
        asked
    }

    /// When the next filter expires.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// The agents for which a framework has filters, those after `last`, in order.
    pub fn places<'f>(
        &'f self,
        framework: &FrameworkId,
        last: Option<&'f AgentId>,
    ) -> impl Iterator<Item = &'f AgentId> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.places.get(framework).into_iter();
        all.flat_map(move |it| it.range::<AgentId, _>((after, Bound::Unbounded)))
    }

    /// Removes the filters of these roles of a framework (empty = all) on one agent.
    pub fn forget(&mut self, framework: &FrameworkId, roles: &BTreeSet<Role>, agent: &AgentId) {
        if self.places.get(framework).is_some_and(|it| it.contains(agent)) {
            let named = |it: &Filter| roles.is_empty() || roles.contains(&it.role);
            self.retain(agent, |it| it.framework != *framework || !named(it));
        }
    }

    /// Removes all filters on an agent.
    pub fn remove_agent(&mut self, agent: &AgentId) {
        self.retain(agent, |_| false);
    }

    /// Removes the filters on an agent that `keep` does not keep, and every collection that becomes
    /// empty with them; returns whose they were.
    fn retain(&mut self, agent: &AgentId, keep: impl Fn(&Filter) -> bool) -> BTreeSet<FrameworkId> {
        let Some(row) = self.active.by_agent.get_mut(agent) else { return BTreeSet::new() };
        let (kept, gone): (Vec<Filter>, Vec<Filter>) = row.drain(..).partition(keep);
        for it in &gone {
            if kept.iter().all(|other| other.until != it.until) {
                self.expiries.remove(&(it.until, agent.clone()));
            }
        }
        self.active.len -= gone.len();
        let owners: BTreeSet<FrameworkId> = gone.into_iter().map(|it| it.framework).collect();
        for framework in &owners {
            let stays = kept.iter().any(|it| it.framework == *framework);
            let places = self.places.get_mut(framework).expect("whoever has filters has places");
            if !stays {
                places.remove(agent);
            }
            if places.is_empty() {
                self.places.remove(framework);
            }
        }
        if kept.is_empty() {
            self.active.by_agent.remove(agent);
        } else {
            *row = kept;
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agent_id, cpus, framework_id, role};
    use holdfast_model::{Resource, Scalar};
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant(ms)
    }

    #[test]
    fn the_same_and_less_are_blocked_more_and_other_things_pass() {
        let (f, r, a) = (framework_id(1), role("r"), agent_id(1));
        let mut filters = Filters::default();
        filters.insert(&f, &r, &a, cpus(4), at(100));
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(4), at(0)), Some(at(100)));
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(3), at(99)), Some(at(100)));
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(5), at(0)), None, "larger");
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(4), at(100)), None, "over");
        assert_eq!(
            filters.blocked_until(&f, &role("other"), &a, &cpus(4), at(0)),
            None,
            "another role"
        );
        assert_eq!(
            filters.blocked_until(&framework_id(2), &r, &a, &cpus(4), at(0)),
            None,
            "another framework"
        );
        assert_eq!(
            filters.blocked_until(&f, &r, &agent_id(2), &cpus(4), at(0)),
            None,
            "another agent"
        );
    }

    #[test]
    fn a_short_filter_does_not_end_a_long_one() {
        let (f, r, a) = (framework_id(1), role("r"), agent_id(1));
        let mut filters = Filters::default();
        filters.insert(&f, &r, &a, cpus(4), at(1000));
        filters.insert(&f, &r, &a, cpus(2), at(10));
        assert_eq!(filters.len(), 1, "the first blocks it already");
        filters.insert(&f, &r, &a, cpus(8), at(10));
        assert_eq!((filters.len(), filters.next_expiry()), (2, Some(at(10))));
        assert_eq!(filters.expire(at(10), 9), [(a.clone(), f.clone())]);
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(8), at(11)), None);
        assert_eq!(filters.blocked_until(&f, &r, &a, &cpus(4), at(11)), Some(at(1000)));
    }

    #[test]
    fn a_longer_filter_replaces_what_it_contains() {
        let (f, r, a) = (framework_id(1), role("r"), agent_id(1));
        let mut filters = Filters::default();
        filters.insert(&f, &r, &a, cpus(2), at(10));
        filters.insert(&f, &r, &a, cpus(4), at(20));
        assert_eq!(
            (filters.len(), filters.next_expiry()),
            (1, Some(at(20))),
            "nobody is woken for the first one"
        );
    }

    fn forget_everywhere(filters: &mut Filters, framework: &FrameworkId, roles: &[&Role]) {
        let agents: Vec<AgentId> = filters.places(framework, None).cloned().collect();
        let roles = roles.iter().map(|it| (*it).clone()).collect();
        agents.iter().for_each(|it| filters.forget(framework, &roles, it));
    }

    #[test]
    fn the_roles_that_are_named_are_forgotten() {
        let (f, a) = (framework_id(1), agent_id(1));
        let mut filters = Filters::default();
        filters.insert(&f, &role("x"), &a, cpus(1), at(10));
        filters.insert(&f, &role("y"), &agent_id(2), cpus(1), at(20));
        filters.insert(&framework_id(2), &role("x"), &agent_id(3), cpus(1), at(30));
        forget_everywhere(&mut filters, &f, &[&role("y")]);
        assert_eq!(filters.places(&f, None).collect::<Vec<_>>(), [&a]);
        assert_eq!((filters.places(&f, Some(&a)).count(), filters.len()), (0, 2));
        forget_everywhere(&mut filters, &f, &[]);
        assert_eq!(filters.next_expiry(), Some(at(30)));
        filters.remove_agent(&agent_id(3));
        assert_eq!(filters, Filters::default());
    }

    #[test]
    fn they_expire_in_slices() {
        let mut filters = Filters::default();
        for (f, a) in [(1, 1), (2, 1), (1, 2), (1, 3)] {
            filters.insert(&framework_id(f), &role("r"), &agent_id(a), cpus(1), at(10));
        }
        let first = [(agent_id(1), framework_id(1)), (agent_id(1), framework_id(2))];
        assert_eq!(filters.expire(at(10), 1), first);
        assert_eq!((filters.expire(at(10), 9).len(), filters.is_empty()), (2, true));
    }

    #[test]
    fn equal_resources_are_kept_once() {
        let mut filters = Filters::default();
        for n in 1..=3 {
            filters.insert(&framework_id(n), &role("r"), &agent_id(1), cpus(4), at(10));
        }
        let row = &filters.active.by_agent[&agent_id(1)];
        let places: BTreeSet<_> =
            row.iter().map(|it| it.declined.entries().next().unwrap().1 as *const Amount).collect();
        assert_eq!((row.len(), places.len()), (3, 1));
    }

    fn some() -> impl Strategy<Value = Resources> {
        let piece = (0u8..3, 1i64..3, any::<bool>()).prop_map(|(n, amount, shared)| {
            let mut volume = crate::testing::volume(&format!("v{n}"), amount, "r");
            volume.identity.shared = shared;
            if n == 0 {
                Resource::scalar("disk", Scalar::whole(amount))
            } else {
                volume
            }
        });
        prop::collection::vec(piece, 0..5).prop_map(|all| all.iter().collect())
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8, u8, i64, u64),
        Expire(u64),
        Revive(u8, u8),
        RemoveFramework(u8),
        RemoveAgent(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1u8..3, 1u8..3, 1u8..4, 1i64..5, 1u64..60).prop_map(|(f, r, a, n, t)| Step::Insert(f, r, a, n, t)),
            1 => (1u64..60).prop_map(Step::Expire),
            1 => (1u8..3, 1u8..3).prop_map(|(f, r)| Step::Revive(f, r)),
            1 => (1u8..3).prop_map(Step::RemoveFramework),
            1 => (1u8..4).prop_map(Step::RemoveAgent),
        ]
    }

    fn named(n: u8) -> Role {
        role(&format!("r{n}"))
    }

    proptest! {
        #[test]
        fn declined_means_contained(declined in some(), offered in some()) {
            let (f, r, a) = (framework_id(1), role("r"), agent_id(1));
            let mut filters = Filters::default();
            filters.insert(&f, &r, &a, declined.clone(), at(9));
            prop_assert_eq!(filters.blocked_until(&f, &r, &a, &offered, at(0)).is_some(), declined.contains(&offered));
        }

        /// Compares the filters with a plain list that is searched from end to end.
        #[test]
        fn filters_are_a_list_of_declined_resources(steps in prop::collection::vec(step(), 0..40)) {
            let (mut filters, mut list, mut now) = (Filters::default(), Vec::<(u8, u8, u8, i64, u64)>::new(), 0);
            for step in steps {
                match step {
                    Step::Insert(f, r, a, n, t) => {
                        filters.insert(&framework_id(f), &named(r), &agent_id(a), cpus(n), at(now + t));
                        list.push((f, r, a, n, now + t));
                    }
                    Step::Expire(ms) => {
                        now += ms;
                        let agents: Vec<AgentId> = std::iter::from_fn(|| filters.expire(at(now), 1).pop()).map(|it| it.0).collect();
                        prop_assert!(agents.iter().all(|it| list.iter().any(|(_, _, a, _, until)| agent_id(*a) == *it && *until <= now)));
                        list.retain(|it| now < it.4);
                    }
                    Step::Revive(f, r) => {
                        forget_everywhere(&mut filters, &framework_id(f), &[&named(r)]);
                        list.retain(|it| (it.0, it.1) != (f, r));
                    }
                    Step::RemoveFramework(f) => {
                        forget_everywhere(&mut filters, &framework_id(f), &[]);
                        list.retain(|it| it.0 != f);
                    }
                    Step::RemoveAgent(a) => {
                        filters.remove_agent(&agent_id(a));
                        list.retain(|it| it.2 != a);
                    }
                }
                let keys = (1..3).flat_map(|f| (1..3).flat_map(move |r| (1..4).map(move |a| (f, r, a))));
                for ((f, r, a), n) in keys.flat_map(|key| (1..6).map(move |n| (key, n))) {
                    let same = list.iter().filter(|it| (it.0, it.1, it.2) == (f, r, a) && n <= it.3 && now < it.4);
                    let until = same.map(|it| at(it.4)).max();
                    prop_assert_eq!(filters.blocked_until(&framework_id(f), &named(r), &agent_id(a), &cpus(n), at(now)), until);
                }
                prop_assert_eq!(usize::from(!filters.is_empty()), filters.len().min(1));
                prop_assert_eq!(filters.is_empty(), filters.next_expiry().is_none());
                prop_assert_eq!(filters.is_empty(), filters.places.is_empty());
                prop_assert_eq!(filters.len(), filters.active.by_agent.values().map(Vec::len).sum::<usize>());
                prop_assert_eq!(filters.is_empty(), list.is_empty());
            }
        }
    }
}
