//! The scheduler API of a master: the events of a small framework, from its first to its last.
//!
//! Relies on each step's outcome being waited for. Never sends a call that is refused, but to see a task or an operation refused.

use holdfast_tests::calls::{self, command_task, cpus, disk, mem, reserved, volume};
use holdfast_tests::http::{request, Connection};
use holdfast_tests::Scheduler;
use serde_json::{json, Value};

use super::book::{shown, Book};
use super::layout::laid_out;
use super::play::Play;
use super::refusals;
use super::steps::{info, launch, wait_for_offers};

/// Where schedulers call.
pub const SCHEDULER: &str = "/api/v1/scheduler";

/// The book of the scheduler API.
pub fn book() -> Vec<Book> {
    let mut play = Play::begin();
    play.expect("after SUBSCRIBE", &["HEARTBEAT"]);
    let offers = play.offers("after SUBSCRIBE");
    operations(&mut play, &offers);
    reconciling(&mut play);
    ends(&mut play);
    failing(&mut play);
    rescinding(&mut play);
    others(&mut play);
    let executors = refusals::executor_book(&play);
    refusals::record(&mut play);
    failover(&mut play);
    vec![play.book, executors]
}

fn operation(kind: &str, id: &str, body: Value) -> Value {
    json!({ "type": kind.to_uppercase(), "id": { "value": id }, kind: body })
}

/// One ACCEPT with operations that succeed and some that do not.
fn operations(play: &mut Play, offers: &Value) {
    let (agent, piece) = (play.agent.clone(), disk(64.0, None));
    let held = volume(&piece, "v");
    let good =
        command_task("good", &agent, "exec sleep 1000", &[cpus(0.5), mem(32.0), held.clone()]);
    let mut bad = command_task("bad", &agent, "exit 0", &[cpus(0.1), mem(32.0)]);
    bad["command"]["uris"] = json!([{ "value": "gopher://example.com/x" }]);
    let greedy = command_task("greedy", &agent, "exit 0", &[cpus(1000.0)]);
    let wrong = json!({ "task_id": { "value": "wrong" }, "name": "wrong", "agent_id": { "value": agent }, "resources": [] });
    let operations = json!([
        operation("reserve", "r", json!({ "resources": [reserved(&piece)] })),
        operation("create", "c", json!({ "volumes": [held] })),
        operation("reserve", "too-much", json!({ "resources": [reserved(&disk(1e9, None))] })),
        operation("reserve", "negative", json!({ "resources": [reserved(&disk(-1.0, None))] })),
        operation("destroy", "none", json!({ "volumes": [volume(&piece, "none")] })),
        operation("grow_volume", "grow", json!({ "volume": held, "addition": piece })),
        operation("shrink_volume", "whole", json!({ "volume": held, "subtract": { "value": 64 } })),
        operation("create_disk", "disk", json!({ "source": piece, "target_type": "MOUNT" })),
        { "type": "LAUNCH", "launch": { "task_infos": [good, bad, greedy, wrong] } },
    ]);
    play.accept(offers, operations);
    let names = [
        "UPDATE_OPERATION_STATUS r OPERATION_FINISHED",
        "UPDATE_OPERATION_STATUS c OPERATION_FINISHED",
        "UPDATE_OPERATION_STATUS too-much OPERATION_ERROR",
        "UPDATE_OPERATION_STATUS negative OPERATION_ERROR",
        "UPDATE_OPERATION_STATUS none OPERATION_ERROR",
        "UPDATE_OPERATION_STATUS grow OPERATION_ERROR",
        "UPDATE_OPERATION_STATUS whole OPERATION_ERROR",
        "UPDATE_OPERATION_STATUS disk OPERATION_ERROR",
        "UPDATE bad TASK_ERROR",
        "UPDATE greedy TASK_ERROR",
        "UPDATE wrong TASK_ERROR",
        "UPDATE good TASK_STARTING",
        "UPDATE good TASK_RUNNING",
    ];
    let found = play.expect("after ACCEPT", &names);
    for name in &names[..2] {
        let status = &found[*name]["update_operation_status"]["status"];
        let acknowledge = json!({ "agent_id": status["agent_id"], "uuid": status["uuid"]["value"], "operation_id": status["operation_id"] });
        play.call(
            "ACKNOWLEDGE_OPERATION_STATUS",
            json!({ "type": "ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status": acknowledge }),
        );
    }
}

