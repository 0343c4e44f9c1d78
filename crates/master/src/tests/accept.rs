//! ACCEPT: offers are used up, operations are tried in order on what the earlier ones left, and everybody hears of each failure.

use holdfast_model::{
    Action, Call, ClaimAction, ExecutorInfo, ExecutorKind, Filters, Invalid, OfferId, Operation,
    OperationState, Order, Reason, Reservation, Resource, Scalar, TaskId, TaskInfo, TaskState,
    Unreadable,
};

use super::bed::*;

fn claims(bed: &Bed) -> Vec<String> {
    bed.machines[0].claims.values().map(|it| it.resource.to_string()).collect()
}

fn accept_all(bed: &mut Bed, offers: Vec<OfferId>, operations: Vec<Operation>) {
    bed.call(0, Call::Accept { offers, operations, filters: no_filter() });
    bed.settle();
}

/// One agent, and a framework that holds a volume of 100 MB, idle.
fn with_volume() -> Bed {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    bed
}

#[test]
fn b1_a_bad_offer_spoils_the_whole_accept_and_uses_up_the_good_ones() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let offers: Vec<OfferId> = bed.offers(0).into_iter().map(|it| it.id).collect();
    let agent = bed.agent(0);
    let operations = || {
        vec![
            named("r", reserve(&[reserved(10)])),
            launch(&[task("t", &agent, &[amount("cpus", 1)])]),
        ]
    };
    let bad = [
        vec![],
        vec![offers[0].clone(), OfferId::made("none".to_owned())],
        vec![offers[1].clone(), offers[1].clone()],
    ];
    for list in bad {
        bed.schedulers[0].events.clear();
        accept_all(&mut bed, list, operations());
        let status = bed.schedulers[0].statuses().pop().unwrap();
        assert_eq!(
            (status.state, status.reason, status.uuid),
            (TaskState::Dropped, Some(Reason::InvalidOffers as i32), None)
        );
        let outcome = bed.schedulers[0].outcomes().pop().unwrap();
        assert_eq!(
            (outcome.state, outcome.uuid, outcome.agent),
            (OperationState::Error, None, None),
            "b17"
        );
    }
    assert!(
        !bed.master.offers().contains_key(&offers[0])
            && !bed.master.offers().contains_key(&offers[1])
    );
    assert!(bed.machines.iter().all(|it| it.claims.is_empty() && it.tasks.is_empty()));
}

#[test]
fn b1_offers_of_two_agents_or_two_roles_do_not_mix() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let offers: Vec<OfferId> = bed.offers(0).into_iter().map(|it| it.id).collect();
    let agent = bed.agent(0);
    accept_all(&mut bed, offers, vec![launch(&[task("t", &agent, &[amount("cpus", 1)])])]);
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Dropped]);
    assert_eq!(bed.offers(0).len(), 2, "their resources are free again");
}

#[test]
fn b1_somebody_elses_offer_is_nobodys_business() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("other", &["db"]));
    let offers = vec![bed.offer(0).id];
    bed.call(
        1,
        Call::Accept {
            offers: offers.clone(),
            operations: vec![named("r", reserve(&[reserved(1)]))],
            filters: no_filter(),
        },
    );
    assert_eq!(bed.schedulers[1].outcome("r"), [OperationState::Error]);
    assert!(bed.master.offers().contains_key(&offers[0]), "it still stands");
}

#[test]
fn c15_an_offer_rescinded_under_the_accept_is_invalid() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.lose(0);
    let agent = bed.agent(0);
    bed.call(
        0,
        Call::Accept {
            offers,
            operations: vec![launch(&[task("t", &agent, &[amount("cpus", 1)])])],
            filters: no_filter(),
        },
    );
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Dropped]);
}

#[test]
fn b5_each_operation_sees_what_the_earlier_ones_made() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let tasks = [task("t", &agent, &[amount("cpus", 1), volume("v", 100)])];
    bed.accept(
        0,
        vec![
            named("r", reserve(&[reserved(100)])),
            named("c", ClaimAction::Create(vec![volume("v", 100)])),
            launch(&tasks),
        ],
    );
    let applied: Vec<_> =
        bed.machines[0].obeyed.iter().filter(|it| matches!(it, Order::Apply { .. })).collect();
    assert_eq!(applied.len(), 1, "m1: all in one order");
    assert_eq!(
        (claims(&bed), bed.machines[0].tasks.len()),
        (vec!["disk(db)[Path:/d1,v]:100".to_owned()], 1)
    );
    assert_eq!(
        (bed.schedulers[0].outcome("r"), bed.schedulers[0].outcome("c")),
        (vec![OperationState::Finished], vec![OperationState::Finished])
    );
    assert_eq!(bed.folded.claims.values().next().unwrap().framework, Some(bed.id(0)));
}

