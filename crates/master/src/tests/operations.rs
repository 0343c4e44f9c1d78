//! Operations settled by agents: told until acknowledged, never lost, never taken for another's. And what operators ask for.

use holdfast_model::{
    Call, ClaimAction, OperationState, OperationUpdate, OperationUuid, OperatorCall, Order, Scalar,
    StatusUuid, TaskState, ToMaster,
};
use uuid::Uuid;

use super::bed::*;
use crate::Refusal;

fn update(uuid: OperationUuid, state: OperationState) -> ToMaster {
    let status = StatusUuid(Uuid::from_u128(12345));
    let (claims, ended) = (Vec::new(), Vec::new());
    ToMaster::OperationUpdate(OperationUpdate {
        uuid,
        id: None,
        framework: None,
        state,
        message: None,
        status,
        ledger_checksum: None,
        ledger_version: 9,
        claims,
        ended,
        endings: Vec::new(),
        claims_generation: 0,
    })
}

#[test]
fn b18_an_outcome_names_its_agent_and_status_and_is_kept_until_acknowledged() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    let outcome = bed.schedulers[0].outcomes().pop().unwrap();
    assert_eq!((outcome.agent, outcome.uuid.is_some()), (Some(bed.agent(0)), true));
    assert_eq!(outcome.converted, [reserved(10)].iter().collect());
    assert_eq!((bed.machines[0].operations.len(), bed.folded.pending.len()), (1, 1));
    let wrong = StatusUuid(Uuid::nil());
    bed.call(
        0,
        Call::AcknowledgeOperation { agent: None, operation: "r".to_owned(), status: wrong },
    );
    bed.call(
        0,
        Call::AcknowledgeOperation { agent: None, operation: "none".to_owned(), status: wrong },
    );
    assert_eq!(bed.folded.pending.len(), 1, "b75: another status's name acknowledges nothing");
    bed.acknowledge_operations(0);
    assert_eq!((bed.machines[0].operations.len(), bed.folded.pending.len()), (0, 0), "b74");
    bed.acknowledge_operations(0);
}

#[test]
fn b76_the_agent_in_an_acknowledgement_stops_nobody() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let offer = bed.offers(0)[0].clone();
    bed.call(
        0,
        Call::Accept {
            offers: vec![offer.id],
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.settle();
    let status = bed.schedulers[0].outcomes().pop().unwrap().uuid.unwrap();
    for agent in [bed.agent(0), bed.agent(1), holdfast_model::AgentId::made("none".to_owned())] {
        bed.call(
            0,
            Call::AcknowledgeOperation { agent: Some(agent), operation: "r".to_owned(), status },
        );
    }
    assert!(bed.master.operations().is_empty());
}

#[test]
fn b73_without_an_id_the_master_acknowledges_itself() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)]))]);
    assert!(
        bed.schedulers[0].outcomes().is_empty()
            && bed.machines[0].operations.is_empty()
            && bed.folded.pending.is_empty()
    );
    assert_eq!(bed.folded.claims.len(), 1);
}

#[test]
fn b73_for_a_removed_framework_the_master_acknowledges_itself() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    bed.call(0, Call::Teardown);
    let uuid = *bed.machines[0].operations.keys().next().unwrap();
    bed.machines[0].tell_operation(uuid);
    bed.settle();
    assert!(bed.machines[0].operations.is_empty() && bed.master.operations().is_empty());
    assert_eq!(bed.folded.claims.len(), 1, "b89: the claim stays");
}

#[test]
fn b69_a_status_told_twice_is_passed_on_twice_and_changes_nothing() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    let offers = bed.offers(0).len();
    let uuid = *bed.machines[0].operations.keys().next().unwrap();
    bed.machines[0].tell_operation(uuid);
    bed.settle();
    let names: Vec<_> = bed.schedulers[0].outcomes().into_iter().map(|it| it.uuid).collect();
    assert!(names.len() == 2 && names[0] == names[1]);
    assert_eq!(bed.offers(0).len(), offers);
}

