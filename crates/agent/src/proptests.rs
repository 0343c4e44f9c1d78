//! Histories at random: whatever comes, in whatever order, nothing stops the agent; and wherever it
//! crashes, nothing that was told is lost, no task runs twice, and no volume has two users.
//!
//! Relies on `testbed`, whose drivers and master check each effect as they carry it out.

use proptest::prelude::*;

use holdfast_model::{
    Action, AgentId, ClaimAction, ClaimId, ClaimState, ContainerId, ExecutorCall, ExecutorId,
    FrameworkId, Instant, LinkId, OperationState, OperationUuid, Order, StatusUuid, TaskId,
    TaskInfo, TaskState, TaskStatus, Term, ToAgent,
};
use uuid::Uuid;

use crate::testbed::{
    cluster, custom_executor, framework, framework_id, group_executor, reserved_disk, role, task,
    task_key, volume_named, Bed,
};
use crate::{Agent, Config, Exit, Found, Input};

/// One thing that may happen. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u8),
    Unreserve(u8),
    Create(u8),
    Destroy(u8),
    DestroyAll(u8),
    /// RESERVE and CREATE of one volume, and the end or another size of another one, all or none.
    Together(u8, u8, i8),
    /// Grow it, or shrink it, by so many megabytes.
    Resize(u8, i8),
    Undelete(u8),
    Purge(u8),
    TrashDue(u8, bool),
    Launch(u8, Option<u8>),
    Custom(u8, u8, Option<u8>),
    Group(u8, u8, Option<u8>),
    AcceptAll(u8, u8),
    Kill(u8),
    ShutDownExecutor(u8),
    ShutDownFramework,
    Finish(u8),
    Exit(u8),
    Relink,
    Resync,
    Answer(u8),
    Settle,
    Pass(u16),
    Acknowledge(bool),
    Obey(bool),
    FailDrivers(u8),
    FailMounts(u8),
    LoseDisk(bool),
    CrashIn(u8),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let volume = || prop::option::of(0u8..3);
    prop_oneof![
        2 => (1u8..4).prop_map(Step::Reserve),
        1 => (1u8..4).prop_map(Step::Unreserve),
        3 => (0u8..3).prop_map(Step::Create),
        2 => (0u8..3).prop_map(Step::Destroy),
        2 => (0u8..3, -20i8..20).prop_map(|(volume, mb)| Step::Resize(volume, mb)),
        1 => (0u8..3).prop_map(Step::DestroyAll),
        3 => (0u8..3, 0u8..3, -20i8..20).prop_map(|(new, old, mb)| Step::Together(new, old, mb)),
        2 => any::<u8>().prop_map(Step::Undelete),
        1 => any::<u8>().prop_map(Step::Purge),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(volume, aged)| Step::TrashDue(volume, aged)),
        4 => (0u8..6, volume()).prop_map(|(task, volume)| Step::Launch(task, volume)),
        3 => (0u8..6, 0u8..2, volume()).prop_map(|(task, executor, volume)| Step::Custom(task, executor, volume)),
        2 => (0u8..6, 2u8..4, volume()).prop_map(|(task, executor, volume)| Step::Group(task, executor, volume)),
        2 => (0u8..3, 0u8..6).prop_map(|(volume, task)| Step::AcceptAll(volume, task)),
        2 => (0u8..6).prop_map(Step::Kill),
        1 => (0u8..4).prop_map(Step::ShutDownExecutor),
        1 => Just(Step::ShutDownFramework),
        3 => any::<u8>().prop_map(Step::Finish),
        2 => any::<u8>().prop_map(Step::Exit),
        1 => Just(Step::Relink),
        1 => Just(Step::Resync),
        6 => (1u8..6).prop_map(Step::Answer),
        3 => Just(Step::Settle),
        2 => (1u16..30_000).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Acknowledge),
        1 => any::<bool>().prop_map(Step::Obey),
        1 => (1u8..3).prop_map(Step::FailDrivers),
        1 => (1u8..3).prop_map(Step::FailMounts),
        1 => any::<bool>().prop_map(Step::LoseDisk),
        2 => (0u8..12).prop_map(Step::CrashIn),
        1 => Just(Step::Crash),
    ]
}

/// Task ids are used once: a number of launches is part of the name.
struct Names(u32);

impl Names {
    fn volume(number: u8) -> holdfast_model::Resource {
        volume_named(&format!("v{number}"), 10 + i64::from(number))
    }

