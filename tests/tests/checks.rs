//! Health checks and checks of tasks, made by the executors that every agent has.
//!
//! Relies on real processes and sockets; what a check sees is changed by hand.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use holdfast_tests::calls::{command_task, cpus, framework_info, mem};
use holdfast_tests::{Cluster, Scheduler};
use serde_json::{json, Value};

const HEALTH: &str = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
const CHECK: &str = "REASON_TASK_CHECK_STATUS_UPDATED";

/// The next status of a task, which is acknowledged.
fn next(scheduler: &mut Scheduler, task: &str) -> Value {
    let status = scheduler.status(task);
    scheduler.acknowledge(&status);
    status
}

/// The next status that is looked for, with all before it acknowledged.
fn until(scheduler: &mut Scheduler, task: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = next(scheduler, task);
        if is_it(&status) {
            return status;
        }
        let state = status["state"].as_str().unwrap();
        assert!(["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"].contains(&state), "{status:#}");
    }
}

fn sandbox_of(cluster: &Cluster, task: &str) -> PathBuf {
    let executors = cluster.agent_dir(0).join("slaves");
    let found = std::process::Command::new("find")
        .args([executors.as_os_str(), "-path".as_ref()])
        .arg(format!("*/executors/{task}/runs/latest"))
        .output()
        .unwrap();
    let path = String::from_utf8(found.stdout).unwrap();
    std::fs::canonicalize(Path::new(path.trim())).unwrap()
}

fn cluster() -> Cluster {
    let cluster = Cluster::start();
    // Tasks may be somebody else's.
    std::fs::set_permissions(cluster.scratch(), std::fs::Permissions::from_mode(0o755)).unwrap();
    cluster.wait_for_agent(0, "well");
    cluster
}

#[test]
fn i11_a_check_runs_as_its_task_does_outlives_the_agent_and_ends_who_is_ill() {
    let mut cluster = cluster();
    let agent = cluster.agent_id(0);
    let mut info = framework_info("f", 60.0);
    info["user"] = json!("nobody");
    let mut scheduler = Scheduler::subscribe(cluster.master.address(), &info, false);
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let mut task = command_task(
        "t",
        &agent,
        "umask 0; id -u > user; exec sleep 1000",
        &[cpus(0.1), mem(32.0)],
    );
    // It is its task's user, and sees its files.
    let user = if nix::unistd::geteuid().is_root() { "test $(id -un) = nobody" } else { "true" };
    let line = "test $(id -u) = $(cat user) && test ! -e ill";
    task["health_check"] = json!({
        "type": "COMMAND", "command": { "value": format!("{user} && {line}") }, "delay_seconds": 0, "interval_seconds": 0.05,
        "consecutive_failures": 2, "grace_period_seconds": 0.0,
    });
    task["check"] = json!({
        "type": "COMMAND", "command": { "command": { "value": "exit $(cat exit 2>/dev/null || echo 7)" } },
        "delay_seconds": 0, "interval_seconds": 0.05,
    });
    scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    let running = until(&mut scheduler, "t", |it| it["state"] == "TASK_RUNNING");
    assert_eq!(running["check_status"], json!({ "type": "COMMAND", "command": {} }), "{running:#}");
    // Whichever of the two looks first, both are told, and the later one says both.
    let both = until(&mut scheduler, "t", |it| {
        it["healthy"] == true && it["check_status"]["command"]["exit_code"] == 7
    });
    assert!(both["reason"] == HEALTH || both["reason"] == CHECK, "{both:#}");

    // The agent is killed and comes back; its tasks and their checks go on.
    let sandbox = sandbox_of(&cluster, "t");
    cluster.agents[0].kill();
    std::fs::write(sandbox.join("exit"), "3").unwrap();
    cluster.agents[0].start();
    let seen = until(&mut scheduler, "t", |it| it["check_status"]["command"]["exit_code"] == 3);
    assert_eq!((&seen["reason"], &seen["healthy"]), (&json!(CHECK), &json!(true)), "{seen:#}");
    let call =
        json!({ "type": "RECONCILE", "reconcile": { "tasks": [{ "task_id": { "value": "t" } }] } });
    scheduler.call(call).expect(202, "RECONCILE");
    let reconciled = scheduler.status("t");
    assert_eq!(reconciled["reason"], "REASON_RECONCILIATION");
    assert_eq!(
        (&reconciled["healthy"], &reconciled["check_status"]),
        (&json!(true), &seen["check_status"])
    );

    std::fs::write(sandbox.join("ill"), "").unwrap();
    let ill = until(&mut scheduler, "t", |it| it["healthy"] == false);
    assert_eq!((&ill["state"], &ill["reason"]), (&json!("TASK_RUNNING"), &json!(HEALTH)));
    let killed = until(&mut scheduler, "t", |it| it["state"] == "TASK_KILLED");
    assert_eq!((&killed["healthy"], &killed["reason"]), (&json!(false), &json!(HEALTH)));
    let words = killed["message"].as_str().unwrap();
    assert!(words.contains("health check failed 2 times in a row, 2 end the task"), "{words}");
}

