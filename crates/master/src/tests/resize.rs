//! GROW_VOLUME and SHRINK_VOLUME: of frameworks within an ACCEPT, and of operators.

use holdfast_model::{Call, ClaimAction, Event, OperationState, Resource, Scalar, TaskState};

use super::bed::*;
use crate::Refusal;

use OperationState::{Error, Finished};

fn grow(volume: Resource, mb: i64) -> ClaimAction {
    ClaimAction::Grow { volume, addition: reserved(mb) }
}

fn shrink(volume: Resource, mb: i64) -> ClaimAction {
    ClaimAction::Shrink { volume, subtract: Scalar::whole(mb) }
}

/// A scheduler whose volume `v` has 100 MB, with 50 MB reserved beside it.
fn with_volume() -> Bed {
    let mut bed = Bed::usual();
    let make = ClaimAction::Create(vec![volume("v", 100)]);
    bed.accept(0, vec![unnamed(reserve(&[reserved(150)])), unnamed(make)]);
    bed
}

fn why(bed: &Bed, id: &str) -> String {
    let outcomes = bed.schedulers[0].outcomes().into_iter();
    let of_it = outcomes.filter(|it| it.id.as_deref() == Some(id));
    of_it.filter_map(|it| it.message).next_back().unwrap_or_default()
}

#[test]
fn b45_a_framework_resizes_its_volume_and_is_offered_what_it_came_to() {
    let mut bed = with_volume();
    let claim = bed.folded.claims.values().find(|it| it.is_volume()).unwrap().clone();
    bed.accept(0, vec![named("g", grow(volume("v", 100), 30))]);
    assert_eq!(bed.schedulers[0].outcome("g"), [Finished]);
    assert!(bed.offered(0).contains(&[volume("v", 130), reserved(20)].iter().collect()));
    bed.accept(0, vec![named("s", shrink(volume("v", 130), 100))]);
    assert_eq!(bed.schedulers[0].outcome("s"), [Finished]);
    assert!(bed.offered(0).contains(&[volume("v", 30), reserved(120)].iter().collect()));
    let now = bed.folded.claims.values().find(|it| it.is_volume()).unwrap();
    assert_eq!((now.id, now.generation), (claim.id, claim.generation + 2));
    assert_eq!(now.framework, Some(bed.id(0)));
    let converted = bed.schedulers[0].outcomes().pop().unwrap().converted;
    assert_eq!(converted, [volume("v", 30), reserved(100)].iter().collect());
}

#[test]
fn b6_the_old_and_the_new_volume_are_not_usable_in_the_same_accept() {
    for mb in [100, 130] {
        let mut bed = with_volume();
        let agent = bed.agent(0);
        let cpus = amount("cpus", 1);
        let launches = launch(&[task("t", &agent, &[cpus, volume("v", mb)])]);
        let again = named("again", shrink(volume("v", 130), 10));
        let all = vec![named("g", grow(volume("v", 100), 30)), launches, again];
        bed.accept(0, all);
        assert_eq!(bed.schedulers[0].outcome("g"), [Finished]);
        assert!(bed.schedulers[0].states("t").contains(&TaskState::Error), "{mb}");
        assert_eq!(bed.schedulers[0].outcome("again"), [Error], "{mb}");
        assert!(bed.offered(0).contains_one(&volume("v", 130)));
    }
}

#[test]
fn b44_what_breaks_a_rule_is_refused_by_its_name_and_changes_nothing() {
    let mut bed = with_volume();
    let before = bed.folded.claims.clone();
    let unreserved = ClaimAction::Grow { volume: volume("v", 100), addition: disk(10) };
    let wrong = [
        ("more", grow(volume("v", 100), 51), "not available"),
        ("size", grow(volume("v", 99), 10), "has 100 MB now, not 99 MB"),
        ("none", shrink(volume("w", 100), 10), "not available"),
        ("all", shrink(volume("v", 100), 100), "subtract.value"),
        ("unreserved", unreserved, "its own reservation"),
    ];
    bed.accept(0, wrong.iter().map(|(id, action, _)| named(id, action.clone())).collect());
    for (id, _, word) in wrong {
        assert_eq!(bed.schedulers[0].outcome(id), [Error], "{id}");
        assert!(why(&bed, id).contains(word), "{id}: {}", why(&bed, id));
    }
    assert_eq!(bed.folded.claims, before);
}

#[test]
fn b33_a_child_role_resizes_nothing_of_its_ancestor_but_what_it_made() {
    let mut bed = with_volume();
    bed.call(0, Call::Teardown);
    bed.add_scheduler(info("child", &["db/x"]));
    bed.settle();
    assert!(bed.offered(1).contains_one(&volume("v", 100)));
    let make = ClaimAction::Create(vec![volume("w", 10)]);
    bed.accept(1, vec![named("theirs", grow(volume("v", 100), 10)), named("make", make)]);
    bed.accept(1, vec![named("own", grow(volume("w", 10), 10))]);
    let outcome = |id| bed.schedulers[1].outcome(id);
    assert_eq!((outcome("theirs"), outcome("own")), (vec![Error], vec![Finished]));
}

#[test]
fn b85_an_operator_resizes_a_volume_that_is_offered_and_it_is_offered_anew() {
    let mut bed = with_volume();
    let rescinded = bed.schedulers[0].rescinded();
    assert_eq!(bed.operate(0, grow(volume("v", 100), 50)), Ok(()));
    assert_eq!(bed.schedulers[0].rescinded(), rescinded + 1);
    assert!(bed.offered(0).contains_one(&volume("v", 150)));
    assert_eq!(bed.operate(0, shrink(volume("v", 150), 100)), Ok(()));
    assert!(bed.offered(0).contains(&[volume("v", 50), reserved(100)].iter().collect()));
    let missing = bed.operate(0, grow(volume("none", 10), 1)).unwrap_err();
    assert!(matches!(&missing, Refusal::Invalid(it) if it.path == "volume"), "{missing:?}");
    let stale = bed.operate(0, shrink(volume("v", 150), 100)).unwrap_err();
    assert!(format!("{stale:?}").contains("has 50 MB now"), "{stale:?}");
}

#[test]
fn j39_a_volume_grows_under_its_task_and_does_not_shrink() {
    let mut bed = with_volume();
    let agent = bed.agent(0);
    let tasks = [task("t", &agent, &[amount("cpus", 1), volume("v", 100)])];
    bed.accept(0, vec![launch(&tasks)]);
    bed.task_is(0, "t", TaskState::Running);
    assert_eq!(bed.operate(0, grow(volume("v", 100), 30)), Ok(()));
    assert!(!bed.offered(0).entries().any(|(it, _)| it.persistence.is_some()), "it is in use");
    assert_eq!(bed.offered(0).get(&reserved(1).identity).unwrap().value, reserved(20).value);
    let refused = bed.operate(0, shrink(volume("v", 130), 30)).unwrap_err();
    assert!(format!("{refused:?}").contains("in use by task `t`"), "{refused:?}");
    bed.fail_over();
    bed.reunite();
    bed.task_is(0, "t", TaskState::Finished);
    bed.acknowledge_last(0);
    bed.settle();
    assert!(bed.offered(0).contains_one(&volume("v", 130)), "{}", bed.offered(0));
    let rescinds = |it: &&Event| matches!(it, Event::Rescind(_));
    assert!(bed.schedulers[0].events.iter().filter(rescinds).count() > 0);
}
