//! The reference: the rules of division written down as plainly as possible, without anything that
//! is kept, indexed or asked only in part.
//!
//! Only tests: policies must give the same grants, in the same order, to the same frameworks. It
//! relies on `candidate` alone, for who is eligible. Every round adds all shares up anew and sorts
//! all contenders.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, FrameworkId, Quantities, Role, Scalar};

use crate::candidate::{Candidate, Fit};
use crate::input::{Allocation, AllocationInput};
use crate::roster::Contender;
use crate::shares::{Share, WEIGHT};

/// How often each contender was served in earlier divisions.
pub(crate) type ServedBefore = BTreeMap<(FrameworkId, Role), u64>;
/// A place at one level: by share, times served, and name. A role's own frameworks come before the
/// roles below it.
type Place = (Share, u64, Option<String>);

/// A division on its way.
struct Plain<'a, 'd> {
    input: &'d AllocationInput<'a>,
    is_drf: bool,
    waiting: Vec<Contender<'a>>,
    /// What each role of each framework has, with what was granted so far.
    held: BTreeMap<(&'a FrameworkId, &'a Role), Quantities>,
    /// How often those that wait were served, grants so far included.
    served: BTreeMap<(&'a FrameworkId, &'a Role), u64>,
    grants: Vec<(usize, usize, Vec<usize>)>,
}

/// Divides all that is free on these agents among all frameworks.
pub(crate) fn divide_plainly<'a>(
    input: &AllocationInput<'a>,
    agents: &BTreeSet<AgentId>,
    policy: &str,
    before: &mut ServedBefore,
) -> Vec<Allocation> {
    let each = || input.frameworks.values().flat_map(|it| it.roles.iter().map(move |r| (it, r)));
    let waiting: Vec<Contender<'a>> =
        each().map(|(it, role)| Contender::of(it, role)).filter(Contender::waits).collect();
    let count = |it: &Contender<'a>| {
        let key = (it.framework.clone(), it.role.clone());
        ((it.framework, it.role), before.get(&key).copied().unwrap_or_default())
    };
    let served = waiting.iter().map(count).collect();
    let held = each().map(|(it, role)| ((&it.id, &role.role), role.allocated.clone())).collect();
    let is_drf = policy == "drf";
    let mut plain = Plain { input, is_drf, waiting, held, served, grants: Vec::new() };
    let views = agents.iter().filter_map(|it| input.agents.get(it));
    let mut candidates: Vec<Candidate<'a>> = views
        .filter(|it| it.fault.is_none() && !it.free.is_empty())
        .map(|it| Candidate::new(input, it))
        .collect();
    for (at, candidate) in candidates.iter_mut().enumerate() {
        while plain.offer_to_holder(at, candidate) {}
    }
    for (at, candidate) in candidates.iter_mut().enumerate() {
        while plain.offer_rest(at, candidate) {}
    }
    let Plain { grants, waiting, .. } = plain;
    before.retain(|(id, _), _| input.frameworks.contains_key(id));
    let allocation = |(at, contender, slices): (usize, usize, Vec<usize>)| {
        let Contender { framework, role, .. } = waiting[contender];
        *before.entry((framework.clone(), role.clone())).or_default() += 1;
        Allocation {
            framework: framework.clone(),
            role: role.clone(),
            agent: candidates[at].agent_id().clone(),
            resources: candidates[at].resources(&slices),
        }
    };
    grants.into_iter().map(allocation).collect()
}

