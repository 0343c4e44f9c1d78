//! A master and its agents, each a process with its directory in one scratch directory.
//!
//! Relies on [`Daemon`]. Never shares anything with another cluster; ends all of its processes, containers included, when it is dropped.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::calls;
use crate::daemon::Daemon;
use crate::deadline::until;
use crate::http::{get, post, Answer};
use crate::leftovers::end_containers;

/// What every agent of a test offers, besides what its disks have.
const RESOURCES: &str = "cpus:4;mem:4096;disk:8000;ports:[31000-32000]";

/// See the module.
pub struct Cluster {
    /// The master.
    pub master: Daemon,
    /// The agents.
    pub agents: Vec<Daemon>,
    scratch: TempDir,
}

impl Cluster {
    /// A master alone.
    pub fn without_agents() -> Cluster {
        let scratch = tempfile::Builder::new()
            .prefix("holdfast-")
            .tempdir()
            .expect("there is room for scratch files");
        let mut master = Daemon::new(
            "master",
            scratch.path(),
            &["master", "--dir", &text(&scratch.path().join("master"))],
        );
        master.start();
        Cluster { master, agents: Vec::new(), scratch }
    }

    /// A master and one agent with no disk but its own directory's.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::without_agents();
        cluster.add_agent(&[]);
        cluster
    }

    /// One more agent; waits until the master finds it well. `disks` are `--disk` settings.
    pub fn add_agent(&mut self, disks: &[&str]) {
        let index = self.agents.len();
        let mut agent = self.agent_named(&format!("agent{index}"), disks);
        agent.start();
        self.agents.push(agent);
        self.wait_for_agent(index, "well");
    }

    /// An agent that is not started, with the directory of the given name.
    pub fn agent_named(&self, name: &str, disks: &[&str]) -> Daemon {
        let mut settings = vec!["--resources", RESOURCES, "--hostname", name];
        disks.iter().for_each(|disk| settings.extend(["--disk", disk]));
        self.agent_with(name, &settings)
    }

    /// An agent that is not started, with the directory of the given name and settings of its own.
    pub fn agent_with(&self, name: &str, settings: &[&str]) -> Daemon {
        let (dir, master) = (text(&self.path(name)), self.master.address().to_string());
        let arguments = [&["agent", "--dir", &dir, "--master", &master], settings].concat();
        Daemon::new(name, self.scratch.path(), &arguments)
    }

    /// The scratch directory.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The directory of an agent.
    pub fn agent_dir(&self, index: usize) -> PathBuf {
        self.path(&format!("agent{index}"))
    }

    /// A list of the native API: `claims`, `agents`, ...
    pub fn list(&self, name: &str) -> Vec<Value> {
        let answer = get(self.master.address(), &format!("/holdfast/v1/{name}")).expect(200, name);
        answer.json().as_array().unwrap_or_else(|| panic!("{name} is no list")).clone()
    }

    /// The row of an agent, if the master knows it.
    pub fn agent_row(&self, index: usize) -> Option<Value> {
        // The host's name is not known before an agent is well; its place in the list is the order of admission.
        let name = format!("agent{index}");
        self.list("agents").into_iter().find(|row| row["hostname"] == name.as_str())
    }

    /// An agent's id.
    pub fn agent_id(&self, index: usize) -> String {
        let row = self
            .agent_row(index)
            .unwrap_or_else(|| panic!("the master does not know agent{index}"));
        row["id"].as_str().expect("an agent has an id").to_owned()
    }

    /// Waits until the master finds the agent in this state; returns its row.
    pub fn wait_for_agent(&self, index: usize, state: &str) -> Value {
        until(&format!("agent{index} is {state}"), || match self.agent_row(index) {
            Some(row) if row["state"] == state => Ok(row),
            other => Err(format!(
                "{other:?}; it says:\n{}",
                self.agents.get(index).map(Daemon::log).unwrap_or_default()
            )),
        })
    }

    /// An operator's call.
    pub fn call(&self, call: &Value) -> Answer {
        post(self.master.address(), "/api/v1", call)
    }

    /// RESERVE and CREATE of a volume, both acknowledged; returns the claim's row.
    pub fn claim_volume(&self, agent: usize, id: &str, disk: &Value) -> Value {
        let agent = self.agent_id(agent);
        self.call(&calls::reserve(&agent, &[calls::reserved(disk)]))
            .expect(202, "RESERVE_RESOURCES");
        self.call(&calls::create(&agent, &[calls::volume(disk, id)])).expect(202, "CREATE_VOLUMES");
        self.claim(id)
    }

    /// The row of the claim on a volume.
    pub fn claim(&self, volume: &str) -> Value {
        self.find_claim(volume)
            .unwrap_or_else(|| panic!("no claim on volume {volume} in {:#?}", self.list("claims")))
    }

    /// The row of the claim on a volume, if there is one.
    pub fn find_claim(&self, volume: &str) -> Option<Value> {
        self.list("claims").into_iter().find(|row| row["volume"] == volume)
    }

    /// Waits until a claim is in this state; returns its row.
    pub fn wait_for_claim(&self, volume: &str, state: &str) -> Value {
        until(&format!("the claim on {volume} is {state}"), || match self.find_claim(volume) {
            Some(row) if row["state"] == state => Ok(row),
            other => Err(format!("{other:?}")),
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for daemon in std::iter::once(&self.master).chain(&self.agents) {
                eprintln!("--- the end of a log ---\n{}", daemon.log());
            }
        }
        self.agents.iter_mut().for_each(Daemon::kill);
        self.master.kill();
        if !std::thread::panicking() {
            end_containers(self.scratch.path());
            return;
        }
        // A second panic would hide the first.
        if std::panic::catch_unwind(|| end_containers(self.scratch.path())).is_err() {
            eprintln!("containers of this test still run");
        }
    }
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().expect("scratch paths are plain").to_owned()
}

/// Where the bytes of a claim's volume lie on a disk.
pub fn volume_dir(disk_root: &Path, claim: &Value) -> PathBuf {
    disk_root.join("holdfast/volumes").join(claim["id"].as_str().expect("a claim has an id"))
}
