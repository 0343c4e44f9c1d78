//! `agent recover`: give an agent whose ledger was lost or rolled back its claims back.
//!
//! The masters say what it would have, beside what was found on its disks; what was looked at is what is done, or nothing. Answered once the
//! agent has written it down. Never makes, moves or removes anything on a disk.

use holdfast_api::rows::{AgentRow, LeftVolumeRow, RecoverPlan, RecoveredClaimRow};

use super::change::{confirm, DestroyArgs, PlanArgs};
use super::choose::choose;
use super::rows::Received;
use super::Context;
use crate::failure::EXIT_NOT_PLACED;
use crate::output::amounts;

/// Which agent, and how it is agreed to.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentRecoverArgs {
    /// Its id, the beginning of it, its short form (S0), or its host.
    pub agent: String,
    /// The ledger that is to have its claims, where several call themselves that agent.
    #[arg(long, value_name = "LEDGER")]
    pub ledger: Option<String>,
    /// Carry out this plan, by the name that --plan gave it; refused when anything has changed since.
    #[arg(long, value_name = "PLAN", conflicts_with = "plan")]
    pub apply: Option<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &AgentRecoverArgs) -> anyhow::Result<i32> {
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, &args.agent)?.id.clone();
    let mut pairs = vec![("agent", agent.as_str())];
    pairs.extend(args.ledger.as_deref().map(|it| ("ledger", it)));
    let name = match &args.apply {
        Some(name) => name.clone(),
        None => {
            let raw = context.master.get("recover-plan", &pairs).await?;
            let plan = Received::<RecoverPlan>::read("recover-plan", raw)?;
            if args.plan.plan {
                match context.format.is_table() {
                    true => context.console.put(&words(&plan))?,
                    false => context.put_value(&plan.raw)?,
                }
                context.remark("nothing was changed: this is a plan");
                return Ok(EXIT_NOT_PLACED);
            }
            let question = format!("{}Recover agent {agent}?", words(&plan));
            confirm(context, &question, DestroyArgs { yes: args.yes, ..Default::default() })?;
            plan.plan.clone()
        }
    };
    pairs.push(("plan", &name));
    context.remark("the agent is told when it reports next, which may take some seconds");
    context.master.post("recover-agent", &pairs).await?;
    context.remark(&format!("agent {agent} has its claims again; what is not there is missing, and says why: `holdfast claim list --agent {agent}`"));
    Ok(0)
}

/// A plan, as people read it.
fn words(plan: &RecoverPlan) -> String {
    let kind =
        if plan.lost { "new: the agent's own is lost" } else { "an older copy, or another one" };
    let mut text = format!(
        "agent: {}\nhost: {}\nledger: {} ({kind}), version {}; version {} was acknowledged\nplan: {}\n",
        plan.agent, plan.hostname, plan.ledger, plan.ledger_version, plan.acknowledged_version, plan.plan
    );
    let claims = plan.claims.iter().map(claim);
    list(&mut text, "has afterwards", claims.collect());
    let orphans = plan.orphans.iter().map(orphan);
    list(&mut text, "stays on its disks, and is claimed by nobody here", orphans.collect());
    let over = plan.over.iter().map(|it| format!("claim {}: {}; {}", it.claim, it.what, it.why));
    list(&mut text, "has no longer", over.collect());
    text
}

fn list(text: &mut String, heading: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return text.push_str(&format!("{heading}: nothing\n"));
    }
    text.push_str(&format!("{heading}:\n"));
    text.extend(lines.iter().map(|it| format!("  {it}\n")));
}

fn claim(row: &RecoveredClaimRow) -> String {
    let what = match &row.volume {
        Some(name) => format!("volume `{name}`"),
        None => "reservation".to_owned(),
    };
    let place = match (&row.disk, &row.disk_root) {
        (Some(disk), Some(root)) => format!(" on disk {disk} ({root})"),
        (Some(disk), None) => format!(" on disk {disk}"),
        (None, Some(root)) => format!(" on {root}"),
        (None, None) => String::new(),
    };
    let why = row.why.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
    format!(
        "{}: {what} of role {}, {} {}{place}, claim {}, known by {}{why}",
        row.state,
        row.role,
        row.resource,
        amounts::of(&row.resource, row.amount),
        row.claim,
        match row.known_by.word() {
            "both" => "the masters and the agent".to_owned(),
            one => format!("the {one} alone"),
        },
    )
}

fn orphan(row: &LeftVolumeRow) -> String {
    format!(
        "volume `{}` of role {}, {} MiB, {} on disk {} ({}): {}",
        row.volume, row.role, row.size_mb, row.id, row.disk, row.disk_root, row.why
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_names_each_claim_with_how_it_was_found() {
        let plan: RecoverPlan = serde_json::from_value(json!({
            "acknowledged_version": 90, "action": "RECOVER_AGENT", "agent": "c-S0", "hostname": "h1",
            "ledger": "n", "ledger_version": 3, "lost": true, "plan": "0123",
            "claims": [
                { "amount": 64.0, "claim": "c1", "disk": "d1", "disk_root": "/d1", "framework": null,
                  "known_by": "masters", "resource": "disk", "role": "db", "state": "found",
                  "volume": "data-0", "why": null },
                { "amount": 2.0, "claim": "c2", "disk": null, "disk_root": null, "framework": "f",
                  "known_by": "both", "resource": "cpus", "role": "db", "state": "reserved",
                  "volume": null, "why": null }
            ],
            "orphans": [
                { "disk": "d1", "disk_root": "/d1", "id": "o1", "role": "db", "size_mb": 5,
                  "volume": "old", "why": "it was given up by ops" }
            ],
            "over": []
        }))
        .unwrap();
        let text = words(&plan);
        for line in [
            "ledger: n (new: the agent's own is lost), version 3; version 90 was acknowledged",
            "  found: volume `data-0` of role db, disk 64 MiB on disk d1 (/d1), claim c1, known by the masters alone",
            "  reserved: reservation of role db, cpus 2, claim c2, known by the masters and the agent",
            "  volume `old` of role db, 5 MiB, o1 on disk d1 (/d1): it was given up by ops",
            "has no longer: nothing",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }
}
