//! Storms: anything, in any order, from honest and hostile peers. Nothing panics, every rule of [`super::balance`] holds after every
//! input; and when the storm is over, a new leader believes what is.
//!
//! Relies on small worlds, so that things meet. Never checks anything that depends on luck.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, Call, ClaimAction, ClaimState, Expected, Filters, LinkId, Offer, Operation,
    OperatorCall, Resource, Role, Scalar, TaskId, TaskInfo, TaskState, Term,
};
use proptest::prelude::*;
use proptest::sample::{select, Index};

use super::bed::*;
use super::machine::Machine;
use crate::{AgentHealth, Input};

const MACHINES: usize = 3;
const SCHEDULERS: usize = 3;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Connect(usize),
    LoseAgent(usize),
    LateLost(Index),
    Obey(usize),
    Hear(usize),
    Settle,
    Introduce(usize),
    Retell(usize),
    Task(usize, Index, TaskState),
    ExecutorEnds(usize, Index),
    EmptyTrash(usize),
    Fails(usize),
    Fault(usize, Index, bool),
    Resize(usize, i64),
    Subscribe(usize),
    Leave(usize),
    Calls(bool, Index, Vec<Recipe>),
    Decline(usize, Index, u64),
    Offers(usize, bool),
    Kill(usize, Index),
    Acknowledge(usize),
    AcknowledgeOperations(usize),
    Reconcile(usize),
    Roles(usize, bool),
    Teardown(usize, bool),
    Operator(usize, Recipe, bool),
    Weigh(i64),
    /// An agent is marked gone; whether it comes back, before another one takes its place here.
    Gone(usize, bool),
    /// An agent is deactivated; whether it is drained, too.
    Deactivate(usize, bool),
    /// It is as any other again; whether a drain ends by that.
    Reactivate(usize, bool),
    /// Quota of `db`: what is guaranteed and what is the limit, in cpus, none below nothing; and whether by force.
    Quota(i64, i64, bool),
    Pass(u64),
    FailOver,
    Depose,
    Reunite,
}

#[derive(Clone, Debug)]
pub(super) enum Recipe {
    Reserve(i64, bool),
    Create(u8, i64),
    Destroy(Index),
    Unreserve(Index),
    Launch(u8, bool),
    LaunchOnVolume(u8, Index),
    Keep(u8, i64),
    Replace(Index, u8),
    Rubbish(u8),
}