    fn task(&mut self, number: u8, volume: Option<u8>) -> TaskInfo {
        self.0 += 1;
        let id = format!("t{number}-{}", self.0);
        task(&id, &volume.map(Names::volume).into_iter().collect::<Vec<_>>())
    }
}

fn pick<T: Clone>(list: &[T], number: u8) -> Option<T> {
    (!list.is_empty()).then(|| list[usize::from(number) % list.len()].clone())
}

/// A volume with the size that it has by now; as it would be made when it is not there.
fn volume_now(bed: &Bed, number: u8) -> holdfast_model::Resource {
    let claim = bed.find_claim(&format!("v{number}"));
    claim.map_or_else(|| Names::volume(number), |it| it.resource.clone())
}

fn act(bed: &mut Bed, names: &mut Names, step: &Step) {
    match step.clone() {
        Step::Reserve(number) => {
            drop(bed.apply(vec![Bed::reserve(reserved_disk(10 * i64::from(number)))]))
        }
        Step::Unreserve(number) => {
            let list = vec![reserved_disk(5 * i64::from(number))];
            bed.apply(vec![Action::Claim(ClaimAction::Unreserve(list))]);
        }
        Step::Create(number) => drop(bed.apply(vec![Bed::create(&[Names::volume(number)])])),
        Step::Destroy(number) => drop(bed.apply(vec![Bed::destroy(&[volume_now(bed, number)])])),
        Step::Resize(number, mb) => {
            let volume = volume_now(bed, number);
            let action = match mb {
                ..0 => Bed::shrink(volume, -i64::from(mb)),
                0.. => Bed::grow(volume, i64::from(mb)),
            };
            bed.apply(vec![action]);
        }
        Step::DestroyAll(number) => {
            let volume = volume_now(bed, number);
            let unreserve = Action::Claim(ClaimAction::Unreserve(vec![volume.without_volume()]));
            bed.apply(vec![Bed::destroy(&[volume]), unreserve]);
        }
        Step::Together(new, old, mb) => {
            let (new, old) = (Names::volume(new), volume_now(bed, old));
            let last = match mb {
                ..-10 => Bed::destroy(&[old]),
                -10..0 => Bed::shrink(old, -i64::from(mb)),
                0.. => Bed::grow(old, i64::from(mb)),
            };
            let first = Bed::reserve(new.without_volume());
            bed.apply_together(vec![first, Bed::create(&[new]), last], mb % 2 == 0);
        }
        Step::Launch(number, volume) => {
            let info = names.task(number, volume);
            bed.apply(vec![Action::Launch(vec![info])]);
        }
        Step::Custom(number, executor, volume) => {
            let executor = Some(custom_executor(&format!("e{executor}")));
            let info = TaskInfo { executor, command: None, ..names.task(number, volume) };
            bed.apply(vec![Action::Launch(vec![info])]);
        }
        Step::Group(number, executor, volume) => {
            let tasks = vec![names.task(number, None), names.task(number, volume)];
            bed.apply(vec![Action::LaunchGroup(group_executor(&format!("e{executor}")), tasks)]);
        }
        Step::AcceptAll(volume, number) => {
            let info = names.task(number, Some(volume));
            let volume = Names::volume(volume);
            let launch = Action::Launch(vec![info]);
            bed.apply(vec![Bed::reserve(volume.without_volume()), Bed::create(&[volume]), launch]);
        }
        other => act_otherwise(bed, &other),
    }
}

