//! Changes of claims that are made together, and only while the claims are as whoever asks has seen them.

use holdfast_model::{
    Action, ClaimAction, Expected, ExpectedClaim, OperatorCall, Order, TaskState,
};

use super::bed::*;
use crate::Refusal;

fn create(mb: i64) -> ClaimAction {
    ClaimAction::Create(vec![volume("v", mb)])
}

fn ask(bed: &mut Bed, steps: Vec<ClaimAction>, expected: Expected) -> Option<Result<(), Refusal>> {
    let call = OperatorCall::Apply { agent: bed.agent(0), steps, expected, force: false };
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
