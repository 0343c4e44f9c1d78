//! J4, J17, A26: equal reservations are one amount to frameworks, and stay the claims of those who made them.

use holdfast_model::{
    Claim, ClaimAction, ClaimId, ClaimState, OperationState, OperatorCall, Resource, Scalar,
};

use super::bed::*;
use crate::{Config, Force, Refusal};

pub(super) fn cpus(count: i64) -> Resource {
    amount("cpus", count).reserved(reservation("db"))
}

/// Framework 0 has reserved 2 cpus and 100 MB, framework 1 a cpu and 50 MB, an operator a cpu and 30 MB.
pub(super) fn shared(config: Config) -> Bed {
    let mut bed = Bed::empty(config);
    bed.add_machine(plenty());
    bed.add_scheduler(info("keeper", &["db"]));
    bed.settle();
    bed.accept(0, vec![unnamed(reserve(&[cpus(2), reserved(100)]))]);
    bed.settle();
    bed.operate(0, reserve(&[cpus(1), reserved(30)])).unwrap();
    bed.add_scheduler(info("mate", &["db"]));
    bed.settle();
    decline_all(&mut bed, 0);
    bed.accept(1, vec![unnamed(reserve(&[cpus(1), reserved(50)]))]);
    bed.settle();
    decline_all(&mut bed, 0);
    bed
}

/// The other one is offered everything.
fn decline_all(bed: &mut Bed, scheduler: usize) {
    for offer in bed.offers(scheduler) {
        let filters = holdfast_model::Filters { refuse_ms: 600_000 };
        bed.call(scheduler, holdfast_model::Call::Decline { offers: vec![offer.id], filters });
    }
    bed.settle();
    bed.pass_ms(200);
}

/// What each has of the reserved disk: framework 0, framework 1, the role.
pub(super) fn shares(bed: &Bed) -> [i64; 3] {
    let of = |framework: Option<holdfast_model::FrameworkId>| {
        let theirs = bed.machines[0]
            .claims
            .values()
            .filter(|it| it.framework == framework && it.resource.identity == reserved(1).identity);
        theirs.fold(Scalar::ZERO, |sum, it| sum.plus(it.resource.value.quantity())).as_whole()
    };
    [of(Some(bed.id(0))), of(Some(bed.id(1))), of(None)]
}

pub(super) fn claim_of(bed: &Bed, scheduler: usize) -> ClaimId {
    let theirs = |it: &&Claim| {
        it.framework == Some(bed.id(scheduler)) && it.resource.identity == reserved(1).identity
    };
    bed.machines[0].claims.values().find(theirs).unwrap().id
}

pub(super) fn unreserve(mb: i64) -> ClaimAction {
    ClaimAction::Unreserve(vec![reserved(mb)])
}

#[test]
fn j4_a_framework_gives_up_its_own_and_the_roles_and_never_what_another_one_holds() {
    let mut bed = shared(Config::default());
    assert_eq!(shares(&bed), [100, 50, 30]);
    let all = bed.offered(1);
    assert!(all.contains_one(&reserved(180)), "one amount: {all}");
    bed.accept(1, vec![named("much", unreserve(81)), named("own", unreserve(60))]);
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("much"), [OperationState::Error]);
    let why = bed.schedulers[1].outcomes().into_iter().find(|it| it.id.as_deref() == Some("much"));
    let why = why.and_then(|it| it.message).unwrap();
    assert!(why.contains("held by framework `keeper`"), "{why}");
    assert!(why.contains(&claim_of(&bed, 0).to_string()), "{why}");
    assert_eq!(bed.schedulers[1].outcome("own"), [OperationState::Finished]);
    assert_eq!(shares(&bed), [100, 0, 20]);
    assert_eq!(bed.folded.claims.len(), bed.machines[0].claims.len());
}

#[test]
fn the_claims_of_a_removed_framework_are_the_roles() {
    let mut bed = shared(Config::default());
    let keeper = bed.id(0);
    bed.ask(OperatorCall::Teardown(keeper));
    bed.settle();
    bed.pass_ms(200);
    bed.accept(1, vec![named("all", unreserve(180))]);
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("all"), [OperationState::Finished]);
    assert_eq!(shares(&bed), [0, 0, 0]);
}

