//! The processes of a cluster on one machine: started, killed, started again, and all ended in the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_containers::{Launcher, ShimCommand};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long a process may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something is looked at again while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
    master: Process,
    agents: Vec<Process>,
}

impl Cluster {
    /// Starts all processes below `dir`, and waits until they serve.
    ///
    /// # Errors
    /// When one of them does not serve in time, with the end of its log.
    pub async fn start(dir: &Path, shape: Shape) -> anyhow::Result<Cluster> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let master_dir = dir.join("master");
        let arguments = vec!["master".to_owned(), "--port".to_owned(), shape.port.to_string(), "--dir".to_owned(), text(&master_dir)];
        let mut master = Process::new("master", arguments, master_dir);
        master.start(&program).await?;
        // From now on it keeps its port, so that everybody finds it again.
        let port = master.address.rsplit(':').next().unwrap_or_default().to_owned();
        master.arguments[2] = port;
        let mut cluster = Cluster { program, master, agents: Vec::new() };
        for index in 0..shape.agents {
            let agent = cluster.agent(dir, index, shape.disks)?;
            cluster.agents.push(agent);
            let last = cluster.agents.len() - 1;
            let started = cluster.agents[last].start(&cluster.program).await;
            if let Err(error) = started {
                cluster.stop().await;
                return Err(error);
            }
            let port = cluster.agents[last].address.rsplit(':').next().unwrap_or_default().to_owned();
            cluster.agents[last].arguments[2] = port;
        }
        Ok(cluster)
    }

    fn agent(&self, dir: &Path, index: u32, disks: u32) -> anyhow::Result<Process> {
        let name = format!("agent-{index}");
        let agent_dir = dir.join(&name);
        let mut arguments = vec!["agent".to_owned(), "--port".to_owned(), "0".to_owned()];
        arguments.extend(["--dir".to_owned(), text(&agent_dir), "--master".to_owned(), self.master.address.clone()]);
        arguments.extend(["--resources".to_owned(), "cpus:4;mem:4096;disk:4096".to_owned()]);
        for disk in 0..disks {
            let root = dir.join(format!("{name}-disk-{disk}"));
            std::fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
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
                let ended = process.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
                if ended {
                    return process.name.clone();
                }
            }
            // tidy: sleep is the point: a process that ends by itself is noticed a moment later
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends everything, containers too.
    pub async fn stop(&mut self) {
        self.master.kill().await;
        for agent in &mut self.agents {
            agent.kill().await;
        }
        let dirs: Vec<PathBuf> = self.agents.iter().map(|it| it.dir.join("containers")).collect();
        let program = self.program.clone();
        let ended = tokio::task::spawn_blocking(move || dirs.iter().for_each(|dir| end_containers(dir, &program)));
        if ended.await.is_err() {
            eprintln!("the containers could not all be ended; look for `container-shim` among the processes");
        }
    }
}

fn end_containers(dir: &Path, program: &Path) {
    if !dir.exists() {
        return;
    }
    let shim = ShimCommand { program: program.to_owned(), leading_args: vec!["container-shim".into()] };
    let launcher = match Launcher::open(dir, shim) {
        Ok(launcher) => launcher,
        Err(error) => return eprintln!("cannot end the containers in {}: {error}", dir.display()),
    };
    for found in launcher.list().unwrap_or_default() {
        let ended = launcher.destroy(&found.id).map(drop).map_err(|it| it.to_string());
        if let Err(error) = ended.and_then(|()| launcher.forget(&found.id).map_err(|it| it.to_string())) {
            eprintln!("cannot end container {}: {error}", found.id);
        }
    }
}

impl Process {
    fn new(name: &str, arguments: Vec<String>, dir: PathBuf) -> Process {
        Process { name: name.to_owned(), arguments, dir, child: None, address: String::new() }
    }

    async fn start(&mut self, program: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let log_path = self.dir.join("log");
        let log =
            File::options().create(true).append(true).open(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        let address_file = self.dir.join("address");
        // The file of a former life must not be taken for this one's.
        let _ = std::fs::remove_file(&address_file);
        let mut command = Command::new(program);
        command.args(&self.arguments).arg("--address-file").arg(&address_file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // Ctrl-C in a terminal is for this process; it ends the others itself.
        command.process_group(0).kill_on_drop(true);
        self.child = Some(command.spawn().with_context(|| format!("cannot start {}", self.name))?);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(address) = std::fs::read_to_string(&address_file) {
                self.address = address;
                return Ok(());
            }
            let ended = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || deadline < Instant::now() {
                let log = std::fs::read_to_string(&log_path).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("{} does not serve; its log ends with:\n{}", self.name, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
            // tidy: sleep is the point: the other process writes the file when it is ready
            tokio::time::sleep(LOOK_AGAIN).await;
        }
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
