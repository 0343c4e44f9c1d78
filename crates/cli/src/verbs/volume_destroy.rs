//! `volume destroy`: give a volume up; its data go to the trash of its disk.
//!
//! Never without its name typed by somebody (or -y, for scripts), and never while a task uses it.

use holdfast_model::OperatorCall;
use holdfast_model::{AgentId, ClaimAction};

use super::change::{confirm_by_name, plan, DestroyArgs};
use super::choose::CLAIM;
use super::{holdings, Context};
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::{amounts, Row};

/// Which volume.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeDestroyArgs {
    /// Its claim's id, the beginning of it, or its name.
    pub volume: String,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &VolumeDestroyArgs) -> anyhow::Result<i32> {
    let mut claims = context.master.rows("claims").await?;
    claims.retain(|it| it["kind"] == "volume");
    let row = Row(CLAIM.choose(&claims, &args.volume)?);
    if !row.text("task").is_empty() {
        let cause = format!("volume `{}` is used by task {}", row.text("volume"), row.text("task"));
        return Err(
            Failure::new(EXIT_CONFLICT, cause, "end the task first: `holdfast task kill`").into()
        );
    }
    if row.text("state") == "destroying" {
        context.remark("it is being destroyed already");
        return Ok(0);
    }
    let total = holdings::total(&context.master, row.text("agent")).await?;
    let volume =
        holdings::volume(&total, row.text("role"), row.text("volume")).ok_or_else(|| {
            let cause = format!(
                "the agent has no volume `{}` of role {} now",
                row.text("volume"),
                row.text("role")
            );
            Failure::new(EXIT_CONFLICT, cause, "see what is wrong with it: `holdfast claim show`")
        })?;
    let order = OperatorCall::Claim {
        agent: AgentId::parse(row.text("agent"))?,
        action: ClaimAction::Destroy(vec![volume]),
    };
    if args.destroy.plan.plan {
        return plan(context, &order).await;
    }
    confirm_by_name(context, &question(row), row.text("volume"), args.destroy)?;
    context.master.order(&order).await?;
    context.remark(&format!(
        "volume `{}` ({}) is destroyed; its data are in the trash of its disk",
        row.text("volume"),
        row.text("id")
    ));
    Ok(0)
}

fn question(row: Row<'_>) -> String {
    format!(
        "Destroy volume `{}` ({}, role {}, on {})? Its data go to the trash.",
        row.text("volume"),
        amounts::of("disk", row.number("amount")),
        row.text("role"),
        row.text("hostname")
    )
}