#[test]
fn b4_one_that_fails_is_dropped_and_the_later_ones_are_tried() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            named("too-much", reserve(&[reserved(5000)])),
            named("no-disk", ClaimAction::Create(vec![volume("v", 10)])),
            Operation { id: Some("grow".to_owned()), action: Action::Unsupported("CREATE_DISK") },
            named("fits", reserve(&[reserved(10)])),
        ],
    );
    for id in ["too-much", "no-disk", "grow"] {
        assert_eq!(bed.schedulers[0].outcome(id), [OperationState::Error], "{id}");
    }
    assert_eq!(bed.schedulers[0].outcome("fits"), [OperationState::Finished]);
    assert!(bed.schedulers[0].outcomes()[0].message.as_ref().unwrap().contains("not available"));
}

#[test]
fn b8_what_is_left_unchanged_is_declined() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    let agent = bed.agent(0);
    let operations = vec![launch(&[task("t", &agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers, operations, filters: Filters::default() });
    bed.settle();
    bed.pass_ms(4_999);
    assert!(bed.schedulers[0].offers.is_empty());
    bed.pass_ms(1);
    assert_eq!(bed.offered(0).quantity("cpus"), Scalar::whole(7));
}

#[test]
fn b9_nothing_to_do_is_a_decline() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(0, Call::Accept { offers, operations: vec![], filters: Filters::default() });
    bed.pass_ms(4_999);
    assert!(bed.schedulers[0].offers.is_empty());
    assert_eq!(bed.master.filters_len(), 1);
}

#[test]
fn m2_what_was_made_and_not_used_is_offered_with_the_rest_once_it_is_there() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    let operations = vec![
        unnamed(reserve(&[reserved(100), amount("cpus", 2).reserved(reservation("db"))])),
        unnamed(ClaimAction::Create(vec![volume("v", 100)])),
    ];
    bed.call(0, Call::Accept { offers, operations, filters: Filters::default() });
    assert!(bed.master.offers().is_empty(), "it is not known yet whether it will be");
    bed.settle();
    let offer = bed.offer(0);
    let all = [
        volume("v", 100),
        amount("cpus", 2).reserved(reservation("db")),
        amount("cpus", 6),
        amount("mem", 4096),
        disk(900),
    ];
    assert_eq!(offer.resources.unallocated(), all.iter().collect());
    assert_eq!(offer.claims.len(), 2, "whose it is, is known by then");
}

#[test]
fn what_one_makes_is_never_offered_to_a_role_mate_before_it_is_known_whose_it_is() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("mate", &["db"]));
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    let mate: Vec<_> = bed.schedulers[1]
        .events
        .iter()
        .filter_map(|it| if let holdfast_model::Event::Offers(it) = it { Some(it) } else { None })
        .collect();
    let claimed =
        mate.into_iter().flatten().any(|it| it.resources.entries().any(|(it, _)| it.is_reserved()));
    assert!(!claimed);
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
}

#[test]
fn b33_a_child_role_takes_nothing_of_its_ancestor_away() {
    let mut bed = with_volume();
    bed.operate(0, reserve(&[amount("cpus", 2).reserved(reservation("db"))])).unwrap();
    bed.call(0, Call::Teardown);
    bed.add_scheduler(info("child", &["db/x"]));
    bed.settle();
    assert!(
        bed.offered(1).contains_one(&volume("v", 100)),
        "it is offered what is its ancestor's, and may use it"
    );
    let cpus = amount("cpus", 2).reserved(reservation("db"));
    let operations = vec![
        named("d", ClaimAction::Destroy(vec![volume("v", 100)])),
        named("u", ClaimAction::Unreserve(vec![cpus.clone()])),
        named("r", reserve(&[cpus.clone().reserved(reservation("db/x"))])),
        named("own", ClaimAction::Unreserve(vec![cpus.reserved(reservation("db/x"))])),
        named("c", ClaimAction::Create(vec![volume("w", 10)])),
    ];
    bed.operate(0, reserve(&[reserved(10)])).unwrap();
    bed.accept(1, operations);
    for id in ["d", "u"] {
        assert_eq!(bed.schedulers[1].outcome(id), [OperationState::Error], "{id}");
    }
    let why = bed.schedulers[1].outcomes()[0].message.clone().unwrap();
    assert!(
        why.contains("resources[0].reservations.role: `db` is no role of the framework"),
        "{why}"
    );
    for id in ["r", "own", "c"] {
        assert_eq!(
            bed.schedulers[1].outcome(id),
            [OperationState::Finished],
            "{id}: what it refined or made itself"
        );
    }
    bed.accept(1, vec![named("mine", ClaimAction::Destroy(vec![volume("w", 10)]))]);
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(
        bed.schedulers[1].outcome("mine"),
        [OperationState::Finished],
        "its own volume, on its ancestor's disk"
    );
    let at_once =
        [ClaimAction::Create(vec![volume("z", 10)]), ClaimAction::Destroy(vec![volume("z", 10)])];
    bed.accept(
        1,
        at_once.into_iter().zip(["make", "unmake"]).map(|(action, id)| named(id, action)).collect(),
    );
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(
        bed.schedulers[1].outcome("unmake"),
        [OperationState::Finished],
        "also one that is only being made"
    );
}

