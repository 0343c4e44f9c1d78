//! A storm over a service of pods: somebody asks for restarts, replacements, other specs, fewer and
//! more members at random times, while everything fails; afterwards whoever is asked says yes.
//!
//! It relies on [`World`], and on rule P1 to look. It asks nothing that a person would not.

use holdfast_model::{Role, Scalar};
use holdfast_sdk::plans::StepState;
use holdfast_sdk::pods::{Lost, MemberId, NoHooks, Request};
use holdfast_sdk::spec::{
    DiskClass, Goal, Placement, PodSpec, Recovery, ServiceSpec, Strategy, TaskSpec, VolumeSpec,
};

use crate::agenda::Node;
use crate::keepers::AnyKeeper;
use crate::rng::Rng;
use crate::world::World;

/// How long somebody waits between two requests, in milliseconds.
const REQUEST_MS: (u64, u64) = (1_000, 8_000);
/// How long a service may take after the storm, in milliseconds.
const HEAL_MS: u64 = 600_000;
/// How long everything is left alone afterwards.
const REST_MS: u64 = 30_000;

/// A service with a stateful and a stateless pod.
pub fn spec() -> ServiceSpec {
    let volume =
        |path: &str, size_mb| VolumeSpec { path: path.into(), size_mb, class: DiskClass::Any };
    let format =
        TaskSpec { goal: Goal::Once, ..TaskSpec::new("format", "once", Scalar::whole(1), 64) };
    let node = PodSpec {
        name: "node".into(),
        count: 2,
        placement: Placement { max_per_agent: Some(1), ..Placement::default() },
        volumes: vec![volume("data", 200), volume("log", 100)],
        ports: Vec::new(),
        tasks: vec![format, TaskSpec::new("server", "append", Scalar::whole(1), 256)],
        recovery: Recovery::Wait,
        strategy: Strategy::Serial,
    };
    let proxy = PodSpec {
        name: "proxy".into(),
        count: 1,
        placement: Placement::default(),
        volumes: Vec::new(),
        ports: Vec::new(),
        tasks: vec![TaskSpec::new("proxy", "append", Scalar::thousandths(100), 32)],
        recovery: Recovery::Wait,
        strategy: Strategy::Parallel,
    };
    ServiceSpec {
        name: "ring".into(),
        role: Role::parse("ring").expect("the simulator names valid roles"),
        principal: None,
        user: None,
        pods: vec![node, proxy],
    }
}

/// Adds the service to a world.
pub(crate) fn add(world: &mut World) -> usize {
    world.add_pods(spec(), Box::new(NoHooks), Lost::Ask)
}

/// Runs the storm with requests.
pub(crate) fn storm(world: &mut World, index: usize, seed: u64, until_ms: u64) {
    let mut rng = Rng::new(seed).fork(40);
    while world.elapsed_ms() < until_ms && world.violation.is_none() {
        let next = world.elapsed_ms() + rng.between(REQUEST_MS.0, REQUEST_MS.1);
        world.run_until(next.min(until_ms));
        if let Some(request) = request(world, index, &mut rng) {
            ask(world, index, request);
        }
    }
}

fn ask(world: &mut World, index: usize, request: Request) {
    let stands = world.frameworks[index].process.paused_until.is_some();
    if world.violation.is_none() && !stands {
        world.note(|| format!("somebody asks: {request:?}"));
        let _ = world.command(index, "storm", request);
        world.look(Node::Framework(index));
    }
}