#[test]
fn b61_a_failure_is_told_and_what_was_believed_is_put_right() {
    let mut bed = Bed::usual();
    bed.machines[0].fails = true;
    bed.accept(
        0,
        vec![
            named("r", reserve(&[reserved(100)])),
            named("c", ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    assert_eq!(
        (bed.schedulers[0].outcome("r"), bed.schedulers[0].outcome("c")),
        (vec![OperationState::Failed], vec![OperationState::Failed])
    );
    assert_eq!(bed.schedulers[0].outcomes()[0].message.as_deref(), Some("the disk says no"));
    assert_eq!(bed.state(0).total(), &plenty());
    bed.pass_ms(100);
    assert_eq!(bed.offered(0), plenty());
    let resyncs = || bed.machines[0].obeyed.iter().filter(|it| matches!(it, Order::Resync)).count();
    let before = resyncs();
    let uuid = *bed.machines[0].operations.keys().next().unwrap();
    bed.machines[0].tell_operation(uuid);
    bed.settle();
    let after = bed.machines[0].obeyed.iter().filter(|it| matches!(it, Order::Resync)).count();
    assert_eq!(before, after, "what is known is not asked again");
}

#[test]
fn what_was_acknowledged_while_the_link_broke_is_not_told_again() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    for status in bed.schedulers[0].outcomes() {
        bed.call(
            0,
            Call::AcknowledgeOperation {
                agent: status.agent,
                operation: "r".to_owned(),
                status: status.uuid.unwrap(),
            },
        );
    }
    bed.connect(0); // The acknowledgement was under way.
    bed.settle();
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Finished]);
    assert!(bed.machines[0].operations.is_empty() && bed.master.operations().is_empty());
}

#[test]
fn another_agents_word_about_an_operation_means_nothing() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let offer = bed.offers(0)[0].clone();
    bed.call(
        0,
        Call::Accept {
            offers: vec![offer.id],
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    let uuid = *bed.master.operations().keys().next().unwrap();
    let other = bed.machines.iter().position(|it| it.agent.as_ref() != Some(&offer.agent)).unwrap();
    bed.machines[other].outbox.push_back(update(uuid, OperationState::Finished));
    bed.hear_one(other);
    assert!(bed.schedulers[0].outcomes().is_empty());
    bed.settle();
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Finished]);
}

#[test]
fn what_is_no_outcome_settles_nothing() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        Call::Accept {
            offers,
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    let uuid = *bed.master.operations().keys().next().unwrap();
    bed.machines[0].outbox.push_back(update(uuid, OperationState::Pending));
    bed.hear_one(0);
    assert!(bed.schedulers[0].outcomes().is_empty() && bed.master.operations().len() == 1);
}

#[test]
fn b78_operations_of_an_unreachable_agent_are_told_so_and_not_forgotten() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        Call::Accept {
            offers,
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.obey_one(0);
    bed.lose(0);
    bed.pass_ms(75_000);
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Unreachable]);
    bed.call(0, Call::ReconcileOperations(Vec::new()));
    assert_eq!(bed.schedulers[0].outcome("r").last(), Some(&OperationState::Unreachable));
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.schedulers[0].outcome("r").last(), Some(&OperationState::Finished));
}

