//! `trash purge`: remove a destroyed volume for good, before its time.
//!
//! Never without its name typed by somebody (or -y, for scripts).

use holdfast_api::rows::TrashRow;
use serde_json::json;

use super::change::{confirm_by_name, put_plan, DestroyArgs};
use super::choose::choose;
use super::Context;

/// Which volume.
#[derive(Clone, Debug, clap::Args)]
pub struct TrashPurgeArgs {
    /// The id of the claim that it had, the beginning of it, or its name.
    pub volume: String,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &TrashPurgeArgs) -> anyhow::Result<i32> {
    let trash = context.master.rows::<TrashRow>().await?;
    let row = choose(&trash, &args.volume)?;
    if args.destroy.plan.plan {
        let plan = json!({
            "action": "PURGE", "agent": row.agent, "disk": row.root, "volume": row.volume, "removes": row.id
        });
        return put_plan(context, &plan);
    }
    let question = format!(
        "Remove destroyed volume `{}` (role {}, on {}) for good? Nobody can bring it back then.",
        row.volume, row.role, row.hostname
    );
    confirm_by_name(context, &question, &row.volume, args.destroy)?;
    let pairs = [("agent", row.agent.as_str()), ("claim", row.id.as_str())];
    context.master.post("purge", &pairs).await?;
    context.remark(&format!(
        "destroyed volume `{}` ({}) cannot be brought back any more; its files are being removed",
        row.volume, row.id
    ));
    Ok(0)
}
