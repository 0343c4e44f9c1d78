//! Who is struck, and how: the processes of a cluster that this drill started, or of one that runs already.
//!
//! Relies on the cluster to know its processes. Never signals any other, and knows of everybody whom it stopped, so that they go on again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context};
use tokio::time::Instant;

use crate::demo::processes::{kill, signal, Scheduler};
use crate::dev::cluster::Cluster;
use crate::dev::roster::{Member, Roster};

/// How often it is looked again whether somebody else started a process again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whose processes they are.
pub enum Hold {
    /// This drill's.
    Own(Cluster),
    /// Those of `holdfast dev` in this directory, which starts again what ends.
    Found(PathBuf),
}

/// See the module.
pub struct Hands {
    hold: Hold,
    /// The scheduler of the workload, which is this drill's in any case.
    pub scheduler: Scheduler,
    paused: Vec<u32>,
}

impl Hands {
    /// Hands that have done nothing yet.
    pub fn new(hold: Hold, scheduler: Scheduler) -> Hands {
        Hands { hold, scheduler, paused: Vec::new() }
    }

    /// The masters and agents.
    ///
    /// # Errors
    /// When the cluster is gone.
    pub fn members(&self) -> anyhow::Result<Vec<Member>> {
        Ok(match &self.hold {
            Hold::Own(cluster) => Roster::of(cluster, false).members,
            Hold::Found(dir) => Roster::read(dir)?.members,
        })
    }

    /// Kills a master or agent with -9.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self, member: &Member) -> anyhow::Result<()> {
        match &mut self.hold {
            Hold::Own(cluster) => {
                cluster.kill(&member.name).await;
                Ok(())
            }
            Hold::Found(_) => kill(pid_of(member)?).await,
        }
    }

    /// Kills a process of the workload with -9.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_by_pid(&self, pid: u32) -> anyhow::Result<()> {
        kill(pid).await
    }

    /// Stops a process until [`Hands::go_on`].
    ///
    /// # Errors
    /// When it does not run.
    pub async fn pause(&mut self, pid: u32) -> anyhow::Result<()> {
        // Noted first: should this be interrupted, a signal too many does no harm.
        self.paused.push(pid);
        signal(pid, "STOP").await
    }

    /// Lets everybody go on who was stopped.
    pub async fn go_on(&mut self) {
        for pid in std::mem::take(&mut self.paused) {
            // It may have been killed while it was stopped.
            if let Err(error) = signal(pid, "CONT").await {
                tracing::debug!("{error:#}");
            }
        }
    }

    /// Starts again whatever does not run: masters and agents, and the workload's scheduler.
    ///
    /// # Errors
    /// When somebody does not serve in time.
    pub async fn restore(&mut self, patience: Duration) -> anyhow::Result<()> {
        if !self.scheduler.runs() {
            self.scheduler.start()?;
        }
        match &mut self.hold {
            Hold::Own(cluster) => cluster.restore().await,
            Hold::Found(dir) => restored(dir.clone(), patience).await,
        }
    }

    /// Ends the workload's scheduler, and the cluster if it is this drill's.
    pub async fn end(&mut self) {
        self.go_on().await;
        self.scheduler.kill().await;
        if let Hold::Own(cluster) = &mut self.hold {
            cluster.stop().await;
        }
    }
}

/// The number of its process.
///
/// # Errors
/// When it does not run.
pub fn pid_of(member: &Member) -> anyhow::Result<u32> {
    member.pid.with_context(|| format!("{} does not run", member.name))
}

/// Waits until whoever runs the cluster has started everybody again.
async fn restored(dir: PathBuf, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let members = Roster::read(&dir)?.members;
        let down: Vec<&str> =
            members.iter().filter(|it| !it.pid.is_some_and(lives)).map(|it| &*it.name).collect();
        if down.is_empty() {
            return Ok(());
        }
        if deadline < Instant::now() {
            bail!("{} were not started again by the cluster in {}", down.join(", "), dir.display());
        }
        // tidy: sleep is the point: the other process starts them
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a process runs; one that has ended, and that nobody has looked after yet, does not.
fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in brackets may have spaces of its own.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_does_not_live_even_before_its_parent_looks() {
        assert!(lives(std::process::id()));
        assert!(!lives(u32::MAX));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while lives(pid) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
