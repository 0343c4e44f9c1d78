//! How a task ended: by itself, by a signal, at its memory limit, out of time; in the words and with the reasons of Mesos.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;

use holdfast_tests::calls::{command_task, cpus, framework_info, mem};
use holdfast_tests::{left_out, Cluster, Scheduler};
use serde_json::{json, Value};

const TOO_LONG: &str = "REASON_MAX_COMPLETION_TIME_REACHED";
const MEMORY: &str = "REASON_CONTAINER_LIMITATION_MEMORY";

#[test]
fn an_end_has_its_state_its_reason_and_words() {
    let cluster = Cluster::start();
    let agent = cluster.agent_id(0);
    let info = framework_info("f", 0.0);
    let mut scheduler = Scheduler::subscribe(cluster.master.address(), &info, false);
    let limited = !cluster.agents[0].log().contains("limits are not enforced");
    let memory = "Memory limit exceeded: Requested: ";
    let reason = |name: &'static str| Some(name);
    let all = [
        ("well", "true", "TASK_FINISHED", None, "Command exited with status 0"),
        ("ill", "exit 42", "TASK_FAILED", None, "Command exited with status 42"),
        ("signal", "kill -SEGV $$", "TASK_FAILED", None, "Segmentation fault (SIGSEGV)"),
        ("late", "exec sleep 1000", "TASK_FAILED", reason(TOO_LONG), "max_completion_time"),
        ("memory", "exec tail /dev/zero", "TASK_FAILED", reason(MEMORY), memory),
        ("child", "tail /dev/zero; exit 3", "TASK_FAILED", reason(MEMORY), "status 3"),
    ];
    let wanted = all.iter().filter(|(id, ..)| limited || !["memory", "child"].contains(id));
    if !limited {
        left_out("the end of a task at its memory limit", "no cgroups here");
    }
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let task = |(id, line, ..): &(&str, &str, &str, Option<&str>, &str)| {
        let mut task = command_task(id, &agent, line, &[cpus(0.1), mem(32.0)]);
        if *id == "late" {
            task["max_completion_time"] = json!({ "nanoseconds": 200_000_000 });
            task["kill_policy"] =
                json!({ "grace_period": { "nanoseconds": 3_600_000_000_000_u64 } });
        }
        task
    };
    let tasks: Vec<Value> = wanted.clone().map(task).collect();
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": tasks } }]));
    let mut ends = BTreeMap::new();
    while ends.len() < tasks.len() {
        let event = scheduler.event("UPDATE");
        let status = event["update"]["status"].clone();
        scheduler.acknowledge(&status);
        if !["TASK_STARTING", "TASK_RUNNING"].contains(&status["state"].as_str().unwrap()) {
            ends.insert(status["task_id"]["value"].as_str().unwrap().to_owned(), status);
        }
    }
    for (id, _, state, reason, words) in wanted {
        let status = &ends[*id];
        assert_eq!(status["state"], *state, "{status:#}");
        assert_eq!(status["reason"].as_str(), *reason, "{status:#}");
        assert!(status["message"].as_str().unwrap().contains(words), "{status:#}");
    }
}