#[test]
fn destroy_and_unreserve_in_one_accept() {
    let mut bed = with_volume();
    bed.accept(
        0,
        vec![
            named("d", ClaimAction::Destroy(vec![volume("v", 100)])),
            named("u", ClaimAction::Unreserve(vec![reserved(100)])),
        ],
    );
    assert_eq!(
        (bed.schedulers[0].outcome("d"), bed.schedulers[0].outcome("u")),
        (vec![], vec![]),
        "the bytes are not in the trash yet"
    );
    assert!(bed.offered(0).quantity("disk") <= Scalar::whole(900));
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(
        (bed.schedulers[0].outcome("d"), bed.schedulers[0].outcome("u")),
        (vec![OperationState::Finished], vec![OperationState::Finished])
    );
    assert!(claims(&bed).is_empty() && bed.folded.claims.is_empty());
    assert_eq!(bed.state(0).total(), &plenty());
}

#[test]
fn v3_nobody_is_offered_a_destroyed_volumes_space_while_its_bytes_lie_there() {
    let mut bed = with_volume();
    bed.add_scheduler(info("mate", &["db"]));
    bed.accept(0, vec![named("d", ClaimAction::Destroy(vec![volume("v", 100)]))]);
    bed.pass_ms(100);
    let offered = || bed.offered(0).quantity("disk").plus(bed.offered(1).quantity("disk"));
    assert!(offered() <= Scalar::whole(900));
    let refused = bed.operate(0, ClaimAction::Create(vec![volume("w", 100)]));
    assert!(
        matches!(refused, Err(crate::Refusal::Conflict(_))),
        "nor can an operator have it: {refused:?}"
    );
    bed.machines[0].empty_trash();
    bed.settle();
    bed.pass_ms(100);
    let offered = bed.offered(0).quantity("disk").plus(bed.offered(1).quantity("disk"));
    assert_eq!(offered, Scalar::whole(1000));
}

#[test]
fn the_rest_of_a_machine_does_not_wait_for_the_trash() {
    let mut bed = with_volume();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        Call::Accept {
            offers,
            operations: vec![named("d", ClaimAction::Destroy(vec![volume("v", 100)]))],
            filters: Filters::default(),
        },
    );
    bed.settle();
    bed.pass_ms(5_000);
    assert_eq!(
        bed.offered(0),
        [amount("cpus", 8), amount("mem", 4096), disk(900)].iter().collect()
    );
}

#[test]
fn a_volume_replaced_in_one_accept_and_used_at_once() {
    let mut bed = with_volume();
    let agent = bed.agent(0);
    bed.accept(
        0,
        vec![
            named("d", ClaimAction::Destroy(vec![volume("v", 100)])),
            named("c", ClaimAction::Create(vec![volume("w", 60)])),
            unnamed(ClaimAction::Unreserve(vec![reserved(40)])),
        ],
    );
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(
        (claims(&bed), bed.schedulers[0].outcome("c")),
        (vec!["disk(db)[Path:/d1,w]:60".to_owned()], vec![OperationState::Finished])
    );
    bed.accept(0, vec![launch(&[task("t", &agent, &[amount("cpus", 1), volume("w", 60)])])]);
    assert_eq!(bed.machines[0].tasks.len(), 1);
}