fn recipe() -> impl Strategy<Value = Recipe> {
    prop_oneof![
        3 => (1i64..300, any::<bool>()).prop_map(|(mb, cpu)| Recipe::Reserve(mb, cpu)),
        3 => (0u8..4, 1i64..200).prop_map(|(name, mb)| Recipe::Create(name, mb)),
        2 => any::<Index>().prop_map(Recipe::Destroy),
        2 => any::<Index>().prop_map(Recipe::Unreserve),
        3 => (0u8..6, any::<bool>()).prop_map(|(name, custom)| Recipe::Launch(name, custom)),
        2 => (0u8..6, any::<Index>()).prop_map(|(name, pick)| Recipe::LaunchOnVolume(name, pick)),
        4 => (0u8..4, 1i64..200).prop_map(|(name, mb)| Recipe::Keep(name, mb)),
        2 => (any::<Index>(), 0u8..4).prop_map(|(pick, name)| Recipe::Replace(pick, name)),
        1 => (0u8..3).prop_map(Recipe::Rubbish),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let machine = || 0..MACHINES;
    let scheduler = || 0..SCHEDULERS;
    let state = select(vec![
        TaskState::Starting,
        TaskState::Running,
        TaskState::Finished,
        TaskState::Failed,
    ]);
    let agents = prop_oneof![
        2 => machine().prop_map(Step::Connect),
        1 => machine().prop_map(Step::LoseAgent),
        1 => any::<Index>().prop_map(Step::LateLost),
        4 => machine().prop_map(Step::Obey),
        4 => machine().prop_map(Step::Hear),
        6 => Just(Step::Settle),
        1 => machine().prop_map(Step::Introduce),
        1 => machine().prop_map(Step::Retell),
        4 => (machine(), any::<Index>(), state).prop_map(|(m, pick, state)| Step::Task(m, pick, state)),
        1 => (machine(), any::<Index>()).prop_map(|(m, pick)| Step::ExecutorEnds(m, pick)),
        2 => machine().prop_map(Step::EmptyTrash),
        1 => machine().prop_map(Step::Fails),
        1 => (machine(), any::<Index>(), any::<bool>()).prop_map(|(m, pick, ill)| Step::Fault(m, pick, ill)),
        1 => (machine(), 100i64..1000).prop_map(|(m, mb)| Step::Resize(m, mb)),
    ];
    let frameworks = prop_oneof![
        2 => scheduler().prop_map(Step::Subscribe),
        1 => scheduler().prop_map(Step::Leave),
        20 => (any::<bool>(), any::<Index>(), prop::collection::vec(recipe(), 0..4)).prop_map(|(calm, pick, list)| Step::Calls(calm, pick, list)),
        1 => (scheduler(), any::<Index>(), 0u64..9000).prop_map(|(s, pick, ms)| Step::Decline(s, pick, ms)),
        1 => (scheduler(), 0u8..5).prop_map(|(s, wants)| Step::Offers(s, 0 < wants)),
        1 => (scheduler(), any::<Index>()).prop_map(|(s, pick)| Step::Kill(s, pick)),
        3 => scheduler().prop_map(Step::Acknowledge),
        2 => scheduler().prop_map(Step::AcknowledgeOperations),
        1 => scheduler().prop_map(Step::Reconcile),
        1 => (scheduler(), any::<bool>()).prop_map(|(s, more)| Step::Roles(s, more)),
        1 => (scheduler(), any::<bool>()).prop_map(|(s, operator)| Step::Teardown(s, operator)),
    ];
    let others = prop_oneof![
        4 => (machine(), recipe(), any::<bool>()).prop_map(|(m, recipe, plan)| Step::Operator(m, recipe, plan)),
        1 => (-1i64..4).prop_map(Step::Weigh),
        1 => (machine(), any::<bool>()).prop_map(|(m, comes_back)| Step::Gone(m, comes_back)),
        1 => (machine(), any::<bool>()).prop_map(|(m, drains)| Step::Deactivate(m, drains)),
        3 => (machine(), any::<bool>()).prop_map(|(m, cancels)| Step::Reactivate(m, cancels)),
        1 => (-3i64..6, -3i64..12, any::<bool>()).prop_map(|(low, high, force)| Step::Quota(low, high, force)),
        8 => select(vec![1, 100, 100, 200, 5_000, 16_000, 80_000, 700_000]).prop_map(Step::Pass),
        1 => Just(Step::FailOver),
        1 => Just(Step::Depose),
        6 => Just(Step::Reunite),
    ];
    prop_oneof![5 => agents, 5 => frameworks, 3 => others]
}

fn claims_of(bed: &Bed, machine: usize) -> Vec<Resource> {
    bed.machines[machine].claims.values().map(|it| it.resource.clone()).collect()
}

fn pick<'a, T>(list: &'a [T], index: &Index) -> Option<&'a T> {
    if list.is_empty() {
        None
    } else {
        Some(index.get(list))
    }
}

fn claim_action(bed: &Bed, machine: usize, recipe: &Recipe) -> Option<ClaimAction> {
    let claims = claims_of(bed, machine);
    Some(match recipe {
        Recipe::Reserve(mb, false) => reserve(&[reserved(*mb)]),
        Recipe::Reserve(mb, true) => {
            reserve(&[amount("cpus", mb % 3 + 1).reserved(reservation("db"))])
        }
        Recipe::Create(name, mb) => ClaimAction::Create(vec![volume(&format!("v{name}"), *mb)]),
        Recipe::Destroy(index) => {
            let volumes: Vec<Resource> =
                claims.into_iter().filter(|it| it.identity.persistence.is_some()).collect();
            ClaimAction::Destroy(vec![pick(&volumes, index)?.clone()])
        }
        Recipe::Unreserve(index) => {
            let list: Vec<Resource> =
                claims.into_iter().filter(|it| it.identity.persistence.is_none()).collect();
            ClaimAction::Unreserve(vec![pick(&list, index)?.clone()])
        }
        Recipe::Rubbish(0) => reserve(&[]),
        Recipe::Rubbish(1) => ClaimAction::Destroy(vec![disk(1)]),
        Recipe::Rubbish(_) => ClaimAction::Unreserve(vec![reserved(1_000_000)]),
        Recipe::Launch(..)
        | Recipe::LaunchOnVolume(..)
        | Recipe::Keep(..)
        | Recipe::Replace(..) => return None,
    })
}

