//! A member whose disk died: its volume is given up by an operator, and the framework, which learns that from the masters, places the member
//! anew. When the old disk comes back, what lies on it is neither used nor removed. Real processes over real folders.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::leftovers::end_containers;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// The scheduler of the journal service, which ends with its value.
struct Scheduler {
    child: Child,
    log: PathBuf,
}

impl Scheduler {
    fn start(cluster: &Cluster) -> Scheduler {
        let program = binary().with_file_name("holdfast-journal");
        assert!(program.is_file(), "there is none; try: cargo build -p holdfast-journal");
        let log = cluster.path("scheduler.log");
        let child = Command::new(program)
            .args(["scheduler", "--nodes", "1", "--master", &cluster.master.address().to_string()])
            .args(["--ledger", &text(&cluster.path("journal"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Scheduler { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the scheduler says ---\n{}", self.log());
        }
    }
}

fn holdfast(cluster: &Cluster, line: &[&str]) -> String {
    let address = cluster.master.address().to_string();
    let done = Command::new(binary()).args(line).args(["--master", &address]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line:?}: {said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Two agents, each with a disk that alone is large enough for a member.
fn cluster() -> Cluster {
    let mut cluster = Cluster::without_agents();
    for index in 0..2 {
        let (name, disk) = (format!("agent{index}"), cluster.path(&format!("disk{index}")));
        fs::create_dir_all(&disk).unwrap();
        let disk = format!("path={},size-mb=200", text(&disk));
        let resources = "cpus:2;mem:1024;disk:10";
        let settings = ["--resources", resources, "--hostname", &name, "--disk", &disk];
        let mut agent = cluster.agent_with(&name, &settings);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(index, "well");
    }
    cluster
}

/// Waits until the member runs on a volume of this name; the claim of that.
fn runs_on(cluster: &Cluster, volume: &str) -> Value {
    until(&format!("the member runs on {volume}"), || {
        let tasks = cluster.list("tasks");
        let is_there = |it: &&Value| it["state"] == "TASK_RUNNING" && it["volumes"][0] == volume;
        match (tasks.iter().find(is_there), cluster.find_claim(volume)) {
            (Some(_), Some(claim)) => Ok(claim),
            _ => Err(format!("{tasks:#?}")),
        }
    })
}

/// All that lies below a directory, with sizes.
fn files(below: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().map(|it| it.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path(), entry.metadata().unwrap().len())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_member_whose_disk_was_given_up_is_placed_anew_and_its_old_volume_is_left_alone() {
    let mut cluster = cluster();
    let scheduler = Scheduler::start(&cluster);
    let first = runs_on(&cluster, "journal-0-1");
    let index = usize::from(first["hostname"] == "agent1");
    let (disk, dead) = (cluster.path(&format!("disk{index}")), cluster.path("dead"));

    // The machine goes down with all that ran on it, and comes back without the disk.
    cluster.agents[index].kill();
    end_containers(cluster.scratch());
    fs::rename(&disk, &dead).unwrap();
    cluster.agents[index].start();
    cluster.wait_for_claim("journal-0-1", "missing");
    until("the member waits", || match scheduler.log() {
        log if log.contains("waits for its volume journal-0-1") => Ok(()),
        log => Err(log),
    });
    assert_eq!(cluster.find_claim("journal-0-2"), None, "that it is missing proves nothing");
    let before = files(&dead);

    holdfast(&cluster, &["claim", "give-up", "journal-0-1", "-y"]);
    let second = runs_on(&cluster, "journal-0-2");
    let told = scheduler.log();
    let line = told.lines().find(|it| it.contains("placed anew")).unwrap();
    let id = first["id"].as_str().unwrap();
    assert!(line.contains(id) && line.contains("was given up by operator"), "{line}");
    let history = holdfast(&cluster, &["claim", "history", "journal-0-1"]);
    assert!(history.contains("given up by operator") && history.contains("GIVE_UP"), "{history}");

    // The old disk comes back.
    cluster.agents[index].kill();
    let _ = fs::remove_dir_all(&disk); // Nothing lies there but what the agent may have made anew.
    fs::rename(&dead, &disk).unwrap();
    cluster.agents[index].start();
    cluster.wait_for_agent(index, "well");
    let moved: Vec<_> = before
        .into_iter()
        .map(|(path, size)| (disk.join(path.strip_prefix(&dead).unwrap()), size))
        .collect();
    assert_eq!(files(&disk), moved, "nothing on it is used or removed");
    assert!(volume_dir(&disk, &first).join("data").is_dir());
    assert_eq!(cluster.find_claim("journal-0-1"), None);
    assert_eq!(runs_on(&cluster, "journal-0-2")["id"], second["id"]);
}
