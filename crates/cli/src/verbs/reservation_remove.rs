//! `reservation remove`: give reserved resources back, all of a claim or a part.
//!
//! Never touches a volume: those are destroyed by `volume destroy`, and only then is what they lay on free to be given back.

use holdfast_api::rows::{AgentRow, ClaimKind, ClaimRow};
use holdfast_model::OperatorCall;
use holdfast_model::{AgentId, ClaimAction, Resource};
use serde_json::Value;

use super::change::{ask, confirm, put_plan, DestroyArgs};
use super::choose::choose;
use super::conditions::{apply, expected, ConditionArgs};
use super::reservation_create::placed;
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
    let mut which = vec![("agent", row.agent.as_str()), ("claim", row.id.as_str())];
    let plan = context.master.get("plan", &which).await?;
    if args.destroy.plan.plan {
        args.condition.write(context, &plan)?;
        return put_plan(context, &plan);
    }
    let text = plan.get("takes").and_then(Value::as_str).unwrap_or_default();
    let agent = &row.agent;
    confirm(context, &format!("Give back {text} on agent {agent}?"), args.destroy)?;
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
