//! Disks that are brought to another agent, and their claims with them.

use holdfast_model::{
    Claim, ClaimAction, DiskAdoption, DiskId, DiskKind, DiskRecord, DiskReport, DiskTaking,
    Instant, LeaveStage, MoveState, OperationUuid, OperatorCall, Order, Resource, Source, ToMaster,
};
use uuid::Uuid;

use super::bed::*;
use crate::{AgentHealth, Refusal, RequestId};

const NEW: &str = "/d1 elsewhere";

fn found(root: &str, fault: Option<&str>) -> DiskReport {
    let (id, root) = (DiskId(Uuid::nil()), root.to_owned());
    DiskReport {
        disk: DiskRecord { id, kind: DiskKind::Path, root, size_mb: 1000 },
        fault: fault.map(str::to_owned),
        space: None,
        added: false,
        orphans: Vec::new(),
        more_orphans: 0,
    }
}

/// An agent whose disk, with a volume on it, is gone, and another one.
fn bed() -> Bed {
    let mut bed = Bed::with_agents(2);
    bed.operate(0, ClaimAction::Reserve { resources: vec![reserved(30)], source: Vec::new() })
        .unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("a", 10)])).unwrap();
    let machine = &mut bed.machines[0];
    machine.disks = vec![found("/d1", Some("it is not mounted"))];
    let faults = machine.claims.keys().map(|it| (*it, "it is not mounted".to_owned()));
    machine.faults = faults.collect();
    machine.introduce();
    bed.settle();
    bed
}

fn ask(bed: &mut Bed, reason: Option<&str>) -> RequestId {
    let (from, to) = (bed.agent(0), bed.agent(1));
    let adoption = DiskAdoption { disk: DiskId(Uuid::nil()), root: NEW.to_owned(), size_mb: None };
    let reason = reason.map(str::to_owned);
    let request = bed.ask(OperatorCall::MoveDisk { from, to, adoption, reason });
    bed.settle();
    request
}

/// The last order to leave the disk.
fn left(bed: &Bed) -> Option<(OperationUuid, LeaveStage)> {
    bed.machines[0].obeyed.iter().rev().find_map(|it| match it {
        Order::LeaveDisk { uuid, stage, .. } => Some((*uuid, *stage)),
        _ => None,
    })
}

/// The last order to take it.
fn asked_to_take(bed: &Bed) -> Option<(OperationUuid, DiskTaking)> {
    bed.machines[1].obeyed.iter().rev().find_map(|it| match it {
        Order::TakeDisk { uuid, taking, .. } => Some((*uuid, (**taking).clone())),
        _ => None,
    })
}

fn answer(bed: &mut Bed, machine: usize, uuid: OperationUuid, refusal: Option<&str>) {
    let refusal = refusal.map(str::to_owned);
    bed.machines[machine].outbox.push_back(ToMaster::DiskAnswer { uuid, refusal });
    bed.settle();
}

/// The other agent writes down what it was asked to take, and says so.
fn takes(bed: &mut Bed, taking: &DiskTaking) {
    let to = bed.agent(1);
    let machine = &mut bed.machines[1];
    for claim in &taking.claims {
        let taken = taking.taken(claim, &to, Instant(9), "ops");
        machine.claims.insert(taken.id, taken);
    }
    let of_it: Resource = amount("disk", 1000).on(Source::path(NEW));
    machine.configured = machine.configured.iter().chain([of_it]).collect();
    machine.disks = vec![found(NEW, None)];
    machine.version += 1;
    if machine.link.is_some() {
        machine.introduce();
    }
    bed.settle();
}

/// The first agent ends its claims, and says so.
fn ends(bed: &mut Bed) {
    let machine = &mut bed.machines[0];
    machine.claims.clear();
    machine.faults.clear();
    machine.disks.clear();
    machine.version += 1;
    machine.introduce();
    bed.settle();
}

