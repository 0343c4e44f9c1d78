//! Strict priority: the role with the greatest weight is offered everything first, and lower ones
//! only what it leaves.
//!
//! Of equal weights, the framework that registered first comes first. It starves the lower on
//! purpose, and knows no shares.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{FrameworkId, Quantities, Role, Scalar, SharedMap};

use crate::candidate::Fit;
use crate::divide::divide;
use crate::input::{Allocation, AllocationInput, Changes};
use crate::policy::{Place, Policy};
use crate::ranking::{first_of, Fits, Ranking};
use crate::roster::{Contender, Roster};
use crate::shares::{ShareBasis, WEIGHT};
use crate::tree::RoleTree;

/// The policy `priority`.
#[derive(Debug, Default)]
pub struct Priority {
    roster: Roster,
    /// What stands from one division to the next; there is none before the first one.
    order: Option<FixedOrder>,
    /// Those that quota left short in the last division.
    short: BTreeSet<FrameworkId>,
}

/// By weight, then registration: ids end in a number that grows, so a longer one is a later one.
type Rank = (Reverse<Scalar>, usize, FrameworkId, Role);

/// The contenders in an order that no grant changes.
#[derive(Debug)]
struct FixedOrder {
    weights: SharedMap<Role, Scalar>,
    /// Those that wait.
    order: BTreeMap<Rank, usize>,
    /// The ranks of those in `order`, by their numbers.
    ranks: Vec<Option<Rank>>,
}

impl FixedOrder {
    fn new(weights: &SharedMap<Role, Scalar>) -> FixedOrder {
        FixedOrder { weights: weights.clone(), order: BTreeMap::new(), ranks: Vec::new() }
    }
}

/// The weight of a role is its own, or that of the nearest role above it which has one.
fn weight_of(weights: &SharedMap<Role, Scalar>, role: &Role) -> Scalar {
    let above = weights.iter().filter(|(it, _)| *it == role || role.is_below(it));
    above.max_by_key(|(it, _)| it.as_str().len()).map_or(WEIGHT, |(_, weight)| *weight)
}

impl Ranking for FixedOrder {
    fn seat(&mut self, at: usize, contender: &Contender<'_>, _: &Quantities) {
        let is_ranked = self.ranks.get(at).is_some_and(Option::is_some);
        match (contender.waits(), is_ranked) {
            (true, false) => {
                let (id, role) = (contender.framework.clone(), contender.role.clone());
                let rank = (Reverse(weight_of(&self.weights, &role)), id.as_str().len(), id, role);
                self.order.insert(rank.clone(), at);
                self.ranks.resize(self.ranks.len().max(at + 1), None);
                self.ranks[at] = Some(rank);
            }
            (false, true) => self.leave(at),
            _ => {}
        }
    }

    fn leave(&mut self, at: usize) {
        if let Some(rank) = self.ranks.get_mut(at).and_then(Option::take) {
            self.order.remove(&rank);
        }
    }

    fn first(&self, fits: Fits<'_>) -> Option<(usize, Fit)> {
        first_of(self.order.values().copied(), fits)
    }

    fn first_below(&self, roles: &BTreeSet<&Role>, fits: Fits<'_>) -> Option<(usize, Fit)> {
        let is_within = |role: &Role| roles.iter().any(|it| role == *it || role.is_below(it));
        let order = self.order.iter().filter(|((.., role), _)| is_within(role));
        first_of(order.map(|(_, at)| *at), fits)
    }

    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Fit)> {
        let ranked = among.iter().filter_map(|at| Some((self.ranks.get(*at)?.as_ref()?, *at)));
        first_of(ranked.collect::<BTreeMap<_, _>>().into_values(), fits)
    }

    fn charge(&mut self, _: usize, _: &[(&str, Scalar)]) {}

    fn count(&mut self, _: usize, _: &Contender<'_>, _: u64) {}
}

impl Priority {
    /// A policy that has seen nobody yet.
    pub fn new() -> Priority {
        Priority::default()
    }
}

