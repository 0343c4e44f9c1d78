//! The demonstration: a real cluster on loopback, a real service with volumes, five kinds of `kill -9`,
//! and a verdict that is read off the disks.
//!
//! It believes nobody: volumes are compared by uuid, every chain is read from its first byte, what was acknowledged before a kill must be
//! there afterwards with the same checksums, and whatever does not come back in time or in full makes the exit code 1.

pub mod observe;
pub mod processes;
pub mod proof;
mod story;
mod verdict;

use std::path::{Path, PathBuf};

use anyhow::Context;
use holdfast_node::exit_codes::EXIT_INTERRUPTED;
use tokio_util::sync::CancellationToken;

use self::observe::Observer;
use self::processes::Scheduler;
use self::story::Story;
use crate::dev::cluster::{Cluster, Shape};
use crate::dev::Scratch;
use crate::failure::Failure;
use crate::settings_demo::DemoSettings;

/// The program of the journal framework.
const JOURNAL: &str = "holdfast-journal";

/// Tells the story; returns the exit code.
///
/// # Errors
/// When it cannot even begin, or is stopped before its end.
pub async fn run(settings: DemoSettings, stop: CancellationToken) -> anyhow::Result<i32> {
    let journal = journal(settings.journal.clone())?;
    let scratch = Scratch::new(settings.scratch.dir.clone(), settings.scratch.keep)?;
    println!(
        "A master and {} agents start as processes on loopback; a service of {} members claims a volume on each.",
        settings.agents, settings.agents
    );
    let shape = Shape::with_one_master(settings.agents, 1);
    let mut cluster = Cluster::new(scratch.path(), shape)?;
    let begun = stop.run_until_cancelled(cluster.start()).await;
    if !matches!(begun, Some(Ok(()))) {
        cluster.stop().await;
        return begun
            .map_or_else(|| Err(interrupted(scratch.path()).into()), |failed| failed.map(|()| 0));
    }
    let masters = cluster.master_addresses();
    let dir = scratch.path().join("scheduler");
    let mut scheduler = Scheduler::new(&journal, &masters, &dir, settings.agents);
    let observer = Observer::new(masters, &journal, scratch.path(), scheduler.ledger());
    let mut story = Story::new(observer, settings.agents, settings.sabotage);
    let told = stop.run_until_cancelled(story.tell(&mut cluster, &mut scheduler)).await;
    scheduler.kill().await;
    cluster.stop().await;
    match told {
        None => return Err(interrupted(scratch.path()).into()),
        Some(Err(error)) => println!("\n  the story broke off: {error:#}"),
        Some(Ok(())) => {}
    }
    Ok(verdict::print(&story, &processes::left_over(scratch.path())))
}

/// Somebody wanted it to end.
fn interrupted(scratch: &Path) -> Failure {
    let left = processes::left_over(scratch);
    let end = if left.is_empty() {
        "nothing was left running".to_owned()
    } else {
        format!("LEFT RUNNING: {}", left.join(", "))
    };
    Failure::new(
        EXIT_INTERRUPTED,
        format!("stopped before the end; {end}"),
        "let it come to its end: it takes less than a minute",
    )
}

/// The program of the journal framework: the given one, or that beside this one.
///
/// # Errors
/// When it is not there.
pub fn journal(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let beside = || -> anyhow::Result<PathBuf> {
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(own.with_file_name(JOURNAL))
    };
    let path = given.map_or_else(beside, Ok)?;
    if !path.is_file() {
        let hint = format!(
            "build it with `cargo build --release -p {JOURNAL}`, or name it with --journal"
        );
        return Err(Failure::not_found(format!("there is no {}", path.display()), hint).into());
    }
    path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
}