/// What is reserved for `db`, reserved for another role.
fn moved(it: &Resource, to: &Role) -> Resource {
    let mut moved = it.clone();
    moved.identity.reservations.iter_mut().for_each(|it| it.role = to.clone());
    moved
}

fn operations(
    bed: &Bed,
    machine: usize,
    offer: &Offer,
    number: usize,
    recipe: &Recipe,
) -> Vec<Operation> {
    let (agent, to) = (&offer.agent, &offer.role);
    if let Some(action) = claim_action(bed, machine, recipe) {
        let makes = matches!(recipe, Recipe::Reserve(..) | Recipe::Create(..));
        let action = if makes { action.map(|it| moved(it, to)) } else { action };
        let id = (!number.is_multiple_of(3)).then(|| format!("op{}", number % 7));
        return vec![Operation { id, action: Action::Claim(action) }];
    }
    let volumes = || {
        claims_of(bed, machine)
            .into_iter()
            .filter(|it| it.identity.persistence.is_some())
            .collect::<Vec<Resource>>()
    };
    match recipe {
        Recipe::Launch(name, custom) => {
            let it = task(&format!("t{name}"), agent, &[amount("cpus", 1), amount("mem", 64)]);
            vec![launch(&[if *custom {
                TaskInfo { executor: Some(executor("e")), command: None, ..it }
            } else {
                it
            }])]
        }
        Recipe::LaunchOnVolume(name, index) => {
            let volume = pick(&volumes(), index).cloned();
            volume
                .map(|it| launch(&[task(&format!("t{name}"), agent, &[amount("cpus", 1), it])]))
                .into_iter()
                .collect()
        }
        Recipe::Keep(name, mb) => {
            let volume = moved(&volume(&format!("v{name}"), *mb), to);
            let create =
                named(&format!("create{number}"), ClaimAction::Create(vec![volume.clone()]));
            vec![
                unnamed(reserve(&[volume.without_volume()])),
                create,
                launch(&[task(&format!("k{number}"), agent, &[amount("cpus", 1), volume])]),
            ]
        }
        Recipe::Replace(index, name) => {
            let Some(old) = pick(&volumes(), index).cloned() else { return Vec::new() };
            let mut new = old.clone();
            new.identity.persistence = volume(&format!("n{name}"), 1).identity.persistence.clone();
            let destroy = named(&format!("destroy{number}"), ClaimAction::Destroy(vec![old]));
            let create = unnamed(ClaimAction::Create(vec![new.clone()]));
            match number % 3 {
                0 => vec![destroy, create],
                1 => vec![destroy, unnamed(ClaimAction::Unreserve(vec![new.without_volume()]))],
                _ => vec![destroy, create, unnamed(ClaimAction::Destroy(vec![new]))],
            }
        }
        _ => Vec::new(),
    }
}

/// Three agents and three frameworks, two of which share a role.
pub(super) fn world() -> Bed {
    let mut bed = Bed::with_agents(MACHINES);
    for roles in [&["db"][..], &["db", "ops"], &["db", "web"]] {
        bed.add_scheduler(info(roles[0], roles));
    }
    bed.settle();
    bed
}

