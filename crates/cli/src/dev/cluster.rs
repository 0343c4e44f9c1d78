//! The processes of a cluster on one machine: started, killed, started again, and all ended in the end.
//!
//! Each holds one end of a pipe whose other end is here (its tether), so that it stops even when this process is killed with -9. Containers
//! would go on then, as they do without their agent; on every other way out they are ended here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use holdfast_node::container_shim;
use holdfast_sdk::net::TETHER_VARIABLE;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::failure::{Failure, EXIT_ERROR};

/// How long a process may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something is looked at again while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How much of a log is shown when its process does not do what it should, in lines.
const LOG_LINES: usize = 5;

/// How big.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Agents.
    pub agents: u32,
    /// Disks of each, beside its own file system.
    pub disks: u32,
    /// The master's port; 0 = any.
    pub port: u16,
}

/// One process.
#[derive(Debug)]
struct Process {
    name: String,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Option<Child>,
    address: String,
}

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    dir: PathBuf,
    shape: Shape,
    master: Process,
    agents: Vec<Process>,
}

impl Cluster {
    /// A cluster below `dir` that does not run yet.
    ///
    /// # Errors
    /// When this program does not know its own file.
    pub fn new(dir: &Path, shape: Shape) -> anyhow::Result<Cluster> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let master_dir = dir.join("master");
        let arguments = vec![
            "master".to_owned(),
            "--port".to_owned(),
            shape.port.to_string(),
            "--dir".to_owned(),
            text(&master_dir),
        ];
        let master = Process::new("master", arguments, master_dir);
        Ok(Cluster { program, dir: dir.to_owned(), shape, master, agents: Vec::new() })
    }

    /// Starts all processes, one after the other, and waits until they serve. Whether this ends well, badly or is dropped before its end:
    /// [`Cluster::stop`] ends what was started.
    ///
    /// # Errors
    /// When one of them does not serve in time, with the end of its log.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.master.start(&self.program).await?;
        // From now on it keeps its port, so that everybody finds it again.
        self.master.keep_port();
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

    fn agent(&self, index: u32) -> anyhow::Result<Process> {
        let name = agent_name(index);
        let agent_dir = self.dir.join(&name);
        let mut arguments = vec!["agent".to_owned(), "--port".to_owned(), "0".to_owned()];
        arguments.extend([
            "--dir".to_owned(),
            text(&agent_dir),
            "--master".to_owned(),
            self.master.address.clone(),
        ]);
        arguments.extend(["--resources".to_owned(), "cpus:4;mem:4096;disk:4096".to_owned()]);
        // The master and the other agents are on this machine, too.
        arguments.extend(["--hide".to_owned(), text(&self.dir)]);
        for disk in 0..self.shape.disks {
            let root = self.dir.join(format!("{name}-disk-{disk}"));
            std::fs::create_dir_all(&root)
                .with_context(|| format!("cannot make {}", root.display()))?;
            arguments.extend(["--disk".to_owned(), format!("path={},size-mb=4096", text(&root))]);
        }
        Ok(Process::new(&name, arguments, agent_dir))
    }

    /// Where the master serves.
    pub fn master_address(&self) -> &str {
        &self.master.address
    }

    /// Where the agents serve.
    pub fn agent_addresses(&self) -> impl Iterator<Item = &str> {
        self.agents.iter().map(|it| it.address.as_str())
    }

    /// Kills the master with -9.
    pub async fn kill_master(&mut self) {
        self.master.kill().await;
    }

    /// Starts it again, over the same directory.
    ///
    /// # Errors
    /// When it does not serve in time.
    pub async fn restart_master(&mut self) -> anyhow::Result<()> {
        self.master.start(&self.program).await
    }

    /// Kills an agent with -9; its containers live on.
    pub async fn kill_agent(&mut self, index: usize) {
        self.agents[index].kill().await;
    }

    /// Starts it again, over the same directory.
    ///
    /// # Errors
    /// When it does not serve in time.
    pub async fn restart_agent(&mut self, index: usize) -> anyhow::Result<()> {
        self.agents[index].start(&self.program).await
    }

    /// Waits until a process ends that nobody ended; says which.
    pub async fn watch(&mut self) -> String {
        loop {
            for process in std::iter::once(&mut self.master).chain(&mut self.agents) {
                let ended = process
                    .child
                    .as_mut()
                    .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
                if ended {
                    return process.name.clone();
                }
            }
            // tidy: sleep is the point: a process that ends by itself is noticed a moment later
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The last lines of a process's log, by its name.
    pub fn log_of(&self, name: &str) -> String {
        std::iter::once(&self.master)
            .chain(&self.agents)
            .find(|it| it.name == name)
            .map(Process::log)
            .unwrap_or_default()
    }

    /// Ends everything, containers too, also those of agents that were not started (an earlier life of this directory may have left some).
    pub async fn stop(&mut self) {
        self.master.kill().await;
        for agent in &mut self.agents {
            agent.kill().await;
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

fn agent_name(index: u32) -> String {
    format!("agent-{index}")
}

fn end_containers(agent_dir: &Path, program: &Path) {
    if let Err(error) = container_shim::end_all(agent_dir, program) {
        eprintln!("{error:#}");
    }
}

impl Process {
    fn new(name: &str, arguments: Vec<String>, dir: PathBuf) -> Process {
        Process { name: name.to_owned(), arguments, dir, child: None, address: String::new() }
    }

    async fn start(&mut self, program: &Path) -> anyhow::Result<()> {
        self.spawn(program)?;
        self.serves().await
    }

    fn spawn(&mut self, program: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let path = self.dir.join("log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // The file of a former life must not be taken for this one's.
        let _ = std::fs::remove_file(self.address_file());
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .arg("--address-file")
            .arg(self.address_file())
            .stdout(Stdio::null())
            .stderr(log);
        command.stdin(Stdio::piped()).env(TETHER_VARIABLE, "1");
        // Ctrl-C in a terminal is for this process; it ends the others itself.
        command.process_group(0).kill_on_drop(true);
        self.child = Some(command.spawn().with_context(|| format!("cannot start {}", self.name))?);
        Ok(())
    }

    fn address_file(&self) -> PathBuf {
        self.dir.join("address")
    }

    /// Waits until it serves.
    async fn serves(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(address) = std::fs::read_to_string(self.address_file()) {
                self.address = address;
                return Ok(());
            }
            let ended =
                self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || deadline < Instant::now() {
                let hint = "mend what the log says; for a port that is taken, `holdfast dev --port 0` takes any free one";
                return Err(Failure::new(
                    EXIT_ERROR,
                    format!("{} does not serve; its log ends with:\n{}", self.name, self.log()),
                    hint,
                )
                .into());
            }
            // tidy: sleep is the point: the other process writes the file when it is ready
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The last lines of its log.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Makes its next life listen where this one does.
    fn keep_port(&mut self) {
        self.arguments[2] = self.address.rsplit(':').next().unwrap_or_default().to_owned();
    }

    async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill().await;
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