/// Who has claims, by the ledger: an agent each.
fn owners(bed: &Bed) -> Vec<usize> {
    let index = |agent| (0..2).find(|it| bed.agent(*it) == agent).unwrap();
    let mut owners: Vec<usize> =
        bed.folded.claims.keys().map(|(agent, _)| index(agent.clone())).collect();
    owners.dedup();
    owners
}

fn state(bed: &Bed) -> Option<MoveState> {
    bed.folded.moves.values().next().map(|it| it.state)
}

#[test]
fn a_disk_is_fenced_then_taken_and_only_then_its_claims_move_and_end_where_they_were() {
    let mut bed = bed();
    bed.add_scheduler(info("keeper", &["db"]));
    let before: Vec<Claim> = bed.folded.claims.values().cloned().collect();
    let request = ask(&mut bed, None);
    let (fence, stage) = left(&bed).expect("the former agent is asked first");
    assert_eq!((stage, state(&bed)), (LeaveStage::Fence, Some(MoveState::Fencing)));
    assert_eq!(asked_to_take(&bed), None);
    answer(&mut bed, 0, fence, None);
    let (take, taking) = asked_to_take(&bed).expect("then the new one");
    assert_eq!((taking.claims.clone(), taking.root.as_str()), (before.clone(), NEW));
    assert_eq!((owners(&bed), state(&bed)), (vec![0], Some(MoveState::Taking)));
    takes(&mut bed, &taking);
    assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)));
    assert_eq!(bed.answers.get(&request), None);
    answer(&mut bed, 1, take, None);
    assert_eq!(bed.answers[&request], Ok(()));
    assert!(bed.folded.ended.is_empty(), "none of them has ended");
    assert_eq!(left(&bed).unwrap().1, LeaveStage::End);
    // What the former agent says of them before it has ended them is passed over.
    bed.machines[0].introduce();
    bed.settle();
    assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)));
    ends(&mut bed);
    assert_eq!((owners(&bed), state(&bed)), (vec![1], None));
    let offers = bed.offers(0);
    let is_volume = |it: &Resource| it.identity.persistence.is_some();
    let with_volume: Vec<_> =
        offers.iter().filter(|it| it.resources.iter().any(|it| is_volume(&it))).collect();
    assert_eq!(with_volume.len(), 1);
    assert_eq!(with_volume[0].agent, bed.agent(1));
    let again = ask(&mut bed, None);
    assert!(matches!(&bed.answers[&again], Err(Refusal::NotFound(why)) if why.contains("already")));
}

#[test]
fn what_either_agent_refuses_leaves_the_claims_where_they_were() {
    let mut bed = bed();
    let request = ask(&mut bed, None);
    let fence = left(&bed).unwrap().0;
    answer(&mut bed, 0, fence, Some("it is in use"));
    assert_eq!(bed.answers[&request], Err(Refusal::Conflict("it is in use".to_owned())));
    assert_eq!((owners(&bed), state(&bed)), (vec![0], None));
    let request = ask(&mut bed, None);
    let fence = left(&bed).unwrap().0;
    answer(&mut bed, 0, fence, None);
    let take = asked_to_take(&bed).unwrap().0;
    answer(&mut bed, 1, take, Some("it is not mounted"));
    assert_eq!(bed.answers[&request], Err(Refusal::Conflict("it is not mounted".to_owned())));
    let (lift, stage) = left(&bed).unwrap();
    assert_eq!((stage, state(&bed)), (LeaveStage::Lift, Some(MoveState::Lifting)));
    answer(&mut bed, 0, lift, None);
    assert_eq!((owners(&bed), state(&bed)), (vec![0], None));
}