pub(super) fn go(bed: &mut Bed, number: usize, step: Step) {
    match step {
        Step::Connect(m) => bed.connect(m),
        Step::LoseAgent(m) => bed.lose(m),
        Step::LateLost(index) => {
            let used: BTreeSet<Option<LinkId>> = bed
                .machines
                .iter()
                .map(|it| it.link)
                .chain(bed.schedulers.iter().map(|it| it.link))
                .collect();
            let link = LinkId(index.index(bed.links as usize + 1) as u64);
            if !used.contains(&Some(link)) {
                bed.input(Input::AgentLost(link));
                bed.input(Input::FrameworkLost(link));
            }
        }
        Step::Obey(m) => {
            bed.obey_one(m);
        }
        Step::Hear(m) => {
            bed.hear_one(m);
        }
        Step::Settle => bed.settle(),
        Step::Introduce(m) => bed.machines[m].introduce(),
        Step::Retell(m) => {
            let it = &mut bed.machines[m];
            it.tasks.keys().cloned().collect::<Vec<_>>().iter().for_each(|key| it.forward(key));
            it.operations
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|uuid| it.tell_operation(uuid));
        }
        Step::Task(m, index, state) => {
            let keys: Vec<_> = bed.machines[m].tasks.keys().cloned().collect();
            if let Some((framework, task)) = pick(&keys, &index) {
                bed.machines[m].task_is(framework, task.as_str(), state);
            }
        }
        Step::ExecutorEnds(m, index) => {
            let keys: Vec<_> = bed.machines[m]
                .executors
                .iter()
                .filter(|(_, it)| !it.command)
                .map(|(key, _)| key.clone())
                .collect();
            if let Some((framework, executor)) = pick(&keys, &index) {
                bed.machines[m].executor_ends(framework, executor);
            }
        }
        Step::EmptyTrash(m) => bed.machines[m].empty_trash(),
        Step::Fails(m) => bed.machines[m].fails = true,
        Step::Fault(m, index, ill) => {
            let ids: Vec<_> = bed.machines[m].claims.keys().copied().collect();
            bed.machines[m].faults.clear();
            if let Some(id) = pick(&ids, &index).filter(|_| ill) {
                bed.machines[m].faults.insert(*id, "its disk is away".to_owned());
            }
            bed.machines[m].introduce();
        }
        Step::Resize(m, mb) => {
            bed.machines[m].configured =
                [amount("cpus", 8), amount("mem", 4096), disk(mb)].iter().collect();
            bed.machines[m].introduce();
        }
        others => go_on(bed, number, others),
    }
}

fn operate(bed: &mut Bed, m: usize, recipe: &Recipe, plan: bool) {
    let Some(agent) = bed.machines[m].agent.clone() else { return };
    let Some(action) = claim_action(bed, m, recipe) else { return };
    match plan {
        true => drop(bed.master.view().plan(&agent, (&action, crate::Force::No), None, None)),
        // On one machine with a step before it, all or none.
        false if m == 0 => {
            let steps = vec![reserve(&[reserved(10)]), action];
            let expected = Expected::default();
            bed.ask(OperatorCall::Apply { agent, steps, expected, force: false, claim: None });
        }
        false => drop(bed.ask(OperatorCall::Claim { agent, action })),
    }
}