/// A server that answers every GET with a status that can be changed, until it is dropped.
fn answer(listener: TcpListener, status: std::sync::Arc<std::sync::atomic::AtomicU16>) {
    use std::io::{Read, Write};
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            // A TCP check asks nothing.
            let _ = stream.read(&mut [0; 1024]);
            let status = status.load(std::sync::atomic::Ordering::SeqCst);
            let _ = write!(stream, "HTTP/1.1 {status} As Asked\r\nContent-Length: 0\r\n\r\n");
        }
    });
}

#[test]
fn i12_an_ill_task_of_a_group_takes_its_group_along() {
    use std::sync::atomic::{AtomicU16, Ordering};
    let cluster = cluster();
    let agent = cluster.agent_id(0);
    let info = framework_info("f", 60.0);
    let mut scheduler = Scheduler::subscribe(cluster.master.address(), &info, false);
    let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = std::sync::Arc::new(AtomicU16::new(200));
    answer(listener, status.clone());
    let resources = [cpus(0.1), mem(32.0)];
    let mut ill = command_task("ill", &agent, "exec sleep 1000", &resources);
    ill["health_check"] = json!({
        "type": "HTTP", "http": { "port": port, "path": "/health" }, "delay_seconds": 0, "interval_seconds": 0.05,
        "consecutive_failures": 1, "grace_period_seconds": 0.0,
    });
    let mut other = command_task("other", &agent, "exec sleep 1000", &resources);
    other["check"] = json!({ "type": "TCP", "tcp": { "port": port }, "delay_seconds": 0, "interval_seconds": 0.05 });
    let disk = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": 8 } });
    let executor = json!({
        "type": "DEFAULT", "executor_id": { "value": "e" }, "resources": [cpus(0.1), mem(32.0), disk],
        "framework_id": { "value": scheduler.framework_id },
    });
    let group = json!({ "executor": executor, "task_group": { "tasks": [ill, other] } });
    scheduler.accept(&offer, json!([{ "type": "LAUNCH_GROUP", "launch_group": group }]));
    let is_of = |it: &Value, task: &str| it["update"]["status"]["task_id"]["value"] == task;
    let (mut healthy, mut connected) = (false, false);
    while !(healthy && connected) {
        let event = scheduler.event("UPDATE");
        let status = &event["update"]["status"];
        scheduler.acknowledge(status);
        healthy |= is_of(&event, "ill") && status["healthy"] == true;
        connected |= is_of(&event, "other") && status["check_status"]["tcp"]["succeeded"] == true;
    }
    status.store(500, Ordering::SeqCst);
    let mut ends = std::collections::BTreeMap::new();
    while ends.len() < 2 {
        let event = scheduler.event("UPDATE");
        let status = &event["update"]["status"];
        scheduler.acknowledge(status);
        if status["state"] == "TASK_KILLED" {
            let task = status["task_id"]["value"].as_str().unwrap().to_owned();
            ends.insert(task, (status["healthy"].clone(), status["message"].to_string()));
        }
    }
    assert_eq!(ends["ill"].0, false);
    assert!(ends["ill"].1.contains("/health answered 500"), "{ends:?}");
    assert_eq!(ends["other"].0, Value::Null);
    assert!(ends["other"].1.contains("task ill of its group"), "{ends:?}");
}

#[test]
fn checks_that_cannot_be_made_are_refused_by_name() {
    let cluster = cluster();
    let agent = cluster.agent_id(0);
    let mut scheduler =
        Scheduler::subscribe(cluster.master.address(), &framework_info("f", 0.0), false);
    let tcp = |port: u32| json!({ "type": "TCP", "tcp": { "port": port } });
    let mut both = tcp(80);
    both["command"] = json!({ "value": "true" });
    let mut negative = tcp(80);
    negative["delay_seconds"] = json!(-1.0);
    for (index, (health, field)) in [
        (json!({}), "health_check.type"),
        (json!({ "type": "HTTP" }), "health_check.http"),
        (tcp(65536), "health_check.tcp.port"),
        (both, "health_check.command"),
        (negative, "health_check.delay_seconds"),
    ]
    .into_iter()
    .enumerate()
    {
        let offer = scheduler.offer_with("cpus", |it| it["name"] == "cpus");
        let id = format!("t{index}");
        let mut task = command_task(&id, &agent, "true", &[cpus(0.1), mem(32.0)]);
        task["health_check"] = health;
        scheduler.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
        let status = scheduler.status(&id);
        assert_eq!(status["state"], "TASK_ERROR");
        let words = status["message"].as_str().unwrap();
        assert!(words.contains(&format!("{field}: ")), "{field}: {words}");
    }
}
