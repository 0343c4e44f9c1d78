//! `reservation remove`: give reserved resources back, all of a claim or a part.
//!
//! Never touches a volume: those are destroyed by `volume destroy`, and only then is what they lay on free to be given back. Never ends
//! what a framework holds that was not removed, unless forced.

use holdfast_api::rows::{AgentRow, ClaimKind, ClaimRow, FrameworkStanding};
use holdfast_model::OperatorCall;
use holdfast_model::{AgentId, ClaimAction, Resource};

use super::change::{ask, confirm, put_plan, DestroyArgs};
use super::choose::choose;
use super::conditions::{apply, expected, ConditionArgs};
use super::context::now_ms;
use super::reservation_create::placed;
use super::volume_destroy::{holder, read, show, unforced};
use super::{holdings, Context};
use crate::failure::{Failure, EXIT_CONFLICT};

/// What to give back.
#[derive(Clone, Debug, clap::Args)]
pub struct ReservationRemoveArgs {
    /// The claim (its id or the beginning of it); or with --agent resources such as `cpus:1;disk:10240`.
    pub what: String,
    /// Where, when resources are named.
    #[arg(long)]
    pub agent: Option<String>,
    /// Whose, when resources are named as text.
    #[arg(long, requires = "agent")]
    pub role: Option<String>,
    /// On which disk, when resources are named.
    #[arg(long, requires = "agent")]
    pub disk: Option<String>,
    /// End the claim though its framework was not removed, and may rely on it.
    #[arg(long, conflicts_with = "agent")]
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
pub async fn run(context: &Context, args: &ReservationRemoveArgs) -> anyhow::Result<i32> {
    let (agent, resources) = match &args.agent {
        Some(agent) => named(context, args, agent).await?,
        None => return claimed(context, args).await,
    };
    let text: Vec<String> = resources.iter().map(ToString::to_string).collect();
    let text = text.join("; ");
    let (id, action) = (AgentId::parse(&agent)?, ClaimAction::Unreserve(resources));
    let order = OperatorCall::Claim { agent: id.clone(), action: action.clone() };
    if args.destroy.plan.plan {
        let plan = ask(context, &order).await?;
        args.condition.write(context, &plan)?;
        return put_plan(context, &plan);
    }
    confirm(context, &format!("Give back {text} on agent {agent}?"), args.destroy)?;
    match args.condition.if_generation {
        None => context.master.order(&order).await?,
        Some(it) => apply(context, &id, &[action], &expected(it, None)).await?,
    }
    context.remark(&format!("{text} on agent {agent} is not reserved any more"));
    Ok(0)
}

/// Ends the claim that was named, whichever others look the same.
async fn claimed(context: &Context, args: &ReservationRemoveArgs) -> anyhow::Result<i32> {
    let claims = context.master.rows::<ClaimRow>().await?;
    let row = choose(&claims, &args.what)?;
    if row.kind == ClaimKind::Volume {
        let name = row.volume.as_deref().unwrap_or_default();
        let cause = format!("claim {} is the volume `{name}`", row.id);
        return Err(Failure::new(
            EXIT_CONFLICT,
            cause,
            "if its data may go: `holdfast volume destroy`",
        )
        .into());
    }
    let which = [("agent", row.agent.as_str()), ("claim", row.id.as_str()), ("force", "true")];
    let raw = context.master.get("plan", &which).await?;
    let plan = read(&raw)?;
    let held = plan.holder.as_ref().filter(|it| it.state != FrameworkStanding::Removed);
    if args.destroy.plan.plan {
        let forced = if args.force { raw } else { unforced(raw) };
        args.condition.write(context, &forced)?;
        return show(context, forced, row, held.is_some() && !args.force);
    }
    let by = held.map(|it| holder(it, now_ms()));
    if let (Some(by), false) = (&by, args.force) {
        let cause = format!("claim {} is held by {by}, which was not removed", row.id);
        let hint = "if it may go, add --force; else have the framework give it up, or remove it first: `holdfast framework teardown`";
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    let (text, agent) = (&plan.takes, &row.agent);
    let held = by.map(|it| format!(" It is held by {it}.")).unwrap_or_default();
    confirm(context, &format!("Give back {text} on agent {agent}?{held}"), args.destroy)?;
    let force = if args.force { "true" } else { "false" };
    let mut which =
        vec![("agent", row.agent.as_str()), ("claim", row.id.as_str()), ("force", force)];
    let generation = args.condition.if_generation.map(|it| it.to_string());
    which.extend(generation.as_deref().map(|it| ("if_generation", it)));
    context.master.post("end-claim", &which).await?;
    context.remark(&format!("{text} on agent {agent} is not reserved any more"));
    Ok(0)
}

/// What was named, as it is reserved there.
async fn named(
    context: &Context,
    args: &ReservationRemoveArgs,
    agent: &str,
) -> Result<(String, Vec<Resource>), Failure> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, agent)?;
    let typed = holdings::typed(&args.what)?;
    let id = agent.id.clone();
    if typed.iter().all(|it| it.identity.is_dynamic()) {
        return Ok((id, typed));
    }
    let Some(role) = &args.role else {
        return Err(Failure::usage("whose reservation it is was not said", "add --role ROLE"));
    };
    let role = holdings::role(role)?;
    let wanted = placed(context, typed, &id, args.disk.as_deref()).await?;
    let total = holdings::total(&context.master, &id).await?;
    let found = wanted
        .iter()
        .map(|it| holdings::reserved_part(&total, &role, it))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((id, found))
}
