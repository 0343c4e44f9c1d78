//! `agent list`: the agents, how they are and what is free on them.

use holdfast_api::rows::AgentRow;

use super::agent_gone;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Cell, Column, Table};

/// The list of agents.
pub const AGENTS: Listing<AgentRow> = Listing { table };

/// Which agents.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct AgentListArgs {
    /// Those that were marked gone, with who said so, when and why.
    #[arg(long, conflicts_with = "watch")]
    pub gone: bool,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: AgentListArgs) -> anyhow::Result<i32> {
    match args.gone {
        true => agent_gone::list(context).await,
        false => AGENTS.show(context, args.watch, |_| true).await,
    }
}

fn table(rows: &[&AgentRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("AGENT ID").wide(),
        Column::left("HOST"),
        Column::left("STATE"),
        Column::right("TASKS"),
        Column::right("VOLUMES"),
        Column::left("FREE"),
        Column::left("REGISTERED"),
        Column::left("WHY").optional(),
        Column::left("ADDRESS").wide(),
        Column::right("LEDGER").wide(),
        Column::left("USED").wide(),
        Column::left("TOTAL").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.hostname.as_str().into(),
            Cell::state(row.state.word()),
            row.tasks.into(),
            row.volumes.into(),
            amounts::summary(&row.free).into(),
            human::ago(now_ms, row.reregistered_ms).into(),
            Cell::bad(row.why.as_deref().unwrap_or_default()),
            row.address.as_str().into(),
            row.ledger_version.into(),
            row.used.as_str().into(),
            row.total.as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    fn rows() -> Vec<AgentRow> {
        let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
        let row = |tail: &str, state: &str, why: Option<&str>| {
            testbed::row(json!({
                "id": format!("{cluster}-{tail}"), "hostname": "h1", "address": "h1:5051", "state": state, "why": why, "total": "cpus:4; mem:2048",
                "free": "cpus:3.5; mem:1024; disk(db):5000; ports:[31000-32000]", "used": "cpus:0.5", "tasks": 2, "volumes": 1,
                "ledger_version": 17, "reregistered_ms": 940_000
            }))
        };
        vec![row("S0", "well", None), row("S1", "fenced", Some("its ledger is older"))]
    }

    #[test]
    fn the_table() {
        let text = "\
ID  HOST  STATE   TASKS  VOLUMES  FREE                               REGISTERED  WHY
S0  h1    well        2        1  cpus 3.5, mem 1 GiB, disk 4.9 GiB  1m ago
S1  h1    fenced      2        1  cpus 3.5, mem 1 GiB, disk 4.9 GiB  1m ago      its ledger is older
";
        let rows = rows();
        let rows: Vec<&AgentRow> = rows.iter().collect();
        assert_eq!(table(&rows, 1_000_000).render(false, false), text);
        assert!(!table(&rows[..1], 1_000_000).render(false, false).contains("WHY"));
    }

    #[test]
    fn wide_has_whole_ids_and_resources() {
        let rows = rows();
        let text = table(&rows.iter().collect::<Vec<_>>(), 1_000_000).render(true, false);
        for whole in
            ["0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S0", "h1:5051", "cpus:4; mem:2048", "LEDGER"]
        {
            assert!(text.contains(whole), "{text}");
        }
    }
}
