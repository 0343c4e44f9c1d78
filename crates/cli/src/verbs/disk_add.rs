//! `disk add`: give a running agent one more disk.
//!
//! Answered once the agent has opened the disk and written it down; what cannot be opened is refused with the reason, and not added. The path
//! is one of the agent's host, so nothing of it can be checked here.

use std::time::Duration;

use holdfast_api::rows::{AgentRow, DiskRow};
use holdfast_model::AddedDisk;
use serde_json::json;

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::disk_list::DISKS;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};

/// How often the list of disks is read again, when the disk is not in it yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often at most.
const LOOKS_MAX: usize = 50;

/// Which disk, where.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskAddArgs {
    /// Where: an agent's id, short form or host.
    #[arg(long)]
    pub agent: String,
    /// Its absolute path on the agent's host; blanks and commas are a part of it.
    #[arg(long)]
    pub path: String,
    /// What it is: path (a directory that volumes share) or mount (a whole file system, one volume at a time).
    #[arg(long = "type", default_value = "path", value_parser = ["path", "mount"], value_name = "TYPE")]
    pub kind: String,
    /// Its size in MB; measured when not given.
    #[arg(long, value_name = "MB")]
    pub size_mb: Option<u64>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &DiskAddArgs) -> anyhow::Result<i32> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, &args.agent)?;
    let size_mb = args.size_mb.map(|it| it.to_string());
    let disk = AddedDisk::parse(&args.kind, &args.path, size_mb.as_deref()).map_err(|it| {
        Failure::usage(it.to_string(), "write for instance --path /mnt/disk1 --type mount")
    })?;
    if args.plan.plan {
        return plan(context, agent, &disk, &args.kind).await;
    }
    let mut pairs = vec![("agent", agent.id.as_str()), ("path", &disk.root), ("type", &args.kind)];
    pairs.extend(size_mb.as_deref().map(|it| ("size_mb", it)));
    context.master.post("add-disk", &pairs).await?;
    let rows = row_of(context, &agent.id, &disk.root).await?;
    context.remark(&format!(
        "disk {} on {} is added: open and durable; it stays the agent's through restarts",
        disk.root, agent.hostname
    ));
    context.console.put(&DISKS.text(context, &rows))?;
    Ok(0)
}

/// The agent has the disk; its master may be about to hear of it.
async fn row_of(
    context: &Context,
    agent: &str,
    root: &str,
) -> Result<Vec<Received<DiskRow>>, Failure> {
    let mut again = tokio::time::interval(LOOK_AGAIN);
    for _ in 0..LOOKS_MAX {
        again.tick().await;
        let mut rows = context.master.rows::<DiskRow>().await?;
        rows.retain(|it| it.agent == agent && it.root == root);
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

async fn plan(
    context: &Context,
    agent: &AgentRow,
    disk: &AddedDisk,
    kind: &str,
) -> anyhow::Result<i32> {
    let disks = context.master.rows::<DiskRow>().await?;
    if let Some(there) = disks.iter().find(|it| it.agent == agent.id && it.root == disk.root) {
        let cause = format!("{} has a disk at {} already: {}", agent.hostname, disk.root, there.id);
        let hint = format!("see it with `holdfast disk show {}`", there.id);
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    let size = disk.size_mb.map_or_else(|| "as measured".to_owned(), |it| format!("{it} MB"));
    let plan = json!({
        "action": "ADD_DISK", "agent": agent.id, "path": disk.root, "type": kind, "size": size,
        "writes": "a label on the disk, if it bears none"
    });
    put_plan(context, &plan)
}