#[test]
fn a_leader_that_finds_a_destroy_half_done_gives_its_space_when_it_is() {
    let mut bed = with_volume();
    bed.accept(
        0,
        vec![
            named("d", ClaimAction::Destroy(vec![volume("v", 100)])),
            named("u", ClaimAction::Unreserve(vec![reserved(100)])),
        ],
    );
    bed.fail_over();
    bed.reunite();
    assert_eq!(bed.offered(0).quantity("disk"), Scalar::whole(900));
    bed.machines[0].empty_trash();
    bed.settle();
    assert_eq!(
        (bed.schedulers[0].outcome("d"), bed.schedulers[0].outcome("u")),
        (vec![OperationState::Finished], vec![OperationState::Finished])
    );
    assert_eq!((bed.state(0).total().clone(), bed.folded.claims.len()), (plenty(), 0));
}

#[test]
fn b10_the_role_of_the_offer_is_filled_in_and_another_one_is_refused() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(info("keeper", &["db", "web"]));
    let given = bed.offer(0).role;
    let other = if given == role("db") { role("web") } else { role("db") };
    let mine = disk(10).reserved(Reservation { role: given.clone(), ..reservation("db") });
    let theirs = disk(10).reserved(Reservation { role: other.clone(), ..reservation("db") });
    let wrong = mine.clone().allocated_to(&other);
    bed.accept(
        0,
        vec![
            named("mine", reserve(&[mine])),
            named("theirs", reserve(&[theirs])),
            named("wrong", reserve(&[wrong])),
        ],
    );
    assert_eq!(bed.schedulers[0].outcome("mine"), [OperationState::Finished], "b21");
    assert_eq!(bed.schedulers[0].outcome("theirs"), [OperationState::Error]);
    assert_eq!(bed.schedulers[0].outcome("wrong"), [OperationState::Error]);
}

#[test]
fn b22_reservations_and_volumes_carry_their_frameworks_principal() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(holdfast_model::FrameworkInfo {
        principal: Some("p".to_owned()),
        ..info("keeper", &["db"])
    });
    let by = |principal: Option<&str>| {
        disk(10)
            .reserved(Reservation { principal: principal.map(str::to_owned), ..reservation("db") })
    };
    let volume = |creator| {
        by(Some("p")).volume(holdfast_model::PersistenceId::parse("v").unwrap(), "data", creator)
    };
    bed.accept(
        0,
        vec![
            named("none", reserve(&[by(None)])),
            named("other", reserve(&[by(Some("q"))])),
            named("own", reserve(&[by(Some("p"))])),
            named("volume-other", ClaimAction::Create(vec![volume(Some("q"))])),
            named("volume-own", ClaimAction::Create(vec![volume(Some("p"))])),
        ],
    );
    let outcomes: Vec<_> = ["none", "other", "own", "volume-other", "volume-own"]
        .map(|it| bed.schedulers[0].outcome(it)[0])
        .into();
    use OperationState::{Error, Finished};
    assert_eq!(outcomes, [Error, Error, Finished, Error, Finished], "b36");
}

#[test]
fn b26_only_operators_move_reservations() {
    let mut bed = Bed::usual();
    let action = ClaimAction::Reserve { resources: vec![reserved(10)], source: vec![disk(10)] };
    bed.accept(0, vec![named("move", action)]);
    assert_eq!(bed.schedulers[0].outcome("move"), [OperationState::Error]);
}

#[test]
fn b28_an_empty_operation_is_refused() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            named("r", reserve(&[])),
            named("d", ClaimAction::Destroy(vec![disk(1)])),
            named("u", ClaimAction::Unreserve(vec![disk(1)])),
        ],
    );
    for id in ["r", "d", "u"] {
        assert_eq!(bed.schedulers[0].outcome(id), [OperationState::Error], "b30, b39: {id}");
    }
}

#[test]
fn b35_a_volumes_name_is_unique_per_role_and_agent() {
    let mut bed = with_volume();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(50)])),
            named("c", ClaimAction::Create(vec![volume("v", 50)])),
        ],
    );
    assert_eq!(bed.schedulers[0].outcome("c"), [OperationState::Error]);
}

#[test]
fn b16_an_id_that_is_in_use_is_refused_until_it_is_acknowledged() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)])), named("r", reserve(&[reserved(10)]))]);
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Error, OperationState::Finished]);
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    assert_eq!(bed.schedulers[0].outcome("r").last(), Some(&OperationState::Error));
    bed.acknowledge_operations(0);
    bed.pass_ms(100);
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    assert_eq!(bed.schedulers[0].outcome("r").last(), Some(&OperationState::Finished));
}

