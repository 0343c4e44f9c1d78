//! What Mesos clients and masters really send, word for word.

use holdfast_proto::mesos::v1 as mesos;
use holdfast_proto::{binary, json};
use mesos::offer::operation;
use mesos::scheduler::{call, event, Call, Event};

/// `text` is read, and written back as the same text.
fn both_ways<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) -> T {
    let text: String = text.lines().map(str::trim).collect();
    let message =
        json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(json::to_string(&message), text);
    message
}

#[test]
fn subscribe() {
    let call: Call = both_ways(
        r#"{"framework_id":{"value":"20-0001"},"type":"SUBSCRIBE","subscribe":{"framework_info":{
            "user":"root","name":"db","id":{"value":"20-0001"},"failover_timeout":604800.0,"checkpoint":true,
            "roles":["db"],"principal":"dba","capabilities":[{"type":"MULTI_ROLE"},{"type":"RESERVATION_REFINEMENT"}]},
            "suppressed_roles":["db"]}}"#,
    );
    assert_eq!(call.r#type(), call::Type::Subscribe);
    let subscribe = call.subscribe.unwrap();
    assert_eq!(subscribe.framework_info.failover_timeout, Some(604800.0));
    assert_eq!(subscribe.framework_info.role(), "*", "the default of an unset field");
    assert_eq!(
        subscribe.framework_info.capabilities[1].r#type(),
        mesos::framework_info::capability::Type::ReservationRefinement
    );
}

#[test]
fn accept_with_reserve_create_and_launch() {
    let call: Call = both_ways(
        r#"{"framework_id":{"value":"F"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"O1"}],"operations":[
            {"type":"RESERVE","id":{"value":"op1"},"reserve":{"resources":[
                {"name":"disk","type":"SCALAR","scalar":{"value":1024.0},"allocation_info":{"role":"db"},
                 "reservations":[{"type":"DYNAMIC","role":"db","principal":"dba","labels":{"labels":[{"key":"node","value":"1"}]}}],
                 "disk":{"source":{"type":"MOUNT","mount":{"root":"/mnt/d1"}}}}]}},
            {"type":"CREATE","create":{"volumes":[
                {"name":"disk","type":"SCALAR","scalar":{"value":1024.0},
                 "disk":{"persistence":{"id":"data-1"},"volume":{"mode":"RW","container_path":"data"}}}]}},
            {"type":"LAUNCH","launch":{"task_infos":[
                {"name":"db-1","task_id":{"value":"db-1"},"agent_id":{"value":"A"},
                 "resources":[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001}]}}],
                 "command":{"uris":[{"value":"http://repo/db.tgz","extract":true}],"shell":true,"value":"./db"},
                 "data":"AAEC"}]}}],
            "filters":{"refuse_seconds":0.5}}}"#,
    );
    let operations = &call.accept.as_ref().unwrap().operations;
    let kinds: Vec<operation::Type> =
        operations.iter().map(|operation| operation.r#type()).collect();
    assert_eq!(kinds, [operation::Type::Reserve, operation::Type::Create, operation::Type::Launch]);
    let operation::Launch { task_infos } = operations[2].launch.as_ref().unwrap();
    assert_eq!(task_infos[0].data.as_deref(), Some(&[0, 1, 2][..]));
    assert_eq!(binary::decode::<Call>(&binary::encode(&call)), Ok(call));
}

#[test]
fn update_as_a_stream_record() {
    let event: Event = both_ways(
        r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"db-1"},"state":"TASK_RUNNING","source":"SOURCE_EXECUTOR",
            "agent_id":{"value":"A"},"executor_id":{"value":"db-1"},"timestamp":1700000000.25,
            "uuid":"EBESExQVFhcYGRobHB0eHw==","healthy":true,
            "container_status":{"container_id":{"value":"c","parent":{"value":"p"}},
            "network_infos":[{"ip_addresses":[{"protocol":"IPv4","ip_address":"10.0.0.1"}]}]}}}}"#,
    );
    let status = event.update.unwrap().status;
    assert_eq!(status.state(), mesos::TaskState::TaskRunning);
    assert_eq!(status.uuid.unwrap(), (0x10..0x20).collect::<Vec<u8>>());
    let container = status.container_status.unwrap().container_id.unwrap();
    assert_eq!(container.parent.unwrap().value, "p");
}

#[test]
fn heartbeat_and_subscribed() {
    let heartbeat: Event = both_ways(r#"{"type":"HEARTBEAT"}"#);
    assert_eq!(heartbeat.r#type(), event::Type::Heartbeat);
    let subscribed: Event = both_ways(
        r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"F"},"heartbeat_interval_seconds":15.0,
            "master_info":{"id":"m","ip":16777343,"port":5050,"hostname":"h","version":"1.11.0",
            "address":{"hostname":"h","ip":"127.0.0.1","port":5050}}}}"#,
    );
    assert_eq!(
        subscribed.subscribed.unwrap().master_info.unwrap().ip.to_le_bytes(),
        [127, 0, 0, 1]
    );
}

#[test]
fn what_old_clients_send() {
    // Numbers in quotes, nulls, names of tomorrow, fields of others.
    let text = r#"{"type":"ACCEPT","framework_id":{"value":"F"},"accept":{"offer_ids":[{"value":"O"}],"operations":
        [{"type":"LAUNCH","launch":{"task_infos":[{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"A"},"executor":null,
        "resources":[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":"31000","end":"31000"}]},"role":"*"}],
        "container":{"type":"MESOS","volumes":[],"network_infos":[{"name":null}]},"command":{"value":"sleep 1"}}]}},
        {"type":"LEVITATE"}],"filters":{"refuse_seconds":"0"}},"x-trace":{"id":1}}"#;
    let call: Call = json::from_slice(text.as_bytes()).unwrap();
    let accept = call.accept.unwrap();
    assert_eq!(accept.operations[1].r#type, None);
    assert_eq!(accept.filters.unwrap().refuse_seconds, Some(0.0));
    let task = &accept.operations[0].launch.as_ref().unwrap().task_infos[0];
    assert_eq!(task.resources[0].ranges.as_ref().unwrap().range[0].begin, 31000);
}
