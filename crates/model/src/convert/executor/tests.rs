//! The executor API: every refusal by its path, round trips, and damage.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::convert::{golden, samples, Format};
use crate::id::{ContainerId, ExecutorId, FrameworkId, StatusUuid};
use crate::message::{ExecutorCall, ExecutorEvent};
use crate::task::{StatusSource, TaskInfo, TaskState, TaskStatus};
use holdfast_proto::mesos::v1::{self, executor as wire};

fn update(change: impl FnOnce(&mut v1::TaskStatus)) -> wire::Call {
    let mut status = v1::TaskStatus {
        task_id: v1::TaskId { value: "t".to_owned() },
        state: TaskState::Running as i32,
        source: Some(2),
        uuid: Some(vec![7; 16]),
        ..Default::default()
    };
    change(&mut status);
    wire::Call {
        executor_id: v1::ExecutorId { value: "e".to_owned() },
        framework_id: v1::FrameworkId { value: "f".to_owned() },
        r#type: Some(wire::call::Type::Update.into()),
        update: Some(wire::call::Update { status }),
        ..Default::default()
    }
}

#[test]
fn an_executor_says_who_it_is() {
    let from = call_from_proto(update(|it| {
        it.executor_id = Some(v1::ExecutorId { value: "e".to_owned() })
    }))
    .unwrap()
    .unwrap();
    assert_eq!((from.executor.as_str(), from.framework.as_str()), ("e", "f"));
    assert!(
        matches!(from.call, ExecutorCall::Update(it) if it.state == TaskState::Running && it.uuid.is_some())
    );
}