/// What is asked again is told again.
fn reconciling(play: &mut Play) {
    let tasks = json!([{ "task_id": { "value": "good" } }, { "task_id": { "value": "unknown" }, "agent_id": { "value": play.agent } }]);
    play.call("RECONCILE", json!({ "type": "RECONCILE", "reconcile": { "tasks": tasks } }));
    play.expect("after RECONCILE", &["UPDATE good TASK_RUNNING", "UPDATE unknown TASK_GONE"]);
    play.call("RECONCILE of all", json!({ "type": "RECONCILE", "reconcile": {} }));
    play.expect("after RECONCILE of all", &["UPDATE good TASK_RUNNING"]);
    let operations = json!([{ "operation_id": { "value": "unknown" } }, { "operation_id": { "value": "other" }, "agent_id": { "value": play.agent } }]);
    play.call("RECONCILE_OPERATIONS", json!({ "type": "RECONCILE_OPERATIONS", "reconcile_operations": { "operations": operations } }));
    play.expect(
        "after RECONCILE_OPERATIONS",
        &[
            "UPDATE_OPERATION_STATUS unknown OPERATION_UNKNOWN",
            "UPDATE_OPERATION_STATUS other OPERATION_UNKNOWN",
        ],
    );
}

/// An executor of the framework's own ends before it has said anything.
fn failing(play: &mut Play) {
    let agent = play.agent.clone();
    let mut task = command_task("lost", &agent, "", &[cpus(0.1), mem(32.0)]);
    task.as_object_mut().unwrap().remove("command");
    task["executor"] = json!({
        "type": "CUSTOM", "executor_id": { "value": "own" }, "command": { "shell": true, "value": "exit 3" }, "resources": [cpus(0.1), mem(32.0)],
    });
    let tasks = json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]);
    launch(&play.cluster, &play.scheduler, &agent, "ports:", tasks);
    play.expect("after the end of an executor", &["FAILURE", "UPDATE lost TASK_FAILED"]);
}

/// Tasks end: killed, with their executor, by themselves.
fn ends(play: &mut Play) {
    play.call("KILL", json!({ "type": "KILL", "kill": { "task_id": { "value": "good" } } }));
    play.expect("after KILL", &["UPDATE good TASK_KILLED"]);
    play.call(
        "KILL of nothing",
        json!({ "type": "KILL", "kill": { "task_id": { "value": "nothing" } } }),
    );
    play.expect("after KILL of nothing", &["UPDATE nothing TASK_UNKNOWN"]);
    let held = volume(&disk(64.0, None), "v");
    let agent = play.agent.clone();
    let quick = command_task("quick", &agent, "exit 7", &[cpus(0.5), mem(32.0)]);
    let stays = command_task("stays", &agent, "exec sleep 1000", &[cpus(0.5), mem(32.0)]);
    let tasks = json!({ "type": "LAUNCH", "launch": { "task_infos": [quick, stays] } });
    let destroy = operation("destroy", "d", json!({ "volumes": [held] }));
    launch(&play.cluster, &play.scheduler, &agent, "[v]", json!([tasks, destroy]));
    let names = [
        "UPDATE quick TASK_STARTING",
        "UPDATE quick TASK_RUNNING",
        "UPDATE quick TASK_FAILED",
        "UPDATE stays TASK_STARTING",
        "UPDATE stays TASK_RUNNING",
        "UPDATE_OPERATION_STATUS d OPERATION_FINISHED",
    ];
    play.expect("after LAUNCH", &names);
    let message = json!({ "agent_id": { "value": agent }, "executor_id": { "value": "stays" }, "data": "eA==" });
    play.call("MESSAGE", json!({ "type": "MESSAGE", "message": message }));
    let shutdown = json!({ "agent_id": { "value": agent }, "executor_id": { "value": "stays" } });
    play.call("SHUTDOWN", json!({ "type": "SHUTDOWN", "shutdown": shutdown }));
    play.expect("after SHUTDOWN", &["UPDATE stays TASK_KILLED"]);
}

