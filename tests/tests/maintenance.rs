//! A machine gets downtime planned, goes down and comes back: who runs something there is asked, the master is killed on the way, and the
//! volume on it is as it was. Real processes, by the calls, the pages and the command line.
//!
//! Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::http::{ask, get};
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

/// 2100, in nanoseconds since 1970.
const START_NS: i64 = 4_102_444_800_000_000_000;

fn status(cluster: &Cluster) -> Value {
    let call = json!({ "type": "GET_MAINTENANCE_STATUS" });
    let answer = cluster.call(&call).expect(200, "GET_MAINTENANCE_STATUS").json();
    answer["get_maintenance_status"]["status"].clone()
}

fn schedule(cluster: &Cluster, windows: &Value, expected: u16) -> String {
    let call = json!({
        "type": "UPDATE_MAINTENANCE_SCHEDULE",
        "update_maintenance_schedule": { "schedule": { "windows": windows } },
    });
    cluster.call(&call).expect(expected, "UPDATE_MAINTENANCE_SCHEDULE").text()
}

fn post(cluster: &Cluster, path: &str, body: &Value, expected: u16) {
    let body = body.to_string();
    let answer = ask(cluster.master.address(), "POST", path, &[], body.as_bytes());
    answer.expect(expected, path);
}

/// Offers say that downtime is planned, and who runs something there is asked.
fn everybody_is_told(cluster: &Cluster, scheduler: &mut Scheduler, agent: &str) {
    let asked = scheduler.event("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0].clone();
    assert_eq!((&asked["agent_id"]["value"], &asked["resources"]), (&json!(agent), &Value::Null));
    assert_eq!(asked["unavailability"]["start"]["nanoseconds"], START_NS, "{asked}");
    let is_planned = |it: &Value| it["unavailability"]["start"]["nanoseconds"] == START_NS;
    scheduler.event_where("an offer with the downtime", |event| {
        event["offers"]["offers"].as_array().is_some_and(|all| all.iter().any(is_planned))
    });
    let said = status(cluster)["draining_machines"][0]["statuses"][0].clone();
    assert_eq!(said["status"], "UNKNOWN", "{said}");
    let answer = json!({
        "type": "DECLINE_INVERSE_OFFERS",
        "decline_inverse_offers": { "inverse_offer_ids": [asked["id"]], "filters": { "refuse_seconds": 3600 } },
    });
    scheduler.call(answer).expect(202, "DECLINE_INVERSE_OFFERS");
    until("the answer is shown", || {
        let said = status(cluster)["draining_machines"][0]["statuses"][0].clone();
        if said["status"] == "DECLINE" {
            Ok(())
        } else {
            Err(said.to_string())
        }
    });
}

#[test]
fn a_machine_goes_down_and_comes_back_with_its_volume() {
    let mut cluster = Cluster::start();
    let host = cluster.wait_for_agent(0, "well")["hostname"].as_str().unwrap().to_owned();
    let claim = cluster.claim_volume(0, "v", &disk(16.0, None));
    let mut scheduler =
        Scheduler::subscribe(cluster.master.address(), &framework_info("f", 600.0), false);
    let offer = scheduler.offer_with("processor and memory", |it| it.to_string().contains("mem"));
    let agent = cluster.agent_id(0);
    let task = command_task("t", &agent, "sleep 1000", &[cpus(0.1), mem(32.0)]);
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    loop {
        let status = scheduler.status("t");
        scheduler.acknowledge(&status);
        if status["state"] == "TASK_RUNNING" {
            break;
        }
    }

    let machines = json!([{ "hostname": host.to_uppercase() }]);
    post(&cluster, "/machine/down", &machines, 400);
    let windows = json!([{
        "machine_ids": machines,
        "unavailability": { "start": { "nanoseconds": START_NS }, "duration": { "nanoseconds": 60_000_000_000_i64 } },
    }]);
    schedule(&cluster, &windows, 200);
    everybody_is_told(&cluster, &mut scheduler, &agent);
    let why = refused(&cluster, &["agent", "drain", &agent, "-y"]);
    assert!(why.contains("maintenance"), "{why}");

    // A failover forgets nothing that was planned.
    cluster.master.kill();
    cluster.master.start();
    let shown = get(cluster.master.address(), "/master/maintenance/schedule").expect(200, "page");
    assert_eq!(shown.json()["windows"], windows);
    cluster.wait_for_agent(0, "well");

    // Down: the task ends, the agent is refused, the claim stays.
    let plan = holdfast(&cluster, &["maintenance", "start", &host, "--plan"]);
    assert_eq!(plan.status.code(), Some(2), "{}", words(&plan));
    assert!(words(&plan).contains("kept, and offered again"), "{}", words(&plan));
    done(&cluster, &["maintenance", "start", &host, "-y"]);
    assert_eq!(status(&cluster)["down_machines"], machines);
    let why = schedule(&cluster, &json!([]), 400);
    assert!(why.contains("cannot be removed from the schedule"), "{why}");
    cluster.wait_for_agent(0, "fenced");
    assert_eq!(cluster.claim("v")["id"], claim["id"]);
    cluster.master.kill();
    cluster.master.start();
    cluster.wait_for_agent(0, "fenced");

    // Up: everything is there again but the task.
    post(&cluster, "/machine/up", &machines, 200);
    post(&cluster, "/machine/up", &machines, 400);
    cluster.wait_for_agent(0, "well");
    assert_eq!(cluster.claim("v")["id"], claim["id"]);
    assert_eq!(get(cluster.master.address(), "/maintenance/schedule").json(), json!({}));
    until("the task has ended", || {
        let tasks = cluster.list("tasks");
        let runs = tasks.iter().any(|it| it["id"] == "t" && it["ended"] == false);
        if runs {
            Err(format!("{tasks:?}"))
        } else {
            Ok(())
        }
    });

    done(&cluster, &["maintenance", "schedule", &host, "--in", "1h", "--for", "30m"]);
    let listed = done(&cluster, &["maintenance", "list"]);
    assert!(listed.contains(&host) && listed.contains("draining"), "{listed}");
    done(&cluster, &["maintenance", "clear", &host]);
    let why = refused(&cluster, &["maintenance", "clear", &host]);
    assert!(why.contains("no downtime is planned"), "{why}");
}
