//! `disk adopt`: have the claims of a disk follow it to another path of its agent.
//!
//! The agent, which has the last word, looks for the disk at the new path, by its label, and writes it down there with all its claims in one go.
//! Answered once that is durable and the masters know it. The path is one of the agent's host, so nothing of it can be checked here.

use holdfast_api::rows::{AgentRow, DiskRow};
use holdfast_model::{DiskAdoption, DiskId};
use serde_json::json;

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::claim_list::CLAIMS;
use super::disk_show::claims_on;
use super::listing::raw;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};

/// Which disk, and where it is now.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskAdoptArgs {
    /// Its id, the beginning of it, or the path where its claims say that it is.
    pub disk: String,
    /// The absolute path where it is now, on the agent's host.
    #[arg(long)]
    pub path: String,
    /// Of which agent, when several have a disk at that path.
    #[arg(long)]
    pub agent: Option<String>,
    /// Its size in MB from now on; as it was when not given.
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
pub async fn run(context: &Context, args: &DiskAdoptArgs) -> anyhow::Result<i32> {
    let mut disks = context.master.rows::<DiskRow>().await?;
    if let Some(given) = &args.agent {
        let agents = context.master.rows::<AgentRow>().await?;
        let agent = choose(&agents, given)?.id.clone();
        disks.retain(|it| it.agent == agent);
    }
    let disk = choose(&disks, &args.disk)?;
    let size_mb = args.size_mb.map(|it| it.to_string());
    let adoption = DiskId::parse(&disk.id)
        .and_then(|id| DiskAdoption::parse(id, &args.path, size_mb.as_deref()))
        .map_err(|it| Failure::usage(it.to_string(), "write for instance --path /mnt/disk2"))?;
    if args.plan.plan {
        return plan(context, disk, &adoption).await;
    }
    let mut pairs =
        vec![("agent", disk.agent.as_str()), ("disk", &disk.id), ("path", &adoption.root)];
    pairs.extend(size_mb.as_deref().map(|it| ("size_mb", it)));
    context.master.post("adopt-disk", &pairs).await?;
    context.remark(&format!(
        "disk {} on {} is at {} from now on, with all that is claimed of it",
        disk.id, disk.hostname, adoption.root
    ));
    let there = context.master.rows::<DiskRow>().await?;
    if let Some(there) = there.iter().find(|it| it.id == disk.id && it.agent == disk.agent) {
        let claims = claims_on(context, there).await?;
        context.console.put(&CLAIMS.text(context, &claims))?;
    }
    Ok(0)
}

async fn plan(context: &Context, disk: &DiskRow, adoption: &DiskAdoption) -> anyhow::Result<i32> {
    if disk.root == adoption.root {
        let cause = format!("the claims of disk {} are at {} already", disk.id, disk.root);
        return Err(Failure::new(EXIT_CONFLICT, cause, "see it with `holdfast disk show`").into());
    }
    if disk.fault.is_none() {
        let cause = format!("disk {} is well at {}, where its claims are", disk.id, disk.root);
        let hint = "unmount it there and mount it at the new path first";
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    let claims = claims_on(context, disk).await?;
    let plan = json!({
        "action": "ADOPT_DISK", "agent": disk.agent, "disk": disk.id, "from": disk.root,
        "path": adoption.root, "claims": raw(&claims),
        "touches": "nothing on the disk"
    });
    put_plan(context, &plan)
}