#[test]
fn b80_reconciling_tells_the_latest_of_each_without_a_name_to_acknowledge() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("done", reserve(&[reserved(10)]))]);
    let offers = bed.offers(0).into_iter().map(|it| it.id).collect();
    bed.call(
        0,
        Call::Accept {
            offers,
            operations: vec![named("under-way", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.schedulers[0].events.clear();
    bed.call(0, Call::ReconcileOperations(Vec::new()));
    let answers: Vec<_> = bed.schedulers[0]
        .outcomes()
        .into_iter()
        .map(|it| (it.id.unwrap(), it.state, it.uuid))
        .collect();
    let expected = [("done", OperationState::Finished), ("under-way", OperationState::Pending)];
    assert_eq!(answers, expected.map(|(id, state)| (id.to_owned(), state, None)));
}

#[test]
fn b81_unknown_operations_are_answered_by_how_their_agent_is() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let ask = |bed: &mut Bed, agent: Option<&str>| {
        let agent = agent.map(|it| holdfast_model::AgentId::made(it.to_owned()));
        bed.call(0, Call::ReconcileOperations(vec![("x".to_owned(), agent)]));
        bed.schedulers[0].outcome("x").pop().unwrap()
    };
    assert_eq!(ask(&mut bed, Some(agent.as_str())), OperationState::Unknown);
    assert_eq!(ask(&mut bed, None), OperationState::Unknown);
    assert_eq!(ask(&mut bed, Some("none")), OperationState::Unknown);
    bed.fail_over();
    bed.subscribe(0);
    assert_eq!(ask(&mut bed, Some(agent.as_str())), OperationState::Recovering);
    assert_eq!(ask(&mut bed, None), OperationState::Recovering);
    bed.pass_ms(600_000);
    assert_eq!(ask(&mut bed, Some(agent.as_str())), OperationState::Unreachable);
    assert_eq!(ask(&mut bed, None), OperationState::Unknown);
}

// ---- Operators.

#[test]
fn m10_an_operators_reserve_takes_back_what_it_needs_and_is_answered_when_durable() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::Claim { agent, action: reserve(&[reserved(100)]) });
    assert_eq!((bed.schedulers[0].rescinded(), bed.answers.get(&request)), (1, None));
    assert!(
        !bed.offered(0).contains_one(&disk(1000)),
        "nobody comes in between: {}",
        bed.offered(0)
    );
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    assert_eq!(bed.folded.claims.values().next().unwrap().framework, None);
    assert!(bed.machines[0].operations.is_empty());
}

#[test]
fn b86_only_offers_that_help_are_taken_back() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.add_scheduler(info("other", &["db"]));
    bed.operate(0, reserve(&[amount("cpus", 1).reserved(reservation("web"))])).unwrap();
    let before = bed.schedulers[0].rescinded() + bed.schedulers[1].rescinded();
    assert!(
        matches!(bed.operate(0, reserve(&[reserved(5000)])), Err(Refusal::Conflict(why)) if why.contains("not available"))
    );
    assert_eq!(
        bed.schedulers[0].rescinded() + bed.schedulers[1].rescinded(),
        before,
        "what cannot be done takes nothing back"
    );
}

#[test]
fn a_plan_changes_nothing() {
    let bed = Bed::usual();
    let agent = bed.agent(0);
    let plan =
        |action| bed.master.view().plan(&agent, (&action, crate::Force::No), None, None).map(drop);
    assert_eq!(plan(reserve(&[reserved(100)])), Ok(()));
    assert!(matches!(plan(reserve(&[reserved(5000)])), Err(Refusal::Conflict(_))));
    assert!(matches!(
        plan(ClaimAction::Destroy(vec![volume("none", 1)])),
        Err(Refusal::Invalid(_))
    ));
    assert_eq!(
        (bed.schedulers[0].rescinded(), bed.folded.pending.len(), bed.machines[0].inbox.len()),
        (0, 0, 0)
    );
}

#[test]
fn b88_nothing_is_promised_for_an_agent_that_is_not_here() {
    let mut bed = Bed::usual();
    bed.lose(0);
    assert!(
        matches!(bed.operate(0, reserve(&[reserved(1)])), Err(Refusal::Conflict(why)) if why.contains("not connected"))
    );
    let none = holdfast_model::AgentId::made("none".to_owned());
    let request = bed.ask(OperatorCall::Claim { agent: none, action: reserve(&[reserved(1)]) });
    assert!(matches!(bed.answers[&request], Err(Refusal::NotFound(_))));
}

