//! `volume destroy`: give a volume up; its data go to the trash of its disk.
//!
//! Never without its name typed by somebody (or -y, for scripts), and never while a task uses it.

use holdfast_api::rows::{ClaimKind, ClaimRow, ClaimStanding};
use holdfast_model::OperatorCall;
use holdfast_model::{AgentId, ClaimAction};

use super::change::{confirm_by_name, plan, DestroyArgs};
use super::choose::choose;
use super::{holdings, Context};
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::amounts;

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
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| it.kind == ClaimKind::Volume);
    let row = choose(&claims, &args.volume)?;
    let name = row.volume.as_deref().unwrap_or_default();
    if let Some(task) = &row.task {
        let cause = format!("volume `{name}` is used by task {task}");
        return Err(
            Failure::new(EXIT_CONFLICT, cause, "end the task first: `holdfast task kill`").into()
        );
    }
    if row.state == ClaimStanding::Destroying {
        context.remark("it is being destroyed already");
        return Ok(0);
    }
    let total = holdings::total(&context.master, &row.agent).await?;
    let volume = holdings::volume(&total, &row.role, name).ok_or_else(|| {
        let cause = format!("the agent has no volume `{name}` of role {} now", row.role);
        Failure::new(EXIT_CONFLICT, cause, "see what is wrong with it: `holdfast claim show`")
    })?;
    let order = OperatorCall::Claim {
        agent: AgentId::parse(&row.agent)?,
        action: ClaimAction::Destroy(vec![volume]),
    };
    if args.destroy.plan.plan {
        return plan(context, &order).await;
    }
    confirm_by_name(context, &question(row, name), name, args.destroy)?;
    context.master.order(&order).await?;
    context.remark(&format!(
        "volume `{name}` ({}) is destroyed; its data are in the trash of its disk",
        row.id
    ));
    Ok(0)
}

fn question(row: &ClaimRow, name: &str) -> String {
    format!(
        "Destroy volume `{name}` ({}, role {}, on {})? Its data go to the trash.",
        amounts::of("disk", row.amount),
        row.role,
        row.hostname
    )
}