fn go_on(bed: &mut Bed, number: usize, step: Step) {
    match step {
        Step::Subscribe(s) => bed.subscribe_anew(s),
        Step::Leave(s) => bed.leave(s),
        Step::Calls(calmly, index, recipes) => {
            if calmly {
                bed.settle();
                bed.pass_ms(100);
            }
            accept(bed, number, &index, &recipes);
        }
        Step::Decline(s, index, refuse_ms) => {
            let offers = bed.offers(s);
            let Some(offer) = pick(&offers, &index) else { return };
            bed.call(
                s,
                Call::Decline { offers: vec![offer.id.clone()], filters: Filters { refuse_ms } },
            );
        }
        Step::Offers(s, wants) => bed.call(
            s,
            if wants { Call::Revive(BTreeSet::new()) } else { Call::Suppress(BTreeSet::new()) },
        ),
        Step::Kill(s, index) => {
            let task = TaskId::made(format!("t{}", index.index(6)));
            bed.call(s, Call::Kill { task, agent: None, grace_ms: None });
        }
        Step::Acknowledge(s) => acknowledge(bed, s),
        Step::AcknowledgeOperations(s) => acknowledge_outcomes(bed, s),
        Step::Reconcile(s) => {
            bed.call(s, Call::Reconcile(Vec::new()));
            bed.call(s, Call::Reconcile(vec![(TaskId::made("t1".to_owned()), None)]));
            bed.call(s, Call::ReconcileOperations(Vec::new()));
            bed.call(s, Call::ReconcileOperations(vec![("op1".to_owned(), None)]));
        }
        Step::Roles(s, more) => {
            let mut changed = bed.schedulers[s].info.clone();
            changed.roles =
                if more { vec![role("db"), role("web"), role("ops")] } else { vec![role("web")] };
            bed.call(
                s,
                Call::UpdateFramework { info: Box::new(changed), suppressed: BTreeSet::new() },
            );
        }
        Step::Teardown(s, by_operator) => {
            let Some(id) = bed.schedulers[s].info.id.clone() else { return };
            if by_operator {
                bed.ask(OperatorCall::Teardown(id));
            } else {
                bed.call(s, Call::Teardown);
            }
        }
        Step::Operator(m, recipe, plan) => operate(bed, m, &recipe, plan),
        Step::Weigh(weight) => {
            bed.ask(OperatorCall::Weight(role("db"), Scalar::whole(weight)));
        }
        Step::Deactivate(m, drains) => deactivate(bed, m, drains),
        Step::Reactivate(m, cancels) => reactivate(bed, m, cancels),
        Step::Gone(m, comes_back) => mark_gone(bed, m, comes_back),
        Step::Quota(guarantee, limit, force) => set_quota(bed, guarantee, limit, force),
        Step::Pass(ms) => bed.pass_ms(ms),
        Step::FailOver => bed.fail_over(),
        Step::Reunite => bed.reunite(),
        Step::Depose => {
            bed.input(Input::Deposed(Term(bed.term)));
            bed.term += 1;
            bed.input(Input::Elected(Term(bed.term)));
        }
        _ => unreachable!("done by the caller"),
    }
}

fn deactivate(bed: &mut Bed, m: usize, drains: bool) {
    let Some(agent) = bed.machines[m].agent.clone() else { return };
    bed.ask(match drains {
        true => OperatorCall::DrainAgent { agent, max_grace_ms: Some(1), mark_gone: false },
        false => OperatorCall::DeactivateAgent(agent),
    });
}

fn reactivate(bed: &mut Bed, m: usize, cancel_drain: bool) {
    let Some(agent) = bed.machines[m].agent.clone() else { return };
    bed.ask(OperatorCall::ReactivateAgent { agent, cancel_drain });
}

/// It is refused if it comes back; a new machine has its place.
fn mark_gone(bed: &mut Bed, m: usize, comes_back: bool) {
    let Some(agent) = bed.machines[m].agent.clone() else { return };
    if bed.master.term().is_none() || !bed.folded.agents.contains_key(&agent) {
        return;
    }
    bed.ask(OperatorCall::MarkAgentGone { agent, reason: None });
    if comes_back {
        bed.connect(m);
        bed.hear_one(m);
        assert!(bed.machines[m].refused.is_some() && bed.machines[m].link.is_none());
        assert!(bed.machines[m].tasks.is_empty() && bed.machines[m].executors.is_empty());
    }
    bed.next_machine += 1;
    bed.machines[m] = Machine::new(bed.next_machine, plenty());
    bed.connect(m);
    bed.settle();
}

fn set_quota(bed: &mut Bed, guarantee: i64, limit: i64, force: bool) {
    let cpus = |count: i64| match count {
        0.. => [("cpus".to_owned(), Scalar::whole(count))].into(),
        _ => Default::default(),
    };
    let quota = holdfast_model::Quota { guarantees: cpus(guarantee), limits: cpus(limit) };
    bed.ask(OperatorCall::Quota { quotas: vec![(role("db"), quota)], force });
}