#[test]
fn an_agent_that_is_away_is_passed_over_by_force_only_and_is_not_welcome_before_it_is_decided() {
    let mut bed = bed();
    bed.lose(0);
    let request = ask(&mut bed, None);
    let refused = |bed: &Bed, request, words: &str| {
        assert!(
            matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains(words)),
            "{:?}",
            bed.answers[&request]
        );
    };
    refused(&bed, request, "--force --reason");
    let request = ask(&mut bed, Some("it has burnt down"));
    let (take, taking) = asked_to_take(&bed).unwrap();
    bed.connect(0);
    bed.settle();
    let why = bed.machines[0].refused.clone().expect("it may not say what it has yet");
    assert!(why.contains("just being taken over"), "{why}");
    assert_eq!(owners(&bed), [0]);
    takes(&mut bed, &taking);
    answer(&mut bed, 1, take, None);
    assert_eq!((owners(&bed), bed.answers[&request].clone()), (vec![1], Ok(())));
    bed.connect(0);
    bed.settle();
    assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)));
    assert_eq!(left(&bed).unwrap().1, LeaveStage::End);
    ends(&mut bed);
    assert_eq!((owners(&bed), state(&bed)), (vec![1], None));
    assert!(bed.folded.ended.is_empty());
}

#[test]
fn a_failover_or_a_lost_link_at_any_point_goes_on_where_it_was() {
    for at in 0..4 {
        let mut bed = bed();
        ask(&mut bed, None);
        let fail_over = |bed: &mut Bed, now: i32| {
            if at == now {
                bed.fail_over();
                bed.reunite();
                bed.settle();
            } else if at == 3 {
                bed.lose(0);
                bed.lose(1);
                bed.connect(0);
                bed.connect(1);
                bed.settle();
            }
        };
        fail_over(&mut bed, 0);
        let fence = left(&bed).unwrap().0;
        answer(&mut bed, 0, fence, None);
        fail_over(&mut bed, 1);
        let (take, taking) = asked_to_take(&bed).unwrap();
        assert_eq!(owners(&bed), [0]);
        takes(&mut bed, &taking);
        answer(&mut bed, 1, take, None);
        fail_over(&mut bed, 2);
        assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)), "{at}");
        assert_eq!(left(&bed).unwrap().1, LeaveStage::End);
        ends(&mut bed);
        assert_eq!((owners(&bed), state(&bed)), (vec![1], None));
    }
}

/// A real process showed it: the claims had moved, and nobody remembered that the new agent's ledger had them.
#[test]
fn a_ledger_of_before_the_move_is_fenced_at_either_agent_and_ends_nothing() {
    let mut bed = bed();
    ask(&mut bed, None);
    let (fence, _) = left(&bed).unwrap();
    answer(&mut bed, 0, fence, None);
    let (take, taking) = asked_to_take(&bed).unwrap();
    let (old, new) = (bed.machines[0].version, bed.machines[1].version);
    takes(&mut bed, &taking);
    answer(&mut bed, 1, take, None);
    ends(&mut bed);
    assert_eq!((owners(&bed), state(&bed)), (vec![1], None));
    let machine = &mut bed.machines[1];
    (machine.version, machine.claims) = (new, Default::default());
    machine.introduce();
    bed.settle();
    let machine = &mut bed.machines[0];
    machine.version = old;
    machine.claims = taking.claims.iter().map(|it| (it.id, it.clone())).collect();
    machine.introduce();
    bed.settle();
    assert_eq!(owners(&bed), [1], "what it lost, or has again, is nobody's word");
    for machine in 0..2 {
        let agent = bed.agent(machine);
        let view = bed.master.view();
        let health = view.agents().get(&agent).unwrap().health().clone();
        assert!(matches!(health, AgentHealth::Fenced(_)), "{machine}: {health:?}");
    }
}

fn cancel(bed: &mut Bed, reason: Option<&str>) -> RequestId {
    let (disk, from) = (DiskId(Uuid::nil()), bed.agent(0));
    let reason = reason.map(str::to_owned);
    let request = bed.ask(OperatorCall::CancelMove { disk, from, reason });
    bed.settle();
    request
}

/// The last order not to take it.
fn asked_not_to_take(bed: &Bed) -> Option<OperationUuid> {
    bed.machines[1].obeyed.iter().rev().find_map(|it| match it {
        Order::CancelTake { uuid, .. } => Some(*uuid),
        _ => None,
    })
}

