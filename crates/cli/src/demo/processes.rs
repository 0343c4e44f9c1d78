//! The processes that the demonstration starts, finds and kills.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{bail, Context};
use holdfast_sdk::net::TETHER_VARIABLE;
use tokio::process::{Child, Command};

/// The scheduler of the service.
pub struct Scheduler {
    program: PathBuf,
    arguments: Vec<String>,
    dir: PathBuf,
    ledger: PathBuf,
    child: Option<Child>,
}

impl Scheduler {
    /// A scheduler that does not run yet.
    pub fn new(program: &Path, masters: &[String], dir: &Path, members: u32) -> Scheduler {
        let ledger = dir.join("ledger");
        let shown = ledger.to_string_lossy();
        let masters = masters.join(",");
        let words = [
            "scheduler",
            "--master",
            &masters,
            "--nodes",
            &members.to_string(),
            "--ledger",
            &shown,
            "--rate",
            "200",
        ];
        let arguments = words.iter().map(|it| (*it).to_owned()).collect();
        Scheduler {
            program: program.to_owned(),
            arguments,
            dir: dir.to_owned(),
            ledger,
            child: None,
        }
    }

    /// Lets each member append so many records a second.
    #[must_use]
    pub fn at_rate(mut self, rate: u32) -> Scheduler {
        if let Some(last) = self.arguments.last_mut() {
            *last = rate.to_string();
        }
        self
    }

    /// Its number among the machine's processes, while it was not ended from here.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Where it writes down what it was told.
    pub fn ledger(&self) -> &Path {
        &self.ledger
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        // Should this process be killed with -9, the pipe ends, and so does the scheduler.
        command.stdin(Stdio::piped()).env(TETHER_VARIABLE, "1");
        self.child = Some(command.spawn().context("cannot start the scheduler")?);
        Ok(())
    }

    /// Kills it with -9.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill().await;
        }
    }
}

/// The process of this service with these words on its command line.
///
/// # Errors
/// When there is none.
pub fn find(scratch: &Path, verb: &str, member: u32) -> anyhow::Result<u32> {
    let found = members(scratch, verb).into_iter().find(|(index, _)| *index == member);
    found.map(|(_, pid)| pid).with_context(|| format!("member {member} has no `{verb}` process"))
}

/// The processes of this service with this verb: whose each is, and its number.
pub fn members(scratch: &Path, verb: &str) -> Vec<(u32, u32)> {
    let member = |words: &[String]| {
        let named = words.get(1).is_some_and(|it| it == verb);
        let pair = words.windows(2).find(|pair| pair[0] == "--member")?;
        pair[1].parse().ok().filter(|_| named)
    };
    all(scratch).into_iter().filter_map(|(pid, words)| Some((member(&words)?, pid))).collect()
}

/// Kills one process with -9.
///
/// # Errors
/// When that is not allowed, or it is gone.
pub async fn kill(pid: u32) -> anyhow::Result<()> {
    signal(pid, "KILL").await
}

/// Sends a signal to one process, by its name without `SIG`.
///
/// # Errors
/// When that is not allowed, or it is gone.
pub async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .await
        .context("there is no `kill`")?;
    if !status.success() {
        bail!("process {pid} cannot be sent SIG{name}; it may have ended by itself");
    }
    Ok(())
}

/// Everything that still runs and belongs to this demonstration.
pub fn left_over(scratch: &Path) -> Vec<String> {
    all(scratch).into_iter().map(|(pid, words)| format!("{pid} {}", words.join(" "))).collect()
}

/// Processes that work in, or name, the demonstration's directory; this one is not counted.
fn all(scratch: &Path) -> Vec<(u32, Vec<String>)> {
    let own = std::process::id();
    let shown = scratch.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|it| it.parse::<u32>().ok())
            .filter(|it| *it != own)
        else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let words: Vec<String> = line
            .split(|byte| *byte == 0)
            .filter(|it| !it.is_empty())
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        let works_there =
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|it| it.starts_with(scratch));
        if !words.is_empty() && (works_there || words.iter().any(|it| it.contains(&shown))) {
            found.push((pid, words));
        }
    }
    found
}