#[test]
fn wrong_calls_are_named() {
    let path = |call: wire::Call| call_from_proto(call).unwrap_err().path;
    assert_eq!(path(update(|it| it.uuid = None)), "update.status.uuid");
    assert_eq!(path(update(|it| it.uuid = Some(vec![7; 17]))), "update.status.uuid");
    assert_eq!(path(update(|it| it.source = Some(1))), "update.status.source");
    assert_eq!(path(update(|it| it.source = None)), "update.status.source");
    assert_eq!(path(update(|it| it.state = TaskState::Staging as i32)), "update.status.state");
    assert_eq!(path(update(|it| it.state = 14)), "update.status.state");
    assert_eq!(
        path(update(|it| it.executor_id = Some(v1::ExecutorId { value: "x".to_owned() }))),
        "update.status.executor_id"
    );
    assert_eq!(path(update(|it| it.data = Some(vec![0; 40_000]))), "update.status");
    assert_eq!(path(wire::Call { update: None, ..update(|_| ()) }), "update");
    assert_eq!(path(wire::Call { r#type: None, ..update(|_| ()) }), "type");
    assert_eq!(
        path(wire::Call { executor_id: Default::default(), ..update(|_| ()) }),
        "executor_id"
    );
    assert_eq!(
        path(wire::Call { framework_id: Default::default(), ..update(|_| ()) }),
        "framework_id"
    );
    let subscribe = wire::call::Subscribe {
        unacknowledged_tasks: vec![Default::default()],
        ..Default::default()
    };
    let call = wire::Call { r#type: Some(1), subscribe: Some(subscribe), ..update(|_| ()) };
    assert_eq!(path(call), "subscribe.unacknowledged_tasks[0].task_id");
    let bad = update(|it| it.uuid = None).update.unwrap();
    let subscribe =
        wire::call::Subscribe { unacknowledged_updates: vec![bad], ..Default::default() };
    let call = wire::Call { r#type: Some(1), subscribe: Some(subscribe), ..update(|_| ()) };
    assert_eq!(path(call), "subscribe.unacknowledged_updates[0].status.uuid");
    assert_eq!(call_from_proto(wire::Call { r#type: Some(99), ..update(|_| ()) }), Ok(None));
}

#[test]
fn wrong_events_are_named() {
    let event =
        |kind: wire::event::Type| wire::Event { r#type: Some(kind.into()), ..Default::default() };
    use wire::event::Type;
    for (kind, field) in [
        (Type::Subscribed, "subscribed"),
        (Type::Launch, "launch"),
        (Type::LaunchGroup, "launch_group"),
        (Type::Kill, "kill"),
        (Type::Acknowledged, "acknowledged"),
        (Type::Message, "message"),
        (Type::Error, "error"),
    ] {
        assert_eq!(event_from_proto(event(kind)).unwrap_err().path, field);
    }
    assert_eq!(event_from_proto(heartbeat()), Ok(None));
    assert_eq!(event_from_proto(wire::Event::default()), Ok(None));
    let mut subscribed = event(Type::Subscribed);
    subscribed.subscribed = Some(wire::event::Subscribed::default());
    assert_eq!(event_from_proto(subscribed.clone()).unwrap_err().path, "subscribed.agent_info.id");
    subscribed.subscribed.as_mut().unwrap().agent_info.id =
        Some(v1::AgentId { value: "a".to_owned() });
    assert_eq!(event_from_proto(subscribed).unwrap_err().path, "subscribed.container_id");
}

fn said() -> impl Strategy<Value = TaskStatus> {
    (
        samples::task_status(),
        samples::uuid(),
        select(vec![TaskState::Running, TaskState::Failed, TaskState::Killing]),
    )
        .prop_map(|(status, uuid, state)| TaskStatus {
            source: Some(StatusSource::Executor),
            uuid: Some(StatusUuid(uuid)),
            executor: None,
            state,
            ..status
        })
}

fn call() -> impl Strategy<Value = (ExecutorCall, Vec<TaskInfo>)> {
    let tasks = prop::collection::btree_map(samples::task_id(), samples::task(), 0..3);
    let subscribe = (tasks, prop::collection::vec(said(), 0..3)).prop_map(|(tasks, updates)| {
        let given: Vec<TaskInfo> =
            tasks.into_iter().map(|(id, task)| TaskInfo { id, ..task }).collect();
        (
            ExecutorCall::Subscribe {
                tasks: given.iter().map(|it| it.id.clone()).collect(),
                updates,
            },
            given,
        )
    });
    let alone = prop_oneof![
        said().prop_map(ExecutorCall::Update),
        samples::bytes().prop_map(ExecutorCall::Message),
        select(vec![ExecutorCall::Heartbeat])
    ];
    prop_oneof![subscribe, alone.prop_map(|it| (it, Vec::new()))]
}

fn event() -> impl Strategy<Value = ExecutorEvent> {
    let subscribed = (
        samples::executor(),
        samples::framework(),
        samples::agent(),
        samples::machine(),
        samples::uuid(),
    )
        .prop_map(|(executor, framework, agent, machine, container)| {
            ExecutorEvent::Subscribed {
                executor: Box::new(executor),
                framework: Box::new(framework),
                agent,
                machine: Box::new(machine),
                container: ContainerId(container),
            }
        });
    prop_oneof![
        subscribed,
        samples::task().prop_map(|it| ExecutorEvent::Launch(Box::new(it))),
        prop::collection::vec(samples::task(), 0..3).prop_map(ExecutorEvent::LaunchGroup),
        (samples::task_id(), of(0u64..1 << 40))
            .prop_map(|(task, grace)| ExecutorEvent::Kill(task, grace)),
        (samples::task_id(), samples::uuid())
            .prop_map(|(task, uuid)| ExecutorEvent::Acknowledged(task, StatusUuid(uuid))),
        samples::bytes().prop_map(ExecutorEvent::Message),
        select(vec![ExecutorEvent::Shutdown]),
        samples::text().prop_map(ExecutorEvent::Error),
    ]
}

#[test]
fn golden_bytes_of_calls() {
    let (framework, executor) =
        (FrameworkId::made("f".to_owned()), ExecutorId::made("e".to_owned()));
    // The tasks that SUBSCRIBE describes are not read back.
    let alone = call().prop_map(|(call, _)| match call {
        ExecutorCall::Subscribe { updates, .. } => {
            ExecutorCall::Subscribe { tasks: Vec::new(), updates }
        }
        other => other,
    });
    golden::check(
        "executor-call",
        alone,
        golden::variant,
        |it| {
            vec![Some(holdfast_proto::binary::encode(&call_to_proto(
                &framework,
                &executor,
                it,
                &[],
            )))]
        },
        |parts| {
            call_from_proto(holdfast_proto::binary::decode(parts[0].as_deref().unwrap()).unwrap())
                .unwrap()
                .unwrap()
                .call
        },
    );
}

#[test]
fn golden_bytes_of_events() {
    golden::check(
        "executor-event",
        event(),
        golden::variant,
        |it| vec![Some(holdfast_proto::binary::encode(&event_to_proto(it, Format::WHOLE)))],
        |parts| {
            event_from_proto(holdfast_proto::binary::decode(parts[0].as_deref().unwrap()).unwrap())
                .unwrap()
                .unwrap()
        },
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn calls_come_back((call, given) in call()) {
        let (framework, executor) = (FrameworkId::made("f".to_owned()), ExecutorId::made("e".to_owned()));
        let wire = call_to_proto(&framework, &executor, &call, &given);
        prop_assert_eq!(call_from_proto(wire), Ok(Some(CallFrom { framework, executor, call })));
    }

    #[test]
    fn events_come_back(event in event()) {
        prop_assert_eq!(event_from_proto(event_to_proto(&event, Format::WHOLE)), Ok(Some(event)));
    }

    #[test]
    fn executors_come_back(executor in samples::executor()) {
        prop_assert_eq!(info_from_proto(info_to_proto(&executor, Format::WHOLE)), Ok(executor));
    }

    #[test]
    fn damaged_messages_are_read_or_refused((call, given) in call(), event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (framework, executor) = (FrameworkId::made("f".to_owned()), ExecutorId::made("e".to_owned()));
        let mut bytes = holdfast_proto::binary::encode(&call_to_proto(&framework, &executor, &call, &given));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(it) = <wire::Call as prost::Message>::decode(bytes.as_slice()) {
            let _ = call_from_proto(it);
        }
        let mut bytes = holdfast_proto::binary::encode(&event_to_proto(&event, Format::WHOLE));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(Some(read)) = <wire::Event as prost::Message>::decode(bytes.as_slice()).map_or(Ok(None), event_from_proto) {
            prop_assert_eq!(event_from_proto(event_to_proto(&read, Format::WHOLE)), Ok(Some(read)));
        }
    }
}