fn act_otherwise(bed: &mut Bed, step: &Step) {
    match *step {
        Step::Undelete(_) | Step::Purge(_) | Step::TrashDue(..) => act_on_trash(bed, step),
        Step::Kill(number) => {
            let tasks: Vec<TaskId> =
                bed.agent.ledger().tasks.keys().map(|(_, task)| task.clone()).collect();
            let task = pick(&tasks, number).unwrap_or_else(|| TaskId::made("none".to_owned()));
            bed.order(Order::Kill {
                framework: framework_id(),
                task,
                grace_ms: Some(u64::from(number)),
            });
        }
        Step::ShutDownExecutor(number) => {
            bed.order(Order::ShutdownExecutor(
                framework_id(),
                ExecutorId::made(format!("e{number}")),
            ));
        }
        Step::ShutDownFramework => bed.order(Order::ShutdownFramework(framework_id())),
        Step::Finish(number) => {
            let tasks: Vec<_> = bed
                .agent
                .ledger()
                .tasks
                .values()
                .filter(|it| it.state == TaskState::Running)
                .cloned()
                .collect();
            if let Some(task) = pick(&tasks, number) {
                let container =
                    bed.agent.ledger().executors[&(task.framework, task.executor)].container;
                bed.moved(container, &task.info.id, TaskState::Finished);
            }
        }
        Step::Exit(number) => {
            let containers: Vec<ContainerId> = bed.containers.keys().copied().collect();
            if let Some(container) = pick(&containers, number) {
                bed.exit(container, i32::from(number));
            }
        }
        Step::Relink => bed.relink(),
        Step::Resync => bed.order(Order::Resync),
        Step::Answer(count) => (0..count).for_each(|_| bed.answer()),
        Step::Settle => bed.settle(),
        Step::Pass(ms) => bed.pass_ms(u64::from(ms)),
        Step::Acknowledge(yes) => bed.acknowledges = yes,
        Step::Obey(yes) => bed.obedient = yes,
        Step::FailDrivers(count) => bed.failures = u32::from(count),
        Step::FailMounts(count) => bed.mount_failures = u32::from(count),
        Step::LoseDisk(lost) => {
            bed.machine.disks[1].fault = lost.then(|| "not mounted".to_owned());
            bed.input(Input::Opened(bed.machine.clone()));
        }
        Step::CrashIn(count) => bed.crash_in = Some(usize::from(count)),
        Step::Crash => bed.crash(),
        _ => unreachable!("done by the caller"),
    }
}

fn act_on_trash(bed: &mut Bed, step: &Step) {
    match *step {
        Step::Undelete(number) => {
            if let Some(claim) = pick(&trashed(bed), number) {
                bed.undelete(claim);
            }
        }
        Step::Purge(number) => {
            if let Some(claim) = pick(&trashed(bed), number) {
                bed.order(Order::PurgeTrash { claim, by: "ops".to_owned() });
            }
        }
        Step::TrashDue(number, is_aged) => {
            let disk = bed.machine.disks[1].disk.id;
            if let Some(claim) = pick(&trashed(bed), number) {
                bed.input(Input::TrashDue(disk, claim, is_aged));
            }
        }
        _ => unreachable!("done by the caller"),
    }
}

fn trashed(bed: &Bed) -> Vec<ClaimId> {
    bed.trash.iter().copied().collect()
}

/// What must hold at any time.
fn check(bed: &Bed) {
    let ledger = bed.agent.ledger();
    for task in ledger.tasks.values().filter(|it| !it.state.is_terminal()) {
        let key = (task.framework.clone(), task.executor.clone());
        assert!(ledger.executors.contains_key(&key), "a live task lives in an executor: {task:?}");
        assert!(ledger.frameworks.contains_key(&task.framework));
    }
    for update in bed.operations.iter().filter(|it| it.state == OperationState::Finished) {
        for claim in
            update.claims.iter().filter(|it| it.is_volume() && it.state == ClaimState::Ready)
        {
            let there =
                ledger.claims.get(&claim.id).is_some_and(|it| is_same_or_resized(it, claim));
            // One that could not be brought back after all lies at its place, remembered, until the next look at the disk.
            let remembered = ledger.trash.contains_key(&claim.id);
            let destroyed = bed.trash.contains(&claim.id) || bed.purged.contains(&claim.id);
            assert!(
                there || destroyed || remembered,
                "a volume that was told is there until it is destroyed: {claim:?}"
            );
            let places = [&bed.volumes, &bed.trash, &bed.purged];
            assert!(places.iter().any(|it| it.contains(&claim.id)));
        }
    }
    let total = bed.agent.total().quantities();
    let usable = bed.agent.disks.machine().map(|it| it.resources.quantities()).unwrap_or_default();
    let held = ledger
        .claims
        .values()
        .filter(|it| it.state == ClaimState::Destroying)
        .map(|it| it.resource.value.quantity().as_thousandths());
    if !total.is_empty() {
        assert_eq!(
            total["disk"].as_thousandths() + held.sum::<i64>(),
            usable["disk"].as_thousandths(),
            "nothing is made and nothing is lost"
        );
        let declared = bed.machine.info.resources.quantity("disk");
        assert!(usable["disk"] <= declared, "no more is offered than the settings name");
    }
}

#[derive(PartialEq, Debug)]
struct Claimed<'a>(&'a holdfast_model::Resource, ClaimId);

