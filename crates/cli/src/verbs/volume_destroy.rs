//! `volume destroy`: give a volume up; its data go to the trash of its disk.
//!
//! Never without its name typed by somebody (or -y, for scripts), never while a task uses it, and never behind the back of a framework
//! that was not removed, unless forced.

use holdfast_api::rows::{
    ClaimKind, ClaimRow, ClaimStanding, EndPlan, FrameworkStanding, HolderRow,
};
use serde_json::Value;

use super::change::{confirm_by_name, put_plan, DestroyArgs};
use super::choose::choose;
use super::conditions::ConditionArgs;
use super::context::now_ms;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};
use crate::output::{amounts, human};

/// Which volume.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeDestroyArgs {
    /// Its claim's id, the beginning of it, or its name.
    pub volume: String,
    /// Destroy it though its framework was not removed, and may come back for it.
    #[arg(long)]
    pub force: bool,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
    /// When it is done.
    #[command(flatten)]
    pub condition: ConditionArgs,
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
    if let Some(tasks) = row.used_by() {
        let cause = format!("volume `{name}` is used by task {tasks}");
        return Err(
            Failure::new(EXIT_CONFLICT, cause, "end the task first: `holdfast task kill`").into()
        );
    }
    if row.state == ClaimStanding::Destroying {
        context.remark("it is being destroyed already");
        return Ok(0);
    }
    let which = [("agent", row.agent.as_str()), ("claim", row.id.as_str()), ("force", "true")];
    let raw = context.master.get("plan", &which).await?;
    let plan = read(&raw)?;
    let held = plan.holder.as_ref().filter(|it| it.state != FrameworkStanding::Removed);
    if args.destroy.plan.plan {
        let needs_force = held.is_some() && !args.force;
        let forced = if args.force { raw.clone() } else { unforced(raw.clone()) };
        args.condition.write(context, &forced)?;
        return show(context, forced, row, needs_force);
    }
    let by = held.map(|it| holder(it, now_ms()));
    if let (Some(by), false) = (&by, args.force) {
        let cause = format!("volume `{name}` is held by {by}, which was not removed");
        let hint = "if its data are not needed, add --force; else remove the framework first: `holdfast framework teardown`";
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    confirm_by_name(context, &question(row, name, by), name, args.destroy)?;
    let force = if args.force { "true" } else { "false" };
    let mut which =
        vec![("agent", row.agent.as_str()), ("claim", row.id.as_str()), ("force", force)];
    let generation = args.condition.if_generation.map(|it| it.to_string());
    which.extend(generation.as_deref().map(|it| ("if_generation", it)));
    context.master.post("end-claim", &which).await?;
    context.remark(&format!(
        "volume `{name}` ({}) is destroyed; its data are in the trash of its disk",
        row.id
    ));
    Ok(0)
}

/// The plan was asked for by force, so that it says who holds the claim; what it writes down has as much force as was given.
pub(super) fn unforced(mut raw: Value) -> Value {
    if let Some(document) = raw.get_mut("apply").and_then(Value::as_object_mut) {
        document.remove("force");
    }
    raw
}

pub(super) fn read(raw: &Value) -> Result<EndPlan, Failure> {
    serde_json::from_value(raw.clone()).map_err(|it| {
        Failure::new(
            EXIT_ERROR,
            format!("the master's plan: {it}"),
            "is it the same version as this program?",
        )
    })
}

/// The plan, with what a person wants to know before something ends that others may rely on.
pub(super) fn show(
    context: &Context,
    raw: Value,
    row: &ClaimRow,
    needs_force: bool,
) -> anyhow::Result<i32> {
    if !context.format.is_table() {
        return put_plan(context, &raw);
    }
    let plan = read(&raw)?;
    let mut lines = raw;
    if let Value::Object(fields) = &mut lines {
        fields.insert("size".to_owned(), amounts::of(&row.resource, row.amount).into());
        let nobody = if row.kind == ClaimKind::Volume { "operator" } else { "the role" };
        let by = plan.holder.map_or_else(|| nobody.to_owned(), |it| holder(&it, now_ms()));
        fields.insert("holder".to_owned(), by.into());
        if needs_force {
            fields.insert("needs".to_owned(), "--force".into());
        }
    }
    put_plan(context, &lines)
}

/// Who holds a claim, and whether it is there.
pub(super) fn holder(row: &HolderRow, now_ms: u64) -> String {
    let standing = match (row.state, row.away_since_ms) {
        (FrameworkStanding::Away, Some(since)) => {
            format!("away since {}", human::ago(now_ms, since))
        }
        (state, _) => state.word().to_owned(),
    };
    format!("framework `{}` ({}, {standing})", row.name, row.framework)
}

fn question(row: &ClaimRow, name: &str, held_by: Option<String>) -> String {
    let held = held_by.map(|it| format!(" It is held by {it}.")).unwrap_or_default();
    format!(
        "Destroy volume `{name}` ({}, role {}, on {})? Its data go to the trash.{held}",
        amounts::of("disk", row.amount),
        row.role,
        row.hostname
    )
}
