//! A shared volume: two tasks write to it at once, also across a `kill -9` of the agent, and it is destroyed when both have ended. Real
//! processes over real folders.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;

use holdfast_tests::calls::{
    self, command_task, cpus, disk, framework_info, mem, reserved, volume,
};
use holdfast_tests::cluster::text;
use holdfast_tests::scheduler::Scheduler;
use holdfast_tests::{until, Cluster};
use serde_json::{json, Value};

fn shared(piece: &Value) -> Value {
    let mut volume = volume(piece, "shared");
    volume["shared"] = json!({});
    volume
}

fn wait_for(scheduler: &mut Scheduler, task: &str, state: &str) {
    loop {
        let status = scheduler.status(task);
        scheduler.acknowledge(&status);
        if status["state"] == state {
            return;
        }
    }
}

#[test]
fn two_tasks_write_to_one_shared_volume_which_is_destroyed_when_both_have_ended() {
    let mut cluster = Cluster::start();
    let (agent, piece) = (cluster.agent_id(0), disk(20.0, None));
    cluster.call(&calls::reserve(&agent, &[reserved(&piece)])).expect(202, "RESERVE");
    cluster.call(&calls::create(&agent, &[shared(&piece)])).expect(202, "CREATE");
    let mut info = framework_info("sharer", 600.0);
    let capabilities = info["capabilities"].as_array_mut().unwrap();
    capabilities.push(json!({ "type": "SHARED_RESOURCES" }));
    let mut scheduler = Scheduler::subscribe(cluster.master.address(), &info, false);
    let offer = scheduler.offer_with("the volume", |it| it["shared"].is_object());
    let task = |id: &str| {
        let go = text(&cluster.path(&format!("end-{id}")));
        let line = format!("echo {id} >> data/log; until test -e {go}; do sleep 0.1; done");
        command_task(id, &agent, &line, &[cpus(0.1), mem(32.0), shared(&piece)])
    };
    let tasks = ["t1", "t2"].map(task);
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": tasks } }]));
    for task in ["t1", "t2"] {
        wait_for(&mut scheduler, task, "TASK_RUNNING");
    }
    cluster.agents[0].kill();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let row = cluster.claim("shared");
    let users: Vec<&Value> =
        row["users"].as_array().unwrap().iter().map(|it| &it["task"]).collect();
    assert_eq!((&row["shared"], users), (&json!(true), vec![&json!("t1"), &json!("t2")]));
    let destroy = calls::destroy(&agent, &[shared(&piece)]);
    let refused = until("the agent's news are there", || match cluster.call(&destroy) {
        answer if answer.text().contains("is just reporting") => Err(answer.text()),
        answer => Ok(answer),
    });
    let why = refused.text();
    assert!(why.contains("task `t1`") && why.contains("task `t2`"), "{why}");
    for task in ["t1", "t2"] {
        fs::write(cluster.path(&format!("end-{task}")), "").unwrap();
        wait_for(&mut scheduler, task, "TASK_FINISHED");
    }
    until("nobody uses it", || match cluster.call(&destroy) {
        answer if answer.status == 202 => Ok(()),
        answer => Err(answer.text()),
    });
    let row = until("the trash is told", || cluster.list("trash").pop().ok_or("no row"));
    assert_eq!(row["volume"], "shared");
    let volumes = cluster.agent_dir(0);
    let log = find(&volumes).expect("what they wrote is in the trash");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["t1", "t2"]);
}

/// The only file `log` of a volume below a folder.
fn find(folder: &std::path::Path) -> Option<String> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with("data/log") {
            return fs::read_to_string(path).ok();
        }
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = find(&path) {
                return Some(found);
            }
        }
    }
    None
}
