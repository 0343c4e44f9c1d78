//! `claim list`: every reservation and volume, where it is and who holds it.

use holdfast_api::rows::{ClaimKind, ClaimRow};

use super::choose::agent_filter;
use super::claim_where::{is_over_size, state_cell};
use super::listing::{Listing, WatchArgs};
use super::Context;
use super::{claim_at, claim_ended};
use crate::output::{amounts, human, ids, Cell, Column, Table};

/// The list of claims.
pub const CLAIMS: Listing<ClaimRow> = Listing { table };

/// Which claims.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    which: ClaimFilter,
    /// Only those that nobody holds.
    #[arg(long)]
    unclaimed: bool,
    /// Those that have ended, as far as they are remembered, and how.
    #[arg(long, conflicts_with_all = ["watch", "unclaimed"])]
    ended: bool,
    /// What was claimed at a time, such as `2026-11-30T04:00:00Z` or `2h ago`.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["watch", "unclaimed", "ended"])]
    at: Option<String>,
}

/// Some of the claims.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimFilter {
    /// Only those for this role.
    #[arg(long)]
    role: Option<String>,
    /// Only those of this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only volumes.
    #[arg(long)]
    volumes: bool,
}

impl ClaimFilter {
    /// The id of the agent that it names, if it names one.
    ///
    /// # Errors
    /// When no master answers, or there is no such agent.
    pub async fn agent(&self, context: &Context) -> anyhow::Result<Option<String>> {
        agent_filter(context, self.agent.as_deref()).await
    }

    /// What of it the masters can look for themselves among those that have ended.
    ///
    /// # Errors
    /// When no master answers, or there is no such agent.
    pub async fn pairs(&self, context: &Context) -> anyhow::Result<Vec<(&'static str, String)>> {
        let role = self.role.clone().map(|it| ("role", it));
        let agent = self.agent(context).await?.map(|it| ("agent", it));
        Ok(role.into_iter().chain(agent).collect())
    }

    /// Whether claims for this role are wanted.
    pub fn wants_role(&self, role: &str) -> bool {
        self.role.as_ref().is_none_or(|it| it == role)
    }

    /// Whether claims of this kind are wanted.
    pub fn wants_kind(&self, kind: ClaimKind) -> bool {
        !self.volumes || kind == ClaimKind::Volume
    }
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &ClaimListArgs) -> anyhow::Result<i32> {
    if let Some(at) = &args.at {
        return claim_at::run(context, &args.which, at).await;
    }
    if args.ended {
        return claim_ended::run(context, &args.which).await;
    }
    let agent = args.which.agent(context).await?;
    let keep = |row: &ClaimRow| {
        agent.as_ref().is_none_or(|it| *it == row.agent)
            && args.which.wants_role(&row.role)
            && args.which.wants_kind(row.kind)
            && (!args.unclaimed || row.unclaimed)
    };
    CLAIMS.show(context, args.watch, keep).await
}

/// Who holds a claim, in a word.
pub fn holder(row: &ClaimRow) -> String {
    let holder = holder_of(row.framework.as_deref(), row.kind);
    match row.framework.is_some() && row.unclaimed {
        true => format!("{holder} (removed)"),
        false => holder.to_owned(),
    }
}

/// Who holds or held a claim, in a word: the framework that made it, if one did.
pub(super) fn holder_of(framework: Option<&str>, kind: ClaimKind) -> &str {
    match (framework, kind) {
        (Some(framework), _) => ids::short(framework),
        (None, ClaimKind::Reservation) => "the role", // Made by an operator, or by several alike.
        (None, ClaimKind::Volume) => "operator",
    }
}

/// What a volume was found to use, and how old that figure is.
fn used(row: &ClaimRow, now_ms: u64) -> String {
    match (row.used_bytes, row.used_measured_ms) {
        (Some(bytes), Some(at)) => {
            let over = if is_over_size(row) { "over size: " } else { "" };
            format!("{over}{} ({})", human::size_bytes(bytes), human::ago(now_ms, at))
        }
        _ => "-".to_owned(),
    }
}

fn table(rows: &[&ClaimRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("CLAIM ID").wide(),
        Column::left("KIND"),
        Column::left("STATE"),
        Column::left("ROLE"),
        Column::left("VOLUME").optional(),
        Column::left("RESOURCE"),
        Column::right("AMOUNT"),
        Column::right("USED").wide(),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("HELD BY"),
        Column::left("USED BY").optional(),
        Column::left("MADE"),
        Column::left("FAULT").optional(),
        Column::left("AGENT IS").wide(),
        Column::left("DISK").wide(),
        Column::left("DISK PATH").wide(),
        Column::left("PRINCIPAL").wide(),
        Column::left("LABELS").wide(),
        Column::right("GENERATION").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.kind.into(),
            state_cell(row),
            row.role.as_str().into(),
            row.volume.as_deref().unwrap_or_default().into(),
            row.resource.as_str().into(),
            amounts::of(&row.resource, row.amount).into(),
            if is_over_size(row) { Cell::bad(used(row, now_ms)) } else { used(row, now_ms).into() },
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            holder(row).into(),
            tasks(row).into(),
            human::ago(now_ms, row.created_ms).into(),
            Cell::bad(row.fault.as_deref().unwrap_or_default()),
            row.agent_state.into(),
            human::or_dash(row.disk.as_deref()).into(),
            human::or_dash(row.disk_root.as_deref()).into(),
            human::or_dash(row.principal.as_deref()).into(),
            human::or_dash(Some(row.labels.join(", ").as_str()).filter(|it| !it.is_empty())).into(),
            row.generation.into(),
        ]);
    }
    table
}

/// The tasks that use a volume: the first, and how many more.
fn tasks(row: &ClaimRow) -> String {
    let first = row.task.as_deref().unwrap_or_default();
    match row.users.len() {
        0 | 1 => first.to_owned(),
        many => format!("{first} and {} more", many - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_table() {
        let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
        let row = |id: &str,
                   volume: Option<&str>,
                   resource: &str,
                   amount: f64,
                   framework: Option<String>,
                   unclaimed: bool| {
            testbed::row(json!({
                "id": format!("{id}-4151-6172-8393-a4b5c6d7e8f9"), "kind": if volume.is_some() { "volume" } else { "reservation" }, "state": "ready",
                "fault": null, "volume": volume, "role": "db", "principal": null, "resource": resource, "amount": amount, "agent": format!("{cluster}-S0"),
                "hostname": "h1", "agent_state": "well", "disk": null, "framework": framework, "unclaimed": unclaimed, "task": null, "generation": 1,
                "created_ms": 1, "history": []
            }))
        };
        let rows = [
            row("aaaaaaaa", Some("data-0"), "disk", 2048.0, Some(format!("{cluster}-0001")), false),
            row("bbbbbbbb", None, "cpus", 1.5, Some(format!("{cluster}-0000")), true),
            row("cccccccc", None, "mem", 512.0, None, true),
        ];
        let text = "\
ID        KIND         STATE  ROLE  VOLUME  RESOURCE   AMOUNT  AGENT  HOST  HELD BY         MADE
aaaaaaaa  volume       ready  db    data-0  disk        2 GiB  S0     h1    0001            1m ago
bbbbbbbb  reservation  ready  db            cpus          1.5  S0     h1    0000 (removed)  1m ago
cccccccc  reservation  ready  db            mem       512 MiB  S0     h1    the role        1m ago
";
        assert_eq!(table(&rows.iter().collect::<Vec<_>>(), 60_001).render(false, false), text);
    }
}