/// A move that waits for the new agent, and who asked for it.
fn taking() -> (Bed, RequestId, OperationUuid, DiskTaking) {
    let mut bed = bed();
    let request = ask(&mut bed, None);
    let fence = left(&bed).unwrap().0;
    answer(&mut bed, 0, fence, None);
    let (take, taking) = asked_to_take(&bed).unwrap();
    (bed, request, take, taking)
}

fn conflict(bed: &Bed, request: RequestId, words: &str) {
    let answer = bed.answers.get(&request);
    assert!(
        matches!(answer, Some(Err(Refusal::Conflict(why))) if why.contains(words)),
        "{answer:?}"
    );
}

/// The former agent uses the disk again, and nothing of the move is left.
fn is_over(bed: &mut Bed) {
    let (lift, stage) = left(bed).unwrap();
    assert_eq!((stage, state(bed)), (LeaveStage::Lift, Some(MoveState::Lifting)));
    answer(bed, 0, lift, None);
    assert_eq!((owners(bed), state(bed)), (vec![0], None));
    assert!(bed.folded.ended.is_empty());
}

#[test]
fn a_move_is_cancelled_before_the_new_agent_was_asked() {
    let mut bed = bed();
    let asked = ask(&mut bed, None);
    let fence = left(&bed).unwrap().0;
    let request = cancel(&mut bed, None);
    assert_eq!(bed.answers[&request], Ok(()));
    conflict(&bed, asked, "cancels it");
    answer(&mut bed, 0, fence, None); // It had let go of it before it heard of that.
    assert_eq!(asked_to_take(&bed), None);
    let again = cancel(&mut bed, None);
    conflict(&bed, again, "is off already");
    is_over(&mut bed);
    let again = cancel(&mut bed, None);
    assert!(matches!(bed.answers[&again], Err(Refusal::NotFound(_))));
}

#[test]
fn a_new_agent_that_has_not_taken_the_disk_says_so_and_the_former_one_uses_it_again() {
    for fails_over in [false, true] {
        let (mut bed, asked, take, _) = taking();
        let request = cancel(&mut bed, None);
        conflict(&bed, asked, "cancels it");
        assert_eq!((bed.answers.get(&request), state(&bed)), (None, Some(MoveState::Cancelling)));
        assert_eq!(left(&bed).unwrap().1, LeaveStage::Fence, "the former one waits as well");
        answer(&mut bed, 1, take, None); // An answer to what it was asked first decides nothing.
        assert_eq!(state(&bed), Some(MoveState::Cancelling));
        let again = ask(&mut bed, None);
        conflict(&bed, again, "just being cancelled");
        if fails_over {
            bed.fail_over();
            bed.reunite();
            bed.settle();
        }
        let not = asked_not_to_take(&bed).unwrap();
        answer(&mut bed, 1, not, None);
        if !fails_over {
            assert_eq!(bed.answers[&request], Ok(()));
        }
        is_over(&mut bed);
    }
}

#[test]
fn a_move_that_the_new_agent_has_done_is_complete_and_not_cancelled() {
    for is_reported_first in [false, true] {
        let (mut bed, _, _, taking) = taking();
        let request = cancel(&mut bed, None);
        let not = asked_not_to_take(&bed).unwrap();
        if is_reported_first {
            takes(&mut bed, &taking);
            assert_eq!(state(&bed), Some(MoveState::Moved));
        } else {
            let machine = &mut bed.machines[1];
            machine
                .outbox
                .push_back(ToMaster::DiskAnswer { uuid: not, refusal: Some("taken".to_owned()) });
            takes(&mut bed, &taking);
        }
        if is_reported_first {
            answer(&mut bed, 1, not, Some("taken"));
        }
        conflict(&bed, request, "taken");
        assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)));
        let again = cancel(&mut bed, None);
        conflict(&bed, again, "has been taken over");
        ends(&mut bed);
        assert_eq!((owners(&bed), state(&bed)), (vec![1], None));
    }
}

