//! One framework and what it is told, step by step.
//!
//! Relies on a cluster of its own. Never records events in the order in which they happened to come, where that is not defined: each step
//! says which events it waits for, and any other is a failure.

use std::collections::BTreeMap;

use holdfast_tests::{Cluster, Scheduler};
use serde_json::{json, Value};

use super::book::{shown, Book};
use super::layout::laid_out;
use super::normal::Known;
use super::steps::{acknowledge, info};

/// What an event is about, in words that are the same in each run.
fn name(event: &Value) -> String {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let (task, operation) =
        (&event["update"]["status"], &event["update_operation_status"]["status"]);
    let kind = text(&event["type"]);
    match kind.as_str() {
        "UPDATE" => format!("{kind} {} {}", text(&task["task_id"]["value"]), text(&task["state"])),
        "UPDATE_OPERATION_STATUS" => format!(
            "{kind} {} {}",
            text(&operation["operation_id"]["value"]),
            text(&operation["state"])
        ),
        _ => kind,
    }
}

/// One framework, and what it is told.
pub struct Play {
    /// A master and an agent.
    pub cluster: Cluster,
    /// The agent's id.
    pub agent: String,
    /// The framework's scheduler.
    pub scheduler: Scheduler,
    /// What it is told.
    pub book: Book,
}

impl Play {
    /// The framework subscribes.
    pub fn begin() -> Play {
        let cluster = Cluster::start();
        let agent = cluster.agent_id(0);
        let scheduler = Scheduler::subscribe(cluster.master.address(), &info("small", "db"), false);
        let mut known = Known::default();
        known.literal(agent.trim_end_matches("-S0"), "<cluster>");
        known.literal(cluster.master.address().port().to_string(), "<port of master>");
        known.literal(cluster.agents[0].address().port().to_string(), "<port of agent0>");
        known.literal(scheduler.stream_id.as_str(), "<stream>");
        let mut book = Book::new("scheduler.txt", "The scheduler API of a master", &known);
        book.put(
            "SUBSCRIBE",
            &format!(
                "{}\n{}",
                shown(&scheduler.head),
                laid_out(&scheduler.subscribed.to_string()).unwrap()
            ),
        );
        Play { cluster, agent, scheduler, book }
    }

    /// Waits for events and records them in the order of their names; acknowledges statuses of tasks, so that the next come.
    pub fn expect(&mut self, step: &str, names: &[&str]) -> BTreeMap<String, Value> {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        while !names.iter().all(|it| found.contains_key(*it)) {
            let event = self.scheduler.event_where(step, |_| true);
            let name = name(&event);
            if event["update"]["status"]["uuid"].is_string() {
                acknowledge(&self.scheduler, &event["update"]["status"]);
            }
            let is_expected = names.contains(&name.as_str());
            assert!(
                is_expected || ["HEARTBEAT", "OFFERS", "RESCIND"].contains(&name.as_str()),
                "{step}: unexpected {event:#}"
            );
            if is_expected {
                found.entry(name).or_insert(event);
            }
        }
        for name in names {
            self.book
                .put(&format!("{step}: {name}"), &laid_out(&found[*name].to_string()).unwrap());
        }
        found
    }

    /// The offers of the next event that has any.
    pub fn offers(&mut self, step: &str) -> Value {
        self.expect(step, &["OFFERS"])["OFFERS"]["offers"]["offers"].clone()
    }

    /// Sends a call and records the answer.
    pub fn call(&mut self, title: &str, call: Value) {
        let answer = self.scheduler.call(call);
        self.book.answer(title, &answer);
    }

    /// Accepts offers and records the answer.
    pub fn accept(&mut self, offers: &Value, operations: Value) {
        let ids: Vec<Value> =
            offers.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        let accept = json!({ "offer_ids": ids, "operations": operations, "filters": { "refuse_seconds": 0 } });
        self.call("ACCEPT", json!({ "type": "ACCEPT", "accept": accept }));
    }
}