#[test]
fn m11_a_volume_in_use_is_not_destroyed_and_afterwards_it_is() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("v", 100)])).unwrap();
    bed.launch_all(0, "t", &[amount("cpus", 1), volume("v", 100)]);
    bed.task_is(0, "t", TaskState::Running);
    bed.acknowledge_last(0);
    let destroy = || ClaimAction::Destroy(vec![volume("v", 100)]);
    let refused = bed.operate(0, destroy());
    assert!(
        matches!(&refused, Err(Refusal::Invalid(it)) if it.why.contains("in use by task `t`")),
        "b40: {refused:?}"
    );
    bed.task_is(0, "t", TaskState::Finished);
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::Claim { agent, action: destroy() });
    bed.settle();
    assert!(!bed.answers.contains_key(&request), "not before the bytes are in the trash");
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    bed.operate(0, ClaimAction::Unreserve(vec![reserved(100)])).unwrap();
    assert_eq!(bed.state(0).total(), &plenty());
}

#[test]
fn what_a_framework_holds_that_was_not_removed_is_destroyed_by_force_only() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    bed.settle();
    let agent = bed.agent(0);
    let claim = bed.machines[0].claims.values().find(|it| it.is_volume()).unwrap().id;
    let end = |bed: &mut Bed, force: bool| {
        let request = bed.ask(OperatorCall::EndClaim {
            agent: agent.clone(),
            claim,
            force,
            if_generation: None,
        });
        bed.settle();
        bed.machines[0].empty_trash();
        bed.settle();
        bed.answers[&request].clone()
    };
    let by_name = bed.operate(0, ClaimAction::Destroy(vec![volume("v", 100)]));
    for refused in [by_name, end(&mut bed, false)] {
        let Err(Refusal::Conflict(why)) = refused else { panic!("{refused:?}") };
        assert!(
            why.contains("is held by framework") && why.contains("which is connected"),
            "{why}"
        );
    }
    bed.leave(0);
    let Err(Refusal::Conflict(why)) = end(&mut bed, false) else { panic!() };
    assert!(why.contains("which is away"), "{why}");
    assert_eq!(end(&mut bed, true), Ok(()));
    assert!(!bed.machines[0].claims.values().any(holdfast_model::Claim::is_volume));
    let Err(Refusal::NotFound(_)) = end(&mut bed, true) else { panic!("it was ended before") };
}

#[test]
fn a_claim_whose_disk_is_dead_is_given_up_and_what_is_whole_is_not() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("v", 100)])).unwrap();
    let agent = bed.agent(0);
    let claim = bed.machines[0].claims.values().find(|it| it.is_volume()).unwrap().id;
    let give_up = |bed: &mut Bed| {
        let request = bed.ask(OperatorCall::GiveUp { agent: agent.clone(), claim });
        bed.settle();
        bed.answers[&request].clone()
    };
    let Err(Refusal::Conflict(why)) = give_up(&mut bed) else { panic!() };
    assert!(why.contains("is there and whole"), "{why}");
    bed.machines[0].faults.insert(claim, "it bears no label".to_owned());
    bed.machines[0].introduce();
    bed.settle();
    assert_eq!(give_up(&mut bed), Ok(()));
    assert!(bed.folded.claims.values().all(|it| !it.is_volume()) && bed.folded.pending.is_empty());
    assert!(bed.offered(0).contains_one(&reserved(100)), "its space is the reservation's again");
    let Err(Refusal::NotFound(_)) = give_up(&mut bed) else { panic!("it was given up before") };
}