impl<'a> Plain<'a, '_> {
    fn offer_to_holder(&mut self, at: usize, candidate: &mut Candidate<'a>) -> bool {
        let order = self.order();
        let is_exact = |contender: &Contender<'a>| {
            let mut own = candidate.left().filter(|(_, it)| it.is_held_by(contender.framework));
            own.any(|(_, slice)| slice.identity.role() == *contender.role)
        };
        let (exact, below): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|it| is_exact(&self.waiting[*it]));
        let mut both = exact.into_iter().chain(below);
        let bundle = |it| Some((it, candidate.bundle(self.input, &self.waiting[it])?));
        let first = both.find_map(bundle);
        self.grant(at, candidate, first)
    }

    fn offer_rest(&mut self, at: usize, candidate: &mut Candidate<'a>) -> bool {
        let eligible =
            |it: usize| Some((it, candidate.eligible(self.input, None, &self.waiting[it]).ok()?));
        let first = self.order().into_iter().find_map(eligible);
        self.grant(at, candidate, first)
    }

    fn grant(
        &mut self,
        at: usize,
        candidate: &mut Candidate<'a>,
        first: Option<(usize, Fit)>,
    ) -> bool {
        let Some((contender, Fit { slices, .. })) = first else { return false };
        slices.iter().for_each(|it| candidate.take(*it));
        let Contender { framework, role, .. } = self.waiting[contender];
        let held = self.held.get_mut(&(framework, role)).unwrap();
        for (name, amount) in candidate.scalars(&slices) {
            let sum = held.entry(name.to_owned()).or_default();
            *sum = sum.plus(amount);
        }
        *self.served.get_mut(&(framework, role)).unwrap() += 1;
        let former = self.grants.iter_mut().find(|it| (it.0, it.1) == (at, contender));
        match former {
            Some((.., all)) => all.extend(slices),
            None => self.grants.push((at, contender, slices)),
        }
        true
    }

    /// Those that wait, whoever comes first first.
    fn order(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.waiting.len()).collect();
        match self.is_drf {
            true => all.sort_by_cached_key(|at| self.place(&self.waiting[*at])),
            false => all.sort_by_cached_key(|at| {
                let Contender { framework, role, .. } = self.waiting[*at];
                let above = self.input.weights.iter();
                let above = above.filter(|(it, _)| *it == role || role.is_below(it));
                let nearest = above.max_by_key(|(it, _)| it.as_str().len());
                let weight = nearest.map_or(WEIGHT, |(_, weight)| *weight);
                (Reverse(weight), framework.as_str().len(), framework.clone(), role.clone())
            }),
        }
        all
    }

    /// From the topmost role above a contender down to itself.
    fn place(&self, contender: &Contender<'a>) -> Vec<Place> {
        let role = contender.role;
        let mut place = Vec::new();
        let ends = role.as_str().match_indices('/').map(|(end, _)| end);
        for end in ends.chain([role.as_str().len()]) {
            let path = Role::parse(&role.as_str()[..end]).unwrap();
            let weight = self.input.weights.get(&path).copied().unwrap_or(WEIGHT);
            let again = self.input.shared_again.get(&path).map(|it| &it.all);
            let within = |_: &FrameworkId, it: &Role| *it == path || it.is_below(&path);
            let (share, served) = self.sums(weight, again, within);
            place.push((share, served, Some(path.to_string())));
        }
        let again = self.input.shared_again.get(role).map(|it| &it.own);
        let (share, served) = self.sums(WEIGHT, again, |_, it| it == role);
        place.push((share, served, None));
        let is_it = |id: &FrameworkId, it: &Role| id == contender.framework && it == role;
        let (share, served) = self.sums(WEIGHT, None, is_it);
        place.push((share, served, Some(contender.framework.to_string())));
        place
    }

    /// The dominant share of some contenders together, and how often they were served.
    fn sums(
        &self,
        weight: Scalar,
        again: Option<&Quantities>,
        of: impl Fn(&FrameworkId, &Role) -> bool,
    ) -> (Share, u64) {
        let served = self.served.iter().filter(|((id, role), _)| of(id, role)).map(|(_, it)| *it);
        let all: Vec<&Quantities> =
            self.held.iter().filter(|((id, role), _)| of(id, role)).map(|(_, it)| it).collect();
        let totals = self.input.totals.iter();
        let counted = totals.filter(|(name, it)| Scalar::ZERO < **it && *name != "ports");
        let ratio = |(name, total): (&String, &Scalar)| {
            let amount = |it: &&Quantities| it.get(name).map_or(0, |it| it.as_thousandths());
            let held: i64 = all.iter().map(amount).sum::<i64>() - again.as_ref().map_or(0, amount);
            held as f64 * 1000.0 / (total.as_thousandths() as f64 * weight.as_thousandths() as f64)
        };
        (Share(counted.map(ratio).fold(0.0, f64::max)), served.sum())
    }
}

