//! The division that all policies share: what is held is offered to its holder first, then agent
//! after agent is divided.
//!
//! It is coarse: whoever comes first is granted all that it is eligible for of an agent. Where roles
//! have quota, what they are guaranteed comes between the two. It relies on a [`Ranking`] for who comes first and on `candidate` for who is eligible; it never grants a
//! slice twice, which it asserts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{FrameworkId, Role};

use crate::candidate::{Candidate, Fit};
use crate::input::{Allocation, AllocationInput, Asked, Changes};
use crate::quota::QuotaState;
use crate::ranking::Ranking;
use crate::roster::Roster;

/// What a contender is granted of one agent.
struct Grant {
    candidate: usize,
    contender: usize,
    slices: Vec<usize>,
}

struct Division<'a, 'd> {
    input: &'d AllocationInput<'a>,
    roster: &'d Roster,
    ranking: &'d mut dyn Ranking,
    /// What quota lets roles have; `None` where no role has any.
    quota: Option<QuotaState<'a>>,
    candidates: Vec<Candidate<'a>>,
    /// The frameworks that are asked about each candidate; `None` = everybody.
    asked: Vec<Option<&'d BTreeSet<FrameworkId>>>,
    grants: Vec<Grant>,
    /// The grant by candidate and contender, so that the rest of an agent joins what its holder got
    /// first.
    places: BTreeMap<(usize, usize), usize>,
}

/// Divides what is free on the agents that have changed; what is offered to its holder comes first
/// in the result. Whoever may have something that is not divided here was offered it before, but for
/// those that quota leaves short, which are named beside.
pub(crate) fn divide(
    input: &AllocationInput<'_>,
    changes: &Changes,
    roster: &Roster,
    ranking: &mut dyn Ranking,
) -> (Vec<Allocation>, BTreeSet<FrameworkId>) {
    let count = changes.agents.len();
    let (mut candidates, mut asked) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (id, who) in &changes.agents {
        let among = match who {
            Asked::Everybody => None,
            Asked::Only(frameworks) => Some(frameworks),
        };
        if !roster.does_anybody_wait(among) {
            continue; // However much there is, nobody wants any of it now.
        }
        let view = input.agents.get(id).filter(|it| it.fault.is_none() && !it.free.is_empty());
        if let Some(view) = view {
            candidates.push(Candidate::new(input, view));
            asked.push(among);
        }
    }
    let (grants, places) = (Vec::new(), BTreeMap::new());
    let quota = QuotaState::new(input.quota);
    let mut division =
        Division { input, roster, ranking, quota, candidates, asked, grants, places };
    // Every claim on every agent is offered to its holder before the rest of any agent is divided.
    for candidate in 0..division.candidates.len() {
        while division.offer_to_holder(candidate) {}
    }
    if division.quota.is_some() {
        for candidate in 0..division.candidates.len() {
            while division.offer_guaranteed(candidate) {}
        }
    }
    for candidate in 0..division.candidates.len() {
        while division.offer_rest(candidate) {}
    }
    division.finish()
}

impl Division<'_, '_> {
    /// Grants one bundle to its holder; returns whether there was one.
    fn offer_to_holder(&mut self, candidate: usize) -> bool {
        let (here, asked) = (&self.candidates[candidate], self.asked[candidate]);
        let holders: BTreeSet<&FrameworkId> = here
            .left()
            .flat_map(|(_, slice)| slice.holders.iter().copied())
            .filter(|it| asked.is_none_or(|asked| asked.contains(*it)))
            .collect();
        if holders.is_empty() {
            return false;
        }
        // A claim goes to the very role that it is reserved for, if that is waiting; else to one
        // below it.
        let (mut exact, mut below) = (BTreeSet::new(), BTreeSet::new());
        for at in holders.into_iter().flat_map(|framework| self.roster.of_framework(framework)) {
            let contender = self.roster.get(*at);
            let mut own = here.left().filter(|(_, slice)| slice.is_held_by(contender.framework));
            let same = own.any(|(_, slice)| slice.identity.role() == *contender.role);
            if same { &mut exact } else { &mut below }.insert(*at);
        }
        let mut fits = |at: usize| here.bundle(self.input, &self.roster.get(at));
        let first = self
            .ranking
            .first_among(&exact, &mut fits)
            .or_else(|| self.ranking.first_among(&below, &mut fits));
        self.grant(candidate, first)
    }