/// Something that a person may ask for now.
fn request(world: &World, index: usize, rng: &mut Rng) -> Option<Request> {
    let AnyKeeper::Pods(keeper) = world.frameworks[index].keeper.as_ref()? else { return None };
    let spec = keeper.spec();
    let member = MemberId::new("node", rng.below(2) as u32);
    let active = keeper.state().plan;
    let changed = |change: &dyn Fn(&mut ServiceSpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        Request::Spec { spec: Box::new(spec), is_preview: false }
    };
    let grace = rng.below(1_000);
    Some(match (rng.below(9), active) {
        (0 | 1, None) => Request::Restart("node".into(), None),
        (2 | 3, None) => Request::Replace(member),
        (4, None) => Request::ScaleIn("node".into(), spec.pods[0].count - 1),
        (5, _) => changed(&|it| it.pods[0].count = (it.pods[0].count + 1).min(3)),
        (6, _) => changed(&|it| it.pods[0].tasks[1].kill_grace_ms = Some(grace)),
        (7, Some(plan)) => Request::Pause(plan),
        (8, Some(plan)) => Request::Resume(plan),
        (0, Some(_)) => Request::Release(member),
        _ => return None,
    })
}

/// Whoever is asked says yes, until the service has what it wants.
pub(crate) fn heal(world: &mut World, index: usize) {
    let end = world.elapsed_ms() + HEAL_MS;
    while world.violation.is_none() && !is_content(world, index) {
        if end <= world.elapsed_ms() {
            let state = match &world.frameworks[index].keeper {
                Some(AnyKeeper::Pods(it)) => format!("{:?}", it.state()),
                _ => "its scheduler is down".to_owned(),
            };
            let why = format!("the service does not come back after the calm: {state}");
            return world.violate("L4", why);
        }
        for request in answers(world, index) {
            ask(world, index, request);
        }
        world.run_until(world.elapsed_ms() + 2_000);
    }
    world.run_until(world.elapsed_ms() + REST_MS); // What was asked last is acknowledged, or told again.
}

fn is_content(world: &World, index: usize) -> bool {
    world.frameworks[index].keeper.as_ref().is_some_and(AnyKeeper::is_content)
}

