//! Strict priority: the role with the greatest weight is offered everything first, and lower ones
//! only what it leaves.
//!
//! Of equal weights, the framework that registered first comes first. It starves the lower on
//! purpose, and keeps no state.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use holdfast_model::{AgentId, FrameworkId, Quantities, Role, Scalar};

use crate::contenders::{Contender, Contenders};
use crate::divide::divide;
use crate::input::{Allocation, AllocationInput};
use crate::policy::{Place, Policy};
use crate::ranking::{first_of, Fits, Ranking};
use crate::shares::{share_of, ShareBasis, WEIGHT};

/// The policy `priority`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Priority;

/// The contenders in an order that no grant changes.
struct FixedOrder {
    order: Vec<usize>,
    /// Each contender's place in `order`.
    places: Vec<usize>,
}

impl FixedOrder {
    fn new(input: &AllocationInput<'_>, contenders: &Contenders<'_>) -> FixedOrder {
        let mut order: Vec<usize> = contenders.iter().map(|(at, _)| at).collect();
        order.sort_by_cached_key(|at| rank(input, contenders.get(*at)));
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, at)| places[*at] = place);
        FixedOrder { order, places }
    }
}

/// Ranks by weight, then registration: ids end in a number that grows, so a longer one is a later
/// one.
fn rank<'a>(
    input: &AllocationInput<'_>,
    Contender { framework, role }: Contender<'a>,
) -> (Reverse<Scalar>, usize, &'a FrameworkId, &'a Role) {
    (Reverse(weight_of(input, &role.role)), framework.id.as_str().len(), &framework.id, &role.role)
}

/// The weight of a role is its own, or that of the nearest role above it which has one.
fn weight_of(input: &AllocationInput<'_>, role: &Role) -> Scalar {
    let above = input.weights.iter().filter(|(it, _)| *it == role || role.is_below(it));
    above.max_by_key(|(it, _)| it.as_str().len()).map_or(WEIGHT, |(_, weight)| *weight)
}

impl Ranking for FixedOrder {
    fn first(&self, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        first_of(self.order.iter().copied(), fits)
    }

    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Vec<usize>)> {
        let places: BTreeSet<usize> = among.iter().map(|at| self.places[*at]).collect();
        first_of(places.into_iter().map(|place| self.order[place]), fits)
    }

    fn charge(&mut self, _contender: usize, _amounts: &Quantities) {}
}

impl Policy for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn allocate(
        &mut self,
        input: &AllocationInput<'_>,
        dirty: &BTreeSet<AgentId>,
    ) -> Vec<Allocation> {
        let contenders = Contenders::waiting(input);
        divide(input, dirty, &contenders, &mut FixedOrder::new(input, &contenders))
    }

    fn order(&self, input: &AllocationInput<'_>) -> Vec<Place> {
        let contenders = Contenders::all(input);
        let basis = ShareBasis::new(input, &BTreeSet::from(["ports".to_owned()]));
        let mut seen = BTreeSet::new();
        let roles = FixedOrder::new(input, &contenders)
            .order
            .into_iter()
            .map(|at| &contenders.get(at).role.role);
        let place = |role: &Role| Place {
            role: role.clone(),
            weight: weight_of(input, role),
            share: share_of(input, &basis, role),
        };
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
        let contenders = Contenders::all(&input);
        let order = FixedOrder::new(&input, &contenders).order;
        let ids: Vec<&str> =
            order.into_iter().map(|at| contenders.get(at).framework.id.as_str()).collect();
        assert_eq!(ids, ["c-0001", "c-0002", "c-9999", "c-10000"]);
    }

    #[test]
    fn a_weight_holds_for_the_roles_below() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["b", "a/x", "a/y"]));
        scene.weights.insert(role("a"), Scalar::whole(5));
        scene.weights.insert(role("a/y"), Scalar::thousandths(500));
        scene
            .frameworks
            .values_mut()
            .for_each(|it| it.roles[1].allocated = quantities(&[("cpus", 1)]));
        scene.totals = quantities(&[("cpus", 4)]);
        let order = Priority.order(&scene.input());
        let lines: Vec<String> =
            order.iter().map(|it| format!("{} {} {}", it.role, it.weight, it.share)).collect();
        assert_eq!(lines, ["a/x 5 0.25", "b 1 0", "a/y 0.5 0"]);
    }
}