#[test]
fn b14_launches_have_no_operation_id() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let tasks = vec![task("t", &agent, &[amount("cpus", 1)])];
    bed.accept(0, vec![Operation { id: Some("l".to_owned()), action: Action::Launch(tasks) }]);
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!((status.state, status.reason), (TaskState::Error, Some(Reason::TaskInvalid as i32)));
    assert!(bed.schedulers[0].outcomes().is_empty());
}

#[test]
fn b47_a_bad_task_is_told_and_the_others_start() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let huge = task("huge", &agent, &[amount("cpus", 99)]);
    let none = task("none", &agent, &[]);
    let elsewhere =
        task("elsewhere", &holdfast_model::AgentId::made("other".to_owned()), &[amount("cpus", 1)]);
    let both =
        TaskInfo { executor: Some(executor("e")), ..task("both", &agent, &[amount("cpus", 1)]) };
    bed.accept(
        0,
        vec![launch(&[huge, none, elsewhere, both, task("good", &agent, &[amount("cpus", 1)])])],
    );
    for id in ["huge", "none", "elsewhere", "both"] {
        assert_eq!(bed.schedulers[0].states(id), [TaskState::Error], "b48, b49: {id}");
    }
    assert_eq!(bed.machines[0].tasks.keys().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[test]
fn b48_a_task_id_is_unique_as_long_as_the_task_is_known() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.launch(0, "t", &[amount("cpus", 1)]);
    let answer = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!(
        (answer.state, answer.reason, answer.uuid),
        (TaskState::Running, Some(Reason::Reconciliation as i32), None)
    );
    assert!(
        answer.message.unwrap().contains("already exists"),
        "it tells how the living one is, and that there is no other"
    );
    assert_eq!(
        bed.schedulers[0].states("t"),
        [TaskState::Running, TaskState::Running],
        "a bad end would be taken for the living one's"
    );
    assert_eq!(bed.machines[0].tasks.len(), 1);
    bed.pass_ms(100);
    bed.task_is(0, "t", TaskState::Finished);
    bed.acknowledge_last(0);
    bed.launch_again(0, "t");
    assert_eq!(bed.machines[0].tasks.len(), 1);
}

#[test]
fn b49_a_new_executor_takes_its_own_once_and_must_be_described_as_before() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let with = |id: &str, executor: ExecutorInfo| TaskInfo {
        executor: Some(executor),
        command: None,
        ..task(id, &agent, &[amount("cpus", 1)])
    };
    let other =
        ExecutorInfo { resources: vec![amount("cpus", 2), amount("mem", 32)], ..executor("e") };
    bed.accept(
        0,
        vec![launch(&[with("a", executor("e")), with("b", executor("e")), with("c", other)])],
    );
    assert_eq!(bed.schedulers[0].states("c"), [TaskState::Error]);
    let left = bed.offered(0).quantity("cpus");
    assert_eq!(left, Scalar::whole(5), "two tasks and one executor use the rest");
    let id = bed.id(0);
    bed.machines[0].executor_ends(&id, &holdfast_model::ExecutorId::made("e".to_owned()));
    bed.settle();
    bed.pass_ms(100);
    assert_eq!(bed.offered(0).quantity("cpus"), Scalar::whole(8));
    let failed = bed.schedulers[0].events.iter().any(|it| {
        matches!(it, holdfast_model::Event::Failure { executor: Some(_), status: Some(0x100), .. })
    });
    assert!(failed);
}

#[test]
fn an_executor_that_never_was_gives_back_what_was_set_aside_for_it() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    bed.machines[0].configured = [amount("mem", 4096)].iter().collect(); // It has become smaller than it said.
    let lead = TaskInfo {
        executor: Some(executor("e")),
        command: None,
        ..task("t", &agent, &[amount("cpus", 1)])
    };
    bed.accept(0, vec![launch(&[lead])]);
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Dropped]);
    bed.acknowledge_last(0);
    assert!(bed.state(0).executors().is_empty() && bed.master.tasks().is_empty());
}

fn group(bed: &Bed, tasks: &[TaskInfo], resources: &[Resource]) -> Operation {
    let _ = bed;
    let lead = ExecutorInfo {
        kind: Some(ExecutorKind::Default),
        command: None,
        resources: resources.to_vec(),
        ..executor("g")
    };
    Operation { id: None, action: Action::LaunchGroup(lead, tasks.to_vec()) }
}

