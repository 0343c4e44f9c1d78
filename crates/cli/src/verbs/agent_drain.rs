//! `agent drain`, `agent deactivate`, `agent reactivate`: take an agent out of service with all that it keeps, and back into it.
//!
//! What runs on a drained agent is killed; what is claimed there stays, and waits. So the plan says of each task what it uses and how long
//! it may take, and of each claim what becomes of it.

use std::time::Duration;

use holdfast_api::rows::{AgentRow, LeavingPlan};
use holdfast_model::{AgentId, OperatorCall};
use holdfast_node::settings::durations::parse_duration;

use super::agent_gone::words;
use super::change::{ask, confirm, put_words, DestroyArgs};
use super::choose::choose;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_TIMEOUT};

/// How often is looked whether an agent is drained.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Which agent, how it is drained, and how that is agreed to.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentDrainArgs {
    /// Its id, the beginning of it, its short form (S0), or its host.
    pub agent: String,
    /// No task gets more time to end than this, such as 30s; each has its own kill policy besides.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub max_grace: Option<Duration>,
    /// Mark the agent gone once nothing runs there any more: its claims are given up then, for ever.
    #[arg(long)]
    pub mark_gone: bool,
    /// Wait until nothing runs there any more.
    #[arg(long, conflicts_with = "cancel")]
    pub wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "wait")]
    pub timeout: Option<Duration>,
    /// End a drain that is under way, and offer the agent again; what was killed stays killed.
    #[arg(long, conflicts_with_all = ["max_grace", "mark_gone", "plan"])]
    pub cancel: bool,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Which agent.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentChoice {
    /// Its id, the beginning of it, its short form (S0), or its host.
    pub agent: String,
}

/// Runs `agent drain`.
///
/// # Errors
/// When it cannot be done, and why; or when it takes longer than was waited for.
pub async fn drain(context: &Context, args: &AgentDrainArgs) -> anyhow::Result<i32> {
    let agent = chosen(context, &args.agent).await?;
    if args.cancel {
        return cancel(context, &agent).await;
    }
    let grace = args.max_grace.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    let (id, mark_gone) = (AgentId::parse(&agent.id)?, args.mark_gone);
    let order = OperatorCall::DrainAgent { agent: id, max_grace_ms: grace, mark_gone };
    let plan = Received::<LeavingPlan>::read("plan", ask(context, &order).await?)?;
    if args.destroy.plan.plan {
        return put_words(context, &plan.raw, &words(&plan));
    }
    let then = if mark_gone { ", and mark it gone for ever then" } else { "" };
    let question = format!("{}Drain agent {} on {}{then}?", words(&plan), agent.id, agent.hostname);
    confirm(context, &question, args.destroy)?;
    context.master.order(&order).await?;
    let left = plan.ends_tasks.len();
    context.remark(&format!("agent {} is being drained; {left} tasks are to end", agent.id));
    if args.wait {
        return wait(context, &agent.id, args.timeout).await;
    }
    context.remark("its claims are kept: `holdfast agent reactivate` has it offered again");
    Ok(0)
}

/// Waits until nothing runs on an agent any more, or it is gone.
async fn wait(context: &Context, id: &str, timeout: Option<Duration>) -> anyhow::Result<i32> {
    let end = timeout.map(|it| std::time::Instant::now() + it);
    let mut said = None;
    loop {
        let agents = context.master.rows::<AgentRow>().await?;
        let Some(row) = agents.iter().find(|it| it.id == id) else {
            context.remark(&format!("agent {id} is drained, and gone"));
            return Ok(0);
        };
        let Some(drain) = row.deactivated.as_ref().and_then(|it| it.drain.as_ref()) else {
            let cause = format!("agent {id} is not drained: somebody has ended the drain");
            return Err(Failure::new(EXIT_CONFLICT, cause, "see `holdfast agent show`").into());
        };
        if drain.drained {
            context.remark(&format!("agent {id} is drained: nothing runs there any more"));
            return Ok(0);
        }
        if said.as_ref() != Some(&row.why) {
            said = Some(row.why.clone());
            context.remark(&format!("{}: {}", row.state.word(), row.why.as_deref().unwrap_or("")));
        }
        if end.is_some_and(|it| it <= std::time::Instant::now()) {
            let cause = format!("agent {id} is not drained yet; {} tasks are left", row.tasks);
            let hint = "it goes on; wait longer, or see `holdfast agent show`";
            return Err(Failure::new(EXIT_TIMEOUT, cause, hint).into());
        }
        // tidy: sleep is the point: the masters are asked now and then, and tell of nothing by themselves here
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn cancel(context: &Context, agent: &AgentRow) -> anyhow::Result<i32> {
    if agent.deactivated.as_ref().is_none_or(|it| it.drain.is_none()) {
        let cause = format!("agent {} is not being drained", agent.id);
        return Err(Failure::new(EXIT_CONFLICT, cause, "see `holdfast agent list`").into());
    }
    let pairs = [("agent", agent.id.as_str()), ("cancel_drain", "true")];
    context.master.post("reactivate-agent", &pairs).await?;
    context.remark(&format!("agent {} is offered again; what was killed stays killed", agent.id));
    Ok(0)
}

/// Runs `agent deactivate`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn deactivate(context: &Context, args: &AgentChoice) -> anyhow::Result<i32> {
    let agent = chosen(context, &args.agent).await?;
    context.master.order(&OperatorCall::DeactivateAgent(AgentId::parse(&agent.id)?)).await?;
    context.remark(&format!(
        "nothing of agent {} is offered any more; its tasks go on: `holdfast agent reactivate` ends that",
        agent.id
    ));
    Ok(0)
}

/// Runs `agent reactivate`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn reactivate(context: &Context, args: &AgentChoice) -> anyhow::Result<i32> {
    let agent = chosen(context, &args.agent).await?;
    let id = AgentId::parse(&agent.id)?;
    context.master.order(&OperatorCall::ReactivateAgent { agent: id, cancel_drain: false }).await?;
    context.remark(&format!("agent {} is offered again", agent.id));
    Ok(0)
}

async fn chosen(context: &Context, given: &str) -> Result<AgentRow, Failure> {
    let agents = context.master.rows::<AgentRow>().await?;
    Ok(choose(&agents, given)?.row.clone())
}
