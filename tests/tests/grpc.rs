//! A scheduler over gRPC against a real master and agent: the same messages as over HTTP, on one bidirectional stream of the same port.
//!
//! Relies on the client of `wire`, as a framework in Rust would. Never falls back on HTTP.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_proto::mesos::v1::scheduler::{event::Type, Call, Event};
use holdfast_tests::calls::{command_task, cpus, mem};
use holdfast_tests::http::get;
use holdfast_tests::Cluster;
use holdfast_wire::SchedulerStreamClient;
use serde_json::{json, Value};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// A call, written as Mesos writes it in JSON.
fn call(json: &Value) -> Call {
    holdfast_proto::json::from_slice(json.to_string().as_bytes()).unwrap()
}

/// The framework, once it is known.
struct Framework {
    id: String,
    calls: Sender<Call>,
}

impl Framework {
    async fn say(&self, mut what: Value) {
        what["framework_id"] = json!({ "value": self.id });
        self.calls.send(call(&what)).await.unwrap();
    }

    /// Answers an offer with a task.
    async fn launch(&self, event: &Event, command: &str) {
        let offer = &event.offers.as_ref().unwrap().offers[0];
        let task = command_task("t", &offer.agent_id.value, command, &[cpus(0.1), mem(32.0)]);
        let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": [task] } });
        self.say(json!({ "type": "ACCEPT", "accept": { "offer_ids": [{ "value": offer.id.value }], "operations": [launch] } })).await;
    }

    /// Acknowledges a status; its state.
    async fn acknowledge(&self, event: &Event) -> String {
        let status = &event.update.as_ref().unwrap().status;
        if let Some(uuid) = &status.uuid {
            let (agent, task) = (&status.agent_id.as_ref().unwrap().value, &status.task_id.value);
            let acknowledge = json!({ "agent_id": { "value": agent }, "task_id": { "value": task }, "uuid": base64(uuid) });
            self.say(json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge })).await;
        }
        status.state().as_str_name().to_owned()
    }
}

/// Bytes as JSON has them.
fn base64(bytes: &[u8]) -> Value {
    let carrier = holdfast_proto::mesos::v1::scheduler::call::Acknowledge {
        uuid: bytes.to_vec(),
        ..Default::default()
    };
    serde_json::from_slice::<Value>(&holdfast_proto::json::to_vec(&carrier)).unwrap()["uuid"]
        .clone()
}

#[test]
fn a_framework_over_grpc_runs_a_task_to_its_end() {
    let cluster = Cluster::start();
    let address = cluster.master.address().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let states = runtime.block_on(async {
        let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": { "user": "", "name": "grpc", "roles": ["r"],
            "capabilities": [{ "type": "MULTI_ROLE" }] } } });
        let (calls, mut events) = SchedulerStreamClient::default().subscribe(&address, call(&subscribe)).await.unwrap();
        let (mut framework, mut states) = (Framework { id: String::new(), calls }, Vec::new());
        while states.last().is_none_or(|it| it != "TASK_FINISHED") {
            let event = tokio::time::timeout(holdfast_tests::deadline::SOON, events.recv()).await.expect("an event").unwrap().expect("it goes on");
            match event.r#type() {
                Type::Subscribed => framework.id = event.subscribed.unwrap().framework_id.value,
                Type::Offers if states.is_empty() => framework.launch(&event, "exit 0").await,
                Type::Update => states.push(framework.acknowledge(&event).await),
                _ => {}
            }
        }
        states
    });
    assert!(states.contains(&"TASK_RUNNING".to_owned()), "{states:?}");
    let frameworks = cluster.list("frameworks");
    assert_eq!((frameworks.len(), &frameworks[0]["name"]), (1, &json!("grpc")));
    let page = |query: &str| get(cluster.master.address(), &format!("/tasks?{query}")).json();
    for (query, tasks) in [
        ("", 1),
        ("task_id=t&limit=5", 1),
        ("task_id=u", 0),
        ("offset=1&order=asc", 0),
        ("limit=0", 0),
    ] {
        assert_eq!(page(query)["tasks"].as_array().unwrap().len(), tasks, "{query}");
    }
    get(cluster.master.address(), "/tasks?limit=many").expect(400, "a limit is a number");
    get(cluster.master.address(), "/tasks?order=up").expect(400, "an order is known");
}

/// What a newer agent sends arrives with nothing set, for its kind is not known.
#[test]
fn a_message_that_the_master_does_not_know_is_answered_and_the_link_stands() {
    use holdfast_proto::holdfast::v1::{to_agent::Message, FromAgent};
    let cluster = Cluster::start();
    let address = cluster.master.address().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut answers) =
            holdfast_wire::AgentLinkClient::default().connect(&address).await.unwrap();
        for _ in 0..2 {
            sender.send(FromAgent { message: None }).unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(30), answers.recv()).await;
            let answer = answer.expect("an answer").unwrap().expect("the link stands").message;
            let Some(Message::UnknownMessage(answer)) = answer else { panic!("{answer:?}") };
            assert_eq!(answer.newest_known, 11);
        }
    });
}
