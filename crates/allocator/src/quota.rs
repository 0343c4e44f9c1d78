//! What quota lets a contender have of what is not reserved: no more than its role's limit, nothing
//! that is kept free for the guarantees of others, and what its own role is guaranteed first.
//!
//! A role has what is reserved for it and below it, and what is held for them beside that. It relies on
//! the sums that the master keeps, and adds what this division grants. What is reserved is never held
//! back: it was counted when it was reserved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::totals::counted_by_quota;
use holdfast_model::{FrameworkId, Quantities, Quota, Role, Scalar};

use crate::candidate::{Ineligibility, Slice};
use crate::input::{missing, QuotaInput};
use crate::roster::Contender;

/// What is divided first, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What roles are guaranteed and do not have, with what else they may have of the same agent.
    Guarantees,
    /// All that is left.
    Rest,
}

/// The quota of all roles during a division.
#[derive(Debug)]
pub(crate) struct QuotaState<'a> {
    input: QuotaInput<'a>,
    /// What this division has granted by top-level role, reserved things aside.
    granted: BTreeMap<Role, Quantities>,
    /// The same for all roles.
    granted_to_all: Quantities,
    /// What all roles together are guaranteed and do not have.
    missing: Quantities,
    /// Frameworks that were granted less than there is.
    short: RefCell<BTreeSet<FrameworkId>>,
}

impl<'a> QuotaState<'a> {
    /// `None` when no role has quota.
    pub fn new(input: QuotaInput<'a>) -> Option<QuotaState<'a>> {
        if input.quotas.is_empty() {
            return None;
        }
        let (granted, granted_to_all) = (BTreeMap::new(), Quantities::new());
        let (missing, short) = (Quantities::new(), RefCell::default());
        let mut state = QuotaState { input, granted, granted_to_all, missing, short };
        let mut missing = Quantities::new();
        for (role, quota) in input.quotas.iter() {
            for name in quota.guarantees.keys() {
                let sum: &mut Scalar = missing.entry(name.clone()).or_default();
                *sum = sum.plus(state.missing_of(role, quota, name));
            }
        }
        state.missing = missing;
        Some(state)
    }

    /// The roles that are guaranteed something that they do not have.
    pub fn with_missing(&self) -> BTreeSet<&'a Role> {
        if self.missing.values().all(|it| *it <= Scalar::ZERO) {
            return BTreeSet::new();
        }
        let lacks = |(role, quota): &(&Role, &Quota)| {
            quota.guarantees.keys().any(|name| Scalar::ZERO < self.missing_of(role, quota, name))
        };
        self.input.quotas.iter().filter(lacks).map(|(role, _)| role).collect()
    }

    /// What a contender may take, slice after slice.
    pub fn ration(&self, contender: &Contender<'_>, stage: Stage) -> Ration<'_, 'a> {
        let top = contender.role.top();
        let quotas = self.input.quotas;
        let quota = quotas.get_key(&top).and_then(|role| Some((role, quotas.get(role)?)));
        Ration { state: self, quota, stage, taken: Vec::new() }
    }

    /// Notes that a contender was given so much that is not reserved.
    pub fn charge(&mut self, role: &Role, amounts: &[(&str, Scalar)]) {
        let top = role.top();
        let quota = self.input.quotas.get(&top);
        for (name, amount) in amounts {
            let before = quota.map(|it| self.missing_of(&top, it, name));
            add(self.granted.entry(top.clone()).or_default(), name, *amount);
            add(&mut self.granted_to_all, name, *amount);
            if let (Some(before), Some(quota)) = (before, quota) {
                let after = self.missing_of(&top, quota, name);
                if let Some(sum) = self.missing.get_mut(*name) {
                    *sum = sum.minus(before.minus(after));
                }
            }
        }
    }

    /// Notes that a framework might have had more.
    pub fn is_short(&self, framework: &FrameworkId) {
        self.short.borrow_mut().insert(framework.clone());
    }

    /// The frameworks that were granted less than there is.
    pub fn into_short(self) -> BTreeSet<FrameworkId> {
        self.short.into_inner()
    }

    /// What a top-level role and those below it have.
    fn consumed(&self, role: &Role, name: &str) -> Scalar {
        let granted = self.granted.get(role).and_then(|it| it.get(name)).copied();
        self.input.has(role, name).plus(granted.unwrap_or_default())
    }

