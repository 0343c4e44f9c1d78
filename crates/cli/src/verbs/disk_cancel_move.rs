//! `disk cancel-move`: a disk is not moved to another agent after all.
//!
//! The agent that was asked to take the disk over says whether it has: if so, the move is complete, and this is refused. While that agent is
//! away, it is passed over by force only; what it may have taken ends there before it is believed again.

use holdfast_api::rows::DiskMoveRow;
use serde_json::json;

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::disk_moves::waits_for;
use super::Context;

/// Which disk.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskCancelMoveArgs {
    /// Its id, the beginning of it, or its path at either agent.
    pub disk: String,
    /// Pass over the agent that was to take it over, which is away and cannot say whether it has.
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// How it is known that nothing of that agent uses the disk; it is written into the history of the claims.
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &DiskCancelMoveArgs) -> anyhow::Result<i32> {
    let moves = context.master.rows::<DiskMoveRow>().await?;
    let it = choose(&moves, &args.disk)?;
    if args.plan.plan {
        let plan = json!({
            "action": "CANCEL_MOVE", "disk": it.id, "agent": it.from, "path": it.from_root, "to_agent": it.to,
            "waits_for": waits_for(it), "touches": "nothing on the disk"
        });
        return put_plan(context, &plan);
    }
    let mut pairs = vec![("disk", it.id.as_str()), ("from", it.from.as_str())];
    pairs.extend(args.force.then_some(("force", "true")));
    pairs.extend(args.reason.as_deref().map(|it| ("reason", it)));
    context.master.post("cancel-move", &pairs).await?;
    context.remark(&format!(
        "disk {} stays {}'s, with all that is claimed of it, and is not moved to {}",
        it.id, it.from_hostname, it.to_hostname
    ));
    Ok(0)
}
