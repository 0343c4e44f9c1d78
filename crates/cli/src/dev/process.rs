//! One process of a cluster on this machine: started, waited for, killed, started again over the same directory.
//!
//! It holds one end of a pipe whose other end is here (its tether), so that it stops even when this process is killed with -9. Never
//! signals anything but the process that it started.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use holdfast_sdk::net::TETHER_VARIABLE;
use holdfast_wire::{ClientSettings, MesosClient};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::failure::{Failure, EXIT_ERROR};

/// How long a process may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something is looked at again while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long one question after its health may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);

/// How many lines of a log are shown when its process does not do what it should.
const LOG_LINES: usize = 5;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A master that leads or stands by.
    Master,
    /// An agent.
    Agent,
}

/// How it is known that a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It writes its address into a file: a master of one directory does so when it leads.
    AddressFile,
    /// It answers `/health` at the address that it was given: a standby does.
    Health,
}

/// See the module.
#[derive(Debug)]
pub struct Process {
    name: String,
    kind: Kind,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Option<Child>,
    address: String,
    readiness: Readiness,
}

impl Process {
    /// A process that does not run yet: a master or an agent at this port, with these arguments, with its log and address in `dir`.
    pub fn new(name: &str, kind: Kind, port: u16, arguments: Vec<String>, dir: PathBuf) -> Process {
        let verb = match kind {
            Kind::Master => "master",
            Kind::Agent => "agent",
        };
        let mut all = vec![verb.to_owned(), "--port".to_owned(), port.to_string()];
        all.extend(arguments);
        Process {
            name: name.to_owned(),
            kind,
            arguments: all,
            dir,
            child: None,
            address: String::new(),
            readiness: Readiness::AddressFile,
        }
    }

    /// Serves when it answers at `address`, whether it leads or not.
    pub fn ready_when_healthy(&mut self, address: String) {
        self.address = address;
        self.readiness = Readiness::Health;
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it serves, or served.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its number among the machine's processes, while it was not ended from here.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Whether it ended by itself, or was ended by a stranger.
    pub fn ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// When it does not serve in time, with the end of its log.
    pub async fn start(&mut self, program: &Path) -> anyhow::Result<()> {
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
            if self.is_ready().await {
                return Ok(());
            }
            if self.ended() || deadline < Instant::now() {
                let hint = "mend what the log says; for a port that is taken, `holdfast dev --port 0` takes any free one";
                return Err(Failure::new(
                    EXIT_ERROR,
                    format!("{} does not serve; its log ends with:\n{}", self.name, self.log()),
                    hint,
                )
                .into());
            }
            // tidy: sleep is the point: the other process says when it is ready
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn is_ready(&mut self) -> bool {
        match self.readiness {
            Readiness::AddressFile => match std::fs::read_to_string(self.address_file()) {
                Ok(address) => {
                    self.address = address;
                    true
                }
                Err(_) => false,
            },
            Readiness::Health => {
                let settings = ClientSettings {
                    connect_timeout: HEALTH_TIMEOUT,
                    call_timeout: HEALTH_TIMEOUT,
                    ..ClientSettings::default()
                };
                MesosClient::new(settings).get_bytes(&self.address, "/health").await.is_ok()
            }
        }
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Makes its next life listen where this one does.
    pub fn keep_port(&mut self) {
        self.arguments[2] = self.address.rsplit(':').next().unwrap_or_default().to_owned();
    }

    /// Kills it with -9, and waits for its end. It may have ended already.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }
}