/// Only a newer generation of a claim has another size.
fn is_same_or_resized(now: &holdfast_model::Claim, told: &holdfast_model::Claim) -> bool {
    match told.generation < now.generation {
        true => now.resource.identity == told.resource.identity,
        false => Claimed::of(now) == Claimed::of(told),
    }
}

impl Claimed<'_> {
    fn of(claim: &holdfast_model::Claim) -> Claimed<'_> {
        Claimed(&claim.resource, claim.id)
    }
}

/// After the storm: everything answers, and everything that was under way has ended well or badly.
fn calm(bed: &mut Bed) {
    (bed.acknowledges, bed.obedient, bed.failures, bed.mount_failures, bed.crash_in) =
        (true, true, 0, 0, None);
    bed.machine.disks[1].fault = None;
    bed.input(Input::Opened(bed.machine.clone()));
    bed.relink();
    let running: Vec<ContainerId> = bed
        .containers
        .iter()
        .filter(|(_, it)| it.exited.is_none() && it.link.is_none())
        .map(|(id, _)| *id)
        .collect();
    running.into_iter().for_each(|it| bed.subscribe(it));
    for _ in 0..40 {
        bed.settle();
        bed.pass_ms(61_000);
    }
    bed.settle();
    check(bed);
    let status = bed.agent.status();
    assert_eq!((status.waiting_operations, status.waiting_launches), (0, 0));
    let ledger = bed.agent.ledger();
    assert!(ledger.operations.is_empty(), "{:?}", ledger.operations);
    assert!(ledger.claims.values().all(|it| it.state == ClaimState::Ready), "{:?}", ledger.claims);
    assert!(ledger.claims.keys().all(|it| !bed.trash.contains(it) && !bed.purged.contains(it)));
    let recorded: Vec<ClaimId> = ledger.trash.keys().copied().collect();
    // What was made for changes that were not made was nobody's.
    let mut trashed = trashed(bed);
    trashed.retain(|it| ledger.trash.contains_key(it) || !bed.made_for_nobody.contains(it));
    assert_eq!(recorded, trashed, "what lies in the trash, and nothing else, has a record");
    for task in ledger.tasks.values() {
        assert!(
            task.updates.is_empty()
                && (task.state == TaskState::Running || task.state.is_terminal()),
            "{task:?}"
        );
    }
    for (key, executor) in &ledger.executors {
        let contained = bed.containers.get(&executor.container);
        assert!(
            contained.is_some_and(|it| it.exited.is_none()),
            "an executor of the ledger has a container that runs: {key:?}"
        );
    }
    assert!(bed.agent.faults().is_empty(), "{:?}", bed.agent.faults());
    bed.input(Input::Tick);
    assert_eq!(bed.next_deadline(), None, "nobody waits for anything");
}

/// Recovering, and recovering from what that left, come to the same.
fn recover_twice(bed: &mut Bed) {
    let found =
        |it: &crate::testbed::Contained| it.exited.clone().map_or(Found::Running, Found::Exited);
    let found: Vec<_> = bed.containers.iter().map(|(id, it)| (*id, found(it))).collect();
    let mut once = Agent::recover(Config::default(), bed.durable.clone());
    let now = Instant(bed.now);
    once.handle(
        &mut holdfast_model::StepContext { now, ids: &mut bed.ids },
        Input::Started(found.clone()),
    );
    let mut twice = Agent::recover(Config::default(), once.ledger().clone());
    twice
        .handle(&mut holdfast_model::StepContext { now, ids: &mut bed.ids }, Input::Started(found));
    assert_eq!(once.ledger(), twice.ledger());
}

