//! Destroyed volumes that an operator wants back, or gone.

use holdfast_model::{
    ClaimAction, ClaimId, DiskId, DiskKind, DiskRecord, DiskReport, OperatorCall, Order,
};
use uuid::Uuid;

use super::bed::*;
use crate::Refusal;

fn create(id: &str, mb: i64) -> ClaimAction {
    ClaimAction::Create(vec![volume(id, mb)])
}

/// An agent whose volume `a` of 10 MB was destroyed; the reservation is left.
fn destroyed() -> (Bed, ClaimId) {
    let mut bed = Bed::with_agents(1);
    let disk = DiskRecord {
        id: DiskId(Uuid::nil()),
        kind: DiskKind::Path,
        root: "/d1".to_owned(),
        size_mb: 1000,
    };
    bed.machines[0].disks = vec![DiskReport {
        disk,
        fault: None,
        space: None,
        added: false,
        orphans: Vec::new(),
        more_orphans: 0,
    }];
    bed.machines[0].introduce();
    bed.settle();
    bed.operate(0, reserve(&[reserved(10)])).unwrap();
    bed.operate(0, create("a", 10)).unwrap();
    let claim = bed.folded.claims.values().find(|it| it.is_volume()).unwrap().id;
    let call = ClaimAction::Destroy(vec![volume("a", 10)]);
    let request = bed.ask(OperatorCall::Claim { agent: bed.agent(0), action: call });
    bed.settle();
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    assert!(bed.state(0).trash().volumes().contains_key(&claim));
    (bed, claim)
}

fn undelete(bed: &mut Bed, claim: ClaimId) -> Result<(), Refusal> {
    let call = OperatorCall::Undelete { agent: bed.agent(0), claim };
    let request = bed.ask(call);
    bed.settle();
    bed.answers.get(&request).cloned().expect("an operator is answered")
}

fn refusal(answer: Result<(), Refusal>) -> String {
    format!("{:?}", answer.unwrap_err())
}

#[test]
fn a_volume_comes_back_on_the_space_that_its_reservation_still_has() {
    let (mut bed, claim) = destroyed();
    assert_eq!(undelete(&mut bed, claim), Ok(()));
    let orders = bed.machines[0].obeyed.iter().filter(|it| matches!(it, Order::Undelete { .. }));
    assert_eq!(orders.count(), 1);
    let volumes = bed.folded.claims.values().filter(|it| it.is_volume());
    assert_eq!(volumes.map(|it| it.resource.clone()).collect::<Vec<_>>(), [volume("a", 10)]);
    assert!(bed.state(0).trash().volumes().is_empty() && bed.master.operations().is_empty());
}

#[test]
fn space_that_was_given_up_and_not_claimed_since_is_reserved_again_on_the_way() {
    let (mut bed, claim) = destroyed();
    bed.operate(0, ClaimAction::Unreserve(vec![reserved(10)])).unwrap();
    bed.add_scheduler(info("keeper", &["db"]));
    bed.settle();
    assert_eq!(bed.offers(0).len(), 1, "it is offered all of it");
    assert_eq!(undelete(&mut bed, claim), Ok(()));
    assert_eq!(bed.schedulers[0].rescinded(), 1);
    assert!(bed.folded.claims.values().any(|it| it.resource == volume("a", 10)));
}

#[test]
fn what_stands_in_the_way_is_named() {
    let (mut bed, claim) = destroyed();
    bed.operate(0, create("b", 10)).unwrap();
    bed.operate(0, reserve(&[reserved(990)])).unwrap();
    bed.operate(0, create("c", 990)).unwrap();
    let why = refusal(undelete(&mut bed, claim));
    assert!(why.contains("is not there any more") && why.contains("the disk holds"), "{why}");
    let (mut bed, claim) = destroyed();
    bed.operate(0, create("a", 10)).unwrap();
    let why = refusal(undelete(&mut bed, claim));
    assert!(why.contains("already has a volume `a`"), "{why}");
    let (mut bed, claim) = destroyed();
    bed.machines[0].disks[0].fault = Some("not mounted".to_owned());
    bed.machines[0].introduce();
    bed.settle();
    let why = refusal(undelete(&mut bed, claim));
    assert!(why.contains("not mounted"), "{why}");
    let (mut bed, claim) = destroyed();
    bed.machines[0].trash.get_mut(&claim).unwrap().purging = true;
    bed.machines[0].tell_trash();
    bed.settle();
    let why = refusal(undelete(&mut bed, claim));
    assert!(why.contains("has begun"), "{why}");
    let unknown = undelete(&mut bed, ClaimId(Uuid::from_u128(404)));
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "{unknown:?}");
}

#[test]
fn what_is_on_its_way_to_the_trash_is_not_back() {
    let (mut bed, _) = destroyed();
    bed.operate(0, create("b", 10)).unwrap();
    let there = bed.folded.claims.values().find(|it| it.is_volume()).unwrap().clone();
    let action = ClaimAction::Destroy(vec![there.resource.clone()]);
    let destroy = bed.ask(OperatorCall::Claim { agent: bed.agent(0), action });
    let early = bed.ask(OperatorCall::Undelete { agent: bed.agent(0), claim: there.id });
    assert!(
        matches!(&bed.answers[&early], Err(Refusal::Conflict(why)) if why.contains("just being destroyed"))
    );
    bed.settle();
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(bed.answers[&destroy], Ok(()));
    assert_eq!(undelete(&mut bed, there.id), Ok(()));
}

#[test]
fn what_is_back_already_is_no_error() {
    let (mut bed, _) = destroyed();
    bed.operate(0, create("b", 10)).unwrap();
    let there = bed.folded.claims.values().find(|it| it.is_volume()).unwrap().id;
    assert_eq!(undelete(&mut bed, there), Ok(()));
    assert!(bed.master.operations().is_empty());
}

#[test]
fn a_removal_is_answered_when_there_is_no_way_back() {
    let (mut bed, claim) = destroyed();
    let request = bed.ask(OperatorCall::PurgeTrash { agent: bed.agent(0), claim });
    assert_eq!(bed.answers.get(&request), None);
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    assert!(bed.state(0).trash().volumes().is_empty());
    let again = bed.ask(OperatorCall::PurgeTrash { agent: bed.agent(0), claim });
    assert!(matches!(bed.answers[&again], Err(Refusal::NotFound(_))));
    let (mut bed, claim) = destroyed();
    let request = bed.ask(OperatorCall::PurgeTrash { agent: bed.agent(0), claim });
    bed.lose(0);
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("not known"))
    );
}

#[test]
fn a_new_leader_is_told_what_lies_in_the_trash() {
    let (mut bed, claim) = destroyed();
    bed.fail_over();
    bed.reunite();
    assert_eq!(undelete(&mut bed, claim), Ok(()));
}
