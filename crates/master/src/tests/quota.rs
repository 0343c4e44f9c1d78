//! Quota over the life of a leader: limits and guarantees hold while tasks come and end, offers that stand in the way are taken back, and
//! a new leader holds to them before it knows what everybody has.

use holdfast_model::{OperatorCall, Quantities, Quota, Role, Scalar};

use super::bed::*;
use crate::{Effect, Refusal};

fn cpus(count: i64) -> Quantities {
    Quantities::from([("cpus".to_owned(), Scalar::whole(count))])
}

fn limit(count: i64) -> Quota {
    Quota { limits: cpus(count), ..Quota::default() }
}

fn guarantee(count: i64) -> Quota {
    Quota { guarantees: cpus(count), ..Quota::default() }
}

fn set(bed: &mut Bed, name: &str, quota: Quota) -> Result<(), Refusal> {
    ask(bed, vec![(role(name), quota)], false)
}

fn ask(bed: &mut Bed, quotas: Vec<(Role, Quota)>, force: bool) -> Result<(), Refusal> {
    let request = bed.ask(OperatorCall::Quota { quotas, force });
    let answer = bed.effects.iter().rev().find_map(|it| match it {
        Effect::Answer(to, answer) if *to == request => Some(answer.clone()),
        _ => None,
    });
    let answer = answer.expect("it is answered at once");
    bed.settle();
    answer
}

fn offered_cpus(bed: &Bed, scheduler: usize) -> Scalar {
    bed.offered(scheduler).quantity("cpus")
}

/// One machine of many cpus, and a framework of role `a/x`.
fn one_machine() -> Bed {
    let mut bed = Bed::empty(crate::Config::default());
    bed.add_machine(plenty());
    bed.add_scheduler(info("a", &["a/x"]));
    bed.settle();
    bed
}

#[test]
fn a_limit_takes_back_offers_that_are_beyond_it_and_nothing_else() {
    let mut bed = one_machine();
    let before = offered_cpus(&bed, 0);
    assert!(Scalar::whole(2) < before);
    let refused = set(&mut bed, "a", limit(2)).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Conflict(why) if why.contains("more than the limit of 2")),
        "{refused:?}"
    );
    assert_eq!(offered_cpus(&bed, 0), before, "nothing has changed");
    ask(&mut bed, vec![(role("a"), limit(2))], true).unwrap();
    assert_eq!((bed.schedulers[0].rescinded(), offered_cpus(&bed, 0)), (1, Scalar::whole(2)));
    set(&mut bed, "a", Quota::default()).unwrap();
    assert_eq!(offered_cpus(&bed, 0), before, "the rest is offered as soon as there is no limit");
    assert_eq!(bed.schedulers[0].rescinded(), 1);
}

#[test]
fn a_role_at_its_limit_is_offered_more_on_any_machine_when_a_task_of_it_ends() {
    let mut bed = one_machine();
    ask(&mut bed, vec![(role("a"), limit(2))], true).unwrap();
    bed.launch(0, "t", &[amount("cpus", 2), amount("mem", 32)]);
    bed.settle();
    bed.add_machine(plenty());
    bed.settle();
    assert_eq!(offered_cpus(&bed, 0), Scalar::ZERO, "it has all that it may have");
    bed.task_is(0, "t", holdfast_model::TaskState::Finished);
    bed.settle();
    bed.pass_ms(1_000);
    bed.settle();
    assert_eq!(offered_cpus(&bed, 0), Scalar::whole(2));
}

#[test]
fn what_is_guaranteed_is_kept_from_others_and_offered_to_the_role_when_it_comes() {
    let mut bed = one_machine();
    let all = bed.state(0).total().quantity("cpus");
    set(&mut bed, "b", guarantee(3)).unwrap();
    assert_eq!(offered_cpus(&bed, 0), all.minus(Scalar::whole(3)));
    let other = bed.add_scheduler(info("b", &["b"]));
    bed.settle();
    assert_eq!(offered_cpus(&bed, other), Scalar::whole(3));
    assert_eq!(offered_cpus(&bed, 0), all.minus(Scalar::whole(3)));
}

#[test]
fn more_than_there_is_cannot_be_guaranteed_but_by_force_and_all_or_none_is_set() {
    let mut bed = one_machine();
    let all = bed.state(0).total().quantity("cpus");
    let more = guarantee(all.as_thousandths() / 1000 + 1);
    let both = vec![(role("b"), limit(1)), (role("c"), more)];
    assert!(matches!(ask(&mut bed, both.clone(), false), Err(Refusal::Conflict(_))));
    assert!(bed.master.view().ledger().quotas.is_empty());
    ask(&mut bed, both, true).unwrap();
    assert_eq!(bed.master.view().ledger().quotas.len(), 2);
    let nested = set(&mut bed, "a/x", limit(1)).unwrap_err();
    assert!(matches!(nested, Refusal::Invalid(it) if it.path == "quota_configs[0].role"));
}

#[test]
fn a_new_leader_offers_nothing_beyond_reservations_to_a_limited_role_before_it_knows_what_it_has() {
    let mut bed = one_machine();
    ask(&mut bed, vec![(role("a"), limit(2))], true).unwrap();
    bed.launch(0, "t", &[amount("cpus", 2), amount("mem", 32)]);
    bed.settle();
    for _ in 1..5 {
        bed.add_machine(plenty());
    }
    bed.settle();
    bed.fail_over();
    bed.subscribe(0);
    bed.connect(1);
    bed.settle();
    assert_eq!(offered_cpus(&bed, 0), Scalar::ZERO, "one of five has spoken");
    bed.reunite();
    bed.settle();
    bed.pass_ms(1_000);
    bed.settle();
    assert_eq!(offered_cpus(&bed, 0), Scalar::ZERO, "it still has its two");
    assert!(bed.offered(0).quantity("mem") > Scalar::ZERO, "what has no limit is offered");
}

#[test]
fn a_framework_that_is_removed_holds_nothing_of_its_roles_quota_any_more() {
    let mut bed = one_machine();
    bed.launch(0, "t", &[amount("cpus", 2), amount("mem", 32)]);
    bed.settle();
    set(&mut bed, "a", limit(1_000)).unwrap();
    let has = |bed: &Bed| bed.master.view().consumed(&role("a")).get("cpus").copied();
    assert!(has(&bed) >= Some(Scalar::whole(2)));
    let id = bed.id(0);
    bed.ask(OperatorCall::Teardown(id));
    bed.settle();
    assert_eq!(has(&bed), None);
}

#[test]
fn a_plan_says_what_would_be_done_whether_or_not_any_role_has_quota() {
    let mut bed = one_machine();
    bed.launch(0, "t", &[amount("cpus", 2), amount("mem", 32)]);
    bed.settle();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    bed.settle();
    let roles = ["a", "db", "none"].map(role);
    let has = |bed: &Bed| roles.clone().map(|it| bed.master.view().consumed(&it));
    let added_up = has(&bed);
    assert!(Scalar::whole(2) <= added_up[0]["cpus"], "{added_up:?}");
    let too_little = [(role("a"), limit(1))];
    let planned = bed.master.view().plan_quota(&too_little, false);
    assert!(matches!(&planned, Err(Refusal::Conflict(_))), "{planned:?}");
    assert_eq!(ask(&mut bed, too_little.to_vec(), false), planned);
    let far = vec![(role("none"), limit(1))];
    assert_eq!(bed.master.view().plan_quota(&far, false), Ok(()));
    ask(&mut bed, far, false).unwrap();
    assert_eq!(has(&bed), added_up, "as the core counts it");
}
