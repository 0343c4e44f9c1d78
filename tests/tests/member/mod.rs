//! A small service with one member on two agents of which each has a disk that is large enough for it.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use holdfast_tests::cluster::text;
use holdfast_tests::daemon::binary;
use holdfast_tests::{until, Cluster};
use serde_json::{json, Value};

/// The scheduler of the journal service, which ends with its value.
pub struct Scheduler {
    child: Child,
    log: PathBuf,
}

impl Scheduler {
    /// One that wants one member.
    pub fn start(cluster: &Cluster) -> Scheduler {
        let log = cluster.path("scheduler.log");
        let child = Command::new(binary().with_file_name("holdfast-journal"))
            .args(["scheduler", "--nodes", "1", "--master", &cluster.master.address().to_string()])
            .args(["--ledger", &text(&cluster.path("journal"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Scheduler { child, log }
    }

    /// What it has said.
    pub fn log(&self) -> String {
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

/// Two agents, each with a disk that alone is large enough for a member.
pub fn cluster() -> Cluster {
    let mut cluster = Cluster::without_agents();
    for index in 0..2 {
        let name = format!("agent{index}");
        fs::create_dir_all(disk(&cluster, index)).unwrap();
        let mut agent = on_disk(&cluster, &name, &name, index);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(index, "well");
    }
    cluster
}

/// The disk of an agent.
pub fn disk(cluster: &Cluster, index: usize) -> PathBuf {
    cluster.path(&format!("disk{index}"))
}

/// An agent with the directory and the host of these names, and one of the disks.
pub fn on_disk(cluster: &Cluster, dir: &str, host: &str, index: usize) -> holdfast_tests::Daemon {
    let disk = format!("path={},size-mb=200", text(&disk(cluster, index)));
    let resources = "cpus:2;mem:1024;disk:10";
    cluster.agent_with(dir, &["--resources", resources, "--hostname", host, "--disk", &disk])
}

/// Waits until the member runs on a volume of this name; the claim of that.
pub fn runs_on(cluster: &Cluster, volume: &str) -> Value {
    until(&format!("the member runs on {volume}"), || {
        let claim = cluster.find_claim(volume).ok_or("it is not there")?;
        let tasks = cluster.list("tasks");
        let running = tasks.iter().find(|it| it["state"] == "TASK_RUNNING");
        let is_it = running.is_some_and(|it| it["volumes"] == json!([volume]));
        if is_it {
            Ok(claim)
        } else {
            Err(format!("{tasks:?}"))
        }
    })
}
