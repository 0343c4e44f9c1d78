//! What the APIs refuse: the scheduler's and the operator's of a master, the executor's of an agent.
//!
//! Relies on a framework that is subscribed. Never sends a call that is taken, but for a heartbeat, which says nothing.

use holdfast_tests::calls::{self, disk, reserved, volume};
use holdfast_tests::http::{ask, post};
use serde_json::{json, Value};

use super::book::Book;
use super::normal::Known;
use super::play::Play;
use super::scene::Scene;
use super::scheduler::SCHEDULER;
use super::steps::info;

/// A stream id that nobody was given.
const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// What it is, the stream id if there is one, the call.
type Case<'a> = (String, Option<&'a str>, Value);

/// What a master refuses a scheduler.
pub fn record(play: &mut Play) {
    let address = play.cluster.master.address();
    let (own, stream) = (play.scheduler.framework_id.clone(), play.scheduler.stream_id.clone());
    for (what, stream, call) in strangers(&own, &stream)
        .into_iter()
        .chain(subscriptions(&own))
        .chain(incomplete(&own, &stream))
    {
        let mut headers = vec![JSON];
        headers.extend(stream.map(|it| ("Mesos-Stream-Id", it)));
        play.book.answer(
            &format!("refused: {what}"),
            &ask(address, "POST", SCHEDULER, &headers, call.to_string().as_bytes()),
        );
    }
    play.book.answer("refused: GET", &ask(address, "GET", SCHEDULER, &[], b""));
    play.book.answer("refused: no Content-Type", &ask(address, "POST", SCHEDULER, &[], b"{}"));
    let call = subscribe("name", json!("new")).to_string();
    let answer = ask(address, "POST", SCHEDULER, &[JSON, ("Accept", "text/html")], call.as_bytes());
    play.book.answer("refused: Accept text/html", &answer);
}

/// A SUBSCRIBE with one field of its own.
fn subscribe(field: &str, value: Value) -> Value {
    let mut info = info("new", "db");
    info[field] = value;
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } })
}

/// Calls of somebody who is not the framework, or says not who he is.
fn strangers<'a>(own: &str, stream: &'a str) -> Vec<Case<'a>> {
    let revive = |id: &str| json!({ "type": "REVIVE", "framework_id": { "value": id } });
    let cases = [
        ("another's stream id", Some(NOBODYS), revive(own)),
        ("a stream id that is none", Some("x"), revive(own)),
        ("no stream id", None, revive(own)),
        ("an unknown framework", Some(stream), revive("nobody")),
        ("no framework", Some(stream), json!({ "type": "REVIVE" })),
    ];
    cases.into_iter().map(|(what, stream, call)| (what.to_owned(), stream, call)).collect()
}

/// Subscriptions that cannot be.
fn subscriptions<'a>(own: &str) -> Vec<Case<'a>> {
    let cases = [
        ("SUBSCRIBE without its message", None, json!({ "type": "SUBSCRIBE" })),
        ("SUBSCRIBE with a stream id", Some(NOBODYS), subscribe("name", json!("new"))),
        ("SUBSCRIBE without a user", None, subscribe("user", Value::Null)),
        ("SUBSCRIBE with a wrong role", None, subscribe("roles", json!(["a/../b"]))),
        ("SUBSCRIBE with a role twice", None, subscribe("roles", json!(["db", "db"]))),
        ("SUBSCRIBE with a negative timeout", None, subscribe("failover_timeout", json!(-1.0))),
        ("SUBSCRIBE with an id on one side only", None, subscribe("id", json!({ "value": own }))),
    ];
    cases.into_iter().map(|(what, stream, call)| (what.to_owned(), stream, call)).collect()
}

/// Calls of the framework that lack something.
fn incomplete<'a>(own: &str, stream: &'a str) -> Vec<Case<'a>> {
    let of_own = |kind: &str| json!({ "type": kind, "framework_id": { "value": own } });
    let mut accept = of_own("ACCEPT");
    accept["accept"] = json!({ "offer_ids": [{ "value": "a/b" }] });
    let mut cases = vec![
        ("an unknown call".to_owned(), Some(stream), of_own("DANCE")),
        ("no type".to_owned(), Some(stream), json!({})),
        ("ACCEPT of an offer id that is none".to_owned(), Some(stream), accept),
    ];
    let kinds =
        "ACCEPT DECLINE KILL SHUTDOWN ACKNOWLEDGE ACKNOWLEDGE_OPERATION_STATUS RECONCILE RECONCILE_OPERATIONS MESSAGE UPDATE_FRAMEWORK";
    cases.extend(
        kinds
            .split(' ')
            .map(|kind| (format!("{kind} without its message"), Some(stream), of_own(kind))),
    );
    cases
}

/// What a master refuses an operator who claims something.
pub fn claims(book: &mut Book, scene: &Scene) {
    let (address, agent) = (scene.cluster.master.address(), &scene.agents[0]);
    let whole = calls::reserve(agent, &[reserved(&disk(10.0, None))]).to_string();
    let ports =
        |ranges: Value| json!({ "name": "ports", "type": "RANGES", "ranges": { "range": ranges } });
    let overlapping =
        ports(json!([{ "begin": 31000, "end": 31010 }, { "begin": 31005, "end": 31020 }]));
    let backwards = ports(json!([{ "begin": 31010, "end": 31000 }]));
    let named = |id: &str| calls::create(agent, &[volume(&disk(1.0, None), id)]).to_string();
    let used = disk(512.0, None);
    for (what, body) in [
        (
            "an agent that is not there",
            calls::reserve("nobody", &[reserved(&disk(1.0, None))]).to_string(),
        ),
        ("nothing", calls::reserve(agent, &[]).to_string()),
        ("what is not reserved for anybody", calls::reserve(agent, &[disk(1.0, None)]).to_string()),
        ("a field that is missing", whole.replace("agent_id", "agent_ids")),
        ("a field of another type", whole.replace("10.0", "\"ten\"")),
        ("a negative amount", whole.replace("10.0", "-10.0")),
        ("an amount that is no number", whole.replace("10.0", "\"NaN\"")),
        ("more than there is", whole.replace("10.0", "99999999.0")),
        ("a role that is none", whole.replace("\"db\"", "\"../db\"")),
        ("ranges that overlap", calls::reserve(agent, &[reserved(&overlapping)]).to_string()),
        (
            "a range that ends before it begins",
            calls::reserve(agent, &[reserved(&backwards)]).to_string(),
        ),
        ("a volume's id with a slash", named("a/b")),
        ("an empty volume's id", named("")),
        (
            "a path out of the sandbox",
            named("v").replace("\"container_path\":\"data\"", "\"container_path\":\"../x\""),
        ),
        ("a volume that is only read", named("v").replace("\"RW\"", "\"RO\"")),
        (
            "a volume that is there already",
            calls::create(agent, &[volume(&used, "data-0")]).to_string(),
        ),
        (
            "a volume that is not there",
            calls::destroy(agent, &[volume(&used, "unknown")]).to_string(),
        ),
        (
            "the end of a volume in use",
            calls::destroy(agent, &[volume(&used, "data-0")]).to_string(),
        ),
        ("giving back a volume", calls::unreserve(agent, &[volume(&used, "data-0")]).to_string()),
        (
            "giving back what carries a volume",
            calls::unreserve(agent, &[reserved(&used)]).to_string(),
        ),
    ] {
        book.answer(
            &format!("refused claim: {what}"),
            &ask(address, "POST", "/api/v1", &[JSON], body.as_bytes()),
        );
    }
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
