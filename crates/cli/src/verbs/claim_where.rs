//! `claim where`: where a claim is, who holds it and what happened to it, in one answer, also while its agent is away.
//!
//! Relies on what the masters remember of claims, and on what agents last reported of their disks; whatever is not known is said to be
//! that. Never asks the agent itself.

use holdfast_api::rows::{
    AgentRow, AgentStanding, ClaimKind, ClaimRow, DiskRow, FrameworkRow, FrameworkStanding,
};
use serde_json::json;

use super::choose::choose;
use super::claim_list::holder;
use super::context::now_ms;
use super::sheet::Sheet;
use super::Context;
use crate::output::{amounts, human, Cell};

/// Which claim.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimWhereArgs {
    /// Its id, the beginning of it, or the volume's name.
    pub claim: String,
}

/// All that is known of a claim.
struct Known<'a> {
    claim: &'a ClaimRow,
    agent: Option<&'a AgentRow>,
    disk: Option<&'a DiskRow>,
    framework: Option<&'a FrameworkRow>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such claim.
pub async fn run(context: &Context, args: &ClaimWhereArgs) -> anyhow::Result<i32> {
    let claims = context.master.rows::<ClaimRow>().await?;
    let claim = choose(&claims, &args.claim)?;
    let agents = context.master.rows::<AgentRow>().await?;
    let disks = context.master.rows::<DiskRow>().await?;
    let frameworks = context.master.rows::<FrameworkRow>().await?;
    let agent = agents.iter().find(|it| it.id == claim.agent);
    let disk = disks.iter().find(|it| claim.disk.as_deref() == Some(it.id.as_str()));
    let framework = frameworks.iter().find(|it| claim.framework.as_deref() == Some(it.id.as_str()));
    if context.quiet {
        context.console.put(&format!("{}\n", claim.id))?;
    } else if context.format.is_table() {
        let known = Known {
            claim,
            agent: agent.map(|it| &it.row),
            disk: disk.map(|it| &it.row),
            framework: framework.map(|it| &it.row),
        };
        context.console.put(&sheet(&known, now_ms()).text())?;
    } else {
        let raw = |it: Option<serde_json::Value>| it.unwrap_or_default();
        context.put_value(&json!({
            "claim": claim.raw,
            "agent": raw(agent.map(|it| it.raw.clone())),
            "disk": raw(disk.map(|it| it.raw.clone())),
            "framework": raw(framework.map(|it| it.raw.clone())),
            "data": data_path(claim, disk.map(|it| &it.row)),
        }))?;
    }
    Ok(0)
}

/// The directory of a volume's bytes on its host. What a claim itself says of its disk is known without its agent, too.
fn data_path(claim: &ClaimRow, disk: Option<&DiskRow>) -> Option<String> {
    let root = disk.map(|it| it.root.as_str()).or(claim.disk_root.as_deref());
    let root = root.filter(|_| claim.kind == ClaimKind::Volume)?.trim_end_matches('/');
    Some(format!("{root}/holdfast/volumes/{}/data", claim.id))
}

fn sheet(known: &Known<'_>, now_ms: u64) -> Sheet {
    let claim = known.claim;
    let name = claim.volume.as_ref().map(|it| format!("volume {it}"));
    let mut sheet = Sheet::default();
    sheet
        .line("what", name.unwrap_or_else(|| "reservation".to_owned()))
        .line("claim", &claim.id)
        .line("holds", format!("{} {}", claim.resource, amounts::of(&claim.resource, claim.amount)))
        .line("role", &claim.role)
        .line("labels", claim.labels.join(", "))
        .line("state", state_and_fault(known.claim))
        .line("host", &claim.hostname)
        .line("agent", agent(known, now_ms));
    if claim.kind == ClaimKind::Volume {
        let data = data_path(claim, known.disk).unwrap_or_default();
        sheet.line("disk", disk(known)).line("data", data).line("used", used(claim, now_ms));
    }
    sheet
        .line("held by", held_by(known, now_ms))
        .line("shared", if claim.shared { SHARED } else { "" })
        .line("used by", claim.used_by().unwrap_or_else(|| "no task".to_owned()))
        .line("made", human::ago(now_ms, claim.created_ms));
    if let Some(last) = claim.history.last() {
        let when = human::ago(now_ms, last.at_ms);
        sheet.line("last change", format!("{} by {}, {when}", last.what, last.by));
    }
    sheet
}

/// What it means that a volume is shared.
pub const SHARED: &str = "yes: several tasks of its role may use it at once";

/// Whether a volume was found to use more than its size.
pub fn is_over_size(claim: &ClaimRow) -> bool {
    claim.used_bytes.is_some_and(|it| claim.amount * f64::from(1 << 20) < it as f64)
}