mod tests {
    use super::*;
    use crate::input::{Changes, FrameworkView, SharedAgain};
    use crate::policy::{by_name, Policy};
    use crate::random_scenes::{a_framework, a_role, a_scene, an_agent};
    use crate::testing::*;
    use holdfast_model::Resources;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// What can happen between two divisions. Numbers are taken modulo what there is.
    #[derive(Clone, Debug)]
    enum Step {
        /// An agent has other things free and held, or is ill.
        Agent(usize, (Resources, Vec<crate::Holder>, bool)),
        /// A framework describes itself anew, comes or goes.
        Framework(u8, Option<FrameworkView>),
        Revive(usize),
        Connect(usize, bool),
        Decline(usize, Role, usize, u8, u64),
        Expire(u64),
        /// All that anybody had is given back.
        Release,
        Weigh(Role, i64),
        /// The frameworks of a role have so much of shared volumes again, and those of roles below it so much more.
        Share(Role, i64, i64),
        Total(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let n = 0usize..8;
        prop_oneof![
            4 => (n.clone(), an_agent()).prop_map(|(at, it)| Step::Agent(at, it)),
            2 => (1u8..6, prop::option::weighted(0.8, a_framework())).prop_map(|(at, it)| Step::Framework(at, it)),
            2 => n.clone().prop_map(Step::Revive),
            2 => (n.clone(), any::<bool>()).prop_map(|(at, it)| Step::Connect(at, it)),
            4 => (n.clone(), a_role(), n, any::<u8>(), 1u64..4000).prop_map(|(f, r, a, mask, ms)| Step::Decline(f, r, a, mask, ms)),
            3 => (1u64..3000).prop_map(Step::Expire),
            2 => Just(Step::Release),
            1 => (a_role(), 1i64..5).prop_map(|(role, weight)| Step::Weigh(role, weight)),
            2 => (a_role(), 0i64..3, 0i64..3).prop_map(|(role, own, below)| Step::Share(role, own, below)),
            1 => (1i64..200).prop_map(Step::Total),
        ]
    }

    /// A cluster, and what a master would say has changed there.
    struct World {
        scene: Scene,
        changes: Changes,
    }

    impl World {
        fn framework(&self, n: usize) -> Option<FrameworkId> {
            self.scene.frameworks.keys().nth(n % self.scene.frameworks.len().max(1)).cloned()
        }

        fn agent(&self, n: usize) -> AgentId {
            self.scene.agents.keys().nth(n % self.scene.agents.len()).unwrap().clone()
        }

        fn each_agent(&mut self, mut change: impl FnMut(&mut Changes, &mut Scene, AgentId)) {
            for agent in self.scene.agents.keys().cloned().collect::<Vec<_>>() {
                change(&mut self.changes, &mut self.scene, agent);
            }
        }

        /// Only this one is asked about all agents, and has declined nothing.
        fn ask(&mut self, id: &FrameworkId) {
            self.changes.frameworks.insert(id.clone());
            self.each_agent(|changes, scene, agent| {
                scene.filters.forget(id, &BTreeSet::new(), &agent);
                changes.ask(agent, id.clone());
            });
        }

