//! `disk remove`: take a disk away from a running agent that was added to it.
//!
//! Only one of which nothing is claimed; the agent, which has the last word, names what is in the way. Nothing on the disk is touched, and its
//! label stays, so that it is the same disk when it is added again.

use holdfast_api::rows::{AgentRow, DiskRow};
use serde_json::json;

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::disk_show::claims_on;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};

/// Which disk.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskRemoveArgs {
    /// Its id, the beginning of it, or its path.
    pub disk: String,
    /// Of which agent, when several have a disk at that path.
    #[arg(long)]
    pub agent: Option<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &DiskRemoveArgs) -> anyhow::Result<i32> {
    let mut disks = context.master.rows::<DiskRow>().await?;
    if let Some(given) = &args.agent {
        let agents = context.master.rows::<AgentRow>().await?;
        let agent = choose(&agents, given)?.id.clone();
        disks.retain(|it| it.agent == agent);
    }
    let disk = choose(&disks, &args.disk)?;
    if args.plan.plan {
        return plan(context, disk).await;
    }
    let pairs = [("agent", disk.agent.as_str()), ("path", disk.root.as_str())];
    context.master.post("remove-disk", &pairs).await?;
    context.remark(&format!(
        "disk {} ({}) is taken away from {}; nothing on it was touched",
        disk.root, disk.id, disk.hostname
    ));
    Ok(0)
}

async fn plan(context: &Context, disk: &DiskRow) -> anyhow::Result<i32> {
    let claims = claims_on(context, disk).await?;
    let refuse = |cause: String, hint: &str| Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    if !disk.added {
        return refuse(
            format!("the settings of {} name the disk at {}", disk.hostname, disk.root),
            "take it out of the agent's --disk or --resources, and restart the agent",
        );
    }
    if !claims.is_empty() {
        return refuse(
            format!("{} claims lie on the disk at {}", claims.len(), disk.root),
            "see them with `holdfast disk show`; destroy the volumes and remove the reservations first",
        );
    }
    let plan = json!({
        "action": "REMOVE_DISK", "agent": disk.agent, "disk": disk.id, "path": disk.root,
        "touches": "nothing on the disk"
    });
    put_plan(context, &plan)
}