/// What a volume uses of its size, and how old that figure is.
pub fn used(claim: &ClaimRow, now_ms: u64) -> String {
    let size = amounts::of(&claim.resource, claim.amount);
    match (claim.used_bytes, claim.used_measured_ms) {
        (Some(bytes), Some(at)) => {
            let used = human::size_bytes(bytes);
            let over = if is_over_size(claim) { ": more than its size" } else { "" };
            format!("{used} of {size}, measured {}{over}", human::ago(now_ms, at))
        }
        _ => "not measured".to_owned(),
    }
}

/// Whether the agent of a claim can say how it is.
fn is_known_now(claim: &ClaimRow) -> bool {
    use AgentStanding::{Deactivated, Drained, Draining, Full, Well};
    matches!(claim.agent_state, Well | Full | Deactivated | Draining | Drained)
}

/// How a claim is, in a table: an agent that is away, or not believed, cannot say it, so that it is told as how it was.
pub fn state_cell(claim: &ClaimRow) -> Cell {
    match is_known_now(claim) {
        true => Cell::state(claim.state.word()),
        false => Cell::bad(format!("was {}", claim.state.word())),
    }
}

/// The same in a sentence.
pub fn state(claim: &ClaimRow) -> String {
    match is_known_now(claim) {
        true => claim.state.word().to_owned(),
        false => format!("not known now; last known: {}", claim.state.word()),
    }
}

/// The same with what is wrong.
fn state_and_fault(claim: &ClaimRow) -> String {
    let fault = claim.fault.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    format!("{}{fault}", state(claim))
}

fn agent(known: &Known<'_>, now_ms: u64) -> String {
    let claim = known.claim;
    let mut text = format!("{} ({})", claim.agent, claim.agent_state.word());
    let Some(agent) = known.agent else { return text };
    if agent.reregistered_ms != 0 {
        text += &format!(", registered last {}", human::ago(now_ms, agent.reregistered_ms));
    }
    if let Some(why) = &agent.why {
        text += &format!(": {why}");
    }
    text
}

fn disk(known: &Known<'_>) -> String {
    let id = known.claim.disk.as_deref().unwrap_or("not known");
    match known.disk {
        Some(disk) => {
            let fault = disk.fault.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
            format!("{id} ({} at {}){fault}", disk.kind.word(), disk.root)
        }
        None => match &known.claim.disk_root {
            Some(root) => format!("{id} (at {root})"),
            None => format!("{id} (the file system of the agent's own directory)"),
        },
    }
}

fn held_by(known: &Known<'_>, now_ms: u64) -> String {
    let Some(framework) = known.framework else { return holder(known.claim) };
    let standing = match (framework.state, framework.deadline_ms) {
        (FrameworkStanding::Away, Some(deadline)) => {
            let since = deadline.saturating_sub(framework.failover_timeout_ms);
            format!("away since {}", human::ago(now_ms, since))
        }
        (state, _) => state.word().to_owned(),
    };
    format!("framework {} ({}, {standing})", framework.name, framework.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::rows::Received;
    use crate::verbs::testbed;

    fn claim(agent_state: &str) -> Received<ClaimRow> {
        testbed::received(json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "state": "ready", "volume": "data-0",
            "role": "db", "resource": "disk", "amount": 2048.0, "agent": "S0", "hostname": "h1", "agent_state": agent_state,
            "used_bytes": 52_428_800, "used_measured_ms": 3000, "disk": "d1", "disk_root": "/mnt/d", "framework": "f1", "unclaimed": false, "created_ms": 1000,
            "history": [{ "at_ms": 1000, "generation": 1, "what": "created", "by": "db-team", "operation": "CREATE" }]
        }))
    }

    #[test]
    fn it_says_where_who_and_what() {
        let claim = claim("well");
        let disk: DiskRow = testbed::row(json!({ "id": "d1", "kind": "path", "root": "/mnt/d" }));
        let framework: FrameworkRow = testbed::row(json!({
            "id": "f1", "name": "cassandra", "state": "away", "failover_timeout_ms": 60_000, "deadline_ms": 65_000
        }));
        let known =
            Known { claim: &claim, agent: None, disk: Some(&disk), framework: Some(&framework) };
        let text = "\
what         volume data-0
claim        aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9
holds        disk 2 GiB
role         db
state        ready
host         h1
agent        S0 (well)
disk         d1 (path at /mnt/d)
data         /mnt/d/holdfast/volumes/aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9/data
used         50 MiB of 2 GiB, measured 3s ago
held by      framework cassandra (f1, away since 1s ago)
used by      no task
made         5s ago
last change  created by db-team, 5s ago
";
        assert_eq!(sheet(&known, 6000).text(), text);
    }

    #[test]
    fn what_an_agent_said_before_it_went_is_told_as_that() {
        let claim = claim("away");
        let known = Known { claim: &claim, agent: None, disk: None, framework: None };
        let text = sheet(&known, 6000).text();
        assert!(text.contains("state        not known now; last known: ready\n"), "{text}");
        assert!(
            text.contains("d1 (at /mnt/d)") && text.contains("/mnt/d/holdfast/volumes/aaaaaaaa"),
            "{text}"
        );
    }
}