/// The newest statuses, some of them for the second time.
fn acknowledge(bed: &mut Bed, scheduler: usize) {
    for status in bed.schedulers[scheduler].statuses().into_iter().rev().take(10) {
        let (Some(agent), Some(uuid)) = (status.agent, status.uuid) else { continue };
        bed.call(scheduler, Call::Acknowledge { agent, task: status.task, status: uuid });
    }
}

fn acknowledge_outcomes(bed: &mut Bed, scheduler: usize) {
    for status in bed.schedulers[scheduler].outcomes().into_iter().rev().take(10) {
        let (Some(operation), Some(uuid)) = (status.id, status.uuid) else { continue };
        bed.call(
            scheduler,
            Call::AcknowledgeOperation { agent: status.agent, operation, status: uuid },
        );
    }
}

fn accept(bed: &mut Bed, number: usize, index: &Index, recipes: &[Recipe]) {
    let held =
        (0..SCHEDULERS).flat_map(|it| bed.offers(it).into_iter().map(move |offer| (it, offer)));
    let held: Vec<_> = held.collect();
    let Some((scheduler, offer)) = pick(&held, index).cloned() else { return };
    let Some(machine) = bed.machines.iter().position(|it| it.agent.as_ref() == Some(&offer.agent))
    else {
        return;
    };
    let list = recipes.iter().enumerate();
    let operations =
        list.flat_map(|(at, it)| operations(bed, machine, &offer, number + at, it)).collect();
    bed.call(
        scheduler,
        Call::Accept { offers: vec![offer.id.clone()], operations, filters: no_filter() },
    );
}

/// The storm is over: a new leader, all come back, everything under way ends, everything is acknowledged.
fn calm(bed: &mut Bed) {
    for machine in &mut bed.machines {
        machine.faults.clear();
        machine.fails = false;
        machine.configured = plenty();
    }
    bed.fail_over();
    bed.reunite();
    (0..MACHINES).for_each(|it| reactivate(bed, it, true));
    for _ in 0..20 {
        (0..MACHINES).for_each(|it| bed.machines[it].empty_trash());
        bed.settle();
        (0..SCHEDULERS).for_each(|it| bed.acknowledge_operations(it));
    }
}

/// What a leader believes after the calm is what is.
fn check_beliefs(bed: &Bed) {
    assert!(
        bed.master.operations().is_empty(),
        "nothing is under way: {:?}",
        bed.master.operations()
    );
    for machine in &bed.machines {
        let id = machine.agent.as_ref().expect("it is registered");
        let state = &bed.master.agents()[id];
        assert_eq!(*state.health(), AgentHealth::Well);
        let claims: Vec<_> = bed.master.ledger().claims_of(id).cloned().collect();
        assert_eq!(
            claims,
            machine.claims.values().cloned().collect::<Vec<_>>(),
            "each claim is known as it is"
        );
        assert!(
            claims.iter().all(|it| it.state == ClaimState::Ready)
                && state.reserved_by_operation().is_empty()
        );
        assert_eq!(state.total(), &machine.total());
        let live: BTreeSet<_> = machine
            .tasks
            .values()
            .filter(|it| !it.state.is_terminal())
            .map(|it| it.key())
            .collect();
        let known: BTreeSet<_> = bed
            .master
            .belief
            .tasks
            .of_agent(id)
            .filter(|it| !it.state.is_terminal())
            .map(|it| it.key())
            .collect();
        assert_eq!(live, known, "each task is known where it is");
        assert!(state.name_conflicts().is_empty());
    }
    for scheduler in &bed.schedulers {
        let id = scheduler.info.id.as_ref().expect("it is subscribed");
        let removed = bed.master.ledger().frameworks[id].removed;
        assert!(
            removed != bed.master.frameworks().get(id).is_some_and(|it| it.link().is_some()),
            "who was not removed is here"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_a_storm_of_honest_peers_a_new_leader_believes_what_is(steps in prop::collection::vec(step(), 1..200)) {
        let mut bed = world();
        for (number, step) in steps.into_iter().enumerate() {
            go(&mut bed, number, step);
        }
        calm(&mut bed);
        check_beliefs(&bed);
    }
}
