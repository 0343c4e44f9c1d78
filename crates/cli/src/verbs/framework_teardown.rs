//! `framework teardown`: remove a framework and end its tasks; its claims stay, unclaimed.

use holdfast_api::rows::{FrameworkRow, FrameworkStanding};
use holdfast_model::FrameworkId;
use holdfast_model::OperatorCall;

use super::change::{confirm, plan, DestroyArgs};
use super::choose::choose;
use super::Context;

/// Which framework.
#[derive(Clone, Debug, clap::Args)]
pub struct FrameworkTeardownArgs {
    /// Its id, the beginning of it, its short form (0003), or its name.
    pub framework: String,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &FrameworkTeardownArgs) -> anyhow::Result<i32> {
    let mut frameworks = context.master.rows::<FrameworkRow>().await?;
    frameworks.retain(|it| it.state != FrameworkStanding::Removed);
    let row = choose(&frameworks, &args.framework)?;
    let order = OperatorCall::Teardown(FrameworkId::parse(&row.id)?);
    if args.destroy.plan.plan {
        return plan(context, &order).await;
    }
    let (name, tasks, volumes) = (&row.name, row.tasks, row.volumes);
    let question = format!("Tear down framework `{name}`, end its {tasks} tasks, and leave its {volumes} volumes unclaimed?");
    confirm(context, &question, args.destroy)?;
    context.master.order(&order).await?;
    context.remark(&format!(
        "framework `{name}` ({}) is removed; its claims stay: `holdfast claim list --unclaimed`",
        row.id
    ));
    Ok(0)
}