#[test]
fn a_volume_is_made_of_what_is_offered_and_given_back_to_whoever_it_came_from() {
    let mut bed = shared(Config::default());
    let create = ClaimAction::Create(vec![volume("v", 170)]);
    bed.accept(1, vec![named("create", create)]);
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("create"), [OperationState::Finished]);
    assert_eq!(shares(&bed), [10, 0, 0], "its own, the role's, then the other's");
    let destroy = || ClaimAction::Destroy(vec![volume("v", 170)]);
    decline_all(&mut bed, 1);
    assert!(bed.offered(0).contains_one(&volume("v", 170)), "it may be used");
    bed.accept(0, vec![named("theirs", destroy())]);
    bed.settle();
    assert_eq!(bed.schedulers[0].outcome("theirs"), [OperationState::Error]);
    let whole = bed.machines[0].claims.values().filter(|it| it.is_volume());
    assert!(whole.into_iter().all(|it| it.state == ClaimState::Ready));
    let agent = bed.agent(0);
    let id = bed.machines[0].claims.values().find(|it| it.is_volume()).unwrap().id;
    bed.ask(OperatorCall::EndClaim { agent, claim: id, force: true, if_generation: None });
    bed.settle();
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(shares(&bed), [100, 50, 30]);
}

#[test]
fn mesos_way_is_a_setting() {
    let mut bed = shared(Config { mesos_ownership: true, ..Config::default() });
    bed.accept(1, vec![named("all", unreserve(180))]);
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("all"), [OperationState::Finished]);
    assert_eq!(shares(&bed), [0, 0, 0]);
}

#[test]
fn an_operator_gives_up_the_roles_and_a_frameworks_claim_by_its_id_and_by_force() {
    let mut bed = shared(Config::default());
    let agent = bed.agent(0);
    let plan = |bed: &Bed, mb: i64| {
        bed.master.view().plan(&bed.agent(0), (&unreserve(mb), Force::No), None, None)
    };
    let taken = plan(&bed, 30).unwrap();
    assert_eq!((taken.len(), &taken[0].framework, &taken[0].resource), (1, &None, &reserved(30)));
    let Err(Refusal::Conflict(planned)) = plan(&bed, 31) else { panic!() };
    let Err(Refusal::Conflict(why)) = bed.operate(0, unreserve(31)) else { panic!() };
    assert!(why.contains("held by framework `keeper`") && why == planned, "{why}");
    bed.operate(0, unreserve(10)).unwrap();
    assert_eq!(shares(&bed), [100, 50, 20]);
    let claim = claim_of(&bed, 1);
    let end = |bed: &mut Bed, force: bool| {
        let request = bed.ask(OperatorCall::EndClaim {
            agent: agent.clone(),
            claim,
            force,
            if_generation: None,
        });
        bed.settle();
        bed.answers[&request].clone()
    };
    let Err(Refusal::Conflict(why)) = end(&mut bed, false) else { panic!() };
    assert!(why.contains("held by framework `mate`"), "{why}");
    assert_eq!(end(&mut bed, true), Ok(()));
    assert_eq!(shares(&bed), [100, 0, 20], "that claim, whichever others look the same");
    let Err(Refusal::NotFound(_)) = end(&mut bed, true) else { panic!("it is gone") };
}

/// What is still under way is the agent's to judge, which knows what it comes to.
#[test]
fn what_was_asked_for_just_now_counts_as_ones_own() {
    let mut bed = shared(Config::default());
    bed.accept(
        1,
        vec![
            named("more", reserve(&[reserved(40)])),
            named("less", unreserve(120)),
            named("too-much", unreserve(1)),
        ],
    );
    bed.settle();
    assert_eq!(bed.schedulers[1].outcome("more"), [OperationState::Finished]);
    assert_eq!(bed.schedulers[1].outcome("less"), [OperationState::Finished]);
    assert_eq!(bed.schedulers[1].outcome("too-much"), [OperationState::Failed]);
    assert_eq!(shares(&bed), [100, 0, 0]);
}
