//! Changes of claims that are made together, and only while the claims are as whoever asks has seen them.

use holdfast_model::{
    Action, ClaimAction, ClaimId, Expected, ExpectedClaim, OperationState, OperatorCall, Order,
    Ownership, Taken, TaskState, Together,
};

use super::bed::*;
use super::ownership::{claim_of, cpus, shared, shares, unreserve};
use crate::{Config, Force, Refusal};

fn create(mb: i64) -> ClaimAction {
    ClaimAction::Create(vec![volume("v", mb)])
}

fn ask(bed: &mut Bed, steps: Vec<ClaimAction>, expected: Expected) -> Option<Result<(), Refusal>> {
    let call =
        OperatorCall::Apply { agent: bed.agent(0), steps, expected, force: false, claim: None };
    let request = bed.ask(call);
    bed.settle();
    bed.answers.get(&request).cloned()
}

fn conflict(answer: Option<Result<(), Refusal>>) -> String {
    match answer {
        Some(Err(Refusal::Conflict(why))) => why,
        other => panic!("{other:?}"),
    }
}

fn is_together(order: &&Order) -> bool {
    matches!(order, Order::ApplyTogether { .. })
}

#[test]
fn all_of_it_is_one_order_and_one_operation_and_answered_when_it_is_done() {
    let mut bed = Bed::usual();
    assert!(!bed.offers(0).is_empty(), "what is needed is offered");
    let steps = vec![reserve(&[reserved(100)]), create(60)];
    assert_eq!(ask(&mut bed, steps, Expected::default()), Some(Ok(())));
    assert_eq!(bed.machines[0].obeyed.iter().filter(is_together).count(), 1);
    assert_eq!(bed.state(0).total().one(&volume("v", 60).identity), Some(volume("v", 60)));
    assert_eq!(bed.machines[0].claims.len(), 2);
    assert!(bed.folded.pending.is_empty() && bed.machines[0].operations.is_empty());
    let steps = vec![
        ClaimAction::Destroy(vec![volume("v", 60)]),
        ClaimAction::Unreserve(vec![reserved(40)]),
    ];
    assert_eq!(ask(&mut bed, steps, Expected::default()), None, "its bytes are not in the trash");
    bed.machines[0].empty_trash();
    bed.settle();
    bed.operate(0, ClaimAction::Unreserve(vec![reserved(60)])).unwrap();
    assert_eq!(bed.state(0).total(), &plenty());
}

#[test]
fn a_step_that_cannot_be_done_is_named_and_nothing_is_sent() {
    let mut bed = Bed::usual();
    let total = bed.state(0).total().clone();
    let why = conflict(ask(
        &mut bed,
        vec![reserve(&[reserved(100)]), create(60), create(10)],
        Expected::default(),
    ));
    assert!(why.starts_with("step 3 (CREATE): ") && why.contains("already has a volume"), "{why}");
    let wrong = ask(&mut bed, vec![reserve(&[reserved(100)]), reserve(&[])], Expected::default());
    let Some(Err(Refusal::Invalid(invalid))) = wrong else { panic!("{wrong:?}") };
    assert!(invalid.path.starts_with("operations[1]"), "{invalid}");
    assert_eq!(
        (bed.machines[0].obeyed.iter().filter(is_together).count(), bed.state(0).total()),
        (0, &total)
    );
}

#[test]
fn what_tasks_use_is_not_taken_and_the_step_says_by_whom() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![unnamed(reserve(&[reserved(100)])), unnamed(create(100))]);
    bed.launch_all(0, "t", &[volume("v", 100)]);
    bed.task_is(0, "t", TaskState::Running);
    let steps = vec![reserve(&[reserved(10)]), ClaimAction::Destroy(vec![volume("v", 100)])];
    let call = OperatorCall::Apply {
        agent: bed.agent(0),
        steps,
        expected: Expected::default(),
        force: true,
        claim: None,
    };
    let request = bed.ask(call);
    bed.settle();
    let Err(Refusal::Invalid(invalid)) = &bed.answers[&request] else { panic!() };
    assert!(invalid.why.starts_with("step 2 (DESTROY): "), "{invalid}");
    assert!(invalid.why.contains("in use by task `t`"), "{invalid}");
}

