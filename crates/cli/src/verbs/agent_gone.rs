//! `agent gone`: say that an agent will not come back, so that what it held can be made anew elsewhere.
//!
//! That is for ever, so what would be given up is listed first, and who is connected is not taken for dead without a word more. Nothing on
//! its disks is touched.

use holdfast_api::rows::{
    AgentRow, AgentStanding, ClaimKind, GoneAgentRow, LeavingClaimRow, LeavingPlan, LeavingTaskRow,
};
use holdfast_model::{AgentId, OperatorCall};

use super::change::{ask, confirm_by_name, put_words, DestroyArgs};
use super::choose::choose;
use super::context::now_ms;
use super::rows::Received;
use super::volume_destroy::holder;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::{amounts, human, ids, Column, Table};

/// Which agent, and how it is agreed to.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentGoneArgs {
    /// Its id, the beginning of it, its short form (S0), or its host.
    pub agent: String,
    /// Why; it is written into the death certificate, and shown wherever something ended by it.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Also if it is connected: what runs there is killed.
    #[arg(long)]
    pub force: bool,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &AgentGoneArgs) -> anyhow::Result<i32> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, &args.agent)?;
    let order = OperatorCall::MarkAgentGone { agent: AgentId::parse(&agent.id)?, reason: None };
    let plan = Received::<LeavingPlan>::read("plan", ask(context, &order).await?)?;
    if args.destroy.plan.plan {
        return put_words(context, &plan.raw, &words(&plan));
    }
    let is_away = matches!(agent.state, AgentStanding::Away | AgentStanding::Fenced);
    if !is_away && !args.force {
        return Err(Failure::new(
            EXIT_CONFLICT,
            format!("agent {} on {} is connected ({}), and nothing was done: one that is gone never comes back, and all its claims are given up", agent.id, agent.hostname, agent.state.word()),
            "look at what it holds with --plan; if you mean it, add --force",
        )
        .into());
    }
    let short = agent.id.rsplit('-').next().unwrap_or(&agent.id);
    let question = format!("{}Mark agent {short} gone for ever?", words(&plan));
    confirm_by_name(context, &question, short, args.destroy)?;
    let mut pairs = vec![("agent", agent.id.as_str())];
    pairs.extend(args.reason.as_deref().map(|it| ("reason", it)));
    context.master.post("mark-agent-gone", &pairs).await?;
    context.remark(&format!(
        "agent {} is gone; what was claimed there is given up: `holdfast claim list --ended`",
        agent.id
    ));
    context.remark("nothing on its disks was touched: another agent can take them over: `holdfast disk adopt --from-gone`, and then `holdfast volume adopt --orphan`");
    Ok(0)
}

/// Shows the agents that are gone.
///
/// # Errors
/// When no master answers.
pub async fn list(context: &Context) -> anyhow::Result<i32> {
    let rows = context.master.rows::<GoneAgentRow>().await?;
    if rows.is_empty() {
        context.remark("no agent was ever marked gone");
    }
    if !context.format.is_table() {
        context.put_value(&super::listing::raw(&rows))?;
    } else if !rows.is_empty() {
        let table = table(&rows.iter().map(|it| &it.row).collect::<Vec<_>>(), now_ms());
        context.console.put(&table.render(context.is_wide(), context.console.colours))?;
    }
    Ok(0)
}

fn table(rows: &[&GoneAgentRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("AGENT ID").wide(),
        Column::left("HOST"),
        Column::left("GONE"),
        Column::left("BY"),
        Column::left("WHY").optional(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.hostname.as_str().into(),
            human::ago(now_ms, row.gone_ms).into(),
            row.by.as_str().into(),
            row.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// A plan, as people read it.
pub fn words(plan: &LeavingPlan) -> String {
    let mut text =
        format!("agent: {}\nhost: {}, {}\n", plan.agent, plan.hostname, plan.state.word());
    let tasks = plan.ends_tasks.iter().map(task);
    list_lines(&mut text, "ends tasks", tasks.collect());
    let claims = plan.claims.iter().map(claim);
    list_lines(&mut text, "claims", claims.collect());
    text
}

fn list_lines(text: &mut String, heading: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return text.push_str(&format!("{heading}: none\n"));
    }
    text.push_str(&format!("{heading}:\n"));
    text.extend(lines.iter().map(|it| format!("  {it}\n")));
}

fn task(row: &LeavingTaskRow) -> String {
    let grace = row.grace_ms.map(|it| format!(", which has {} to end", human::span(it)));
    let volumes = match (row.volumes.as_slice(), row.waits) {
        ([], _) => String::new(),
        (volumes, false) => format!(", with volume {}", volumes.join(", ")),
        (volumes, true) => {
            format!("; volume {} waits here for it to come back", volumes.join(", "))
        }
    };
    let grace = grace.unwrap_or_default();
    format!("{} of framework `{}`{grace}{volumes}", row.task, row.framework_name)
}

fn claim(row: &LeavingClaimRow) -> String {
    let what = match (row.kind, &row.volume) {
        (ClaimKind::Volume, Some(name)) => format!("volume `{name}`"),
        _ => "reservation".to_owned(),
    };
    let disk = row.disk_root.as_ref().map(|it| format!(" on {it}")).unwrap_or_default();
    let by = row.holder.as_ref().map(|it| format!(", held by {}", holder(it, now_ms())));
    format!(
        "{what} of role {}, {} {}{disk}, claim {}{}: {}",
        row.role,
        row.resource,
        amounts::of(&row.resource, row.amount),
        row.claim,
        by.unwrap_or_default(),
        row.becomes
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_names_each_task_and_each_claim() {
        let plan: LeavingPlan = serde_json::from_value(json!({
            "action": "MARK_AGENT_GONE", "agent": "c-S0", "hostname": "h1", "state": "away",
            "claims": [{ "amount": 64.0, "becomes": "given up", "claim": "c1", "disk_root": "/d1", "holder": null,
                "kind": "volume", "resource": "disk", "role": "db", "volume": "data-0" }],
            "ends_tasks": [{ "framework": "f", "framework_name": "journal", "task": "m-0", "volumes": ["data-0"],
                "grace_ms": null, "waits": false },
                { "framework": "f", "framework_name": "journal", "task": "m-1", "volumes": ["data-1"], "grace_ms": 3000, "waits": true }],
        }))
        .unwrap();
        let text = "\
agent: c-S0
host: h1, away
ends tasks:
  m-0 of framework `journal`, with volume data-0
  m-1 of framework `journal`, which has 3s to end; volume data-1 waits here for it to come back
claims:
  volume `data-0` of role db, disk 64 MiB on /d1, claim c1: given up
";
        assert_eq!(words(&plan), text);
    }

    #[test]
    fn certificates_say_who_and_why() {
        let row = GoneAgentRow {
            by: "ops".to_owned(),
            gone_ms: 940_000,
            hostname: "h1".to_owned(),
            id: "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S0".to_owned(),
            reason: Some("burnt down".to_owned()),
        };
        let text = table(&[&row], 1_000_000).render(false, false);
        assert_eq!(text, "ID  HOST  GONE    BY   WHY\nS0  h1    1m ago  ops  burnt down\n");
    }
}
