//! Shared volumes: offered to the frameworks of their role although tasks use them, counted once, and destroyed only when nobody does.

use holdfast_model::{
    Call, Capability, ClaimAction, FrameworkInfo, OperationState, OperatorCall, Quantities,
    Resource, Scalar, TaskState,
};

use super::bed::*;
use crate::{Config, Refusal};

fn shared(mb: i64) -> Resource {
    let mut volume = volume("shared", mb);
    volume.identity.shared = true;
    volume
}

fn sharer(name: &str) -> FrameworkInfo {
    let mut info = info(name, &["db"]);
    info.capabilities.insert(Capability::SharedResources);
    info
}

fn create() -> ClaimAction {
    ClaimAction::Create(vec![shared(100)])
}

fn destroy() -> ClaimAction {
    ClaimAction::Destroy(vec![shared(100)])
}

fn using(cpus: i64) -> [Resource; 2] {
    [amount("cpus", cpus), shared(100)]
}

fn has_shared(bed: &Bed, scheduler: usize) -> bool {
    bed.offered(scheduler).unallocated().get(&shared(1).identity).is_some()
}

/// What the framework is counted to have for its role.
fn counted(bed: &Bed, scheduler: usize) -> Quantities {
    bed.roles(scheduler)[0].allocated.clone()
}

fn decline(bed: &mut Bed, scheduler: usize, refuse_ms: u64) {
    let offers = bed.offers(scheduler).into_iter().map(|it| it.id).collect();
    let filters = holdfast_model::Filters { refuse_ms };
    bed.call(scheduler, Call::Decline { offers, filters });
    bed.settle();
}

/// Framework 0 has made a shared volume and runs two tasks on it, launched by one ACCEPT.
fn two_tasks() -> Bed {
    let mut bed = Bed::empty(Config::default());
    bed.add_machine(plenty());
    bed.add_scheduler(sharer("maker"));
    bed.settle();
    let agent = bed.agent(0);
    let tasks = ["t1", "t2"].map(|it| task(it, &agent, &using(1)));
    let operations = vec![unnamed(reserve(&[reserved(100)])), named("c", create()), launch(&tasks)];
    bed.accept(0, operations);
    for task in ["t1", "t2"] {
        bed.task_is(0, task, TaskState::Running);
        bed.acknowledge_last(0);
    }
    bed.pass_ms(1_000);
    bed
}

fn to_the_trash(bed: &mut Bed) {
    bed.settle();
    bed.machines[0].empty_trash();
    bed.settle();
}

fn end(bed: &mut Bed, scheduler: usize, task: &str) {
    bed.task_is(0, task, TaskState::Finished);
    bed.acknowledge_last(scheduler);
    bed.pass_ms(1_000);
}

#[test]
fn k14_several_tasks_of_one_accept_use_it_and_it_is_offered_again_and_counted_once() {
    let bed = two_tasks();
    assert_eq!(bed.schedulers[0].outcome("c"), [OperationState::Finished]);
    assert!(has_shared(&bed, 0), "although two tasks use it: {}", bed.offered(0));
    assert_eq!(bed.offered(0).quantity("disk"), Scalar::whole(1000), "it and all the rest");
    assert_eq!(bed.offered(0).quantity("cpus"), Scalar::whole(6));
    assert_eq!(counted(&bed, 0)["disk"], Scalar::whole(1000), "used by two and offered: once");
    assert_eq!(bed.state(0).held().quantity("disk"), Scalar::whole(1000));
    assert_eq!(bed.state(0).held().unallocated().get(&shared(1).identity).unwrap().copies, 3);
}

#[test]
fn k15_b37_frameworks_of_its_role_that_know_shared_volumes_use_it_together() {
    let mut bed = two_tasks();
    bed.add_scheduler(info("old", &["db"]));
    bed.add_scheduler(sharer("mate"));
    decline(&mut bed, 0, 600_000);
    bed.pass_ms(1_000);
    assert!(!has_shared(&bed, 1), "it does not know shared volumes");
    let unknowing = ClaimAction::Create(vec![Resource { ..shared(50) }]);
    let taker = if bed.offers(1).is_empty() { 2 } else { 1 };
    if taker == 1 {
        bed.accept(1, vec![named("x", unknowing)]);
        assert!(
            bed.schedulers[1]
                .outcomes()
                .last()
                .unwrap()
                .message
                .as_ref()
                .unwrap()
                .contains("SHARED_RESOURCES"),
            "{:?}",
            bed.schedulers[1].outcomes()
        );
        decline(&mut bed, 1, 600_000);
        bed.pass_ms(1_000);
    }
    assert!(has_shared(&bed, 2), "{}", bed.offered(2));
    bed.launch_all(2, "t3", &using(1));
    bed.task_is(0, "t3", TaskState::Running);
    bed.acknowledge_last(2);
    let held = bed.state(0).held().get(&shared(1).identity).unwrap().copies;
    assert_eq!(held, 3 + u32::from(has_shared(&bed, 2)), "three tasks, and perhaps an offer");
    let refused = bed.operate(0, destroy()).unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "held by a framework that lives: {refused:?}");
}

