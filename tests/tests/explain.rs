//! Why is it not placed, and what became of it: `explain` speaks of the very offer and the very task.
//!
//! Relies on one real agent. Never asks the master's core; only its pages.

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem, volume};
use holdfast_tests::http::get;
use holdfast_tests::{Cluster, Scheduler};
use serde_json::{json, Value};

fn explain(cluster: &Cluster, query: &str) -> Value {
    get(cluster.master.address(), &format!("/holdfast/v1/explain?about={query}"))
        .expect(200, "explain")
        .json()
}

/// Acknowledges each status of a task but the last.
fn wait_for_end(scheduler: &mut Scheduler, task: &str) {
    loop {
        let status = scheduler.status(task);
        if status["state"] == "TASK_FAILED" {
            return;
        }
        scheduler.acknowledge(&status);
    }
}

#[test]
fn an_offer_that_is_not_enough_is_named_with_what_it_lacks_and_a_task_with_its_end_and_its_volume()
{
    let cluster = Cluster::start();
    cluster.claim_volume(0, "v", &disk(64.0, None));
    let mut scheduler =
        Scheduler::subscribe(cluster.master.address(), &framework_info("f", 60.0), false);
    let offer = scheduler.offer_with("the volume", |it| it["disk"]["persistence"]["id"] == "v");
    let agent = offer["agent_id"]["value"].as_str().expect("an offer names its agent").to_owned();
    let told = explain(&cluster, "f&resources=cpus:1000000");
    let (row, id) =
        (&told["reasons"][0], offer["id"]["value"].as_str().expect("an offer has an id"));
    let reason = row["reason"].as_str().unwrap_or_default();
    assert_eq!(
        (row["offer"].as_str(), row["agent"].as_str(), &told["task"]),
        (Some(id), Some(agent.as_str()), &Value::Null),
        "{told:#}"
    );
    assert!(
        reason.starts_with(&format!("offer {id} has cpus "))
            && reason.ends_with(" of 1000000 asked"),
        "{reason}"
    );
    let told = explain(&cluster, "f&resources=cpus:0.1");
    assert!(
        told["summary"]
            .as_str()
            .unwrap_or_default()
            .contains(&format!("all that is asked is in offer {id}")),
        "{told:#}"
    );

    let task = command_task(
        "t",
        &agent,
        "exit 3",
        &[cpus(0.1), mem(32.0), volume(&disk(64.0, None), "v")],
    );
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    wait_for_end(&mut scheduler, "t");
    let told = explain(&cluster, "t");
    let summary = told["summary"].as_str().unwrap_or_default();
    assert!(summary.starts_with("task t is TASK_FAILED") && summary.contains(": "), "{summary}");
    assert_eq!(
        (&told["task"], &told["tasks"][0]["state"]),
        (&json!("t"), &json!("TASK_FAILED")),
        "{told:#}"
    );
    assert_eq!(
        (&told["volumes"][0]["volume"], &told["volumes"][0]["agent"]),
        (&json!("v"), &json!(agent)),
        "{told:#}"
    );
    scheduler.hang_up();
}
