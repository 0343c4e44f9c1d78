//! `reservation create`: hold resources of a running agent for a role.

use holdfast_api::rows::{AgentRow, ClaimRow, DiskRow};
use holdfast_model::OperatorCall;
use holdfast_model::{AgentId, ClaimAction, Resource};

use super::change::{ask, put_plan, PlanArgs};
use super::choose::choose;
use super::claim_list::CLAIMS;
use super::conditions::{apply, expected, ConditionArgs};
use super::rows::Received;
use super::{holdings, Context};
use crate::failure::Failure;

/// What to reserve, where and for whom.
#[derive(Clone, Debug, clap::Args)]
pub struct ReservationCreateArgs {
    /// What: `cpus:1;mem:512;disk:10240` (mem and disk in MB), or a JSON array of Mesos resources as they are now.
    pub resources: String,
    /// Where: an agent's id, short form or host.
    #[arg(long)]
    pub agent: String,
    /// For whom.
    #[arg(long)]
    pub role: String,
    /// On which disk: its id or path; the agent's own file system when not given. A mount disk only as a whole.
    #[arg(long)]
    pub disk: Option<String>,
    /// By whom.
    #[arg(long)]
    pub principal: Option<String>,
    /// Labels that tell it apart, NAME=VALUE; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// When it is done.
    #[command(flatten)]
    pub condition: ConditionArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &ReservationCreateArgs) -> anyhow::Result<i32> {
    let role = holdings::role(&args.role)?;
    let resources = holdings::typed(&args.resources)?;
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, &args.agent)?;
    let resources = placed(context, resources, &agent.id, args.disk.as_deref()).await?;
    let reservation = holdings::reservation(role, args.principal.as_deref(), &args.label);
    let reserve = |it: Resource| it.reserved(reservation.clone());
    let action = ClaimAction::Reserve {
        resources: resources.into_iter().map(reserve).collect(),
        source: Vec::new(),
    };
    create(context, &agent.id, action, (args.plan, &args.condition)).await
}

/// The resources, moved to the disk that was named.
///
/// # Errors
/// When there is no such disk on the agent.
pub async fn placed(
    context: &Context,
    resources: Vec<Resource>,
    agent: &str,
    disk: Option<&str>,
) -> Result<Vec<Resource>, Failure> {
    let Some(given) = disk else { return Ok(resources) };
    let mut disks = context.master.rows::<DiskRow>().await?;
    disks.retain(|it| it.agent == agent);
    Ok(holdings::on_disk(resources, choose(&disks, given)?))
}

/// Makes claims, and shows those that are new or have grown.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn create(
    context: &Context,
    agent: &str,
    action: ClaimAction,
    (plan, condition): (PlanArgs, &ConditionArgs),
) -> anyhow::Result<i32> {
    let (name, id) = (action.name(), AgentId::parse(agent)?);
    let order = OperatorCall::Claim { agent: id.clone(), action: action.clone() };
    if plan.plan {
        let plan = ask(context, &order).await?;
        condition.write(context, &plan)?;
        return put_plan(context, &plan);
    }
    let before = context.master.rows::<ClaimRow>().await?;
    match condition.if_generation {
        None => context.master.order(&order).await?,
        Some(it) => apply(context, &id, &[action], &expected(it, None)).await?,
    }
    let mut rows = context.master.rows::<ClaimRow>().await?;
    rows.retain(|it| it.agent == agent && is_news(&before, it));
    context.remark(&format!("{} on agent {agent}: done and durable", name.to_lowercase()));
    context.console.put(&CLAIMS.text(context, &rows))?;
    Ok(0)
}

/// Whether a claim is new, or has grown since.
pub(super) fn is_news(before: &[Received<ClaimRow>], claim: &ClaimRow) -> bool {
    let was = before.iter().find(|it| it.id == claim.id);
    was.is_none_or(|it| it.amount < claim.amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn news_are_claims_that_are_new_or_have_grown() {
        let claim = |id: &str, amount: f64| -> Received<ClaimRow> {
            testbed::received(json!({ "id": id, "amount": amount }))
        };
        let before = [claim("a", 5.0), claim("b", 5.0)];
        let news = |id: &str, amount: f64| is_news(&before, &claim(id, amount));
        assert!(news("c", 1.0) && news("a", 6.0));
        assert!(!news("a", 5.0) && !news("b", 1.0));
    }
}