#[test]
fn b40_m13_destroy_is_refused_under_a_task_and_under_one_of_the_same_accept() {
    let mut bed = two_tasks();
    bed.accept(0, vec![named("d", destroy())]);
    assert_eq!(bed.schedulers[0].outcome("d"), [OperationState::Error]);
    let why = bed.schedulers[0].outcomes().last().unwrap().message.clone().unwrap();
    assert!(why.contains("task `t1`") && why.contains("task `t2`"), "{why}");
    bed.pass_ms(1_000);
    end(&mut bed, 0, "t1");
    let agent = bed.agent(0);
    end(&mut bed, 0, "t2");
    let again = launch(&[task("t4", &agent, &using(1))]);
    bed.accept(0, vec![again, named("d2", destroy())]);
    assert_eq!(
        bed.schedulers[0].outcome("d2"),
        [OperationState::Error],
        "its own launch is pending"
    );
    bed.task_is(0, "t4", TaskState::Running);
    bed.acknowledge_last(0);
    end(&mut bed, 0, "t4");
    bed.accept(0, vec![named("d3", destroy())]);
    to_the_trash(&mut bed);
    assert_eq!(bed.schedulers[0].outcome("d3"), [OperationState::Finished]);
}

#[test]
fn k16_b41_an_idle_one_is_destroyed_and_the_offers_that_hold_it_are_taken_back() {
    let mut bed = two_tasks();
    bed.add_scheduler(sharer("mate"));
    // The maker holds an offer with the volume; what its tasks give back goes to the mate, with the volume.
    end(&mut bed, 0, "t1");
    end(&mut bed, 0, "t2");
    bed.pass_ms(10_000);
    assert!(has_shared(&bed, 0), "{}", bed.offered(0));
    if !has_shared(&bed, 1) {
        // All that was given back went to the maker: it keeps half, and gives the rest back.
        let agent = bed.agent(0);
        bed.accept(0, vec![launch(&[task("t5", &agent, &using(1))])]);
        bed.task_is(0, "t5", TaskState::Running);
        bed.acknowledge_last(0);
        decline(&mut bed, 0, 2_000);
        bed.pass_ms(1_000);
        assert!(has_shared(&bed, 1), "{}", bed.offered(1));
        end(&mut bed, 0, "t5");
        bed.pass_ms(5_000);
    }
    assert!(has_shared(&bed, 0) && has_shared(&bed, 1), "both are offered it");
    let rescinded = bed.schedulers[1].rescinded();
    bed.accept(0, vec![named("d", destroy())]);
    to_the_trash(&mut bed);
    assert_eq!(bed.schedulers[0].outcome("d"), [OperationState::Finished]);
    assert_eq!(bed.schedulers[1].rescinded(), rescinded + 1, "the mate's offer");
    assert!(!has_shared(&bed, 1));
}

#[test]
fn k17_after_a_failover_it_is_offered_again_with_the_right_counts() {
    let mut bed = two_tasks();
    bed.fail_over();
    bed.reunite();
    bed.pass_ms(1_000);
    assert!(has_shared(&bed, 0));
    assert_eq!(counted(&bed, 0)["disk"], Scalar::whole(1000));
    assert_eq!(bed.state(0).held().unallocated().get(&shared(1).identity).unwrap().copies, 3);
    for task in ["t1", "t2"] {
        bed.task_is(0, task, TaskState::Finished);
        bed.acknowledge_last(0);
    }
    bed.pass_ms(1_000);
    bed.accept(0, vec![named("d", destroy())]);
    to_the_trash(&mut bed);
    assert_eq!(bed.schedulers[0].outcome("d"), [OperationState::Finished]);
}

#[test]
fn an_operator_makes_one_and_destroys_it_when_nobody_uses_it() {
    let mut bed = Bed::with_agents(1);
    bed.operate(0, reserve(&[reserved(100)])).unwrap();
    bed.operate(0, create()).unwrap();
    bed.add_scheduler(sharer("user"));
    bed.settle();
    bed.launch(0, "t1", &using(1));
    bed.task_is(0, "t1", TaskState::Running);
    bed.acknowledge_last(0);
    bed.pass_ms(1_000);
    let refused = bed.operate(0, destroy()).unwrap_err();
    let why = format!("{refused:?}");
    assert!(why.contains("in use by task `t1`"), "{why}");
    assert_eq!(bed.schedulers[0].rescinded(), 0, "nothing is taken back for what is refused");
    end(&mut bed, 0, "t1");
    assert!(has_shared(&bed, 0));
    let call = OperatorCall::Claim { agent: bed.agent(0), action: destroy() };
    let request = bed.ask(call);
    to_the_trash(&mut bed);
    assert_eq!(bed.answers[&request], Ok(()));
    assert_eq!(bed.schedulers[0].rescinded(), 1);
    assert!(!has_shared(&bed, 0));
}
