//! The demonstration: a real cluster on loopback, a real service with volumes, five kinds of `kill -9`,
//! and a verdict that is read off the disks.
//!
//! It believes nobody: volumes are compared by uuid, every chain is read from its first byte, what was acknowledged before a kill must be
//! there afterwards with the same checksums, and whatever does not come back in time or in full makes the exit code 1.

mod observe;
mod processes;
mod proof;
mod story;
mod verdict;

use std::path::PathBuf;

use anyhow::{bail, Context};
use tokio_util::sync::CancellationToken;

use self::observe::Observer;
use self::processes::Scheduler;
use self::story::Story;
use crate::cli::settings_demo::DemoSettings;
use crate::dev::cluster::{Cluster, Shape};
use crate::dev::Scratch;

/// The program of the journal framework.
const JOURNAL: &str = "holdfast-journal";

/// Tells the story; returns the exit code.
///
/// # Errors
/// When it cannot even begin.
pub async fn run(settings: DemoSettings, stop: CancellationToken) -> anyhow::Result<i32> {
    let journal = journal(settings.journal.clone())?;
    let scratch = Scratch::new(settings.dir.clone(), settings.keep)?;
    println!(
        "A master and {} agents start as processes on loopback; a service of {} members claims a volume on each.",
        settings.agents, settings.agents
    );
    let shape = Shape { agents: settings.agents, disks: 1, port: 0 };
    let mut cluster = Cluster::start(scratch.path(), shape).await?;
    let mut scheduler = Scheduler::new(&journal, cluster.master_address(), &scratch.path().join("scheduler"), settings.agents);
    let observer = Observer::new(cluster.master_address(), &journal, scratch.path(), scheduler.ledger());
    let mut story = Story::new(observer, settings.agents, settings.sabotage);
    let told = stop.run_until_cancelled(story.tell(&mut cluster, &mut scheduler)).await;
    scheduler.kill().await;
    cluster.stop().await;
    let left = processes::left_over(scratch.path());
    match told {
        None => bail!("stopped before the end; nothing was left running"),
        Some(Err(error)) => println!("\n  the story broke off: {error:#}"),
        Some(Ok(())) => {}
    }
    Ok(verdict::print(&story, &left))
}

fn journal(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let beside = || -> anyhow::Result<PathBuf> {
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(own.with_file_name(JOURNAL))
    };
    let path = given.map_or_else(beside, Ok)?;
    if !path.is_file() {
        bail!("there is no {}; build it with `cargo build --release -p {JOURNAL}`, or name it with --journal", path.display());
    }
    path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
}