impl Policy for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn allocate(&mut self, input: &AllocationInput<'_>, changes: &Changes) -> Vec<Allocation> {
        let Priority { roster, order, short } = self;
        if changes.everything || order.is_none() {
            *roster = Roster::default();
            let order = order.insert(FixedOrder::new(input.weights));
            input.frameworks.iter().for_each(|(id, view)| roster.renew(id, Some(view), order));
        }
        let order = order.as_mut().expect("it is there by now");
        if !changes.everything {
            let changed = changes.frameworks.iter();
            changed.for_each(|id| roster.renew(id, input.frameworks.get(id), order));
        }
        let allocations;
        (allocations, *short) = divide(input, changes, roster, order);
        allocations
    }

    fn take_short_of_quota(&mut self) -> BTreeSet<FrameworkId> {
        std::mem::take(&mut self.short)
    }

    fn snapshot(&self) -> Box<dyn Policy> {
        Box::new(Priority::new())
    }

    fn order(&self, input: &AllocationInput<'_>) -> Vec<Place> {
        let basis = ShareBasis::new(input, &BTreeSet::from(["ports".to_owned()]));
        let mut shares = RoleTree::new(basis, input, SharedMap::new());
        let mut order = FixedOrder::new(input.weights);
        let mut all = Vec::new();
        for (framework, role) in
            input.frameworks.values().flat_map(|it| it.roles.iter().map(move |role| (it, role)))
        {
            let contender = Contender::of(framework, role);
            let waiting = Contender { is_active: true, is_suppressed: false, ..contender };
            shares.seat(all.len(), &waiting, &role.allocated);
            order.seat(all.len(), &waiting, &role.allocated);
            all.push(&role.role);
        }
        let mut seen = BTreeSet::new();
        let place = |role: &Role| Place {
            role: role.clone(),
            weight: weight_of(input.weights, role),
            share: shares.share_of(role),
        };
        let roles = order.order.values().map(|at| all[*at]);
        roles.filter(|role| seen.insert(*role)).map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agent, cpus, framework, framework_named, names, quantities, role, Scene};

    #[test]
    fn the_greater_weight_takes_all_and_leaves_what_it_declines() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["low"]));
        scene.framework(framework(2, &["high"]));
        scene.weights.insert(role("high"), Scalar::whole(3));
        for n in 1..=4 {
            scene.agent(agent(n, &cpus(1)));
        }
        let who = |scene: &Scene| {
            scene.divide("priority").iter().map(|it| names(it).0).collect::<Vec<_>>()
        };
        assert_eq!(who(&scene), ["F2", "F2", "F2", "F2"]);
        scene.decline(2, "high", 3, &cpus(1));
        assert_eq!(who(&scene), ["F2", "F2", "F1", "F2"]);
    }

    #[test]
    fn of_equals_the_first_to_register_comes_first() {
        let mut scene = Scene::default();
        for n in [10_000, 9_999, 2] {
            scene.framework(framework_named(&format!("c-{n:04}"), &["r"]));
        }
        scene.framework(framework_named("c-0001", &["s"]));
        let input = scene.input();
        let (mut roster, mut order) = (Roster::default(), FixedOrder::new(input.weights));
        scene.frameworks.iter().for_each(|(id, view)| roster.renew(id, Some(view), &mut order));
        let ids: Vec<&str> =
            order.order.values().map(|at| roster.get(*at).framework.as_str()).collect();
        assert_eq!(ids, ["c-0001", "c-0002", "c-9999", "c-10000"]);
    }

    #[test]
    fn a_weight_holds_for_the_roles_below() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["b", "a/x", "a/y"]));
        scene.weights.insert(role("a"), Scalar::whole(5));
        scene.weights.insert(role("a/y"), Scalar::thousandths(500));
        scene.each_framework(|it| it.roles[1].allocated = quantities(&[("cpus", 1)]));
        scene.totals = quantities(&[("cpus", 4)]);
        let order = Priority::new().order(&scene.input());
        let lines: Vec<String> =
            order.iter().map(|it| format!("{} {} {}", it.role, it.weight, it.share)).collect();
        assert_eq!(lines, ["a/x 5 0.25", "b 1 0", "a/y 0.5 0"]);
    }
}
