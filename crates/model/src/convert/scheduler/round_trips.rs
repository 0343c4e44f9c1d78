//! Calls and events, written and read again; and bytes that were damaged on the way. Relies on samples of everything that may come in;
//! never looks at single rules.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::convert::{executor, golden, samples, task, Format, Shape};
use crate::id::{FrameworkId, StatusUuid};
use crate::maintenance::Unavailability;
use crate::message::FrameworkCall;
use crate::message::{Call, Event, Filters, Offer, OperationStatus};
use crate::operation::Action;
use crate::role::Role;
use crate::task::TaskInfo;
use holdfast_proto::mesos::v1::scheduler as wire;

fn filters() -> impl Strategy<Value = Filters> {
    (0..=REFUSE_MS_MAX).prop_map(|refuse_ms| Filters { refuse_ms })
}

fn alone(task: &mut TaskInfo) {
    task.executor = None;
    *task = task::from_proto(task::to_proto(task, Format::WHOLE)).unwrap();
}

fn call() -> impl Strategy<Value = Call> {
    use samples::{agent, bytes, executor_id, offer_id, operation, role, task_id, uuid, word};
    let offers = || prop::collection::vec(offer_id(), 0..3);
    let roles = || prop::collection::btree_set(role(), 0..3);
    // Executors that name no framework fit any.
    let operations = prop::collection::vec(operation(), 0..3).prop_map(|mut list| {
        for operation in &mut list {
            match &mut operation.action {
                Action::Launch(tasks) => tasks.iter_mut().for_each(alone),
                Action::LaunchGroup(executor, tasks) => {
                    executor.framework = None;
                    *executor =
                        executor::info_from_proto(executor::info_to_proto(executor, Format::WHOLE))
                            .unwrap();
                    tasks.iter_mut().for_each(alone);
                }
                _ => {}
            }
        }
        list
    });
    let described = samples::named_framework().prop_map(|info| {
        let suppressed = info.roles.iter().take(1).cloned().collect();
        (Box::new(info), suppressed)
    });
    let status = || uuid().prop_map(StatusUuid);
    prop_oneof![
        (described, any::<bool>()).prop_map(|((info, suppressed), update)| match update {
            true => Call::UpdateFramework { info, suppressed },
            false => Call::Subscribe { info, suppressed },
        }),
        select(vec![Call::Teardown, Call::Request]),
        (offers(), any::<bool>(), filters()).prop_map(|(offers, accepts, filters)| {
            Call::AnswerInverse { offers, accepts, filters }
        }),
        (offers(), operations, filters()).prop_map(|(offers, operations, filters)| Call::Accept {
            offers,
            operations,
            filters
        }),
        (offers(), filters()).prop_map(|(offers, filters)| Call::Decline { offers, filters }),
        roles().prop_map(Call::Revive),
        roles().prop_map(Call::Suppress),
        (task_id(), of(agent()), of(0u64..1 << 40))
            .prop_map(|(task, agent, grace_ms)| Call::Kill { task, agent, grace_ms }),
        (executor_id(), agent()).prop_map(|(executor, agent)| Call::Shutdown(executor, agent)),
        (agent(), task_id(), status()).prop_map(|(agent, task, status)| Call::Acknowledge {
            agent,
            task,
            status
        }),
        prop::collection::vec((task_id(), of(agent())), 0..3).prop_map(Call::Reconcile),
        (agent(), executor_id(), bytes())
            .prop_map(|(agent, executor, data)| Call::Message(agent, executor, data)),
        (agent(), word(), status()).prop_map(|(agent, operation, status)| {
            Call::AcknowledgeOperation { agent: Some(agent), operation, status }
        }),
        prop::collection::vec((word(), of(agent())), 0..3).prop_map(Call::ReconcileOperations),
    ]
}

fn offer() -> impl Strategy<Value = Offer> {
    use samples::{agent, executor_id, framework_id, machine, offer_id, role, sum};
    let parts = (
        offer_id(),
        framework_id(),
        role(),
        agent(),
        sum(),
        prop::collection::vec(executor_id(), 0..2),
        machine(),
        of((any::<i64>(), of(any::<i64>()))),
    );
    parts.prop_map(|(id, framework, role, agent, resources, executors, machine, planned)| Offer {
        id,
        framework,
        agent,
        resources: resources.unallocated().allocated_to(&role),
        role,
        executors,
        hostname: machine.hostname,
        machine: machine.payload,
        claims: Vec::new(),
        unavailability: planned
            .map(|(start_ns, duration_ns)| Unavailability { start_ns, duration_ns }),
    })
}