#[test]
fn what_has_moved_on_is_named_with_what_it_is_now() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    let seen = bed.state(0).claims_generation();
    let claim = bed.machines[0].claims.values().next().unwrap().clone();
    let of = |generation| Expected {
        agent: None,
        claims: vec![ExpectedClaim { claim: claim.id, generation }],
    };
    let whole = |agent| Expected { agent: Some(agent), claims: Vec::new() };
    bed.operate(0, reserve(&[reserved(20)])).unwrap();
    let now = bed.state(0).claims_generation();
    assert!(seen < now);
    let more = || vec![reserve(&[reserved(1)])];
    let why = conflict(ask(&mut bed, more(), of(claim.generation)));
    assert!(why.starts_with("the state has moved on: "), "{why}");
    assert!(why.contains("is at generation 2, not 1: reserved more by operator"), "{why}");
    let why = conflict(ask(&mut bed, more(), whole(seen)));
    assert!(why.contains(&format!("are at generation {now}, not {seen}")), "{why}");
    assert!(why.contains("the newest changes there: claim"), "{why}");
    assert_eq!(bed.machines[0].obeyed.iter().filter(is_together).count(), 0);
    assert_eq!(ask(&mut bed, more(), whole(now)), Some(Ok(())));
    assert_eq!(ask(&mut bed, more(), of(claim.generation + 2)), Some(Ok(())));
}

#[test]
fn what_moves_on_behind_the_masters_back_is_seen_by_the_agent() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    let known = bed.state(0).claims_generation();
    let claim = bed.machines[0].claims.values().next().unwrap().id;
    bed.machines[0].claims.get_mut(&claim).unwrap().generation += 1;
    let expected = Expected { agent: Some(known), claims: Vec::new() };
    let answer = ask(&mut bed, vec![reserve(&[reserved(1)])], expected);
    assert!(matches!(answer, Some(Err(Refusal::Conflict(_)))), "{answer:?}");
    let free = bed.state(0).total().clone();
    assert_eq!(free.one(&reserved(1).identity), Some(reserved(100)), "what was believed is undone");
}

#[test]
fn the_end_of_a_claim_waits_for_its_generation() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    let claim = bed.machines[0].claims.values().next().unwrap().clone();
    let end = |bed: &mut Bed, generation| {
        let call = OperatorCall::EndClaim {
            agent: bed.agent(0),
            claim: claim.id,
            force: false,
            if_generation: Some(generation),
        };
        let request = bed.ask(call);
        bed.settle();
        bed.answers[&request].clone()
    };
    assert!(conflict(Some(end(&mut bed, 7))).contains("is at generation 1, not 7"));
    assert_eq!(end(&mut bed, 1), Ok(()));
    assert_eq!(bed.state(0).total(), &plenty());
    let Err(Refusal::NotFound(_)) = end(&mut bed, 1) else { panic!("it has ended") };
}

#[test]
fn a_leader_that_takes_over_knows_of_it_and_drops_what_never_arrived() {
    let mut bed = Bed::usual();
    let call = OperatorCall::Apply {
        agent: bed.agent(0),
        steps: vec![reserve(&[reserved(100)]), create(60)],
        expected: Expected::default(),
        force: false,
        claim: None,
    };
    bed.ask(call);
    let pending = bed.folded.pending.values().next().unwrap().operation.action.clone();
    assert!(matches!(pending, Action::Claim(ClaimAction::Together(_))), "{pending:?}");
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    assert!(bed.folded.pending.is_empty());
    assert_eq!(bed.state(0).total(), &plenty());
}

fn orders(bed: &Bed) -> Vec<Option<Ownership>> {
    let told = |it: &Order| match it {
        Order::ApplyTogether { ownership, .. } => Some(ownership.clone()),
        _ => None,
    };
    bed.machines[0].obeyed.iter().filter_map(told).collect()
}

fn demand(
    bed: &mut Bed,
    steps: Vec<ClaimAction>,
    (force, claim): (bool, Option<ClaimId>),
) -> Result<(), Refusal> {
    let (agent, expected) = (bed.agent(0), Expected::default());
    let request = bed.ask(OperatorCall::Apply { agent, steps, expected, force, claim });
    bed.settle();
    bed.answers[&request].clone()
}

fn plan(
    bed: &Bed,
    steps: &[ClaimAction],
    (force, claim): (Force, Option<ClaimId>),
) -> Result<Vec<Taken>, Refusal> {
    let (by, steps) = ("ops".to_owned(), steps.to_vec());
    let together = Together { by, steps, expected: Expected::default(), filling: None };
    bed.master.view().plan_together(&bed.agent(0), (&together, force, claim), None)
}