/// An operator takes what is offered.
fn rescinding(play: &mut Play) {
    wait_for_offers(&play.cluster, &play.scheduler, &play.agent, "ports:");
    play.cluster
        .call(&calls::reserve(&play.agent, &[reserved(&cpus(1.0))]))
        .expect(202, "RESERVE_RESOURCES");
    play.expect("after RESERVE_RESOURCES", &["RESCIND"]);
}

/// Calls that change what is offered, and those without effect.
fn others(play: &mut Play) {
    let mut changed = info("small", "db");
    changed["id"] = json!({ "value": play.scheduler.framework_id });
    changed["labels"] = json!({ "labels": [{ "key": "k", "value": "v" }] });
    let none = json!({ "inverse_offer_ids": [] });
    for call in [
        json!({ "type": "SUPPRESS", "suppress": { "roles": ["db"] } }),
        json!({ "type": "SUPPRESS" }),
        json!({ "type": "REVIVE", "revive": { "roles": ["db"] } }),
        json!({ "type": "SUPPRESS", "suppress": { "roles": ["other"] } }),
        json!({ "type": "DECLINE", "decline": { "offer_ids": [{ "value": "no-such-offer" }] } }),
        json!({ "type": "REQUEST", "request": { "requests": [] } }),
        json!({ "type": "ACCEPT_INVERSE_OFFERS", "accept_inverse_offers": none }),
        json!({ "type": "DECLINE_INVERSE_OFFERS", "decline_inverse_offers": none }),
        json!({ "type": "UPDATE_FRAMEWORK", "update_framework": { "framework_info": changed } }),
        json!({ "type": "UPDATE_FRAMEWORK", "update_framework": { "framework_info": info("small", "db") } }),
        json!({ "type": "SUPPRESS" }),
    ] {
        play.call(&call.to_string(), call);
    }
    let late = json!({ "offer_ids": [{ "value": "no-such-offer" }], "operations": [operation("reserve", "late", json!({ "resources": [reserved(&cpus(1.0))] }))] });
    play.call("ACCEPT of an offer that is not there", json!({ "type": "ACCEPT", "accept": late }));
    play.expect(
        "after ACCEPT of an offer that is not there",
        &["UPDATE_OPERATION_STATUS late OPERATION_ERROR"],
    );
}

/// Another scheduler of the same framework, and its end.
fn failover(play: &mut Play) {
    let mut again = info("small", "db");
    again["id"] = json!({ "value": play.scheduler.framework_id });
    let next = Scheduler::subscribe(play.cluster.master.address(), &again, true);
    play.expect("after another scheduler subscribed", &["ERROR"]);
    play.book.put("SUBSCRIBE again", &laid_out(&next.subscribed.to_string()).unwrap());
    let answer = play.scheduler.call(json!({ "type": "REVIVE" }));
    play.book.answer("a call on the stream that is over", &answer);
    play.book.answer("TEARDOWN", &next.call(json!({ "type": "TEARDOWN" })));
    let call = json!({ "type": "SUBSCRIBE", "framework_id": again["id"], "subscribe": { "framework_info": again } });
    let mut connection = Connection::open(play.cluster.master.address()).unwrap();
    connection.send(&request(
        "POST",
        SCHEDULER,
        &[("Content-Type", "application/json")],
        call.to_string().as_bytes(),
    ));
    let head = connection.head();
    let mut events = Vec::new();
    while let Some(chunk) = connection.chunk().filter(|_| events.len() < 3) {
        let text = String::from_utf8(chunk).unwrap();
        events.push(text.split_once('\n').unwrap().1.to_owned());
    }
    play.book
        .put("SUBSCRIBE of a removed framework", &format!("{}{}", shown(&head), events.join("\n")));
}