/// Inputs that no honest hand, executor or master would send.
fn hostile() -> impl Strategy<Value = Input> {
    let uuid = || (0u128..6).prop_map(|it| Uuid::from_u128(1000 + it * 3));
    let outcome = || any::<bool>().prop_map(|ok| if ok { Ok(()) } else { Err("no".to_owned()) });
    let link = || (0u64..6).prop_map(LinkId);
    let executor = || {
        (0u8..4).prop_map(|it| {
            ExecutorId::made(if it == 0 { "t0-1".to_owned() } else { format!("e{it}") })
        })
    };
    let exit = Exit { status: 1, out_of_memory: true, message: String::new() };
    let status = (0i32..14, uuid(), 0u8..3).prop_map(|(state, uuid, task)| {
        let mut status = TaskStatus::new(
            TaskId::made(format!("t{task}-1")),
            TaskState::from_number(state).unwrap(),
            Instant(0),
        );
        status.uuid = Some(StatusUuid(uuid));
        status
    });
    let call = prop_oneof![
        prop::collection::vec(status.clone(), 0..3)
            .prop_map(|updates| ExecutorCall::Subscribe { tasks: Vec::new(), updates }),
        status.prop_map(ExecutorCall::Update),
        Just(ExecutorCall::Heartbeat),
        Just(ExecutorCall::Message(vec![0])),
    ];
    prop_oneof![
        Just(Input::Started(Vec::new())),
        Just(Input::Tick),
        uuid().prop_map(|it| Input::Started(vec![(ContainerId(it), Found::Lost)])),
        link().prop_map(Input::MasterLinked),
        link().prop_map(Input::MasterLost),
        (link(), 0u64..9, order()).prop_map(|(link, term, order)| Input::FromMaster(
            link,
            ToAgent { term: Term(term), order }
        )),
        (link(), executor(), call).prop_map(|(link, executor, call)| Input::FromExecutor(
            link,
            framework_id(),
            executor,
            call
        )),
        link().prop_map(Input::ExecutorLost),
        (uuid(), outcome()).prop_map(|(it, outcome)| Input::VolumeMade(ClaimId(it), outcome)),
        (uuid(), outcome()).prop_map(|(it, outcome)| Input::VolumeTrashed(ClaimId(it), outcome)),
        (uuid(), any::<bool>()).prop_map(|(it, aged)| Input::TrashDue(
            holdfast_model::DiskId(it),
            ClaimId(it),
            aged
        )),
        uuid().prop_map(|it| Input::TrashPurged(ClaimId(it))),
        (uuid(), uuid(), uuid()).prop_map(|(disk, trashed, volume)| Input::TrashFound(
            holdfast_model::DiskId(disk),
            crate::TrashFound {
                trashed: vec![ClaimId(trashed)],
                volumes: vec![crate::testbed::labelled(ClaimId(volume))],
                images: vec![ClaimId(volume)],
            }
        )),
        (uuid(), outcome()).prop_map(|(it, outcome)| Input::VolumeChecked(ClaimId(it), outcome)),
        (uuid(), outcome())
            .prop_map(|(it, outcome)| Input::ContainerStarted(ContainerId(it), outcome)),
        uuid().prop_map(move |it| Input::ContainerExited(ContainerId(it), exit.clone())),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let uuid = || (0u128..6).prop_map(|it| Uuid::from_u128(1000 + it * 3));
    let action = prop_oneof![
        (0u8..3).prop_map(|it| Bed::create(&[Names::volume(it)])),
        (0u8..3).prop_map(|it| Bed::destroy(&[Names::volume(it)])),
        (-3i64..30).prop_map(|it| Bed::reserve(reserved_disk(it))),
        (0u8..3, 0u8..3).prop_map(|(id, volume)| Action::Launch(vec![task(
            &format!("t{id}-1"),
            &[Names::volume(volume)]
        )])),
        Just(Action::LaunchGroup(group_executor("e1"), Vec::new())),
        (0u8..3).prop_map(|it| Action::LaunchGroup(
            group_executor("e2"),
            vec![task(&format!("t{it}-1"), &[]), task("t0-1", &[])]
        )),
        Just(Action::Launch(vec![TaskInfo {
            command: None,
            resources: Vec::new(),
            ..task("t2-1", &[])
        }])),
    ];
    let operations = prop::collection::vec((uuid(), action), 0..4);
    let apply =
        (operations, any::<bool>(), any::<bool>()).prop_map(|(operations, framed, named)| {
            let named_info =
                holdfast_model::FrameworkInfo { id: named.then(framework_id), ..framework() };
            let operations =
                operations.into_iter().map(|(uuid, action)| holdfast_model::NamedOperation {
                    uuid: OperationUuid(uuid),
                    operation: holdfast_model::Operation { id: None, action },
                });
            let operations = operations.collect();
            Order::Apply {
                framework: framed.then(|| Box::new(named_info)),
                role: framed.then(role),
                by: String::new(),
                operations,
                ownership: None,
            }
        });
    prop_oneof![
        4 => apply,
        2 => (1u128..3).prop_map(|it| Order::Registered(AgentId::made("a1".to_owned()), cluster(it))),
        1 => Just(Order::Refused("no".to_owned())),
        1 => Just(Order::Kill { framework: framework_id(), task: task_key("t0-1").1, grace_ms: Some(u64::MAX) }),
        1 => Just(Order::ShutdownExecutor(framework_id(), ExecutorId::made("e1".to_owned()))),
        1 => Just(Order::ShutdownFramework(FrameworkId::made("f1".to_owned()))),
        1 => uuid().prop_map(|it| Order::AcknowledgeTask(framework_id(), task_key("t0-1").1, StatusUuid(it))),
        1 => (uuid(), uuid()).prop_map(|(a, b)| Order::AcknowledgeOperation(OperationUuid(a), StatusUuid(b))),
        1 => Just(Order::Resync),
        1 => Just(Order::Ping { number: 1, acknowledged: 0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(steps in prop::collection::vec(step(), 1..60)) {
        let (mut bed, mut names) = (Bed::registered(), Names(0));
        for step in &steps {
            act(&mut bed, &mut names, step);
            check(&bed);
        }
        recover_twice(&mut bed);
        calm(&mut bed);
    }

    #[test]
    fn nothing_that_comes_from_outside_stops_the_agent(inputs in prop::collection::vec((hostile(), 0u64..100_000), 1..80), opened: bool) {
        let mut bed = Bed::fresh();
        let mut durable = bed.durable.clone();
        let mut now = 0;
        for (index, (input, ms)) in inputs.into_iter().enumerate() {
            now += ms;
            let mut batch = vec![input];
            if opened && index % 10 == 9 {
                batch.push(Input::Opened(bed.machine.clone()));
            }
            for input in batch {
                let effects = bed.agent.handle(&mut holdfast_model::StepContext { now: Instant(now), ids: &mut bed.ids }, input);
                for effect in effects {
                    if let crate::Effect::Commit { changes, .. } = effect {
                        changes.iter().for_each(|it| durable.apply(it));
                    }
                }
                prop_assert_eq!(&durable, bed.agent.ledger());
            }
        }
        let again = Agent::recover(Config::default(), durable.clone());
        prop_assert_eq!(again.ledger(), &durable);
    }
}

/// The main course of events, with a crash after each of its effects in turn.
#[test]
fn a_crash_after_any_effect_of_the_main_course_loses_nothing() {
    let course = |bed: &mut Bed| {
        let (volume, other) = (volume_named("v", 60), volume_named("w", 20));
        bed.apply(vec![
            Bed::reserve(reserved_disk(100)),
            Bed::create(&[volume.clone(), other]),
            Action::Launch(vec![task("t1", std::slice::from_ref(&volume))]),
        ]);
        bed.settle();
        let (framework, id) = task_key("t1");
        bed.order(Order::Kill { framework, task: id, grace_ms: None });
        bed.settle();
        bed.apply(vec![Action::LaunchGroup(
            group_executor("g"),
            vec![task("a", std::slice::from_ref(&volume)), task("b", &[])],
        )]);
        bed.settle();
        bed.order(Order::ShutdownExecutor(framework_id(), ExecutorId::made("g".to_owned())));
        bed.settle();
        let unreserve = Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(60)]));
        bed.apply(vec![Bed::destroy(&[volume]), unreserve]);
        bed.settle();
    };
    let mut crashes = 0;
    for after in 0.. {
        let mut bed = Bed::registered();
        bed.acknowledges = true;
        bed.crash_in = Some(after);
        course(&mut bed);
        check(&bed);
        crashes += bed.crashes;
        let done = bed.crashes == 0;
        calm(&mut bed);
        if done {
            assert_eq!(
                bed.agent.ledger().claims.len(),
                2,
                "20 MB of a volume and 20 MB reserved are left"
            );
            break;
        }
    }
    assert!(40 < crashes, "only {crashes} places to crash in");
}

/// What was made with the destruction of another was itself destroyed before that was over: two operations named one claim, and the end of
/// each was taken for the other's.
#[test]
fn what_is_destroyed_while_the_change_that_made_it_goes_on_ends_both() {
    let steps = [
        Step::Together(0, 0, -1),
        Step::Answer(1),
        Step::Together(2, 0, -11),
        Step::Launch(0, None),
        Step::Answer(1),
        Step::Destroy(2),
    ];
    let (mut bed, mut names) = (Bed::registered(), Names(0));
    for step in &steps {
        act(&mut bed, &mut names, step);
        check(&bed);
    }
    recover_twice(&mut bed);
    calm(&mut bed);
}