    /// Grants the first contender whose role is guaranteed more than it has as much of what is left;
    /// returns whether there was one.
    fn offer_guaranteed(&mut self, candidate: usize) -> bool {
        let (here, asked) = (&self.candidates[candidate], self.asked[candidate]);
        let Some(quota) = self.quota.as_ref().filter(|_| here.left().next().is_some()) else {
            return false;
        };
        let roles = quota.with_missing();
        if roles.is_empty() {
            return false;
        }
        let mut fits = |at: usize| here.guaranteed(self.input, quota, &self.roster.get(at));
        let first = match asked {
            None => self.ranking.first_below(&roles, &mut fits),
            Some(asked) => {
                let lacks = |at: &usize| roles.contains(&self.roster.get(*at).role.top());
                let theirs = asked.iter().flat_map(|it| self.roster.of_framework(it)).copied();
                self.ranking.first_among(&theirs.filter(lacks).collect(), &mut fits)
            }
        };
        self.grant(candidate, first)
    }

    /// Grants the first contender all that it is eligible for of what is left; returns whether
    /// there was one.
    fn offer_rest(&mut self, candidate: usize) -> bool {
        let (here, asked) = (&self.candidates[candidate], self.asked[candidate]);
        if here.left().next().is_none() {
            return false;
        }
        let quota = self.quota.as_ref();
        let mut fits = |at: usize| here.eligible(self.input, quota, &self.roster.get(at)).ok();
        let first = if let Some(asked) = asked {
            let among = asked.iter().flat_map(|it| self.roster.of_framework(it)).copied().collect();
            self.ranking.first_among(&among, &mut fits)
        } else {
            match here.left().all(|(_, slice)| slice.reserved_for().is_some()) {
                true => {
                    let roles: BTreeSet<&Role> =
                        here.left().filter_map(|(_, slice)| slice.reserved_for()).collect();
                    self.ranking.first_below(&roles, &mut fits)
                }
                false => self.ranking.first(&mut fits),
            }
        };
        self.grant(candidate, first)
    }

    fn grant(&mut self, candidate: usize, first: Option<(usize, Fit)>) -> bool {
        let Some((contender, Fit { slices, cuts })) = first else { return false };
        assert!(!slices.is_empty(), "a grant is not empty");
        let (here, role) = (&mut self.candidates[candidate], self.roster.get(contender).role);
        let had_gpus = here.has_free_gpus();
        cuts.into_iter().for_each(|(at, part)| here.cut(at, part));
        for slice in &slices {
            assert!(
                here.slice(*slice).identity.is_allocatable_to(role),
                "what is reserved goes only to its role"
            );
            here.take(*slice);
        }
        if had_gpus && !here.has_free_gpus() {
            self.asked[candidate] = None; // The rest is open now to those who do not know GPUs.
        }
        self.ranking.charge(contender, &here.scalars(&slices));
        if let Some(quota) = &mut self.quota {
            quota.charge(role, &here.counted(&slices));
        }
        match self.places.entry((candidate, contender)) {
            Entry::Occupied(at) => self.grants[*at.get()].slices.extend(slices),
            Entry::Vacant(place) => {
                place.insert(self.grants.len());
                self.grants.push(Grant { candidate, contender, slices });
            }
        }
        true
    }

