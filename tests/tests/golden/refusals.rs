//! What the scheduler API of a master and the executor API of an agent refuse.
//!
//! Relies on a framework that is subscribed. Never sends a call that is taken, but for a heartbeat, which says nothing.

use holdfast_tests::http::{ask, post};
use serde_json::{json, Value};

use super::book::Book;
use super::normal::Known;
use super::scene::info;
use super::scheduler::{Play, SCHEDULER};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// What a master refuses a scheduler.
pub fn record(play: &mut Play) {
    let address = play.cluster.master.address();
    let own = play.scheduler.framework_id.clone();
    let stream = play.scheduler.stream_id.clone();
    let other = "00000000-0000-4000-8000-000000000000";
    let revive = |id: &str| json!({ "type": "REVIVE", "framework_id": { "value": id } });
    let of_own = |kind: &str| json!({ "type": kind, "framework_id": { "value": own } });
    let with = |field: &str, value: Value| {
        let mut info = info("new", "db");
        info[field] = value;
        json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } })
    };
    let mut cases: Vec<(String, &str, Value)> = vec![
        ("another's stream id".to_owned(), other, revive(&own)),
        ("a stream id that is none".to_owned(), "x", revive(&own)),
        ("no stream id".to_owned(), "", revive(&own)),
        ("an unknown framework".to_owned(), &stream, revive("nobody")),
        ("no framework".to_owned(), &stream, json!({ "type": "REVIVE" })),
        ("an unknown call".to_owned(), &stream, of_own("DANCE")),
        ("no type".to_owned(), &stream, json!({})),
        ("SUBSCRIBE without its message".to_owned(), "", json!({ "type": "SUBSCRIBE" })),
        ("SUBSCRIBE with a stream id".to_owned(), other, with("name", json!("new"))),
        ("SUBSCRIBE without a user".to_owned(), "", with("user", Value::Null)),
        ("SUBSCRIBE with a wrong role".to_owned(), "", with("roles", json!(["a/../b"]))),
        ("SUBSCRIBE with a role twice".to_owned(), "", with("roles", json!(["db", "db"]))),
        ("SUBSCRIBE with a negative timeout".to_owned(), "", with("failover_timeout", json!(-1.0))),
        (
            "SUBSCRIBE with an id on one side only".to_owned(),
            "",
            with("id", json!({ "value": own })),
        ),
        (
            "ACCEPT of an offer id that is none".to_owned(),
            &stream,
            json!({ "type": "ACCEPT", "framework_id": { "value": own }, "accept": { "offer_ids": [{ "value": "a/b" }] } }),
        ),
    ];
    for kind in [
        "ACCEPT",
        "DECLINE",
        "KILL",
        "SHUTDOWN",
        "ACKNOWLEDGE",
        "ACKNOWLEDGE_OPERATION_STATUS",
        "RECONCILE",
        "RECONCILE_OPERATIONS",
        "MESSAGE",
        "UPDATE_FRAMEWORK",
    ] {
        cases.push((format!("{kind} without its message"), &stream, of_own(kind)));
    }
    for (what, stream, call) in cases {
        let mut headers = vec![JSON];
        headers.extend(Some(("Mesos-Stream-Id", stream)).filter(|_| !stream.is_empty()));
        play.book.answer(
            &format!("refused: {what}"),
            &ask(address, "POST", SCHEDULER, &headers, call.to_string().as_bytes()),
        );
    }
    play.book.answer("refused: GET", &ask(address, "GET", SCHEDULER, &[], b""));
    play.book.answer("refused: no Content-Type", &ask(address, "POST", SCHEDULER, &[], b"{}"));
    play.book.answer(
        "refused: Accept text/html",
        &ask(
            address,
            "POST",
            SCHEDULER,
            &[JSON, ("Accept", "text/html")],
            with("name", json!("new")).to_string().as_bytes(),
        ),
    );
}

/// What an agent refuses its executors.
pub fn executor_book(play: &Play) -> Book {
    let address = play.cluster.agents[0].address();
    let mut known = Known::default();
    known.literal(play.agent.trim_end_matches("-S0"), "<cluster>");
    let mut book =
        Book::new("executor.txt", "The executor API of an agent: what is refused", &known);
    let of = |kind: &str, field: &str, body: Value| {
        let mut call = json!({ "type": kind, "executor_id": { "value": "e" }, "framework_id": { "value": play.scheduler.framework_id } });
        if !field.is_empty() {
            call[field] = body;
        }
        call
    };
    let lists = json!({ "unacknowledged_tasks": [], "unacknowledged_updates": [] });
    for call in [
        of("SUBSCRIBE", "subscribe", lists),
        of("SUBSCRIBE", "subscribe", json!({})),
        of("SUBSCRIBE", "", Value::Null),
        of("MESSAGE", "message", json!({ "data": "eA==" })),
        of("MESSAGE", "", Value::Null),
        of("UPDATE", "", Value::Null),
        of(
            "UPDATE",
            "update",
            json!({ "status": { "task_id": { "value": "t" }, "state": "TASK_RUNNING" } }),
        ),
        of("HEARTBEAT", "", Value::Null),
        of("DANCE", "", Value::Null),
        json!({ "type": "MESSAGE", "message": { "data": "eA==" } }),
        json!({}),
    ] {
        book.answer(&call.to_string(), &post(address, "/api/v1/executor", &call));
    }
    book.answer("GET", &ask(address, "GET", "/api/v1/executor", &[], b""));
    book.answer("no Content-Type", &ask(address, "POST", "/api/v1/executor", &[], b"{}"));
    book
}