#[test]
fn a_new_agent_that_is_away_is_passed_over_by_force_and_ends_what_it_took_when_it_is_back() {
    for (took, fails_over, lifts_first) in [
        (false, false, true),
        (true, false, true),
        (true, true, true),
        (true, false, false),
        (false, true, false),
    ] {
        let (mut bed, asked, _, taking) = taking();
        bed.lose(1);
        conflict(&bed, asked, "lost its connection");
        let request = cancel(&mut bed, None);
        conflict(&bed, request, "--force --reason");
        if !lifts_first {
            bed.lose(0);
        }
        let request = cancel(&mut bed, Some("it has burnt down"));
        assert_eq!(bed.answers[&request], Ok(()));
        assert_eq!(bed.folded.moves.len(), 2, "what it may have taken is remembered");
        if lifts_first {
            let reason = bed.machines[0].obeyed.iter().rev().find_map(|it| match it {
                Order::LeaveDisk { reason, .. } => reason.clone(),
                _ => None,
            });
            assert_eq!(reason.as_deref(), Some("it has burnt down"));
            let (lift, stage) = left(&bed).unwrap();
            assert_eq!(stage, LeaveStage::Lift);
            answer(&mut bed, 0, lift, None);
            assert_eq!((owners(&bed), state(&bed)), (vec![0], Some(MoveState::Recalling)));
            machine_is_well(&mut bed);
            let again = ask(&mut bed, None);
            conflict(&bed, again, "has yet to say");
        }
        if fails_over {
            bed.fail_over();
        }
        if took {
            takes(&mut bed, &taking);
        }
        bed.connect(1);
        bed.settle();
        let not = asked_not_to_take(&bed);
        if took {
            assert_eq!(owners(&bed), [0], "what it says of these claims is not believed");
            let is_end = |it: &Order| matches!(it, Order::LeaveDisk { stage: LeaveStage::End, .. });
            assert!(bed.machines[1].obeyed.iter().any(is_end));
            let machine = &mut bed.machines[1];
            machine.claims.clear();
            machine.disks.clear();
            machine.version += 1;
            machine.introduce();
            bed.settle();
        } else {
            answer(&mut bed, 1, not.unwrap(), None);
        }
        if fails_over || !lifts_first {
            bed.connect(0);
            bed.settle();
        }
        if !lifts_first {
            is_over(&mut bed);
        }
        assert_eq!((owners(&bed), state(&bed)), (vec![0], None));
        assert!(bed.folded.ended.is_empty(), "no claim has ended");
    }
}

/// The first agent's disk is as it was.
fn machine_is_well(bed: &mut Bed) {
    bed.machines[0].introduce();
    bed.settle();
}

#[test]
fn a_new_agent_that_takes_it_only_when_it_is_back_is_told_to_end_it() {
    let (mut bed, _, _, taking) = taking();
    bed.lose(1);
    cancel(&mut bed, Some("it has burnt down"));
    let lift = left(&bed).unwrap().0;
    answer(&mut bed, 0, lift, None);
    bed.connect(1);
    bed.settle();
    let not = asked_not_to_take(&bed).unwrap();
    assert_eq!(state(&bed), Some(MoveState::Recalling), "having nothing yet is no answer");
    takes(&mut bed, &taking); // It was looking for it when the order came.
    assert_eq!((owners(&bed), state(&bed)), (vec![0], Some(MoveState::Moved)));
    answer(&mut bed, 1, not, Some("taken"));
    assert_eq!(owners(&bed), [0]);
    let machine = &mut bed.machines[1];
    machine.claims.clear();
    machine.version += 1;
    machine.introduce();
    bed.settle();
    assert_eq!((owners(&bed), state(&bed)), (vec![0], None));
}

#[test]
fn an_older_new_agent_that_cannot_be_asked_goes_on_with_the_move() {
    let (mut bed, ..) = taking();
    bed.machines[1].newest = 42;
    let request = cancel(&mut bed, None);
    conflict(&bed, request, "is of an older version");
    assert_eq!(state(&bed), Some(MoveState::Taking));
    let (take, taking) = asked_to_take(&bed).unwrap();
    takes(&mut bed, &taking);
    answer(&mut bed, 1, take, None);
    assert_eq!((owners(&bed), state(&bed)), (vec![1], Some(MoveState::Moved)));
}
