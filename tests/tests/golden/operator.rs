//! The Mesos v1 operator APIs of a master and an agent: every call, in JSON and in protobuf, and what is refused.
//!
//! Relies on the scene standing still. Never sends a call that changes it.

use std::net::SocketAddr;

use holdfast_proto::mesos::v1::{agent, master};
use holdfast_proto::{binary, json};
use holdfast_tests::http::{ask, post, request, Connection};
use holdfast_tests::Answer;
use serde_json::{json, Value};

use super::book::{shown, Book};
use super::refusals;
use super::scene::Scene;

const PATH: &str = "/api/v1";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const ACCEPT_PROTOBUF: (&str, &str) = ("Accept", "application/x-protobuf");
/// One more than a body may have, in bytes.
const TOO_LARGE: usize = (8 << 20) + 1;

/// Calls of a master without a message of their own.
const OF_MASTER: &str = "\
    GET_HEALTH GET_FLAGS GET_VERSION GET_LOGGING_LEVEL GET_STATE GET_AGENTS GET_FRAMEWORKS \
    GET_EXECUTORS GET_OPERATIONS GET_TASKS GET_ROLES GET_WEIGHTS GET_MASTER GET_QUOTA UPDATE_QUOTA \
    SET_QUOTA REMOVE_QUOTA GET_MAINTENANCE_STATUS GET_MAINTENANCE_SCHEDULE \
    UPDATE_MAINTENANCE_SCHEDULE START_MAINTENANCE STOP_MAINTENANCE DRAIN_AGENT DEACTIVATE_AGENT \
    REACTIVATE_AGENT MARK_AGENT_GONE LIST_FILES";

/// Calls of an agent without a message of their own.
const OF_AGENT: &str = "\
    GET_HEALTH GET_FLAGS GET_VERSION GET_LOGGING_LEVEL GET_STATE GET_AGENT GET_CONTAINERS \
    GET_FRAMEWORKS GET_EXECUTORS GET_OPERATIONS GET_TASKS GET_RESOURCE_PROVIDERS \
    LAUNCH_NESTED_CONTAINER WAIT_NESTED_CONTAINER KILL_NESTED_CONTAINER REMOVE_NESTED_CONTAINER \
    LAUNCH_NESTED_CONTAINER_SESSION ATTACH_CONTAINER_INPUT ATTACH_CONTAINER_OUTPUT LAUNCH_CONTAINER \
    WAIT_CONTAINER KILL_CONTAINER REMOVE_CONTAINER PRUNE_IMAGES";

/// A call as bytes, and an answer's bytes as JSON.
struct Coded {
    call: Vec<u8>,
    json: fn(&[u8]) -> String,
}

fn of_master(call: &Value) -> Coded {
    let call: master::Call = json::from_slice(call.to_string().as_bytes()).unwrap();
    Coded {
        call: binary::encode(&call),
        json: |bytes| json::to_string(&binary::decode::<master::Response>(bytes).unwrap()),
    }
}

fn of_agent(call: &Value) -> Coded {
    let call: agent::Call = json::from_slice(call.to_string().as_bytes()).unwrap();
    Coded {
        call: binary::encode(&call),
        json: |bytes| json::to_string(&binary::decode::<agent::Response>(bytes).unwrap()),
    }
}

/// Asks in JSON and in protobuf; what the latter answers is told only where it says something else.
fn both(book: &mut Book, address: SocketAddr, call: &Value, coded: &Coded) {
    let kind = call["type"].as_str().unwrap();
    let answer = held(post(address, PATH, call));
    let packed = ask(address, "POST", PATH, &[PROTOBUF, ACCEPT_PROTOBUF], &coded.call);
    let content = packed.header("content-type").unwrap_or_default();
    let again = match content {
        "application/x-protobuf" => {
            held(Answer { body: (coded.json)(&packed.body).into_bytes(), ..packed.clone() })
        }
        _ => packed.clone(),
    };
    let same = again.status == answer.status && again.text() == answer.text();
    let said = if same { "the same".to_owned() } else { shown(&again) };
    book.put(
        &format!("{kind} {}", rest(call)),
        &format!("{}\nin protobuf: {} {content}: {said}", shown(&answer), packed.status),
    );
}

/// The answer with what containers use, and their processes, as nothing: that is never twice the same.
fn held(answer: Answer) -> Answer {
    let Ok(mut document) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let Some(all) = document["get_containers"]["containers"].as_array_mut() else { return answer };
    for container in all {
        container["container_status"]["executor_pid"] = json!(0);
        let used = container["resource_statistics"].as_object_mut();
        used.into_iter().flatten().for_each(|(_, it)| *it = json!(0));
    }
    Answer { body: document.to_string().into_bytes(), ..answer }
}

/// What a call says beside its type.
fn rest(call: &Value) -> String {
    let mut call = call.clone();
    call.as_object_mut().unwrap().remove("type");
    call.as_object().filter(|it| !it.is_empty()).map(|it| json!(it).to_string()).unwrap_or_default()
}

