//! Offer filters: what frameworks declined and are not to be offered again for a while.
//!
//! A filter belongs to one role of one framework and one agent; it blocked_until what it contains,
//! and lets anything larger or different pass. It never reads a clock: callers pass the time.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::resources::Amount;
use holdfast_model::{AgentId, FrameworkId, Identity, Instant, Resources, Role};

/// When the filter expires, and the resources that were declined.
type Filter = (Instant, Resources);
/// The filters on one agent.
type ByFramework = BTreeMap<FrameworkId, BTreeMap<Role, Vec<Filter>>>;

/// The filters that have not expired.
///
/// No empty collection is kept, and the indexes hold exactly what `by_agent` holds, so that two
/// values with the same filters are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Keyed by agent first, since a division asks about one agent for all contenders.
    by_agent: BTreeMap<AgentId, ByFramework>,
    /// The roles and agents for which each framework has filters.
    places: BTreeMap<FrameworkId, BTreeSet<(Role, AgentId)>>,
    /// Every filter by the time when it expires.
    expiries: BTreeSet<(Instant, FrameworkId, Role, AgentId)>,
}

/// The filters on one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentFilters<'f>(Option<&'f ByFramework>);

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
        let list = self.0?.get(framework)?.get(role)?;
        let covered = |declined: &Resources| {
            pieces.clone().all(|(identity, amount)| covers(declined, identity, amount))
        };
        list.iter()
            .filter(|(until, declined)| now < *until && covered(declined))
            .map(|(until, _)| *until)
            .max()
    }
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
        let frameworks = self.by_agent.entry(agent.clone()).or_default();
        let list =
            frameworks.entry(framework.clone()).or_default().entry(role.clone()).or_default();
        if list.iter().any(|(other, containing)| until <= *other && containing.contains(&declined))
        {
            return; // An older filter blocks as much for as long.
        }
        let (kept, superseded): (Vec<Filter>, Vec<Filter>) = list
            .drain(..)
            .partition(|(other, contained)| until < *other || !declined.contains(contained));
        *list = kept;
        list.push((until, declined));
        let key = |until| (until, framework.clone(), role.clone(), agent.clone());
        for (other, _) in superseded {
            if list.iter().all(|(it, _)| *it != other) {
                self.expiries.remove(&key(other));
            }
        }
        self.expiries.insert(key(until));
        self.places.entry(framework.clone()).or_default().insert((role.clone(), agent.clone()));
    }

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
        let pieces: Vec<(&Identity, &Amount)> = offered.entries().collect();
        self.of_agent(agent).blocked_until(framework, role, pieces.iter().copied(), now)
    }

    /// The filters on one agent.
    pub(crate) fn of_agent(&self, agent: &AgentId) -> AgentFilters<'_> {
        AgentFilters(self.by_agent.get(agent))
    }

    /// Removes the filters that have expired; returns their agents, which may now be offered again.
    pub fn expire(&mut self, now: Instant) -> BTreeSet<AgentId> {
        let mut agents = BTreeSet::new();
        while self.next_expiry().is_some_and(|until| until <= now) {
            let Some((_, framework, role, agent)) = self.expiries.pop_first() else { break };
            self.retain(&framework, &role, &agent, |until| now < until);
            agents.insert(agent);
        }
        agents
    }

    /// When the next filter expires.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// Removes the filters of these roles of a framework (empty = all); returns their agents.
    pub fn revive(&mut self, framework: &FrameworkId, roles: &BTreeSet<Role>) -> BTreeSet<AgentId> {
        let all = self.places.get(framework).into_iter().flatten();
        let named: Vec<(Role, AgentId)> =
            all.filter(|(role, _)| roles.is_empty() || roles.contains(role)).cloned().collect();
        for (role, agent) in &named {
            self.retain(framework, role, agent, |_| false);
        }
        named.into_iter().map(|(_, agent)| agent).collect()
    }

    /// Removes all filters of a framework; returns their agents.
    pub fn remove_framework(&mut self, framework: &FrameworkId) -> BTreeSet<AgentId> {
        self.revive(framework, &BTreeSet::new())
    }

    /// Removes all filters on an agent.
    pub fn remove_agent(&mut self, agent: &AgentId) {
        let all = self.by_agent.get(agent).into_iter().flatten();
        let pairs: Vec<(FrameworkId, Role)> = all
            .flat_map(|(framework, roles)| {
                roles.keys().map(|role| (framework.clone(), role.clone()))
            })
            .collect();
        for (framework, role) in &pairs {
            self.retain(framework, role, agent, |_| false);
        }
    }

    /// The number of filters.
    pub fn len(&self) -> usize {
        self.by_agent
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .map(Vec::len)
            .sum()
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.by_agent.is_empty()
    }

    /// Removes the filters of a list that `keep` does not keep, and every collection that becomes
    /// empty with them.
    fn retain(
        &mut self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        keep: impl Fn(Instant) -> bool,
    ) {
        let Some(frameworks) = self.by_agent.get_mut(agent) else { return };
        let Some(roles) = frameworks.get_mut(framework) else { return };
        let Some(list) = roles.get_mut(role) else { return };
        for (until, _) in list.iter().filter(|(until, _)| !keep(*until)) {
            self.expiries.remove(&(*until, framework.clone(), role.clone(), agent.clone()));
        }
        list.retain(|(until, _)| keep(*until));
        if !list.is_empty() {
            return;
        }
        roles.remove(role);
        if roles.is_empty() {
            frameworks.remove(framework);
        }
        if frameworks.is_empty() {
            self.by_agent.remove(agent);
        }
        let Some(places) = self.places.get_mut(framework) else { return };
        places.remove(&(role.clone(), agent.clone()));
        if places.is_empty() {
            self.places.remove(framework);
        }
    }
}