/// What a patient person says to a service that asks.
fn answers(world: &World, index: usize) -> Vec<Request> {
    let Some(AnyKeeper::Pods(keeper)) = &world.frameworks[index].keeper else { return Vec::new() };
    let Some(kind) = keeper.state().plan else { return Vec::new() };
    let mut requests = vec![Request::Resume(kind)];
    let steps = keeper.plan(kind).into_iter().flat_map(|it| it.steps.iter().flatten());
    requests.extend(steps.filter_map(|it| match it.state {
        StepState::Failed { .. } => Some(Request::Retry(kind, it.name())),
        _ => None,
    }));
    let kept = keeper.members().filter(|it| it.kept.iter().any(|it| it.released.is_none()));
    let asks = |it: &holdfast_sdk::pods::MemberView| {
        let name = format!("{}:release", it.id);
        let step = keeper.plan(kind).and_then(|plan| plan.step_named(&name));
        step.is_some_and(|(_, step)| matches!(step.state, StepState::Begun(_)))
    };
    requests.extend(kept.filter(asks).map(|it| Request::Release(it.id)));
    requests
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use holdfast_sdk::plans::PlanKind;

    use super::*;
    use crate::kit::Kit;
    use crate::shape::Shape;
    use crate::storm;
    use crate::trace::Detail;

    fn small(planted: Option<&'static str>) -> Shape {
        Shape {
            frameworks: 0,
            pods: true,
            storm_ms: 40_000,
            calm_ms: 60_000,
            operators: false,
            planted,
            ..Shape::default()
        }
    }

    /// So many seeds unless more are asked for: `HOLDFAST_SEEDS=1000`.
    fn seeds() -> u64 {
        std::env::var("HOLDFAST_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(200)
    }

    #[test]
    fn plans_go_on_through_storms_and_no_step_is_done_twice() {
        let mut complete = BTreeSet::new();
        for seed in 0..seeds() {
            let outcome = storm::run(seed, &small(None), None, Detail::Plot);
            let trace = || outcome.trace.join("\n");
            assert_eq!(outcome.violation, None, "seed {seed}\n{}", trace());
            let is_complete = |kind: &PlanKind| {
                let line = format!("plan {kind} is complete");
                outcome.trace.iter().any(|it| it.contains(&line))
            };
            complete.extend(PlanKind::ALL.into_iter().filter(is_complete));
        }
        use PlanKind::{Decommission, Deploy, Replace, Restart, Scale, Update};
        let all = BTreeSet::from([Deploy, Update, Restart, Replace, Scale, Decommission]);
        assert_eq!(complete, all, "storms that do nothing show nothing");
    }

    #[test]
    fn every_plan_comes_to_its_end_whatever_dies_in_the_middle_of_it() {
        type Blow = fn(&mut Kit);
        let blows: [Blow; 5] = [
            |kit| kit.kill_scheduler(1_500),
            |kit| kit.kill_master(1_500),
            |kit| kit.kill_agent(1, 1_500),
            |kit| kit.kill_containers(1),
            |kit| kit.reboot(0, 2_500),
        ];
        for blow in blows {
            for late_ms in [0, 300, 900, 2_100] {
                let mut kit = Kit::of_pods(3, spec(), NoHooks);
                kit.run_until_content(120_000);
                kit.ask(Request::Restart("node".into(), None)).unwrap();
                struck(&mut kit, blow, late_ms);
                let mut changed = spec();
                changed.pods[0].tasks[1].kill_grace_ms = Some(7);
                kit.ask(Request::Spec { spec: Box::new(changed), is_preview: false }).unwrap();
                struck(&mut kit, blow, late_ms);
                kit.ask(Request::Replace(MemberId::new("node", 0))).unwrap();
                struck(&mut kit, blow, late_ms);
                kit.ask(Request::ScaleIn("node".into(), 1)).unwrap();
                struck(&mut kit, blow, late_ms);
                let kinds: BTreeSet<PlanKind> =
                    kit.service().unwrap().plans().map(|it| it.head.kind).collect();
                assert_eq!(kinds.len(), 5, "{kinds:?}");
            }
        }
    }

    #[test]
    fn a_replaced_member_goes_to_another_disk_and_back_to_the_one_that_it_left_only_if_there_is_no_other(
    ) {
        // Each agent has one disk of that class, and others beside.
        for (agents, class, is_elsewhere) in
            [(3, DiskClass::Path, true), (2, DiskClass::Path, false), (2, DiskClass::Any, false)]
        {
            let mut spec = spec();
            spec.pods[0].volumes.iter_mut().for_each(|it| it.class = class.clone());
            let mut kit = Kit::of_pods(agents, spec, NoHooks);
            kit.run_until_content(120_000);
            let node = MemberId::new("node", 0);
            let members = |kit: &Kit| kit.service().unwrap().ledger().service.members.clone();
            let agent = |kit: &Kit| members(kit)[&node].agent.clone();
            let left = agent(&kit);
            kit.ask(Request::Replace(node.clone())).unwrap();
            struck(&mut kit, |_| {}, 1);
            assert_eq!(agent(&kit) != left, is_elsewhere, "{}", kit.trace());
        }
    }

    /// Something dies in the middle of a plan, which then comes to its end.
    fn struck(kit: &mut Kit, blow: fn(&mut Kit), late_ms: u64) {
        kit.run_ms(late_ms);
        blow(kit);
        for _ in 0..400 {
            kit.run_ms(500);
            let Some(keeper) = kit.service() else { continue };
            let kept = keeper.members().filter(|it| it.kept.iter().any(|it| it.released.is_none()));
            let kept: Vec<MemberId> = kept.map(|it| it.id).collect();
            if keeper.is_content() && kept.is_empty() {
                return;
            }
            for id in kept {
                kit.ask(Request::Release(id)).unwrap();
            }
        }
        panic!("{:?}\n{}", kit.service().map(|it| it.state()), kit.trace());
    }

    #[cfg(feature = "planted")]
    #[test]
    fn a_step_that_is_repeated_blindly_is_found() {
        let found = (0..100).find(|seed| {
            let shape = small(Some("plans-repeat-blindly"));
            let outcome = storm::run(*seed, &shape, None, Detail::Silent);
            outcome.violation.is_some_and(|it| it.0.rule == "P1")
        });
        assert!(found.is_some(), "100 seeds did not find it");
    }
}
