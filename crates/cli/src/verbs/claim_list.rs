//! `claim list`: every reservation and volume, where it is and who holds it.

use serde_json::Value;

use super::choose::AGENT;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Cell, Column, Row, Table};

/// The list of claims.
pub const CLAIMS: Listing = Listing { page: "claims", id: "id", table };

/// Which claims.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those for this role.
    #[arg(long)]
    role: Option<String>,
    /// Only those of this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only volumes.
    #[arg(long)]
    volumes: bool,
    /// Only those that nobody holds.
    #[arg(long)]
    unclaimed: bool,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &ClaimListArgs) -> anyhow::Result<i32> {
    let agent = match &args.agent {
        Some(given) => Some(
            Row(AGENT.choose(&context.master.rows("agents").await?, given)?).text("id").to_owned(),
        ),
        None => None,
    };
    let keep = |row: Row<'_>| {
        agent.as_ref().is_none_or(|it| it == row.text("agent"))
            && args.role.as_ref().is_none_or(|it| it == row.text("role"))
            && (!args.volumes || row.text("kind") == "volume")
            && (!args.unclaimed || row.is("unclaimed"))
    };
    CLAIMS.show(context, args.watch, keep).await
}

/// Who holds a claim, in a word.
pub fn holder(row: Row<'_>) -> String {
    match (row.text("framework"), row.is("unclaimed")) {
        ("", _) if row.text("kind") == "reservation" => "the role".to_owned(), // Made by an operator, or by several alike.
        ("", _) => "operator".to_owned(),
        (framework, true) => format!("{} (removed)", ids::short(framework)),
        (framework, false) => ids::short(framework).to_owned(),
    }
}

fn table(rows: &[Value], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("CLAIM ID").wide(),
        Column::left("KIND"),
        Column::left("STATE"),
        Column::left("ROLE"),
        Column::left("VOLUME").optional(),
        Column::left("RESOURCE"),
        Column::right("AMOUNT"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("HELD BY"),
        Column::left("USED BY").optional(),
        Column::left("MADE"),
        Column::left("FAULT").optional(),
        Column::left("AGENT IS").wide(),
        Column::left("DISK").wide(),
        Column::left("PRINCIPAL").wide(),
        Column::right("GENERATION").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| Row(it).text("id")).collect();
    for (row, short) in rows.iter().map(Row).zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.text("id").into(),
            row.text("kind").into(),
            Cell::state(row.text("state")),
            row.text("role").into(),
            row.text("volume").into(),
            row.text("resource").into(),
            amounts::of(row.text("resource"), row.number("amount")).into(),
            ids::short(row.text("agent")).into(),
            row.text("hostname").into(),
            holder(row).into(),
            row.text("task").into(),
            human::ago(now_ms, row.count("created_ms")).into(),
            Cell::bad(row.text("fault")),
            row.text("agent_state").into(),
            row.text_or_dash("disk").into(),
            row.text_or_dash("principal").into(),
            row.count("generation").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
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
            json!({
                "id": format!("{id}-4151-6172-8393-a4b5c6d7e8f9"), "kind": if volume.is_some() { "volume" } else { "reservation" }, "state": "ready",
                "fault": null, "volume": volume, "role": "db", "principal": null, "resource": resource, "amount": amount, "agent": format!("{cluster}-S0"),
                "hostname": "h1", "agent_state": "well", "disk": null, "framework": framework, "unclaimed": unclaimed, "task": null, "generation": 1,
                "created_ms": 1, "history": []
            })
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
        assert_eq!(table(&rows, 60_001).render(false, false), text);
    }
}