fn event() -> impl Strategy<Value = Event> {
    use samples::{
        agent, bytes, executor_id, framework_id, offer_id, operation_state, sum, task_status, text,
        uuid, word,
    };
    let operation = (of(word()), operation_state(), of(text()), sum(), of(uuid()), of(agent()))
        .prop_map(|(id, state, message, converted, uuid, agent)| OperationStatus {
            id,
            state,
            message,
            converted,
            uuid: uuid.map(StatusUuid),
            agent,
        });
    prop_oneof![
        framework_id().prop_map(Event::Subscribed),
        prop::collection::vec(offer(), 0..3).prop_map(Event::Offers),
        offer_id().prop_map(Event::Rescind),
        task_status().prop_map(Event::Update),
        operation.prop_map(Event::UpdateOperation),
        (agent(), executor_id(), bytes())
            .prop_map(|(agent, executor, data)| Event::Message(agent, executor, data)),
        (of(agent()), of(executor_id()), of(any::<i32>()))
            .prop_map(|(agent, executor, status)| Event::Failure { agent, executor, status }),
        text().prop_map(Event::Error),
    ]
}

/// What the framework's id must be for the call to be heard.
fn caller(call: &Call) -> FrameworkId {
    match call {
        Call::Subscribe { info, .. } | Call::UpdateFramework { info, .. } => {
            info.id.clone().unwrap()
        }
        _ => FrameworkId::made("f".to_owned()),
    }
}

#[test]
fn golden_bytes_of_calls() {
    golden::check(
        "scheduler-call",
        call(),
        golden::variant,
        |it| {
            vec![Some(holdfast_proto::binary::encode(&call_to_proto(
                Some(&caller(it)),
                it,
                Format::WHOLE,
            )))]
        },
        |parts| {
            call_from_proto(holdfast_proto::binary::decode(parts[0].as_deref().unwrap()).unwrap())
                .unwrap()
                .call
        },
    );
}

#[test]
fn golden_bytes_of_events() {
    golden::check(
        "scheduler-event",
        event(),
        golden::variant,
        |it| {
            vec![Some(holdfast_proto::binary::encode(&event_to_proto(
                it,
                Format::WHOLE,
                &Welcome::default(),
            )))]
        },
        |parts| {
            event_from_proto(
                holdfast_proto::binary::decode(parts[0].as_deref().unwrap()).unwrap(),
                &Role::any(),
            )
            .unwrap()
            .unwrap()
        },
    );
}

/// Whether all operations of a call were read: one that was not keeps only why, and cannot be written as it came.
fn is_readable(call: &Call) -> bool {
    match call {
        Call::Accept { operations, .. } => {
            !operations.iter().any(|it| matches!(it.action, Action::Unreadable(_)))
        }
        _ => true,
    }
}

proptest! {
    #[test]
    fn calls_come_back(call in call()) {
        let framework = caller(&call);
        let wire = call_to_proto(Some(&framework), &call, Format::WHOLE);
        prop_assert_eq!(call_from_proto(wire), Ok(FrameworkCall { framework: Some(framework), call }));
    }

    #[test]
    fn events_come_back(event in event()) {
        let wire = event_to_proto(&event, Format::WHOLE, &Welcome::default());
        prop_assert_eq!(event_from_proto(wire, &Role::any()), Ok(Some(event)));
    }

    #[test]
    fn offers_to_old_frameworks_come_back(offer in offer(), shape in select(vec![Shape::Pre, Shape::Endpoint])) {
        let role = offer.role.clone();
        let wire = event_to_proto(&Event::Offers(vec![offer.clone()]), Format { shape, allocation: false }, &Welcome::default());
        prop_assert_eq!(event_from_proto(wire, &role), Ok(Some(Event::Offers(vec![offer]))));
    }

    #[test]
    fn damaged_calls_are_read_or_refused(call in call(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = holdfast_proto::binary::encode(&call_to_proto(Some(&caller(&call)), &call, Format::WHOLE));
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        if let Ok(wire) = <wire::Call as prost::Message>::decode(bytes.as_slice()) {
            if let Some(it) = call_from_proto(wire).ok().filter(|it| is_readable(&it.call)) {
                let again = call_from_proto(call_to_proto(it.framework.as_ref(), &it.call, Format::WHOLE));
                prop_assert_eq!(again, Ok(it));
            }
        }
    }

    #[test]
    fn damaged_events_are_read_or_refused(event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = holdfast_proto::binary::encode(&event_to_proto(&event, Format::WHOLE, &Welcome::default()));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(wire) = <wire::Event as prost::Message>::decode(bytes.as_slice()) {
            if let Ok(Some(it)) = event_from_proto(wire, &Role::any()) {
                let again = event_from_proto(event_to_proto(&it, Format::WHOLE, &Welcome::default()), &Role::any());
                prop_assert_eq!(again, Ok(Some(it)));
            }
        }
    }
}
