//! The processes of a cluster on one machine: started, killed, started again, and all ended in the end.
//!
//! Containers would go on without their agent, as they do everywhere; on every way out but a kill with -9 they are ended here.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use holdfast_node::container_shim;
use holdfast_quorum::Masters;

use super::process::{Kind, Process};
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_NOT_FOUND};

/// How long an ensemble may take to say whether somebody leads.
const ENSEMBLE_PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether a process has ended.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How big.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Masters.
    pub masters: u16,
    /// Where the masters meet; in one directory when not given.
    pub zk: Option<String>,
    /// Agents.
    pub agents: u32,
    /// Disks of each, beside its own file system.
    pub disks: u32,
    /// The first master's port, those of the others follow; 0 = any.
    pub port: u16,
}

impl Shape {
    /// One master, at any port.
    pub fn with_one_master(agents: u32, disks: u32) -> Shape {
        Shape { masters: 1, zk: None, agents, disks, port: 0 }
    }

    /// The port of a master, by its number.
    fn port_of(&self, index: u16) -> anyhow::Result<u16> {
        if self.port == 0 {
            return Ok(0);
        }
        let hint = "name a smaller one with --port, or 0 for any free ones";
        let past = || {
            Failure::usage(format!("there are no {} ports from {}", self.masters, self.port), hint)
        };
        Ok(self.port.checked_add(index).ok_or_else(past)?)
    }
}

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    dir: PathBuf,
    shape: Shape,
    masters: Vec<Process>,
    agents: Vec<Process>,
}