/// The master's calls that read, and those that it does not serve.
pub fn master_book(scene: &Scene) -> Book {
    let mut book = Book::new(
        "operator-master.txt",
        "The operator API of a master: POST /api/v1",
        &scene.known,
    );
    let address = scene.cluster.master.address();
    for kind in OF_MASTER.split(' ') {
        let call = json!({ "type": kind });
        both(&mut book, address, &call, &of_master(&call));
    }
    let framework = |id: &str| json!({ "framework_id": { "value": id } });
    let agent = json!({ "value": scene.agents[0] });
    for call in [
        json!({ "type": "READ_FILE", "read_file": { "path": "/master/log", "offset": 0 } }),
        json!({ "type": "TEARDOWN", "teardown": framework("nobody") }),
        json!({ "type": "TEARDOWN", "teardown": framework(&scene.gone) }),
        json!({ "type": "SET_LOGGING_LEVEL", "set_logging_level": { "level": 1, "duration": { "nanoseconds": 1 } } }),
        json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "db", "weight": 0.0 }] } }),
        json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "a b", "weight": 1.0 }] } }),
        json!({ "type": "DRAIN_AGENT", "drain_agent": { "agent_id": agent, "max_grace_period": { "seconds": -1 } } }),
        json!({ "type": "DRAIN_AGENT", "drain_agent": { "agent_id": { "value": "nobody" } } }),
        json!({ "type": "DEACTIVATE_AGENT", "deactivate_agent": { "agent_id": { "value": "nobody" } } }),
        json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": agent } }),
        json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": "nobody" } } }),
    ] {
        both(&mut book, address, &call, &of_master(&call));
    }
    for kind in [
        "READ_FILE",
        "TEARDOWN",
        "UPDATE_WEIGHTS",
        "RESERVE_RESOURCES",
        "UNRESERVE_RESOURCES",
        "CREATE_VOLUMES",
        "DESTROY_VOLUMES",
        "GROW_VOLUME",
        "SHRINK_VOLUME",
    ] {
        book.answer(
            &format!("{kind} without its message"),
            &post(address, PATH, &json!({ "type": kind })),
        );
    }
    refusals::claims(&mut book, scene);
    envelopes(&mut book, address);
    book
}

/// The agent's calls.
pub fn agent_book(scene: &Scene) -> Book {
    let mut book =
        Book::new("operator-agent.txt", "The operator API of an agent: POST /api/v1", &scene.known);
    // The one whose tasks the framework runs without a volume: nothing of it is on a disk of the machine.
    for (index, kinds) in [(2, OF_AGENT), (1, "GET_AGENT GET_TASKS"), (0, "GET_TASKS")] {
        book.put(&format!("agent{index}"), "");
        for kind in kinds.split(' ') {
            let call = json!({ "type": kind });
            both(&mut book, scene.cluster.agents[index].address(), &call, &of_agent(&call));
        }
    }
    let address = scene.cluster.agents[2].address();
    let run = run_of(scene, 2, "server");
    for call in [
        json!({ "type": "READ_FILE", "read_file": { "path": format!("{run}/stdout"), "offset": 0 } }),
        json!({ "type": "READ_FILE", "read_file": { "path": format!("{run}/stderr"), "offset": 3, "length": 4 } }),
        json!({ "type": "READ_FILE", "read_file": { "path": format!("{run}/stdout"), "offset": 1000 } }),
        json!({ "type": "READ_FILE", "read_file": { "path": run, "offset": 0 } }),
        json!({ "type": "READ_FILE", "read_file": { "path": "/etc/passwd", "offset": 0 } }),
        json!({ "type": "READ_FILE", "read_file": { "path": "../ledger", "offset": 0 } }),
        json!({ "type": "LIST_FILES", "list_files": { "path": format!("{}/frameworks", scene.agents[2]) } }),
        json!({ "type": "LIST_FILES", "list_files": { "path": "nowhere" } }),
    ] {
        both(&mut book, address, &call, &of_agent(&call));
    }
    for kind in ["READ_FILE", "LIST_FILES"] {
        book.answer(
            &format!("{kind} without its message"),
            &post(address, PATH, &json!({ "type": kind })),
        );
    }
    envelopes(&mut book, address);
    book
}

/// The directory of a task of the runner, as agents call it.
pub fn run_of(scene: &Scene, agent: usize, task: &str) -> String {
    format!(
        "{}/frameworks/{}/executors/{task}/runs/latest",
        scene.agents[agent], scene.runner.framework_id
    )
}

/// What it is, method, headers, body.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// What is refused before there is a call, or because there is none.
fn envelopes(book: &mut Book, address: SocketAddr) {
    let health = br#"{"type":"GET_HEALTH"}"#;
    let cases: [Case; 16] = [
        ("an unknown type", "POST", &[JSON], br#"{"type":"DANCE"}"#),
        ("the type UNKNOWN", "POST", &[JSON], br#"{"type":"UNKNOWN"}"#),
        ("a type that is a number", "POST", &[JSON], br#"{"type":1}"#),
        ("no type", "POST", &[JSON], b"{}"),
        ("no JSON", "POST", &[JSON], b"{"),
        ("a list", "POST", &[JSON], b"[]"),
        ("an empty body", "POST", &[JSON], b""),
        ("an unknown field", "POST", &[JSON], br#"{"type":"GET_HEALTH","more":1}"#),
        ("no Content-Type", "POST", &[], health),
        ("Content-Type text/plain", "POST", &[("Content-Type", "text/plain")], health),
        ("Accept text/html", "POST", &[JSON, ("Accept", "text/html")], health),
        ("Accept of anything", "POST", &[JSON, ("Accept", "*/*")], health),
        ("GET", "GET", &[], b""),
        ("PUT", "PUT", &[JSON], health),
        ("no protobuf", "POST", &[PROTOBUF], b"\xff\xff"),
        ("an empty body in protobuf", "POST", &[PROTOBUF], b""),
    ];
    for (what, method, headers, body) in cases {
        book.answer(what, &ask(address, method, PATH, headers, body));
    }
    let mut connection = Connection::open(address).unwrap();
    connection.send(&request("POST", PATH, &[JSON], &vec![b' '; TOO_LARGE]));
    book.answer("a body that is too large", &connection.answer());
}
