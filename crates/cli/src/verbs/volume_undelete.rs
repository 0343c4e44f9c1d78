//! `volume undelete`, also `trash restore`: bring a destroyed volume back, with its data, its history and its holder.
//!
//! Takes the space that the volume's reservation still has, or space that nobody has claimed since. Never takes anything from anybody: what
//! is in the way is named.

use holdfast_api::rows::{ClaimKind, ClaimRow, ClaimStanding, TrashRow};

use super::change::{put_plan, PlanArgs};
use super::choose::choose;
use super::Context;
use crate::failure::EXIT_NOT_FOUND;

/// Which volume.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeUndeleteArgs {
    /// The id of the claim that it had, the beginning of it, or its name.
    pub volume: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be brought back, and why.
pub async fn run(context: &Context, args: &VolumeUndeleteArgs) -> anyhow::Result<i32> {
    let trash = context.master.rows::<TrashRow>().await?;
    let row = match choose(&trash, &args.volume) {
        Err(failure) if failure.code == EXIT_NOT_FOUND => {
            if is_there(context, &args.volume).await? {
                context.remark("it is not destroyed, or is back already; nothing was changed");
                return Ok(0);
            }
            return Err(failure.into());
        }
        chosen => chosen?,
    };
    let pairs = [("agent", row.agent.as_str()), ("claim", row.id.as_str())];
    if args.plan.plan {
        let plan = context.master.get("undelete-plan", &pairs).await?;
        return put_plan(context, &plan);
    }
    context.master.post("undelete", &pairs).await?;
    context.remark(&format!("volume `{}` ({}) is back, with its data", row.volume, row.id));
    Ok(0)
}

/// Whether there is such a volume, and nobody is destroying it.
async fn is_there(context: &Context, given: &str) -> anyhow::Result<bool> {
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| it.kind == ClaimKind::Volume && it.state != ClaimStanding::Destroying);
    Ok(choose(&claims, given).is_ok())
}
