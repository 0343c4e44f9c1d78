//! What changed is told once, in an order that can be followed.

use holdfast_master::Input;
use holdfast_model::{Call, ClaimId, Filters, LinkId, OfferId, Report, TaskId, TaskStatus};

use super::*;
use crate::testbed::{agent_id, framework_id, info, report, Bed, OFFER, RESERVATION};
use ClusterEvent::*;

fn task(id: &str) -> TaskKey {
    (framework_id("f-0"), TaskId::made(id.to_owned()))
}

fn offer(number: usize) -> OfferId {
    OfferId::made(format!("{}{number}", OFFER.strip_suffix('0').unwrap()))
}

#[test]
fn nothing_changed() {
    assert_eq!(changes(&Bed::usual().view(), &Bed::usual().view()), []);
}

#[test]
fn an_agent_reports_and_a_framework_comes_back() {
    let (before, after) = (Bed::elected(), Bed::usual());
    let expected = [
        AgentChanged(agent_id("S0")),
        FrameworkUpdated(framework_id("f-0")),
        TaskAdded(task("db-0")),
        TaskUpdated(task("db-0"), TaskState::Running),
        TaskAdded(task("db-1")),
        TaskUpdated(task("db-1"), TaskState::Failed),
        OfferMade(offer(0)),
    ];
    assert_eq!(changes(&before.view(), &after.view()), expected);
}

#[test]
fn what_the_end_of_a_term_hides_is_gone() {
    let (before, after) = (Bed::usual(), Bed::elected());
    let expected = [
        AgentChanged(agent_id("S0")),
        FrameworkUpdated(framework_id("f-0")),
        OfferEnded(offer(0)),
        TaskForgotten(task("db-0")),
    ];
    assert_eq!(changes(&before.view(), &after.view()), expected);
}

#[test]
fn an_answered_offer_makes_room_for_another() {
    let (before, mut after) = (Bed::usual(), Bed::usual());
    let call = Call::Decline { offers: vec![offer(0)], filters: Filters { refuse_ms: 0 } };
    after.say(LinkId(2), call);
    assert_eq!(changes(&before.view(), &after.view()), [OfferEnded(offer(0))]);
}

#[test]
fn a_task_ends_and_its_end_is_acknowledged() {
    let (before, mut after) = (Bed::usual(), Bed::usual());
    let end = TaskStatus::new(TaskId::made("db-0".to_owned()), TaskState::Finished, Instant(9000));
    let mut ended = report();
    ended.orders_seen = 1;
    (ended.tasks[0].state, ended.tasks[0].latest) = (TaskState::Finished, Some(end));
    after.report(ended);
    let told = changes(&before.view(), &after.view());
    assert!(told.contains(&TaskUpdated(task("db-0"), TaskState::Finished)), "{told:?}");
    let mut later = Bed::usual();
    later.acknowledge_failure();
    assert_eq!(changes(&before.view(), &later.view()), [], "its end was told before");
}

#[test]
fn a_claim_ends_and_another_changes() {
    let (before, mut after) = (Bed::usual(), Bed::usual());
    let mut changed = Report { orders_seen: 1, ..report() };
    changed.claims.pop();
    changed.claims[0].generation = 3;
    after.report(changed);
    let told = changes(&before.view(), &after.view());
    let claims: Vec<_> =
        told.into_iter().filter(|it| matches!(it, ClaimChanged(..) | ClaimGone(..))).collect();
    let id = |id: &str| ClaimId::parse(id).unwrap();
    let expected = [
        ClaimChanged(agent_id("S0"), id(crate::testbed::VOLUME)),
        ClaimGone(agent_id("S0"), id(RESERVATION)),
    ];
    assert_eq!(claims, expected);
}

#[test]
fn frameworks_come_and_go() {
    let (before, mut after) = (Bed::usual(), Bed::usual());
    after.subscribe_new(LinkId(3), info("", "web"));
    let id =
        after.view().frameworks().keys().find(|it| **it != framework_id("f-0")).cloned().unwrap();
    assert_eq!(changes(&before.view(), &after.view())[0], FrameworkAdded(id.clone()));
    let mut away = Bed::usual();
    away.input(Input::FrameworkLost(LinkId(2)));
    let told = changes(&before.view(), &away.view());
    assert_eq!(told, [FrameworkUpdated(framework_id("f-0")), OfferEnded(offer(0))]);
    let mut removed = Bed::usual();
    removed.say(LinkId(2), Call::Teardown);
    let told = changes(&before.view(), &removed.view());
    assert_eq!(
        told.last(),
        Some(&FrameworkRemoved(framework_id("f-0"))),
        "after all that was its own: {told:?}"
    );
}