#[test]
fn no_step_takes_what_a_living_framework_holds_unless_by_force() {
    let mut bed = shared(Config::default());
    let more = |mb| vec![reserve(&[reserved(10), cpus(1)]), unreserve(mb)];
    let refused = demand(&mut bed, more(41), (false, None));
    let why = conflict(Some(refused));
    assert!(why.starts_with("step 2 (UNRESERVE): "), "{why}");
    assert!(why.contains("held by framework `keeper`"), "{why}");
    assert_eq!(plan(&bed, &more(41), (Force::No, None)), Err(Refusal::Conflict(why)));
    assert_eq!((shares(&bed), orders(&bed)), ([100, 50, 30], vec![]), "the agent is not asked");

    let taken = plan(&bed, &more(40), (Force::No, None)).unwrap();
    assert_eq!((taken.len(), &taken[0].framework, &taken[0].resource), (1, &None, &reserved(40)));
    demand(&mut bed, more(40), (false, None)).unwrap();
    assert_eq!((shares(&bed), orders(&bed)), ([100, 50, 0], vec![Some(Ownership::default())]));

    let taken = plan(&bed, &more(41), (Force::Yes, None)).unwrap();
    let from: Vec<_> = taken.iter().map(|it| (it.framework.clone(), it.resource.clone())).collect();
    assert_eq!(from, [(Some(bed.id(0)), reserved(31))], "what it reserves itself is no claim yet");
    demand(&mut bed, more(41), (true, None)).unwrap();
    assert_eq!(shares(&bed), [69, 50, 0]);
    assert!(orders(&bed).last().unwrap().as_ref().unwrap().anybody);
}

#[test]
fn the_claim_that_is_meant_gives_and_no_other_that_looks_the_same() {
    let mut bed = shared(Config::default());
    let claim = claim_of(&bed, 1);
    let why = conflict(Some(demand(&mut bed, vec![unreserve(50)], (false, Some(claim)))));
    assert!(why.contains("held by framework `mate`"), "{why}");
    let taken = plan(&bed, &[unreserve(50)], (Force::Yes, Some(claim))).unwrap();
    assert_eq!((taken.len(), taken[0].claim), (1, claim));
    demand(&mut bed, vec![unreserve(20)], (true, Some(claim))).unwrap();
    assert_eq!(shares(&bed), [100, 30, 30]);
    let generation = bed.machines[0].claims[&claim].generation;
    let end = |bed: &mut Bed, force| {
        let (agent, if_generation) = (bed.agent(0), Some(generation));
        let request = bed.ask(OperatorCall::EndClaim { agent, claim, force, if_generation });
        bed.settle();
        bed.answers[&request].clone()
    };
    assert!(conflict(Some(end(&mut bed, false))).contains("held by framework `mate`"));
    assert_eq!(end(&mut bed, true), Ok(()));
    assert_eq!(shares(&bed), [100, 0, 30]);
}

#[test]
fn what_a_step_gives_back_is_its_makers_again_for_the_steps_after_it() {
    let mut bed = shared(Config::default());
    bed.accept(1, vec![named("create", ClaimAction::Create(vec![volume("v", 100)]))]);
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("create"), [OperationState::Finished]);
    assert_eq!(shares(&bed), [80, 0, 0], "its own, the role's, and some of the other's");
    for offer in bed.offers(1) {
        bed.call(1, holdfast_model::Call::Decline { offers: vec![offer.id], filters: no_filter() });
    }
    let shrink = |mb: i64| ClaimAction::Shrink {
        volume: volume("v", 100),
        subtract: holdfast_model::Scalar::whole(mb),
    };
    let why = conflict(Some(demand(&mut bed, vec![shrink(50), unreserve(31)], (false, None))));
    assert!(why.starts_with("step 2 (UNRESERVE): "), "{why}");
    demand(&mut bed, vec![shrink(50), unreserve(30)], (false, None)).unwrap();
    assert_eq!(shares(&bed), [100, 0, 0], "the role's part came after the other's");
    let keeper = bed.id(0);
    bed.ask(OperatorCall::Teardown(keeper.clone()));
    bed.settle();
    bed.pass_ms(200);
    demand(&mut bed, vec![unreserve(100)], (false, None)).unwrap();
    assert_eq!(shares(&bed), [0, 0, 0]);
    assert_eq!(orders(&bed).last().unwrap().as_ref().unwrap().removed, [keeper]);
}

/// What is under way is the agent's to judge, which knows what it comes to; it does all of it or nothing.
#[test]
fn the_agent_refuses_all_of_it_when_the_master_could_not_tell() {
    let mut bed = shared(Config::default());
    let (agent, expected, claim) = (bed.agent(0), Expected::default(), None);
    bed.ask(OperatorCall::Claim { agent: agent.clone(), action: reserve(&[reserved(5)]) });
    let steps = vec![reserve(&[cpus(1)]), unreserve(36)];
    let request = bed.ask(OperatorCall::Apply { agent, steps, expected, force: false, claim });
    assert_eq!(bed.answers.get(&request), None, "the agent is asked");
    let cpus_before = bed.machines[0].total().one(&cpus(1).identity);
    bed.settle();
    assert!(matches!(bed.answers[&request], Err(Refusal::Conflict(_))));
    assert_eq!(shares(&bed), [100, 50, 35]);
    assert_eq!(bed.machines[0].total().one(&cpus(1).identity), cpus_before);
    assert_eq!(bed.state(0).total(), &bed.machines[0].total(), "what was believed is undone");
}
