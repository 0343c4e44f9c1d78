//! Dominant resource fairness: the contender with the smallest share of the cluster comes first.
//!
//! Roles compete with their siblings in the tree by weighted share; the frameworks of one role
//! compete by their own shares, then by how often they were served, then by id. That count is
//! forgotten with the framework; all else it could find out again.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_model::{FrameworkId, Role, ValueKind};

use crate::divide::divide;
use crate::input::{Allocation, AllocationInput, Changes};
use crate::policy::{Place, Policy};
use crate::ranking::Ranking;
use crate::roster::{Contender, Roster};
use crate::shares::{ShareBasis, WEIGHT};
use crate::tree::{RoleTree, Served};

/// The policy `drf`.
#[derive(Debug)]
pub struct Drf {
    /// Names of ranges and sets, which have no share. Quantities do not carry the kind, so it is
    /// learned from the agents.
    uncounted: Arc<BTreeSet<String>>,
    roster: Roster,
    /// What stands from one division to the next; there is none before the first one.
    tree: Option<RoleTree>,
    /// How often frameworks were served before there was a tree.
    served: Served,
    /// Those that quota left short in the last division.
    short: BTreeSet<FrameworkId>,
}

impl Drf {
    /// A policy that has served nobody yet.
    pub fn new() -> Drf {
        Drf {
            uncounted: Arc::new(BTreeSet::from(["ports".to_owned()])),
            roster: Roster::default(),
            tree: None,
            served: Served::new(),
            short: BTreeSet::new(),
        }
    }

    /// Learns which names are of ranges and sets; says whether one is new.
    fn learn(&mut self, input: &AllocationInput<'_>, changes: &Changes) -> bool {
        let agents = changes.agents.keys().filter_map(|id| input.agents.get(id));
        let free = agents.flat_map(|view| view.free.entries());
        let known = self.uncounted.len();
        for (identity, _) in free.filter(|(identity, _)| identity.kind != ValueKind::Scalar) {
            if !self.uncounted.contains(&identity.name) {
                Arc::make_mut(&mut self.uncounted).insert(identity.name.clone());
            }
        }
        known < self.uncounted.len()
    }

    /// Takes over what has changed of the frameworks, their weights, and the cluster's totals.
    fn renew(&mut self, input: &AllocationInput<'_>, changes: &Changes) {
        match &mut self.tree {
            Some(tree) if !changes.everything => {
                let is_same = tree.basis().is_of(input, &self.uncounted);
                let basis = (!is_same).then(|| ShareBasis::new(input, &self.uncounted));
                match basis {
                    Some(basis) if !tree.basis().has_names_of(&basis) => {
                        return self.rebuild(input)
                    }
                    Some(basis) => tree.rescale(basis),
                    None => {}
                }
                for id in &changes.frameworks {
                    let view = input.frameworks.get(id);
                    if view.is_none() {
                        tree.forget(id);
                    }
                    self.roster.renew(id, view, tree);
                }
                tree.share_again(input.shared_again, &changes.roles);
            }
            _ => self.rebuild(input),
        }
    }

    fn rebuild(&mut self, input: &AllocationInput<'_>) {
        let mut served = self.served().clone();
        let gone = served.keys().filter(|it| !input.frameworks.contains_key(*it));
        for framework in gone.cloned().collect::<Vec<_>>() {
            served.remove(&framework);
        }
        let basis = ShareBasis::new(input, &self.uncounted);
        let mut tree = RoleTree::new(basis, input, served);
        self.roster = Roster::default();
        for (id, view) in input.frameworks.iter() {
            self.roster.renew(id, Some(view), &mut tree);
        }
        self.tree = Some(tree);
    }

    fn served(&self) -> &Served {
        self.tree.as_ref().map_or(&self.served, RoleTree::served)
    }
}

impl Default for Drf {
    fn default() -> Drf {
        Drf::new()
    }
}

