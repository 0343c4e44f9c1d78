//! A framework's scheduler over the Mesos v1 HTTP API, in JSON, by hand.
//!
//! Relies on a thread that reads the stream of events. Never acknowledges, accepts or declines by itself.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::Instant;

use serde_json::{json, Value};

use crate::deadline::SOON;
use crate::http::{ask, request, Answer, Connection};

/// A subscribed framework.
pub struct Scheduler {
    address: SocketAddr,
    /// The id that SUBSCRIBED told.
    pub framework_id: String,
    /// The stream's id.
    pub stream_id: String,
    /// The head of the answer to SUBSCRIBE.
    pub head: Answer,
    /// The event SUBSCRIBED.
    pub subscribed: Value,
    socket: TcpStream,
    events: Receiver<Value>,
}

impl Scheduler {
    /// Subscribes, with all roles suppressed if `quiet`. A `framework_info` with an id subscribes again.
    pub fn subscribe(address: SocketAddr, framework_info: &Value, quiet: bool) -> Scheduler {
        let mut subscribe = json!({ "framework_info": framework_info });
        if quiet {
            subscribe["suppressed_roles"] = framework_info["roles"].clone();
        }
        let mut call = json!({ "type": "SUBSCRIBE", "subscribe": subscribe });
        if let Some(id) = framework_info.get("id") {
            call["framework_id"] = id.clone();
        }
        let mut connection = Connection::open(address)
            .unwrap_or_else(|error| panic!("cannot reach the master: {error}"));
        connection.stream.set_read_timeout(None).expect("the socket is open");
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        connection.send(&request(
            "POST",
            "/api/v1/scheduler",
            &headers,
            call.to_string().as_bytes(),
        ));
        let head = connection.head();
        assert_eq!(head.status, 200, "SUBSCRIBE: {}", head.head);
        let stream_id = head
            .header("Mesos-Stream-Id")
            .expect("the answer to SUBSCRIBE names the stream")
            .to_owned();
        let socket = connection.stream.try_clone().expect("the socket is open");
        let (sender, events) = channel();
        std::thread::spawn(move || {
            while let Some(event) = connection.chunk().and_then(|chunk| record(&chunk)) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let mut scheduler = Scheduler {
            address,
            framework_id: String::new(),
            stream_id,
            head,
            subscribed: Value::Null,
            socket,
            events,
        };
        scheduler.subscribed = scheduler.event("SUBSCRIBED");
        let id = scheduler.subscribed["subscribed"]["framework_id"]["value"]
            .as_str()
            .expect("SUBSCRIBED names the framework");
        scheduler.framework_id = id.to_owned();
        scheduler
    }

    /// The next event of a type; earlier ones of other types are passed over.
    pub fn event(&mut self, kind: &str) -> Value {
        self.event_where(kind, |event| event["type"] == kind)
    }

    /// The next event that is looked for; earlier ones are passed over.
    pub fn event_where(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        let mut passed = Vec::new();
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) if is_it(&event) => return event,
                Ok(event) => passed.push(event.to_string()),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what} within {SOON:?}; came instead: {passed:#?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the stream ended before {what}; came before: {passed:#?}")
                }
            }
        }
    }

    /// The next status of a task.
    pub fn status(&mut self, task: &str) -> Value {
        let event = self.event_where(&format!("a status of task {task}"), |event| {
            event["type"] == "UPDATE" && event["update"]["status"]["task_id"]["value"] == task
        });
        event["update"]["status"].clone()
    }

    /// The next offer that has a resource which is looked for.
    pub fn offer_with(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let has = |offer: &&Value| {
            offer["resources"].as_array().is_some_and(|all| all.iter().any(&is_it))
        };
        let find = |event: &Value| {
            event["offers"]["offers"].as_array().and_then(|all| all.iter().find(has).cloned())
        };
        let event =
            self.event_where(&format!("an offer with {what}"), |event| find(event).is_some());
        find(&event).expect("it was found")
    }

    /// Sends a call; `body` says what, the framework's id is added.
    pub fn call(&self, body: Value) -> Answer {
        let mut body = body;
        body["framework_id"] = json!({ "value": self.framework_id });
        let headers =
            [("Content-Type", "application/json"), ("Mesos-Stream-Id", self.stream_id.as_str())];
        ask(self.address, "POST", "/api/v1/scheduler", &headers, body.to_string().as_bytes())
    }

    /// Acknowledges a status, if it wants that.
    pub fn acknowledge(&self, status: &Value) {
        if status["uuid"].is_string() {
            let (agent, task) = (&status["agent_id"], &status["task_id"]);
            let acknowledge = json!({ "agent_id": agent, "task_id": task, "uuid": status["uuid"] });
            let call = json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge });
            self.call(call).expect(202, "ACKNOWLEDGE");
        }
    }

    /// Accepts an offer with operations.
    pub fn accept(&self, offer: &Value, operations: Value) {
        let call = json!({ "type": "ACCEPT", "accept": { "offer_ids": [offer["id"]], "operations": operations, "filters": { "refuse_seconds": 0 } } });
        self.call(call).expect(202, "ACCEPT");
    }

    /// Hangs up, as a scheduler that dies does.
    pub fn hang_up(self) {
        drop(self);
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // The master may have hung up before.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// One chunk is exactly one record.
fn record(chunk: &[u8]) -> Option<Value> {
    let at = chunk.iter().position(|byte| *byte == b'\n')?;
    let (length, text) = chunk.split_at(at + 1);
    let length: usize = std::str::from_utf8(length).ok()?.trim_end().parse().ok()?;
    assert_eq!(length, text.len(), "a chunk is exactly one record");
    assert!(!text.contains(&b'\n'), "a record is one line");
    serde_json::from_slice(text).ok()
}
