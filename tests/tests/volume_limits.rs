//! What volumes use of their sizes: measured, told to whoever asks, and limited as far as a soft limit goes. Real processes over small file systems in memory.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::Path;

use holdfast_tests::calls::{command_task, cpus, disk, framework_info, mem, path_source, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::http::get;
use holdfast_tests::small_disk::SmallDisk;
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

const MB: u64 = 1 << 20;

/// Starts an agent with one disk, as `--disk` takes it.
fn start(cluster: &mut Cluster, disk: &str) {
    let settings = ["--resources", "cpus:4;mem:4096;disk:100", "--hostname", "agent0"];
    let mut agent = cluster.agent_with("agent0", &[&settings[..], &["--disk", disk]].concat());
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
}

/// A volume of so many MB on a disk; its claim.
fn claim(cluster: &Cluster, root: &Path, name: &str, mb: f64) -> Value {
    cluster.claim_volume(0, name, &disk(mb, Some(&path_source(&text(root)))))
}

fn write(root: &Path, claim: &Value, mb: u64) {
    let file = volume_dir(root, claim).join("data/file");
    fs::write(file, vec![7; usize::try_from(mb * MB).unwrap()]).unwrap();
}

/// Waits until the masters say that a volume uses so much.
fn wait_for_used(cluster: &Cluster, name: &str, is_it: impl Fn(u64) -> bool) -> Value {
    until(&format!("what {name} uses is known"), || {
        let claim = cluster.claim(name);
        match claim["used_bytes"].as_u64() {
            Some(bytes) if is_it(bytes) => Ok(claim),
            other => Err(format!("{other:?}")),
        }
    })
}

/// The numbers of the agent with this name, by their labels.
fn metrics(cluster: &Cluster, name: &str) -> Vec<(String, f64)> {
    let answer = get(cluster.agents[0].address(), "/metrics").expect(200, "/metrics");
    let of = |line: &str| {
        let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (series.is_empty() || series.starts_with('{'))
            .then(|| (series.to_owned(), value.parse().unwrap()))
    };
    answer.text().lines().filter_map(of).collect()
}

#[test]
fn what_a_volume_uses_is_told_by_master_and_agent_with_its_age() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "what_a_volume_uses_is_told_by_master_and_agent_with_its_age";
    let Some(small) = SmallDisk::new(test, root.clone(), 64) else { return };
    start(&mut cluster, &format!("path={}", text(&root)));
    let (one, other) = (claim(&cluster, &root, "one", 20.0), claim(&cluster, &root, "other", 20.0));
    write(&root, &one, 12);
    let told = wait_for_used(&cluster, "one", |it| it == 12 * MB);
    assert!(told["created_ms"].as_u64() <= told["used_measured_ms"].as_u64(), "{told}");
    wait_for_used(&cluster, "other", |it| it == 0);
    let label = |claim: &Value| claim["id"].as_str().unwrap().to_owned();
    let of = |name: &str, claim: &Value| {
        let numbers = metrics(&cluster, name);
        let found = numbers.iter().find(|(labels, _)| labels.contains(&label(claim)));
        found.map(|(labels, value)| {
            assert!(labels.contains("role=\"db\"") && labels.contains("disk=\""), "{labels}");
            *value
        })
    };
    until("the agent's numbers say it, too", || {
        let used = [&one, &other].map(|it| of("holdfast_volume_used_bytes", it));
        (used == [Some((12 * MB) as f64), Some(0.0)]).then_some(()).ok_or(format!("{used:?}"))
    });
    assert_eq!(of("holdfast_volume_size_bytes", &one), Some((20 * MB) as f64));
    let page = get(cluster.agents[0].address(), "/state").expect(200, "/state").json();
    let on_page = page["claims"].as_array().unwrap().iter().find(|it| it["id"] == one["id"]);
    assert_eq!(on_page.unwrap()["used_bytes"], 12 * MB, "{page}");
    // More than its size: it is said, and counted.
    write(&root, &one, 24);
    wait_for_used(&cluster, "one", |it| it == 24 * MB);
    until("it is counted", || match metrics(&cluster, "holdfast_volumes_over_size").as_slice() {
        [(_, over)] if *over == 1.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(cluster);
    drop(small);
}

/// A framework that keeps the offer that came last.
struct Framework {
    scheduler: Scheduler,
    offer: Option<Value>,
}

impl Framework {
    fn next_event(&mut self) -> Value {
        let event = self.scheduler.event_where("anything", |_| true);
        if let Some(offers) = event["offers"]["offers"].as_array() {
            self.offer = offers.last().cloned();
        }
        event
    }

    /// Launches a shell line with a volume of 20 MB.
    fn launch(&mut self, root: &Path, task: &str, name: &str, line: &str) {
        let has_it = |offer: &Value| {
            let all = offer["resources"].as_array().unwrap();
            all.iter().any(|it| it["disk"]["persistence"]["id"] == name)
        };
        while !self.offer.as_ref().is_some_and(has_it) {
            self.next_event();
        }
        let offer = self.offer.take().unwrap();
        let agent = offer["agent_id"]["value"].as_str().unwrap();
        let disk = volume(&disk(20.0, Some(&path_source(&text(root)))), name);
        let task = command_task(task, agent, line, &[cpus(0.1), mem(32.0), disk]);
        let launch = json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]);
        self.scheduler.accept(&offer, launch);
    }

    /// Acknowledges statuses of a task until it has this state; that status.
    fn wait_for_state(&mut self, task: &str, state: &str) -> Value {
        loop {
            let event = self.next_event();
            let status = &event["update"]["status"];
            if status["task_id"]["value"] != task {
                continue;
            }
            self.scheduler.acknowledge(status);
            if status["state"] == state {
                return status.clone();
            }
            let is_over = status["state"] == "TASK_FAILED" || status["state"] == "TASK_FINISHED";
            assert!(!is_over, "{task} was to become {state}: {status:#}");
        }
    }
}