impl Policy for Drf {
    fn name(&self) -> &'static str {
        "drf"
    }

    fn allocate(&mut self, input: &AllocationInput<'_>, changes: &Changes) -> Vec<Allocation> {
        self.renew(input, changes);
        if !self.roster.does_anybody_wait(None) {
            return Vec::new();
        }
        if self.learn(input, changes) {
            self.rebuild(input);
        }
        let tree = self.tree.as_mut().expect("it was just renewed");
        let (allocations, short) = divide(input, changes, &self.roster, tree);
        self.short = short;
        allocations
    }

    fn take_short_of_quota(&mut self) -> BTreeSet<FrameworkId> {
        std::mem::take(&mut self.short)
    }

    fn snapshot(&self) -> Box<dyn Policy> {
        let (uncounted, served) = (self.uncounted.clone(), self.served().clone());
        Box::new(Drf { uncounted, served, ..Drf::new() })
    }

    fn order(&self, input: &AllocationInput<'_>) -> Vec<Place> {
        let basis = ShareBasis::new(input, &self.uncounted);
        let mut tree = RoleTree::new(basis, input, self.served().clone());
        let mut all = Vec::new();
        for (framework, role) in
            input.frameworks.values().flat_map(|it| it.roles.iter().map(move |role| (it, role)))
        {
            let contender = Contender::of(framework, role);
            let waiting = Contender { is_active: true, is_suppressed: false, ..contender };
            tree.seat(all.len(), &waiting, &role.allocated);
            all.push(&role.role);
        }
        let mut roles: Vec<&Role> = tree.in_order().map(|at| all[at]).collect();
        roles.dedup(); // The contenders of one role stand next to each other.
        let weight = |role: &Role| input.weights.get(role).copied().unwrap_or(WEIGHT);
        roles
            .into_iter()
            .map(|role| Place {
                role: role.clone(),
                weight: weight(role),
                share: tree.share_of(role),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::SharedAgain;
    use crate::testing::{
        agent, cpus, framework, framework_id, names, quantities, reserve, role, Scene,
    };
    use holdfast_model::{Ranges, Resource, Scalar, Value};

    #[test]
    fn a_role_has_once_what_several_of_its_frameworks_share() {
        let mut scene = Scene { totals: quantities(&[("disk", 100)]), ..Scene::default() };
        for (n, name, disk) in [(1, "a", 40), (2, "a", 40), (3, "b", 50)] {
            let mut view = framework(n, &[name]);
            view.roles[0].allocated = quantities(&[("disk", disk)]);
            scene.framework(view);
        }
        let mut policy = Drf::new();
        let order = |policy: &Drf, scene: &Scene| {
            let places = policy.order(&scene.input());
            places.iter().map(|it| (it.role.to_string(), it.share)).collect::<Vec<_>>()
        };
        let named = |name: &str, share: f64| (name.to_owned(), share);
        assert_eq!(order(&policy, &scene), [named("b", 0.5), named("a", 0.8)]);
        let winner = |policy: &mut Drf, scene: &Scene, changes: &Changes| {
            policy.allocate(&scene.input(), changes)[0].role.to_string()
        };
        scene.agent(agent(1, &cpus(1)));
        scene.totals = quantities(&[("disk", 100), ("cpus", 100)]);
        assert_eq!(winner(&mut policy, &scene, &scene.all()), "b");
        let forty = || quantities(&[("disk", 40)]);
        scene.shared_again.insert(role("a"), SharedAgain { own: forty(), all: forty() });
        let mut changes = scene.all();
        changes.everything = false;
        changes.frameworks = (1..=3).map(framework_id).collect();
        changes.share([role("a")].into());
        assert_eq!(winner(&mut policy, &scene, &changes), "a", "although its tree stands");
        assert_eq!(order(&policy, &scene), [named("a", 0.4), named("b", 0.5)]);
    }

    /// The frameworks that are offered the agents 1.. one after the other, each a quarter of the
    /// cluster.
    fn winners(scene: &mut Scene, agents: u8) -> Vec<String> {
        for n in 1..=agents {
            scene.agent(agent(n, &cpus(1)));
        }
        scene.totals = quantities(&[("cpus", 4)]);
        let mut given = scene.divide("drf");
        given.sort_by(|a, b| a.agent.cmp(&b.agent));
        given.iter().map(|it| names(it).0).collect()
    }

    #[test]
    fn equal_roles_take_turns() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.framework(framework(2, &["b"]));
        assert_eq!(winners(&mut scene, 4), ["F1", "F2", "F1", "F2"]);
    }

    #[test]
    fn twice_the_weight_is_twice_the_share() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.framework(framework(2, &["b"]));
        scene.weights.insert(role("b"), Scalar::whole(2));
        assert_eq!(winners(&mut scene, 3), ["F1", "F2", "F2"]);
    }

    #[test]
    fn what_is_held_counts_even_by_those_who_are_away() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.framework(framework(2, &["b"]));
        let mut away = framework(3, &["a"]);
        away.active = false;
        away.roles[0].allocated = quantities(&[("cpus", 2)]);
        scene.framework(away);
        assert_eq!(winners(&mut scene, 2), ["F2", "F2"]);
    }

    #[test]
    fn ports_have_no_share() {
        let mut scene = Scene::default();
        let mut one = framework(1, &["a"]);
        one.roles[0].allocated = quantities(&[("ports", 900)]);
        scene.framework(one);
        let mut other = framework(2, &["b"]);
        other.roles[0].allocated = quantities(&[("cpus", 1)]);
        scene.framework(other);
        scene.agent(agent(1, &cpus(1)));
        scene.totals = quantities(&[("cpus", 4), ("ports", 1000)]);
        assert_eq!(names(&scene.divide("drf")[0]).0, "F1");
    }

    #[test]
    fn a_parent_competes_with_its_children_and_they_with_each_other() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["eng"]));
        scene.framework(framework(2, &["eng/a"]));
        scene.framework(framework(3, &["eng/b"]));
        scene.framework(framework(4, &["ops"]));
        // `eng` and `ops` get half each; inside `eng` its own frameworks, `a` and `b` take turns.
        let mut won = winners(&mut scene, 8);
        assert_eq!(won.iter().filter(|it| *it == "F4").count(), 4);
        won.retain(|it| it != "F4");
        assert_eq!(won, ["F1", "F2", "F3", "F1"]);
    }

    #[test]
    fn of_equals_the_less_often_served_comes_first() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.framework(framework(2, &["a"]));
        scene.agent(agent(1, &cpus(1)));
        let mut policy = Drf::new();
        let mut turn = || {
            let given = policy.allocate(&scene.input(), &scene.all());
            names(&given[0]).0 // It declines, so that its share stays at nothing.
        };
        assert_eq!([turn(), turn(), turn(), turn()], ["F1", "F2", "F1", "F2"]);
    }

    #[test]
    fn what_has_no_share_goes_round_within_one_division() {
        let ports = Resource::unreserved("ports", Value::Ranges(Ranges::new([(1, 9)])));
        let turns = |roles: [&str; 2]| {
            let mut scene = Scene::default();
            scene.framework(framework(1, &roles[..1]));
            scene.framework(framework(2, &roles[1..]));
            for n in 1..=4 {
                scene.agent(agent(n, &[ports.clone()].into_iter().collect()));
            }
            scene.divide("drf").iter().map(|it| names(it).0).collect::<Vec<_>>()
        };
        assert_eq!(turns(["a", "a"]), ["F1", "F2", "F1", "F2"]);
        assert_eq!(turns(["a", "b"]), ["F1", "F2", "F1", "F2"]);
        assert_eq!(turns(["top/a", "top/b"]), ["F1", "F2", "F1", "F2"]);
    }

    #[test]
    fn what_is_reserved_for_a_parent_goes_to_the_poorest_child_first() {
        let mut scene = Scene::default();
        for (n, name, held) in [(1, "eng/a", 0), (2, "eng/a", 3), (3, "eng/b", 1)] {
            let mut view = framework(n, &[name]);
            view.roles[0].allocated = quantities(&[("cpus", held)]);
            scene.framework(view);
        }
        for n in 1..=3 {
            scene.agent(agent(n, &reserve(&cpus(1), "eng")));
        }
        scene.totals = quantities(&[("cpus", 8)]);
        let given: Vec<String> = scene.divide("drf").iter().map(|it| names(it).0).collect();
        assert_eq!(
            given,
            ["F3", "F3", "F1"],
            "although F1 itself has least of all: its role has more"
        );
    }

    #[test]
    fn counts_are_forgotten_with_the_framework() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["a"]));
        scene.agent(agent(1, &cpus(1)));
        let mut policy = Drf::new();
        policy.allocate(&scene.input(), &scene.all());
        assert_eq!(policy.served()[&framework_id(1)][&role("a")], 1);
        scene.frameworks = holdfast_model::SharedMap::new();
        policy.allocate(&scene.input(), &scene.all());
        assert!(policy.served().is_empty());
    }

    #[test]
    fn the_order_names_each_role_with_its_share() {
        let mut scene = Scene::default();
        let mut one = framework(1, &["b", "a/x"]);
        one.roles[0].allocated = quantities(&[("cpus", 1)]);
        one.roles[1].allocated = quantities(&[("cpus", 2)]);
        one.roles[1].suppressed = true;
        scene.framework(one);
        scene.framework(framework(2, &["a", "c"]));
        scene.weights.insert(role("a"), Scalar::whole(4));
        scene.totals = quantities(&[("cpus", 4)]);
        let order = Drf::new().order(&scene.input());
        let lines: Vec<String> =
            order.iter().map(|it| format!("{} {} {}", it.role, it.weight, it.share)).collect();
        assert_eq!(lines, ["c 1 0", "a 4 0.5", "a/x 1 0.5", "b 1 0.25"]);
    }

    #[test]
    fn a_very_deep_role_is_no_danger() {
        let mut scene = Scene::default();
        let deep = vec!["r"; 128].join("/"); // As deep as a role may be.
        scene.framework(framework(1, &[&deep]));
        scene.agent(agent(1, &cpus(1)));
        assert_eq!(scene.divide("drf").len(), 1);
    }
}