    /// What a top-level role is guaranteed and does not have.
    fn missing_of(&self, role: &Role, quota: &Quota, name: &str) -> Scalar {
        missing(quota, name, self.consumed(role, name))
    }

    /// What is free in the cluster beyond what others are guaranteed; `None` when nobody else is guaranteed any.
    fn spare(&self, quota: Option<(&Role, &Quota)>, name: &str) -> Option<Scalar> {
        let all = self.missing.get(name).copied().unwrap_or_default();
        let own = quota.map(|(role, quota)| self.missing_of(role, quota, name));
        let others = all.minus(own.unwrap_or_default());
        if others <= Scalar::ZERO {
            return None;
        }
        let granted = self.granted_to_all.get(name).copied().unwrap_or_default();
        Some(self.input.free(name).minus(granted).minus(others))
    }
}

fn add(sums: &mut Quantities, name: &str, amount: Scalar) {
    match sums.get_mut(name) {
        Some(sum) => *sum = sum.plus(amount),
        None => drop(sums.insert(name.to_owned(), amount)),
    }
}

/// How much of a slice a contender may take, as far as quota goes.
pub(crate) enum Taken<'a> {
    Whole,
    /// No more than this, for that reason.
    Part(Scalar, Ineligibility<'a>),
    Nothing(Ineligibility<'a>),
}

/// What one contender may take of one agent, while its slices are looked at one after the other.
pub(crate) struct Ration<'q, 'a> {
    state: &'q QuotaState<'a>,
    quota: Option<(&'a Role, &'a Quota)>,
    stage: Stage,
    taken: Vec<(&'a str, Scalar)>,
}

impl<'a> Ration<'_, 'a> {
    /// Takes as much of a slice as quota lets it.
    pub fn take(&mut self, slice: &Slice<'a>) -> Taken<'a> {
        if slice.identity.is_reserved() {
            return Taken::Whole;
        }
        let Some(there) = counted_by_quota(slice.identity, &slice.amount) else {
            return Taken::Whole;
        };
        let name = slice.identity.name.as_str();
        let place = self.taken.iter().position(|it| it.0 == name).unwrap_or_else(|| {
            self.taken.push((name, Scalar::ZERO));
            self.taken.len() - 1
        });
        let (most, why) = match self.bound(name) {
            Some((most, why)) => (most.minus(self.taken[place].1), why),
            None => return Taken::Whole,
        };
        if there <= most {
            self.taken[place].1 = self.taken[place].1.plus(there);
            return Taken::Whole;
        }
        if most <= Scalar::ZERO || slice.identity.is_exclusive() {
            return Taken::Nothing(why);
        }
        self.taken[place].1 = self.taken[place].1.plus(most);
        Taken::Part(most, why)
    }

    /// Whether the role is guaranteed any of this.
    pub fn is_guaranteed(&self, name: &str) -> bool {
        self.quota.is_some_and(|(_, it)| it.guarantees.contains_key(name))
    }

    /// The most that may be taken of a name, and why it is no more.
    fn bound(&self, name: &'a str) -> Option<(Scalar, Ineligibility<'a>)> {
        let limit = self.quota.and_then(|(role, quota)| self.room(role, quota, name));
        let spare = match self.quota {
            Some((role, quota))
                if self.stage == Stage::Guarantees && quota.guarantees.contains_key(name) =>
            {
                Some(self.state.missing_of(role, quota, name))
            }
            quota => self.state.spare(quota, name),
        };
        let spare = spare.map(|it| (it, Ineligibility::KeptForGuarantees(name)));
        match (limit, spare) {
            (Some(limit), Some(spare)) => Some(if limit.0 <= spare.0 { limit } else { spare }),
            (limit, spare) => limit.or(spare),
        }
    }

    /// What is left up to the role's limit.
    fn room(
        &self,
        role: &'a Role,
        quota: &Quota,
        name: &'a str,
    ) -> Option<(Scalar, Ineligibility<'a>)> {
        let limit = *quota.limits.get(name)?;
        if !self.state.input.is_known {
            return Some((Scalar::ZERO, Ineligibility::QuotaUnknown(role)));
        }
        let has = self.state.consumed(role, name);
        Some((limit.minus(has), Ineligibility::OverLimit { role, name, limit, has }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::POLICIES;
    use crate::random_scenes::a_scene;
    use crate::reasons::{why_not, Reason};
    use crate::testing::*;
    use crate::Allocation;
    use holdfast_model::{Resource, Resources, Source};
    use proptest::prelude::*;

    fn quota(scene: &mut Scene, name: &str, guarantees: &[(&str, i64)], limits: &[(&str, i64)]) {
        let (guarantees, limits) = (quantities(guarantees), quantities(limits));
        scene.quotas.insert(role(name), Quota { guarantees, limits });
    }

    fn lines(given: &[Allocation]) -> Vec<String> {
        given.iter().map(|it| format!("{} {} {}", it.role, it.agent, it.resources)).collect()
    }

    #[test]
    fn what_is_reserved_and_idle_counts_up_to_the_limit_and_is_offered_all_the_same() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a/x"]));
        scene.agent(agent(1, &sum([reserve(&cpus(6), "a"), cpus(20)])));
        scene.held.change(&role("a"), "cpus", 4_000);
        quota(&mut scene, "a", &[], &[("cpus", 10)]);
        assert_eq!(lines(&scene.divide("drf")), ["a/x S1 cpus(a):6"]);
    }

    #[test]
    fn what_is_beyond_a_limit_is_cut_and_left_to_others() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a/x"]));
        scene.framework(framework(2, &["b"]));
        scene.each_framework(|it| {
            it.roles[0].allocated = quantities(&[("cpus", i64::from(it.id.as_str() == "F2"))])
        });
        scene.agent(agent(1, &sum([cpus(8), mem(100)])));
        quota(&mut scene, "a", &[], &[("cpus", 3)]);
        assert_eq!(lines(&scene.divide("drf")), ["a/x S1 cpus:3; mem:100", "b S1 cpus:5"]);
        scene.decline(1, "a/x", 1, &sum([cpus(3), mem(100)]));
        scene.frameworks.remove(&framework_id(2));
        assert_eq!(
            lines(&scene.divide("drf")),
            [""; 0],
            "what it declined is no more than it may have"
        );
    }

    #[test]
    fn a_limit_holds_over_several_agents_and_frameworks_of_one_division() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a/x"]));
        scene.framework(framework(2, &["a"]));
        (1..=4).for_each(|n| scene.agent(agent(n, &cpus(2))));
        quota(&mut scene, "a", &[], &[("cpus", 5)]);
        let given = scene.divide("drf");
        let all =
            given.iter().fold(Scalar::ZERO, |sum, it| sum.plus(it.resources.quantity("cpus")));
        assert_eq!((given.len(), all), (3, Scalar::whole(5)));
    }

    #[test]
    fn a_whole_disk_that_does_not_fit_is_left_out() {
        let mount = |size| Resource::scalar("disk", Scalar::whole(size)).on(Source::mount("/d"));
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        let free: Resources = [mount(100)].into_iter().collect();
        scene.agent(agent(1, &sum([free, cpus(1)])));
        quota(&mut scene, "a", &[], &[("disk", 99)]);
        assert_eq!(lines(&scene.divide("drf")), ["a S1 cpus:1"]);
        quota(&mut scene, "a", &[], &[("disk", 100)]);
        assert_eq!(scene.divide("drf")[0].resources.len(), 2);
    }

    #[test]
    fn what_a_role_is_guaranteed_comes_first_and_is_kept_from_others() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["b"]));
        scene.agent(agent(1, &sum([cpus(6), mem(10)])));
        quota(&mut scene, "a", &[("cpus", 4)], &[]);
        assert_eq!(
            lines(&scene.divide("drf")),
            ["b S1 cpus:2; mem:10"],
            "although nobody of it waits"
        );
        let reasons = |scene: &Scene| {
            let told = why_not(&scene.input(), &framework_id(1), Some(&cpus(6)));
            told.into_iter().map(|it| it.reason).collect::<Vec<_>>()
        };
        assert!(reasons(&scene).contains(&Reason::KeptForGuarantees("cpus".to_owned())));
        let mut hungry = framework(2, &["a"]);
        hungry.roles[0].allocated = quantities(&[("mem", 10)]);
        scene.framework(hungry);
        let given = lines(&scene.divide("drf"));
        assert_eq!(given, ["a S1 cpus:4; mem:10", "b S1 cpus:2"], "although it has more");
    }

    #[test]
    fn what_roles_have_already_is_not_kept_for_them_again() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["b"]));
        scene.agent(agent(1, &sum([cpus(6), reserve(&cpus(3), "a/x")])));
        quota(&mut scene, "a", &[("cpus", 4)], &[]);
        assert_eq!(lines(&scene.divide("drf")), ["b S1 cpus:5"]);
    }

    #[test]
    fn before_agents_have_spoken_nothing_that_has_a_limit_is_offered_but_what_is_reserved() {
        let mut scene = Scene { is_unknown: true, ..Scene::default() };
        scene.framework(framework(1, &["a"]));
        scene.agent(agent(1, &sum([cpus(6), mem(10), reserve(&cpus(3), "a")])));
        quota(&mut scene, "a", &[], &[("cpus", 40)]);
        assert_eq!(lines(&scene.divide("drf")), ["a S1 cpus(a):3; mem:10"]);
        scene.each_agent(|it| it.free = cpus(6));
        let told = why_not(&scene.input(), &framework_id(1), None);
        assert_eq!(told[0].reason, Reason::QuotaUnknown(role("a")));
    }

    #[test]
    fn who_is_left_short_is_named_and_told_why() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.agent(agent(1, &cpus(6)));
        scene.held.change(&role("a"), "cpus", 3_000);
        quota(&mut scene, "a", &[], &[("cpus", 2)]);
        let mut policy = crate::by_name("drf").unwrap();
        assert_eq!(policy.allocate(&scene.input(), &scene.all()), []);
        assert_eq!(policy.take_short_of_quota(), BTreeSet::from([framework_id(1)]));
        assert_eq!(policy.take_short_of_quota(), BTreeSet::new(), "once");
        let told = why_not(&scene.input(), &framework_id(1), None);
        let (limit, has) = (Scalar::whole(2), Scalar::whole(3));
        let name = "cpus".to_owned();
        assert_eq!(told[0].reason, Reason::OverLimit { role: role("a"), name, limit, has });
    }

    /// What a top-level role has in a scene.
    fn has(scene: &Scene, top: &Role, name: &str) -> Scalar {
        scene.reserved.of(top, name).plus(scene.held.of(top, name))
    }

    fn missing(scene: &Scene, name: &str) -> Scalar {
        let each = scene.quotas.iter().map(|(role, quota)| {
            let guarantee = quota.guarantees.get(name).copied().unwrap_or_default();
            guarantee.minus(has(scene, role, name)).max(Scalar::ZERO)
        });
        each.fold(Scalar::ZERO, Scalar::plus)
    }

    fn free(scene: &Scene, name: &str) -> Scalar {
        let of = |it: &Quantities| it.get(name).copied().unwrap_or_default();
        of(scene.unreserved.quantities()).minus(scene.held.of_all(name))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        /// Round after round, as the master asks again those that were left short: no limit is
        /// passed, nothing is taken from what is kept for guarantees, nothing is given twice, and
        /// it ends.
        #[test]
        fn quota_holds_whatever_is_divided(
            scene in a_scene(),
            quotas in prop::collection::vec((0usize..2, 0i64..60, 0i64..60, any::<[bool; 2]>()), 1..3),
        ) {
            for (policy, _) in POLICIES {
                let mut scene = scene.clone();
                for (top, one, other, [guaranteed, limited]) in &quotas {
                    let (low, high) = (*one.min(other), *one.max(other));
                    let guarantees: &[_] = if *guaranteed { &[("cpus", low), ("mem", low)] } else { &[] };
                    let limits: &[_] = if *limited { &[("cpus", high), ("disk", high)] } else { &[] };
                    quota(&mut scene, ["a", "b"][*top], guarantees, limits);
                }
                for round in 0.. {
                    prop_assert!(round < 20, "it ends");
                    let given = scene.divide(policy);
                    if given.is_empty() {
                        break;
                    }
                    let after = scene.after(&given);
                    for view in after.agents.values() {
                        let taken = given.iter().filter(|it| it.agent == view.id).map(|it| &it.resources);
                        let mut all = view.free.clone();
                        taken.for_each(|it| all.add_all(it));
                        prop_assert_eq!(&all, &scene.agents[&view.id].free, "nothing is given twice or lost");
                    }
                    for (role, quota) in scene.quotas.iter() {
                        for (name, limit) in &quota.limits {
                            let most = (*limit).max(has(&scene, role, name));
                            prop_assert!(has(&after, role, name) <= most, "{} of {}", name, role);
                        }
                    }
                    for name in ["cpus", "mem"] {
                        let lacks = |scene: &Scene| missing(scene, name).minus(free(scene, name)).max(Scalar::ZERO);
                        prop_assert!(lacks(&after) <= lacks(&scene), "{} is kept for guarantees", name);
                    }
                    scene = after;
                }
            }
        }
    }
}
