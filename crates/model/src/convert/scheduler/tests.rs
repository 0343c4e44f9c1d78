//! Calls and events by example: what is understood, and every refusal by its path. Relies on JSON as frameworks send it.

use super::*;
use crate::convert::Format;
use crate::framework::{Capability, FrameworkInfo};
use crate::id::FrameworkId;
use crate::labels::Labels;
use crate::message::{Call, Event, FrameworkCall, Offer};
use crate::operation::Action;
use crate::resource::Resource;
use crate::role::Role;
use crate::task::OpaquePayload;
use crate::value::Scalar;
use holdfast_proto::mesos::v1::scheduler as wire;

fn parse(json: &str) -> Result<FrameworkCall, CallError> {
    let call: wire::Call = holdfast_proto::json::from_slice(json.as_bytes())
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    call_from_proto(call)
}

fn path(json: &str) -> String {
    match parse(json) {
        Err(CallError::Invalid(invalid)) => invalid.path,
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn a_first_subscribe_needs_no_id() {
    let it = parse(r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","role":"db"}}}"#).unwrap();
    assert_eq!(it.framework, None);
    assert!(matches!(it.call, Call::Subscribe { info, .. } if info.roles[0].as_str() == "db"));
    let empty = r#"{"type":"SUBSCRIBE","framework_id":{"value":""},"subscribe":{"framework_info":{"user":"u","name":"n","id":{"value":""}}}}"#;
    assert_eq!(parse(empty).unwrap().framework, None);
}

/// The path of the error, and the call. `BY` is the framework's id, `OTHER` another's, `INFO` its description.
const WRONG_CALLS: &str = r#"
type <- {BY}
framework_id <- {"type":"TEARDOWN"}
subscribe <- {"type":"SUBSCRIBE",BY}
framework_id <- {"type":"SUBSCRIBE","subscribe":{INFO}}
framework_id <- {"type":"SUBSCRIBE",OTHER,"subscribe":{INFO}}
framework_id <- {"type":"UPDATE_FRAMEWORK",OTHER,"update_framework":{INFO}}
subscribe.suppressed_roles[0] <- {"type":"SUBSCRIBE",BY,"subscribe":{INFO,"suppressed_roles":["x"]}}
subscribe.offer_constraints.role_constraints.*.groups <- {"type":"SUBSCRIBE",BY,"subscribe":{INFO,"offer_constraints":{"role_constraints":{"*":{}}}}}
accept <- {"type":"ACCEPT",BY}
accept.offer_ids[1] <- {"type":"ACCEPT",BY,"accept":{"offer_ids":[{"value":"a"},{"value":"/"}]}}
decline <- {"type":"DECLINE",BY}
decline.offer_ids[0] <- {"type":"DECLINE",BY,"decline":{"offer_ids":[{"value":""}]}}
revive.roles[1] <- {"type":"REVIVE",BY,"revive":{"roles":["a","b c"]}}
suppress.roles[0] <- {"type":"SUPPRESS",BY,"suppress":{"roles":["-a"]}}
kill.task_id <- {"type":"KILL",BY,"kill":{"task_id":{"value":".."}}}
shutdown <- {"type":"SHUTDOWN",BY}
acknowledge.uuid <- {"type":"ACKNOWLEDGE",BY,"acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"AAAA"}}
acknowledge_operation_status.agent_id <- {"type":"ACKNOWLEDGE_OPERATION_STATUS",BY,"acknowledge_operation_status":{"uuid":"AAAAAAAAAAAAAAAAAAAAAA==","operation_id":{"value":"o"}}}
reconcile.tasks[0].task_id <- {"type":"RECONCILE",BY,"reconcile":{"tasks":[{"task_id":{"value":""}}]}}
reconcile_operations.operations[0].operation_id <- {"type":"RECONCILE_OPERATIONS",BY,"reconcile_operations":{"operations":[{"operation_id":{"value":""}}]}}
message <- {"type":"MESSAGE",BY}
"#;

#[test]
fn wrong_calls_are_named() {
    let rows: Vec<&str> = WRONG_CALLS.lines().filter(|it| !it.is_empty()).collect();
    assert_eq!(rows.len(), 21);
    for row in rows {
        let (expected, call) = row.split_once(" <- ").unwrap();
        let call = call
            .replace("BY", r#""framework_id":{"value":"f"}"#)
            .replace("OTHER", r#""framework_id":{"value":"g"}"#)
            .replace("INFO", r#""framework_info":{"user":"u","name":"n","id":{"value":"f"}}"#);
        assert_eq!(path(&call), expected, "{call}");
    }
}

#[test]
fn unknown_calls_are_told_apart() {
    let unknown = wire::Call { r#type: Some(99), ..Default::default() };
    assert_eq!(call_from_proto(unknown), Err(CallError::UnknownType { number: 99 }));
    let zero = wire::Call { r#type: Some(0), ..Default::default() };
    assert_eq!(call_from_proto(zero), Err(CallError::UnknownType { number: 0 }));
}

#[test]
fn filters_are_tamed() {
    let ms = |refuse_seconds| {
        let decline = wire::call::Decline {
            offer_ids: Vec::new(),
            filters: Some(holdfast_proto::mesos::v1::Filters { refuse_seconds }),
        };
        let framework_id = Some(holdfast_proto::mesos::v1::FrameworkId { value: "f".to_owned() });
        let call = wire::Call {
            framework_id,
            r#type: Some(4),
            decline: Some(decline),
            ..Default::default()
        };
        match call_from_proto(call).unwrap().call {
            Call::Decline { filters, .. } => filters.refuse_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ms(None), 5_000);
    assert_eq!(
        (ms(Some(-1.0)), ms(Some(f64::NAN)), ms(Some(f64::NEG_INFINITY))),
        (5_000, 5_000, 5_000)
    );
    assert_eq!((ms(Some(0.0)), ms(Some(1.5))), (0, 1_500));
    assert_eq!((ms(Some(1e300)), ms(Some(f64::INFINITY))), (REFUSE_MS_MAX, REFUSE_MS_MAX));
}

#[test]
fn an_unsupported_operation_does_not_stop_the_others() {
    let json = r#"{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"operations":[
        {"type":"DESTROY_DISK"},{"type":"CREATE_DISK"},{},{"type":"LAUNCH","launch":{}}]}}"#;
    let Call::Accept { operations, .. } = parse(json).unwrap().call else { panic!("no ACCEPT") };
    let actions: Vec<Action> = operations.into_iter().map(|it| it.action).collect();
    let expected = [
        Action::Unsupported("DESTROY_DISK"),
        Action::Unsupported("CREATE_DISK"),
        Action::Unsupported("UNKNOWN"),
        Action::Launch(Vec::new()),
    ];
    assert_eq!(actions, expected);
}

fn info(multi: bool, refined: bool) -> FrameworkInfo {
    let mut capabilities = std::collections::BTreeSet::new();
    capabilities.extend(multi.then_some(Capability::MultiRole));
    capabilities.extend(refined.then_some(Capability::ReservationRefinement));
    FrameworkInfo {
        id: None,
        name: String::new(),
        user: String::new(),
        roles: vec![Role::parse("db").unwrap()],
        failover_timeout_ms: 0,
        checkpoint: false,
        principal: None,
        hostname: None,
        capabilities,
        payload: OpaquePayload::default(),
        constraints: Default::default(),
    }
}

#[test]
fn offers_show_what_the_framework_understands() {
    let db = Role::parse("db").unwrap();
    let disk = Resource::scalar("disk", Scalar::whole(10)).reserved(crate::resource::Reservation {
        kind: crate::resource::ReservationKind::Dynamic,
        role: db.clone(),
        principal: None,
        labels: Labels::default(),
    });
    let offer = Offer {
        id: crate::id::OfferId::made("o".to_owned()),
        framework: FrameworkId::made("f".to_owned()),
        role: db.clone(),
        agent: crate::id::AgentId::made("a".to_owned()),
        resources: [disk.allocated_to(&db)].iter().collect(),
        executors: Vec::new(),
        hostname: "h".to_owned(),
        machine: OpaquePayload::default(),
        claims: Vec::new(),
        unavailability: None,
    };
    let write = |multi, refined| {
        let event = event_to_proto(
            &Event::Offers(vec![offer.clone()]),
            Format::of(&info(multi, refined)),
            &Welcome::default(),
        );
        holdfast_proto::json::to_string(&event)
    };
    let old = write(false, false);
    assert!(!old.contains("allocation_info") && !old.contains("reservations"), "{old}");
    assert!(old.contains(r#""role":"db","reservation":{}"#), "{old}");
    let new = write(true, true);
    assert!(
        new.contains(r#""allocation_info":{"role":"db"}"#) && new.contains(r#""reservations":[{"#),
        "{new}"
    );
    assert!(!new.contains(r#""reservation":{"#), "{new}");
    assert!(
        new.contains(
            r#""url":{"scheme":"http","address":{"hostname":"h","port":5051},"path":"/slave(1)"}"#
        ),
        "{new}"
    );
}

#[test]
fn subscribed_says_who_leads_and_how_often_it_lives() {
    let master = holdfast_proto::mesos::v1::MasterInfo {
        id: "m".to_owned(),
        ip: 1,
        port: 5050,
        ..Default::default()
    };
    let welcome = Welcome { heartbeat_ms: 15_000, master: Some(master.clone()) };
    let wire = event_to_proto(
        &Event::Subscribed(FrameworkId::made("f".to_owned())),
        Format::WHOLE,
        &welcome,
    );
    let subscribed = wire.subscribed.unwrap();
    assert_eq!(
        (subscribed.heartbeat_interval_seconds, subscribed.master_info),
        (Some(15.0), Some(master))
    );
    assert_eq!(event_from_proto(heartbeat(), &Role::any()), Ok(None));
}