        fn change(&mut self, step: Step) {
            match step {
                Step::Agent(at, (free, holders, ill)) => {
                    let agent = self.agent(at);
                    let view = self.scene.agents.get_mut(&agent).unwrap();
                    (view.free, view.holders) = (free, Arc::new(holders));
                    view.fault = ill.then(|| "ill".to_owned());
                    self.changes.divide(agent);
                }
                Step::Framework(n, view) => {
                    // What it held, or declined, may be open to others now.
                    let id = framework_id(n);
                    match view {
                        Some(view) => {
                            self.scene.framework(FrameworkView { id: id.clone(), ..view })
                        }
                        None => drop(self.scene.frameworks.remove(&id)),
                    }
                    self.changes.frameworks.insert(id);
                    self.each_agent(|changes, _, agent| changes.divide(agent));
                }
                Step::Revive(at) => {
                    let Some(id) = self.framework(at) else { return };
                    let view = self.scene.frameworks.get_mut(&id).unwrap();
                    view.roles.iter_mut().for_each(|it| it.suppressed = false);
                    self.ask(&id);
                }
                Step::Connect(at, is_here) => {
                    let Some(id) = self.framework(at) else { return };
                    self.scene.frameworks.get_mut(&id).unwrap().active = is_here;
                    self.ask(&id);
                }
                Step::Decline(framework, role, agent, mask, ms) => {
                    let Some(id) = self.framework(framework) else { return };
                    let agent = self.agent(agent);
                    let free = self.scene.agents[&agent].free.iter().enumerate();
                    let declined = free.filter(|(n, _)| mask >> (n % 6) & 1 == 1 || 200 < mask);
                    let declined: Resources = declined.map(|(_, resource)| resource).collect();
                    let until = Scene::NOW.plus_ms(self.scene.later_ms + ms);
                    self.scene.filters.insert(&id, &role, &agent, declined, until);
                    self.changes.divide(agent);
                }
                Step::Expire(ms) => {
                    self.scene.later_ms += ms;
                    let now = Scene::NOW.plus_ms(self.scene.later_ms);
                    for (agent, framework) in self.scene.filters.expire(now, usize::MAX) {
                        self.changes.ask(agent, framework);
                    }
                }
                Step::Release => {
                    for id in self.scene.frameworks.keys().cloned().collect::<Vec<_>>() {
                        let view = self.scene.frameworks.get_mut(&id).unwrap();
                        view.roles.iter_mut().for_each(|it| it.allocated.clear());
                        self.changes.frameworks.insert(id);
                    }
                }
                Step::Weigh(role, weight) => {
                    self.scene.weights.insert(role, Scalar::whole(weight));
                    self.changes.everything = true;
                }
                Step::Share(role, own, below) => {
                    let all = quantities(&[("cpus", own + below)]);
                    let again = SharedAgain { own: quantities(&[("cpus", own)]), all };
                    self.scene.shared_again.insert(role.clone(), again);
                    self.changes.roles.insert(role);
                }
                Step::Total(cpus) => {
                    self.scene.totals.insert("cpus".to_owned(), Scalar::whole(cpus));
                }
            }
        }

        /// Divides both ways, and goes on with what was given.
        fn divide(
            &mut self,
            name: &str,
            policy: &mut dyn Policy,
            before: &mut ServedBefore,
        ) -> Result<(), TestCaseError> {
            let all = self.scene.agents.keys().cloned().collect();
            let expected = divide_plainly(&self.scene.input(), &all, name, before);
            let given = policy.allocate(&self.scene.input(), &std::mem::take(&mut self.changes));
            prop_assert_eq!(&given, &expected, "{}", name);
            self.scene = self.scene.after(&given);
            self.changes.frameworks = given.into_iter().map(|it| it.framework).collect();
            Ok(())
        }
    }

    fn check(scene: &Scene, steps: &[Step]) -> Result<(), TestCaseError> {
        for name in ["drf", "priority"] {
            let (mut policy, mut before) = (by_name(name).unwrap(), ServedBefore::new());
            let mut world = World { scene: scene.clone(), changes: scene.all() };
            world.divide(name, policy.as_mut(), &mut before)?;
            for step in steps {
                world.change(step.clone());
                world.divide(name, policy.as_mut(), &mut before)?;
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// What stands between divisions, and asks only whom something has changed for, gives what
        /// is found by adding everything up anew and asking everybody about everything.
        #[test]
        fn policies_give_what_the_reference_gives(scene in a_scene(), steps in prop::collection::vec(step(), 0..12)) {
            check(&scene, &steps)?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100_000, ..ProptestConfig::default() })]

        #[test]
        #[ignore = "takes minutes; for whoever changes how policies divide"]
        fn policies_give_what_the_reference_gives_for_long(scene in a_scene(), steps in prop::collection::vec(step(), 0..8)) {
            check(&scene, &steps)?;
        }
    }
}