impl Cluster {
    /// A cluster below `dir` that does not run yet.
    ///
    /// # Errors
    /// When this program does not know its own file, or its shape is none.
    pub fn new(dir: &Path, shape: Shape) -> anyhow::Result<Cluster> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        if shape.masters == 0 {
            let cause = "a cluster has at least one master";
            return Err(Failure::usage(cause, "--masters 1, or 3 to lose one").into());
        }
        shape.port_of(shape.masters - 1)?;
        Ok(Cluster { program, dir: dir.to_owned(), shape, masters: Vec::new(), agents: Vec::new() })
    }

    /// Starts all processes, one after the other, and waits until they serve. Whether this ends well, badly or is dropped before its end:
    /// [`Cluster::stop`] ends what was started.
    ///
    /// # Errors
    /// When one of them does not serve in time, with the end of its log; when a stranger leads where the masters should meet.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if let Some(zk) = self.shape.zk.clone() {
            nobody_leads_at(&zk).await?;
        }
        for index in 0..self.shape.masters {
            let master = self.master(index)?;
            self.masters.push(master);
            if let Some(master) = self.masters.last_mut() {
                master.start(&self.program).await?;
                // From now on it keeps its port, so that everybody finds it again.
                master.keep_port();
                if 1 < self.shape.masters {
                    // Started again it stands by, as a rule.
                    master.ready_when_healthy(master.address().to_owned());
                }
            }
        }
        // One after the other, so that they are admitted in the order of their numbers.
        for index in 0..self.shape.agents {
            let agent = self.agent(index)?;
            self.agents.push(agent);
            if let Some(agent) = self.agents.last_mut() {
                agent.start(&self.program).await?;
                agent.keep_port();
            }
        }
        Ok(())
    }

    fn master(&self, index: u16) -> anyhow::Result<Process> {
        let alone = self.shape.masters == 1;
        let name = if alone { "master".to_owned() } else { format!("master-{index}") };
        let own = self.dir.join(&name);
        // Without an ensemble they meet in one directory, as masters of one machine do.
        let ledger = if self.shape.zk.is_some() { own.clone() } else { self.dir.join("master") };
        let mut arguments = vec!["--dir".to_owned(), text(&ledger)];
        if let Some(zk) = &self.shape.zk {
            arguments.extend(["--zk".to_owned(), zk.clone()]);
        }
        let mut port = self.shape.port_of(index)?;
        let stands_by = self.shape.zk.is_none() && 0 < index;
        if stands_by && port == 0 {
            // It says where it listens only when it leads, so it is told.
            port = free_port()?;
        }
        let mut process = Process::new(&name, Kind::Master, port, arguments, own);
        if stands_by {
            process.ready_when_healthy(format!("127.0.0.1:{port}"));
        }
        Ok(process)
    }

    fn agent(&self, index: u32) -> anyhow::Result<Process> {
        let name = agent_name(index);
        let agent_dir = self.dir.join(&name);
        let mut arguments =
            vec!["--dir".to_owned(), text(&agent_dir), "--master".to_owned(), self.meeting_place()];
        arguments.extend(["--resources".to_owned(), "cpus:4;mem:4096;disk:4096".to_owned()]);
        // The masters and the other agents are on this machine, too.
        arguments.extend(["--hide".to_owned(), text(&self.dir)]);
        for disk in 0..self.shape.disks {
            let root = self.dir.join(format!("{name}-disk-{disk}"));
            std::fs::create_dir_all(&root)
                .with_context(|| format!("cannot make {}", root.display()))?;
            arguments.extend(["--disk".to_owned(), format!("path={},size-mb=4096", text(&root))]);
        }
        Ok(Process::new(&name, Kind::Agent, 0, arguments, agent_dir))
    }

    /// How the masters are named to agents and clients.
    pub fn meeting_place(&self) -> String {
        let addresses = || self.master_addresses().join(",");
        self.shape.zk.clone().unwrap_or_else(addresses)
    }

    /// Where the masters serve.
    pub fn master_addresses(&self) -> Vec<String> {
        self.masters.iter().map(|it| it.address().to_owned()).collect()
    }

    /// The processes: the masters, and then the agents.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.masters.iter().chain(&self.agents)
    }

    fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.masters.iter_mut().chain(&mut self.agents)
    }

    /// Kills a process with -9, by its name; the containers of an agent live on.
    pub async fn kill(&mut self, name: &str) {
        for process in self.processes_mut().filter(|it| it.name() == name) {
            process.kill().await;
        }
    }

    /// Starts it again, over the same directory.
    ///
    /// # Errors
    /// When it does not serve in time, or there is none of that name.
    pub async fn start_again(&mut self, name: &str) -> anyhow::Result<()> {
        let program = self.program.clone();
        match self.processes_mut().find(|it| it.name() == name) {
            Some(process) => process.start(&program).await,
            None => {
                let hint =
                    "a cluster has `master`, or `master-0` and so on, and `agent-0` and so on";
                Err(Failure::new(EXIT_NOT_FOUND, format!("there is no process {name}"), hint)
                    .into())
            }
        }
    }

    /// Starts again whatever does not run.
    ///
    /// # Errors
    /// When one of them does not serve in time.
    pub async fn restore(&mut self) -> anyhow::Result<()> {
        let program = self.program.clone();
        for process in self.processes_mut() {
            if process.pid().is_none() || process.ended() {
                process.start(&program).await?;
            }
        }
        Ok(())
    }

    /// The names of those that ended, and were not ended from here.
    pub fn ended(&mut self) -> Vec<String> {
        self.processes_mut().filter_map(|it| it.ended().then(|| it.name().to_owned())).collect()
    }

    /// Waits until a process ends that nobody ended; says which.
    pub async fn watch(&mut self) -> String {
        loop {
            if let Some(name) = self.ended().into_iter().next() {
                return name;
            }
            // tidy: sleep is the point: a process that ends by itself is noticed a moment later
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// The last lines of a process's log, by its name.
    pub fn log_of(&self, name: &str) -> String {
        self.processes().find(|it| it.name() == name).map(Process::log).unwrap_or_default()
    }

    /// Ends everything, containers too, also those of agents that were not started (an earlier life of this directory may have left some).
    pub async fn stop(&mut self) {
        for process in self.processes_mut() {
            process.kill().await;
        }
        let dirs: Vec<PathBuf> =
            (0..self.shape.agents).map(|it| self.dir.join(agent_name(it))).collect();
        let program = self.program.clone();
        let ended = tokio::task::spawn_blocking(move || {
            dirs.iter().for_each(|dir| end_containers(dir, &program))
        });
        if ended.await.is_err() {
            eprintln!("the containers could not all be ended; look for `container-shim` among the processes");
        }
    }
}

/// Refuses to let masters join others: theirs would be the agents and claims.
async fn nobody_leads_at(zk: &str) -> anyhow::Result<()> {
    let hint = "write zk://HOST:PORT,.../PATH, with a path that no other cluster has";
    let masters = Masters::watch(&[zk.to_owned()])
        .map_err(|error| Failure::usage(format!("--zk: {error}"), hint))?;
    match masters.next(ENSEMBLE_PATIENCE).await.first() {
        None => Ok(()),
        Some(leader) => Err(Failure::new(
            EXIT_CONFLICT,
            format!("--zk: a master leads there already, at {leader}; masters of a trial would be its standbys"),
            "choose a path of its own, such as zk://HOST:PORT/trial; or wait some seconds, if it was killed a moment ago",
        )
        .into()),
    }
}

/// A port that nobody listens on.
fn free_port() -> anyhow::Result<u16> {
    let held = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    Ok(held.local_addr()?.port())
}

fn agent_name(index: u32) -> String {
    format!("agent-{index}")
}

fn end_containers(agent_dir: &Path, program: &Path) {
    if let Err(error) = container_shim::end_all(agent_dir, program) {
        eprintln!("{error:#}");
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(masters: u16, port: u16) -> Shape {
        Shape { masters, port, ..Shape::with_one_master(1, 0) }
    }

    #[test]
    fn ports_follow_each_other_or_are_any() {
        let ports = |shape: &Shape| (0..3).map(|it| shape.port_of(it).unwrap()).collect::<Vec<_>>();
        assert_eq!(ports(&shape(3, 5050)), [5050, 5051, 5052]);
        assert_eq!(ports(&shape(3, 0)), [0, 0, 0]);
        let why = Cluster::new(Path::new("/x"), shape(2, 65535)).unwrap_err().to_string();
        assert!(why.contains("no 2 ports from 65535") && why.contains("--port"), "{why}");
        let why = Cluster::new(Path::new("/x"), shape(0, 0)).unwrap_err().to_string();
        assert!(why.contains("at least one master"), "{why}");
    }

    #[test]
    fn masters_meet_in_one_directory_or_in_an_ensemble() {
        let dir = tempfile::tempdir().unwrap();
        let said = |shape: Shape, index| {
            let cluster = Cluster::new(dir.path(), shape).unwrap();
            format!("{:?}", cluster.master(index).unwrap())
        };
        let of = |name: &str| format!("\"{}\"", text(&dir.path().join(name)));
        for index in [0, 1] {
            let local = said(shape(2, 0), index);
            assert!(local.contains(&format!("\"--dir\", {}", of("master"))), "{local}");
        }
        let met = said(Shape { zk: Some("zk://h:1/m".to_owned()), ..shape(2, 0) }, 1);
        let wanted = format!("\"--dir\", {}, \"--zk\", \"zk://h:1/m\"", of("master-1"));
        assert!(met.contains(&wanted), "{met}");
    }
}