    fn finish(self) -> (Vec<Allocation>, BTreeSet<FrameworkId>) {
        let Division { roster, ranking, quota, candidates, grants, .. } = self;
        let short = quota.map(QuotaState::into_short).unwrap_or_default();
        let mut times: BTreeMap<usize, u64> = BTreeMap::new();
        grants.iter().for_each(|it| *times.entry(it.contender).or_default() += 1);
        for (contender, times) in times {
            ranking.count(contender, &roster.get(contender), times);
        }
        let allocation = |grant: Grant| {
            let (candidate, contender) =
                (&candidates[grant.candidate], roster.get(grant.contender));
            Allocation {
                framework: contender.framework.clone(),
                role: contender.role.clone(),
                agent: candidate.agent_id().clone(),
                resources: candidate.resources(&grant.slices),
            }
        };
        (grants.into_iter().map(allocation).collect(), short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{FrameworkView, Holder, Sharing};
    use crate::policy::POLICIES;
    use crate::random_scenes::{a_role, a_scene};
    use crate::reasons::{why_not, why_not_after};
    use crate::shares::ShareBasis;
    use crate::testing::*;
    use crate::tree::RoleTree;
    use holdfast_model::{AgentId, Capability, Resource, Resources, Role, Scalar};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A volume of 100 MB with the cpus and memory reserved beside it.
    fn home() -> Resources {
        sum([
            [volume("v", 100, "db")].into_iter().collect(),
            reserve(&sum([cpus(2), mem(64)]), "db"),
        ])
    }

    /// F1 and F2 of role `db`, F3 of another, and one agent where F1 holds `home`.
    fn scene() -> Scene {
        let mut scene = Scene { min_allocatable: Scene::usual_minimum(), ..Scene::default() };
        scene.framework(framework(1, &["db"]));
        scene.framework(framework(2, &["db"]));
        scene.framework(framework(3, &["web"]));
        let mut view = agent(1, &sum([home(), cpus(4), mem(1000)]));
        view.holders = hold(&home(), 1);
        scene.agent(view);
        scene.frameworks.get_mut(&framework_id(1)).unwrap().roles[0].allocated =
            quantities(&[("cpus", 100)]);
        scene.frameworks.get_mut(&framework_id(3)).unwrap().roles[0].allocated =
            quantities(&[("cpus", 1000)]);
        scene
    }

    fn lines(allocations: &[Allocation]) -> Vec<String> {
        allocations
            .iter()
            .map(|it| format!("{} {} {}", it.framework, it.agent, it.resources))
            .collect()
    }

    const HOME: &str = "cpus(db):2; disk(db)[v]:100; mem(db):64";

    #[test]
    fn what_is_held_goes_home_whole_before_anything_else_whatever_the_shares_are() {
        let mut scene = scene();
        scene.agent(agent(0, &cpus(1)));
        let given = lines(&scene.divide("drf"));
        assert_eq!(
            given[0],
            format!("F1 S1 {HOME}"),
            "although F2 has less, and S0 comes before S1"
        );
        assert_eq!(given[1..], ["F2 S0 cpus:1", "F2 S1 cpus:4; mem:1000"]);
    }

    #[test]
    fn the_rest_of_the_agent_joins_what_went_home_when_the_holder_is_first_anyway() {
        let mut scene = scene();
        scene.frameworks.remove(&framework_id(2));
        assert_eq!(
            lines(&scene.divide("drf")),
            ["F1 S1 cpus:4; cpus(db):2; disk(db)[v]:100; mem:1000; mem(db):64"]
        );
    }

    #[test]
    fn what_is_held_by_one_who_is_away_waits_for_it() {
        let mut scene = scene();
        scene.frameworks.get_mut(&framework_id(1)).unwrap().active = false;
        assert_eq!(lines(&scene.divide("drf")), ["F2 S1 cpus:4; mem:1000"]);
        scene.frameworks.remove(&framework_id(1));
        assert_eq!(
            lines(&scene.divide("drf")),
            ["F2 S1 cpus:4; mem:1000"],
            "a new leader may not know it yet"
        );
        scene.each_agent(|it| {
            Arc::make_mut(&mut it.holders).iter_mut().for_each(|it| it.expected = false)
        });
        assert_eq!(
            scene.divide("drf")[0].resources.len(),
            5,
            "not expected any more: its role mates may have it"
        );
    }

    #[test]
    fn suppressing_is_no_word_about_what_is_held() {
        let mut scene = scene();
        scene.frameworks.get_mut(&framework_id(1)).unwrap().roles[0].suppressed = true;
        assert_eq!(lines(&scene.divide("drf")), ["F2 S1 cpus:4; mem:1000"]);
    }

    #[test]
    fn what_the_holder_declines_is_offered_to_its_role_mates_only() {
        let mut scene = scene();
        scene.decline(1, "db", 1, &home());
        assert_eq!(scene.divide("drf")[0].framework, framework_id(2));
        assert_eq!(scene.divide("drf")[0].resources.len(), 5);
        scene.frameworks.remove(&framework_id(2));
        // F1 declined less than it would get with the unreserved rest, so it is asked again.
        assert_eq!(scene.divide("drf")[0].framework, framework_id(1));
        scene.decline(1, "db", 1, &sum([home(), cpus(4), mem(1000)]));
        assert_eq!(lines(&scene.divide("drf")), ["F3 S1 cpus:4; mem:1000"]);
    }

    #[test]
    fn declining_a_part_is_not_declining_the_whole() {
        let mut scene = scene();
        scene.decline(1, "db", 1, &reserve(&cpus(2), "db"));
        assert_eq!(lines(&scene.divide("drf"))[0], format!("F1 S1 {HOME}"));
    }

    #[test]
    fn what_is_reserved_beside_a_claim_goes_with_it() {
        let mut scene = scene();
        let disk: Resources = [volume("v", 100, "db")].into_iter().collect();
        scene.each_agent(|it| it.holders = hold(&disk, 1));
        assert_eq!(lines(&scene.divide("drf"))[0], format!("F1 S1 {HOME}"));
    }

    #[test]
    fn a_remnant_of_disk_is_offered_to_its_owner_however_small() {
        let mut scene = scene();
        scene.each_agent(|it| it.free = [volume("v", 100, "db")].into_iter().collect());
        assert_eq!(lines(&scene.divide("drf")), ["F1 S1 disk(db)[v]:100"]);
        scene.each_agent(|it| it.holders = Arc::default());
        assert_eq!(
            lines(&scene.divide("drf")),
            ["F2 S1 disk(db)[v]:100"],
            "to any of its role, if nobody in particular holds it"
        );
    }

    #[test]
    fn unreserved_remnants_are_offered_when_any_set_is_reached() {
        let given = |free: &Resources, own: Option<Vec<holdfast_model::Quantities>>| {
            let mut scene = Scene { min_allocatable: Scene::usual_minimum(), ..Scene::default() };
            scene.framework(framework(1, &["r"]));
            scene.each_framework(|it| it.roles[0].min_allocatable = own.clone());
            scene.agent(agent(1, free));
            scene.divide("drf").len()
        };
        let tiny = Resources::from_iter([
            Resource::scalar("cpus", Scalar::thousandths(9)),
            Resource::scalar("mem", Scalar::whole(31)),
        ]);
        assert_eq!(given(&tiny, None), 0);
        assert_eq!(given(&tiny, Some(Vec::new())), 1, "no set: anything goes");
        assert_eq!(given(&mem(32), None), 1);
        assert_eq!(
            given(&mem(32), Some(vec![quantities(&[("cpus", 1), ("mem", 1)])])),
            0,
            "all of a set"
        );
    }

    #[test]
    fn reservations_are_offered_down_the_tree_and_not_up() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["eng"]));
        scene.framework(framework(2, &["eng/db"]));
        scene.agent(agent(1, &reserve(&cpus(1), "eng/db")));
        scene.agent(agent(2, &reserve(&cpus(1), "eng")));
        scene.agent(agent(3, &reserve(&cpus(1), "eng/web")));
        assert_eq!(lines(&scene.divide("drf")), ["F2 S1 cpus(eng/db):1", "F1 S2 cpus(eng):1"]);
        scene.frameworks.remove(&framework_id(1));
        assert_eq!(lines(&scene.divide("drf")), ["F2 S1 cpus(eng/db):1", "F2 S2 cpus(eng):1"]);
    }

    #[test]
    fn a_claim_goes_to_the_very_role_if_that_is_waiting() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["eng/db", "eng"]));
        let mut view = agent(1, &reserve(&cpus(1), "eng"));
        view.holders = hold(&view.free, 1);
        scene.agent(view);
        scene.each_framework(|it| it.roles[1].allocated = quantities(&[("cpus", 1)]));
        assert_eq!(scene.divide("drf")[0].role, role("eng"));
        scene.decline(1, "eng", 1, &reserve(&cpus(1), "eng"));
        assert_eq!(scene.divide("drf")[0].role, role("eng/db"));
    }

    #[test]
    fn each_gets_its_own_when_two_hold_claims_of_one_role() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["db"]));
        scene.framework(framework(2, &["db"]));
        let (one, two): (Resources, Resources) =
            ([volume("a", 1, "db")].iter().collect(), [volume("b", 1, "db")].iter().collect());
        let mut view = agent(1, &sum([one.clone(), two.clone(), reserve(&cpus(1), "db"), cpus(8)]));
        view.holders = Arc::new([hold(&one, 2).to_vec(), hold(&two, 1).to_vec()].concat());
        scene.agent(view);
        assert_eq!(
            lines(&scene.divide("drf")),
            ["F1 S1 cpus:8; cpus(db):1; disk(db)[b]:1", "F2 S1 disk(db)[a]:1"]
        );
    }

    #[test]
    fn capabilities_open_what_needs_them() {
        let revocable = |resources: Resources| -> Resources {
            resources
                .iter()
                .map(|mut it| {
                    it.identity.revocable = true;
                    it
                })
                .collect()
        };
        let mut shared = volume("s", 5, "r");
        shared.identity.shared = true;
        let refined = reserve(&reserve(&mem(7), "r"), "r/x");
        let free = sum([cpus(1), revocable(cpus(3)), [shared].into_iter().collect(), refined]);
        let given = |capabilities: &[Capability]| {
            let mut scene = Scene::default();
            scene.framework(FrameworkView {
                capabilities: capabilities.iter().copied().collect(),
                ..framework(1, &["r/x"])
            });
            scene.agent(agent(1, &free));
            scene
                .divide("priority")
                .into_iter()
                .next()
                .map(|it| it.resources.to_string())
                .unwrap_or_default()
        };
        assert_eq!(given(&[]), "cpus:1");
        assert_eq!(given(&[Capability::RevocableResources]), "cpus:1; cpus:3");
        assert_eq!(given(&[Capability::SharedResources]), "cpus:1; disk(r)[s]:5");
        assert_eq!(given(&[Capability::ReservationRefinement]), "cpus:1; mem(r/x):7");
    }

    #[test]
    fn k118_a_shared_volume_is_offered_to_one_at_a_time_and_to_nobody_twice() {
        let mut shared = volume("s", 5, "r");
        shared.identity.shared = true;
        let home: Resources = [shared.clone()].into_iter().collect();
        let capabilities = BTreeSet::from([Capability::SharedResources]);
        let mut scene = Scene::default();
        for n in [1, 2] {
            let view = FrameworkView { capabilities: capabilities.clone(), ..framework(n, &["r"]) };
            scene.framework(view);
        }
        let mut view = agent(1, &sum([home.clone(), cpus(1)]));
        view.holders = hold(&home, 2);
        scene.agent(view);
        let sharing = |scene: &mut Scene, is_used: bool, offered: &[u8]| {
            let offered: BTreeSet<FrameworkId> =
                offered.iter().map(|it| framework_id(*it)).collect();
            scene.each_agent(|it| {
                let identity = shared.identity.clone();
                it.sharing = vec![Sharing { identity, is_used, offered: offered.clone() }];
            });
        };
        let bound = |n: u8| format!("F{n} S1 cpus:1; disk(r)[s]:5");
        assert_eq!(
            lines(&scene.divide("priority")),
            ["F2 S1 disk(r)[s]:5", "F1 S1 cpus:1"],
            "nobody has it: home first"
        );
        sharing(&mut scene, true, &[]);
        assert_eq!(lines(&scene.divide("priority")), [bound(1)], "with something to use it with");
        sharing(&mut scene, true, &[1]);
        assert_eq!(lines(&scene.divide("priority")), ["F1 S1 cpus:1"], "not once more");
        scene.frameworks.remove(&framework_id(1));
        assert_eq!(lines(&scene.divide("priority")), [bound(2)], "but to another one");
        scene.each_agent(|it| it.free = home.clone());
        assert!(scene.divide("priority").is_empty(), "and to nobody alone while others have it");
        let input = scene.input();
        let why = why_not(&input, &framework_id(2), None);
        assert_eq!(why[0].reason, crate::reasons::Reason::NothingFree);
    }

    #[test]
    fn machines_with_gpus_are_kept_from_those_who_do_not_know_them_but_claims_go_home() {
        let mut scene = scene();
        scene.each_agent(|it| it.free.add_all(&gpus(2)));
        assert_eq!(lines(&scene.divide("drf")), [format!("F1 S1 {HOME}")]);
        scene
            .frameworks
            .get_mut(&framework_id(3))
            .unwrap()
            .capabilities
            .insert(Capability::GpuResources);
        assert_eq!(
            lines(&scene.divide("drf")),
            [format!("F1 S1 {HOME}"), "F3 S1 cpus:4; gpus:2; mem:1000".to_owned()]
        );
    }

    #[test]
    fn only_agents_that_changed_and_are_well_are_divided() {
        let mut scene = Scene::default();
        scene.framework(framework(1, &["r"]));
        for n in 1..=3 {
            scene.agent(agent(n, &cpus(1)));
        }
        scene.agents.get_mut(&agent_id(2)).unwrap().fault = Some("away".to_owned());
        let changes = Changes::anew([2, 3, 4].map(agent_id));
        let given = crate::by_name("drf").unwrap().allocate(&scene.input(), &changes);
        assert_eq!(lines(&given), ["F1 S3 cpus:1"]);
    }

    /// Written anew from the rules, and not from the code: may this framework's role have this
    /// resource at all?
    fn may_have(
        scene: &Scene,
        framework: &FrameworkView,
        role: &Role,
        agent: &AgentId,
        identity: &holdfast_model::Identity,
    ) -> bool {
        let reserved_for = identity.reservations.last().map(|it| it.role.as_str().to_owned());
        let in_tree = reserved_for
            .is_none_or(|it| it == role.as_str() || role.as_str().starts_with(&format!("{it}/")));
        let can = |capability| framework.capabilities.contains(&capability);
        let understood = (can(Capability::GpuResources) || identity.name != "gpus")
            && (can(Capability::RevocableResources) || !identity.revocable)
            && (can(Capability::SharedResources) || !identity.shared)
            && (can(Capability::ReservationRefinement) || identity.reservations.len() < 2);
        let holders: Vec<&FrameworkId> = scene.agents[agent]
            .holders
            .iter()
            .filter(|it| it.expected && it.identity == *identity)
            .map(|it| &it.framework)
            .collect();
        let away = |it: &&FrameworkId| {
            let waits = |it: &FrameworkView| {
                it.roles.iter().any(|it| !it.suppressed && identity.is_allocatable_to(&it.role))
            };
            scene.frameworks.get(*it).is_none_or(|it| !it.active || !waits(it))
        };
        // What is shared is kept from nobody.
        let kept =
            !identity.shared && !holders.contains(&&framework.id) && holders.iter().any(away);
        in_tree && understood && !kept
    }

    fn check_rules(scene: &Scene, given: &[Allocation]) -> Result<(), TestCaseError> {
        let mut free: BTreeMap<&AgentId, Resources> =
            scene.agents.iter().map(|(id, view)| (id, view.free.clone())).collect();
        let mut seen = BTreeSet::new();
        for Allocation { framework, role, agent, resources } in given {
            let left = free.get_mut(agent).unwrap();
            prop_assert!(
                !resources.is_empty() && left.contains(resources),
                "twice, or more than is free"
            );
            left.subtract_all(resources);
            let view = &scene.frameworks[framework];
            prop_assert!(scene.agents[agent].fault.is_none() && view.active);
            prop_assert!(view.roles.iter().any(|it| it.role == *role && !it.suppressed));
            prop_assert!(resources
                .entries()
                .all(|(identity, _)| may_have(scene, view, role, agent, identity)));
            prop_assert!(seen.insert((framework, role, agent)), "one allocation each");
        }
        Ok(())
    }

    /// A framework that is connected, waits and has declined nothing gets all that it holds, before
    /// the rest.
    fn check_home(scene: &Scene, given: &[Allocation]) -> Result<(), TestCaseError> {
        for (agent, view) in scene.agents.iter().filter(|(_, view)| view.fault.is_none()) {
            for Holder { identity, framework, .. } in view
                .holders
                .iter()
                .filter(|it| it.expected && view.free.get(&it.identity).is_some())
            {
                let Some(holder) = scene.frameworks.get(framework).filter(|it| it.active) else {
                    continue;
                };
                let silent = |role: &Role| {
                    scene
                        .filters
                        .blocked_until(framework, role, agent, &Resources::new(), Scene::NOW)
                        .is_none()
                };
                let mut roles = holder
                    .roles
                    .iter()
                    .filter(|it| !it.suppressed && identity.is_allocatable_to(&it.role));
                if !roles.any(|it| {
                    silent(&it.role) && may_have(scene, holder, &it.role, agent, identity)
                }) {
                    continue;
                }
                let got = given
                    .iter()
                    .position(|it| it.agent == *agent && it.resources.get(identity).is_some());
                let winner = got.map(|at| &given[at].framework);
                let holders: Vec<&FrameworkId> = view
                    .holders
                    .iter()
                    .filter(|it| it.expected && it.identity == *identity)
                    .map(|it| &it.framework)
                    .collect();
                prop_assert!(
                    winner.is_some_and(|it| holders.contains(&it)),
                    "{} of {} went to {:?}",
                    identity,
                    framework,
                    winner
                );
                let before = &given[..got.unwrap()];
                let all_home = before.iter().all(|it| {
                    scene.agents[&it.agent]
                        .holders
                        .iter()
                        .any(|held| held.framework == it.framework)
                });
                prop_assert!(all_home, "something else came before what went home");
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

        #[test]
        fn the_rules_hold_for_every_policy(scene in a_scene()) {
            for (name, _) in POLICIES {
                let given = scene.divide(name);
                prop_assert_eq!(&given, &scene.divide(name), "the same input, the same answer");
                check_rules(&scene, &given)?;
                check_home(&scene, &given)?;
                prop_assert_eq!(scene.after(&given).divide(name), vec![], "nothing is left that anybody may have");
            }
        }

        #[test]
        fn an_agent_is_divided_the_same_whatever_else_is_dirty_under_strict_priority(scene in a_scene()) {
            let mut apart = Vec::new();
            for agent in scene.all().agents.into_keys() {
                apart.extend(crate::by_name("priority").unwrap().allocate(&scene.input(), &Changes::anew([agent])));
            }
            let key = |it: &Allocation| (it.agent.clone(), it.framework.clone(), it.role.clone());
            let mut together = scene.divide("priority");
            together.sort_by_key(key);
            apart.sort_by_key(key);
            prop_assert_eq!(together, apart);
        }

        /// A part that is walked or sorted by itself comes in the order of the whole.
        #[test]
        fn a_part_of_the_order_is_in_order(scene in a_scene(), chosen in any::<u64>(), below in prop::collection::btree_set(a_role(), 1..4)) {
            let input = scene.input();
            let (mut roster, basis) = (Roster::default(), ShareBasis::new(&input, &BTreeSet::new()));
            let mut tree = RoleTree::new(basis, &input, Default::default());
            scene.frameworks.iter().for_each(|(id, view)| roster.renew(id, Some(view), &mut tree));
            let all = || scene.frameworks.keys().flat_map(|it| roster.of_framework(it)).copied();
            let waiting = all().filter(|at| roster.get(*at).waits()).count();
            prop_assert_eq!(tree.in_order().count(), waiting);
            let among: BTreeSet<usize> = all().filter(|at| chosen >> at & 1 == 1).collect();
            let (whole, mut part) = (tree.in_order().filter(|at| among.contains(at)).collect::<Vec<_>>(), Vec::new());
            let none = tree.first_among(&among, &mut |at| { part.push(at); None });
            prop_assert_eq!((none, part), (None, whole));
            let is_below = |at: &usize| below.iter().any(|it| roster.get(*at).role == it || roster.get(*at).role.is_below(it));
            let (whole, mut part) = (tree.in_order().filter(is_below).collect::<Vec<_>>(), Vec::new());
            tree.first_below(&below.iter().collect(), &mut |at| { part.push(at); None });
            prop_assert_eq!(part, whole);
        }

        /// Each framework, role and agent has either an allocation or a reason why not; and the
        /// reasons come true.
        #[test]
        fn whoever_gets_nothing_is_told_why(scene in a_scene()) {
            for (name, _) in POLICIES {
                let given = scene.divide(name);
                let after = scene.after(&given);
                for framework in scene.frameworks.values() {
                    let (now, then) = (why_not(&scene.input(), &framework.id, None), why_not(&after.input(), &framework.id, None));
                    let told = why_not_after(&scene.input(), &given, &framework.id, None);
                    for (agent, role) in scene.agents.keys().flat_map(|agent| framework.roles.iter().map(move |it| (agent, &it.role))) {
                        let has = |list: &[crate::WhyNot]| list.iter().filter(|it| it.agent == *agent && it.role == *role).count();
                        let got = given.iter().any(|it| it.framework == framework.id && it.role == *role && it.agent == *agent);
                        prop_assert_eq!(has(&told), usize::from(!got));
                        // Once its GPUs went to others, the rest of a machine is open within the
                        // same division to those without the capability.
                        let gpus = Scalar::ZERO < scene.agents[agent].free.quantity("gpus");
                        let opens = gpus && !framework.capabilities.contains(&Capability::GpuResources);
                        prop_assert!(!got || opens || has(&now) == 0, "allocated although there was a reason against it");
                        prop_assert_eq!(has(&then), 1, "afterwards there is a reason for everybody");
                    }
                }
            }
        }
    }
}