/// Whether all of one resource was declined. What can only be taken whole must be equal, with no
/// more copies.
fn covers(declined: &Resources, identity: &Identity, amount: &Amount) -> bool {
    declined.get(identity).is_some_and(|it| match identity.is_exclusive() || identity.shared {
        true => it.value == amount.value && amount.copies <= it.copies,
        false => it.value.contains(&amount.value),
    })
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
        assert_eq!(filters.expire(at(10)), BTreeSet::from([a.clone()]));
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

    #[test]
    fn revive_forgets_the_roles_that_are_named() {
        let (f, a) = (framework_id(1), agent_id(1));
        let mut filters = Filters::default();
        filters.insert(&f, &role("x"), &a, cpus(1), at(10));
        filters.insert(&f, &role("y"), &agent_id(2), cpus(1), at(20));
        filters.insert(&framework_id(2), &role("x"), &agent_id(3), cpus(1), at(30));
        assert_eq!(filters.revive(&f, &BTreeSet::from([role("y")])), BTreeSet::from([agent_id(2)]));
        assert_eq!(filters.len(), 2);
        assert_eq!(filters.remove_framework(&f), BTreeSet::from([a]));
        assert_eq!(filters.next_expiry(), Some(at(30)));
        filters.remove_agent(&agent_id(3));
        assert_eq!(filters, Filters::default());
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
                        let agents = filters.expire(at(now));
                        prop_assert!(agents.iter().all(|it| list.iter().any(|(_, _, a, _, until)| agent_id(*a) == *it && *until <= now)));
                        list.retain(|it| now < it.4);
                    }
                    Step::Revive(f, r) => {
                        filters.revive(&framework_id(f), &BTreeSet::from([named(r)]));
                        list.retain(|it| (it.0, it.1) != (f, r));
                    }
                    Step::RemoveFramework(f) => {
                        filters.remove_framework(&framework_id(f));
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
                prop_assert_eq!(filters.is_empty(), list.is_empty());
            }
        }
    }
}