#[test]
fn b56_a_group_is_all_or_none() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let small = [amount("cpus", 1), amount("mem", 32), disk(1)];
    let tasks = [task("a", &agent, &[amount("cpus", 1)]), task("b", &agent, &[amount("cpus", 99)])];
    let operation = group(&bed, &tasks, &small);
    bed.accept(0, vec![operation]);
    for id in ["a", "b"] {
        let status =
            bed.schedulers[0].statuses().into_iter().find(|it| it.task.as_str() == id).unwrap();
        assert_eq!(
            (status.state, status.reason),
            (TaskState::Error, Some(Reason::TaskGroupInvalid as i32))
        );
    }
    assert!(bed.state(0).held().is_empty() && bed.machines[0].tasks.is_empty());
    bed.pass_ms(100);
    let tasks = [task("a", &agent, &[amount("cpus", 1)]), task("b", &agent, &[amount("cpus", 2)])];
    let operation = group(&bed, &tasks, &small);
    bed.accept(0, vec![operation]);
    assert_eq!(
        (bed.machines[0].tasks.len(), bed.offered(0).quantity("cpus")),
        (2, Scalar::whole(4))
    );
}

#[test]
fn b48_a_group_with_the_name_of_a_living_task_is_not_launched_and_its_other_tasks_end_in_error() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let agent = bed.agent(0);
    let tasks = [task("t", &agent, &[amount("cpus", 1)]), task("u", &agent, &[amount("cpus", 1)])];
    let operation = group(&bed, &tasks, &[amount("cpus", 1), amount("mem", 32), disk(1)]);
    bed.accept(0, vec![operation]);
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Running), "it lives");
    let other =
        bed.schedulers[0].statuses().into_iter().find(|it| it.task.as_str() == "u").unwrap();
    assert_eq!(
        (other.state, other.reason),
        (TaskState::Error, Some(Reason::TaskGroupInvalid as i32))
    );
    assert!(
        other.message.unwrap().contains("`t` already exists"),
        "it says which one is the trouble"
    );
    assert_eq!(bed.machines[0].tasks.len(), 1);
}

fn unreadable(id: Option<&str>, tasks: &[&str], group: bool) -> Operation {
    let tasks = tasks.iter().map(|it| TaskId::made((*it).to_owned())).collect();
    let why = Invalid::new("accept.operations[0].reserve", "is missing");
    Operation {
        id: id.map(str::to_owned),
        action: Action::Unreadable(Unreadable { why, tasks, group }),
    }
}

#[test]
fn b4_b47_what_cannot_be_read_is_told_and_the_rest_is_done() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let good = [task("good", &agent, &[amount("cpus", 1)])];
    let bad = || {
        vec![
            unreadable(Some("r"), &[], false),
            unreadable(None, &["a/b"], false),
            unreadable(None, &["x", "y"], true),
        ]
    };
    bed.accept(
        0,
        bad().into_iter().chain([launch(&good), named("fits", reserve(&[reserved(10)]))]).collect(),
    );
    let outcome = bed.schedulers[0].outcomes().remove(0);
    assert_eq!(
        (outcome.id.as_deref(), outcome.state, outcome.uuid),
        (Some("r"), OperationState::Error, None)
    );
    assert_eq!(
        outcome.message.as_deref(),
        Some("accept.operations[0].reserve: is missing"),
        "the field is named"
    );
    for (id, reason) in [
        ("a/b", Reason::TaskInvalid),
        ("x", Reason::TaskGroupInvalid),
        ("y", Reason::TaskGroupInvalid),
    ] {
        let status =
            bed.schedulers[0].statuses().into_iter().find(|it| it.task.as_str() == id).unwrap();
        assert_eq!((status.state, status.reason), (TaskState::Error, Some(reason as i32)), "{id}");
    }
    assert_eq!(
        (bed.machines[0].tasks.len(), bed.schedulers[0].outcome("fits")),
        (1, vec![OperationState::Finished])
    );
    bed.call(0, Call::Accept { offers: Vec::new(), operations: bad(), filters: no_filter() });
    assert_eq!(
        bed.schedulers[0].states("a/b").last(),
        Some(&TaskState::Dropped),
        "b1: of a bad offer nothing is looked at"
    );
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Error, OperationState::Error]);
}

#[test]
fn b57_the_executor_of_a_group_needs_its_least() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let operation = group(&bed, &[task("a", &agent, &[amount("cpus", 1)])], &[amount("cpus", 1)]);
    bed.accept(0, vec![operation]);
    assert_eq!(bed.schedulers[0].states("a"), [TaskState::Error]);
}
