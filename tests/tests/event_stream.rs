//! An operator follows what happens: SUBSCRIBE of the Mesos operator API, as dashboards use it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::SocketAddr;

use holdfast_tests::calls::{command_task, cpus, framework_info, mem};
use holdfast_tests::http::{request, Connection};
use holdfast_tests::{Cluster, Scheduler};
use serde_json::{json, Value};

/// A subscription, as bytes come.
struct Events {
    connection: Connection,
    left: Vec<u8>,
}

impl Events {
    fn subscribe(address: SocketAddr) -> Events {
        let mut connection = Connection::open(address).unwrap();
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        connection.send(&request("POST", "/api/v1", &headers, br#"{"type":"SUBSCRIBE"}"#));
        let head = connection.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
        Events { connection, left: Vec::new() }
    }

    /// The next event that is no heartbeat: its length in digits, a newline, its JSON.
    fn next(&mut self) -> Value {
        loop {
            if let Some(at) = self.left.iter().position(|it| *it == b'\n') {
                let length = std::str::from_utf8(&self.left[..at]).unwrap().parse::<usize>();
                let end = at + 1 + length.unwrap();
                if end <= self.left.len() {
                    let event: Value = serde_json::from_slice(&self.left[at + 1..end]).unwrap();
                    self.left.drain(..end);
                    if event["type"] != "HEARTBEAT" {
                        return event;
                    }
                    continue;
                }
            }
            self.left.extend(self.connection.chunk().expect("the stream goes on"));
        }
    }

    fn until(&mut self, kind: &str) -> Value {
        let mut passed = Vec::new();
        loop {
            let event = self.next();
            if event["type"] == kind {
                return event;
            }
            passed.push(event["type"].clone());
            assert!(passed.len() < 100, "no {kind} among {passed:?}");
        }
    }
}

#[test]
fn who_follows_is_told_of_agents_frameworks_and_tasks() {
    let mut cluster = Cluster::without_agents();
    let address = cluster.master.address();
    let mut events = Events::subscribe(address);
    let first = events.next();
    assert_eq!(first["type"], "SUBSCRIBED");
    let subscribed = &first["subscribed"];
    assert_eq!(subscribed["heartbeat_interval_seconds"], 15.0);
    assert!(subscribed["get_state"]["get_agents"].is_object(), "{first}");
    cluster.add_agent(&[]);
    let added = events.until("AGENT_ADDED");
    let id = cluster.agent_id(0);
    assert_eq!(added["agent_added"]["agent"]["agent_info"]["id"]["value"], id.as_str());

    let mut scheduler = Scheduler::subscribe(address, &framework_info("f", 0.0), false);
    let added = events.until("FRAMEWORK_ADDED");
    let framework = &added["framework_added"]["framework"]["framework_info"];
    assert_eq!(framework["id"]["value"], scheduler.framework_id.as_str());
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let task = command_task("t", &id, "true", &[cpus(0.1), mem(32.0)]);
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    let added = events.until("TASK_ADDED");
    assert_eq!(added["task_added"]["task"]["task_id"]["value"], "t");
    let mut state = Value::Null;
    while state != "TASK_FINISHED" {
        let update = events.until("TASK_UPDATED");
        state = update["task_updated"]["state"].clone();
        let status = &update["task_updated"]["status"];
        assert_eq!(status["task_id"]["value"], "t", "{update}");
        scheduler.acknowledge(status);
    }
    // Somebody who comes later is told how it stands; both are told what happens then.
    let mut late = Events::subscribe(address);
    let state = &late.next()["subscribed"]["get_state"];
    assert_eq!(state["get_frameworks"]["frameworks"].as_array().map(Vec::len), Some(1));
    scheduler.call(json!({ "type": "TEARDOWN" })).expect(202, "TEARDOWN");
    for events in [&mut events, &mut late] {
        let removed = events.until("FRAMEWORK_REMOVED");
        let info = &removed["framework_removed"]["framework_info"];
        assert_eq!(info["id"]["value"], scheduler.framework_id.as_str());
    }
}