#[test]
fn who_destroys_a_volume_on_a_disk_that_hangs_is_told_and_it_is_destroyed_later() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("v", 100)])).unwrap();
    let agent = bed.agent(0);
    let action = ClaimAction::Destroy(vec![volume("v", 100)]);
    let request = bed.ask(OperatorCall::Claim { agent, action });
    bed.settle();
    let report = |bed: &mut Bed| {
        bed.machines[0].introduce();
        bed.settle();
    };
    report(&mut bed);
    assert!(!bed.answers.contains_key(&request), "nothing is wrong, it only takes its time");
    let claim = bed.machines[0].claims.values().find(|it| it.is_volume()).unwrap().id;
    bed.machines[0].faults.insert(claim, "it has not answered for 10 s".to_owned());
    report(&mut bed);
    let answer = bed.answers[&request].clone();
    assert!(
        matches!(&answer, Err(Refusal::Conflict(why)) if why.contains("not done yet: it has not answered")),
        "{answer:?}"
    );
    bed.machines[0].faults.clear();
    bed.machines[0].empty_trash();
    report(&mut bed);
    assert_eq!(bed.answers[&request], answer, "nobody is answered twice");
    bed.operate(0, ClaimAction::Unreserve(vec![reserved(100)])).unwrap();
    assert_eq!(bed.state(0).total(), &plenty());
}

#[test]
fn b26_an_operator_moves_a_reservation_in_one_step() {
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    let target = disk(40).reserved(reservation("web"));
    bed.operate(
        0,
        ClaimAction::Reserve { resources: vec![target.clone()], source: vec![reserved(40)] },
    )
    .unwrap();
    assert_eq!(
        bed.state(0).total(),
        &[amount("cpus", 8), amount("mem", 4096), disk(900), reserved(60), target].iter().collect()
    );
}

#[test]
fn b27_an_operators_resources_are_nobodys_allocation() {
    let mut bed = Bed::usual();
    let refused = bed.operate(0, reserve(&[reserved(10).allocated_to(&role("db"))]));
    assert!(matches!(refused, Err(Refusal::Invalid(it)) if it.path.contains("allocation_info")));
    let call = OperatorCall::Claim { agent: bed.agent(0), action: reserve(&[reserved(10)]) };
    let request = bed.ask_as(Some("ops".to_owned()), call);
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Invalid(it)) if it.path.contains("principal")),
        "b22"
    );
}

#[test]
fn j11_an_operator_is_told_when_the_agent_could_not() {
    let mut bed = Bed::usual();
    bed.machines[0].fails = true;
    assert_eq!(
        bed.operate(0, reserve(&[reserved(10)])),
        Err(Refusal::Conflict("the disk says no".to_owned()))
    );
    assert_eq!(bed.state(0).total(), &plenty());
}

#[test]
fn an_operators_order_that_was_lost_is_answered_when_the_agent_is_back() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::Claim { agent, action: reserve(&[reserved(10)]) });
    bed.connect(0); // A new link before the old one was known to be broken.
    bed.settle();
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("lost on its way"))
    );
    assert!(bed.folded.pending.is_empty() && *bed.state(0).total() == plenty());
}

#[test]
fn an_operator_ends_a_task() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let task = holdfast_model::TaskId::made("t".to_owned());
    let request = bed.ask(OperatorCall::Kill(bed.id(0), task.clone()));
    bed.settle();
    assert_eq!(
        (bed.answers[&request].clone(), bed.schedulers[0].states("t").pop()),
        (Ok(()), Some(TaskState::Killed))
    );
    let request = bed.ask(OperatorCall::Kill(bed.id(0), task));
    assert!(matches!(bed.answers[&request], Err(Refusal::NotFound(_))));
}

#[test]
fn reserving_in_tenths_does_not_drift() {
    let mut bed = Bed::usual();
    let tenth = holdfast_model::Resource::scalar("cpus", Scalar::thousandths(100))
        .reserved(reservation("db"));
    for _ in 0..10 {
        bed.operate(0, reserve(std::slice::from_ref(&tenth))).unwrap();
    }
    assert_eq!(bed.state(0).total().quantity("cpus"), Scalar::whole(8), "m18");
    assert_eq!(
        bed.state(0).total().get(&tenth.identity).unwrap().value.quantity(),
        Scalar::whole(1)
    );
}