#[test]
fn a_volume_over_its_size_stops_its_own_writer_and_nobody_else() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("small");
    let test = "a_volume_over_its_size_stops_its_own_writer_and_nobody_else";
    let Some(small) = SmallDisk::new(test, root.clone(), 128) else { return };
    start(&mut cluster, &format!("path={},limit=soft:stop", text(&root)));
    let greedy = claim(&cluster, &root, "greedy", 20.0);
    let calm = claim(&cluster, &root, "calm", 20.0);
    until("the limit is told", || {
        let disks = cluster.list("disks");
        let limits: Vec<Value> = disks.iter().map(|it| it["limit"].clone()).collect();
        let is_told =
            limits.contains(&json!("soft:stop")) && limits.contains(&json!("soft:report"));
        is_told.then_some(()).ok_or(format!("{limits:?}"))
    });
    let address = cluster.master.address();
    let scheduler = Scheduler::subscribe(address, &framework_info("one", 60.0), false);
    let mut one = Framework { scheduler, offer: None };
    let fill = |mb: u64| format!("dd if=/dev/zero of=data/file bs=1M count={mb} && sleep 1000");
    one.launch(&root, "neighbour", "calm", &fill(10));
    one.wait_for_state("neighbour", "TASK_RUNNING");
    one.launch(&root, "writer", "greedy", &fill(30));
    let status = one.wait_for_state("writer", "TASK_FAILED");
    assert_eq!(status["reason"], "REASON_CONTAINER_LIMITATION_DISK", "{status:#}");
    let why = status["message"].as_str().unwrap();
    assert!(why.contains("use 30.0 MB, its size is 20.0 MB"), "{why}");
    // Its bytes are all there; and it is not given to the next writer.
    let file = volume_dir(&root, &greedy).join("data/file");
    assert_eq!(fs::metadata(&file).unwrap().len(), 30 * MB);
    one.launch(&root, "again", "greedy", "sleep 1000");
    let status = one.wait_for_state("again", "TASK_FAILED");
    assert!(status["message"].as_str().unwrap().contains("is over its size"), "{status:#}");
    // Nobody else felt it.
    assert_eq!(cluster.agent_row(0).unwrap()["state"], "well");
    let tasks = cluster.list("tasks");
    let neighbour = tasks.iter().find(|it| it["id"] == "neighbour").unwrap();
    assert_eq!(neighbour["state"], "TASK_RUNNING", "{neighbour}");
    assert_eq!(fs::metadata(volume_dir(&root, &calm).join("data/file")).unwrap().len(), 10 * MB);
    // Within its size it is given out as before.
    fs::remove_file(&file).unwrap();
    wait_for_used(&cluster, "greedy", |it| it < MB);
    one.launch(&root, "small", "greedy", "echo x > data/file");
    one.wait_for_state("small", "TASK_FINISHED");
    drop(cluster);
    drop(small);
}
