//! `agent list`: the agents, how they are and what is free on them.

use serde_json::Value;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{amounts, human, ids, Cell, Column, Row, Table};

/// The list of agents.
pub const AGENTS: Listing = Listing { page: "agents", id: "id", table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    AGENTS.show(context, args, |_| true).await
}

fn table(rows: &[Value], now_ms: u64) -> Table {
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
    let all: Vec<&str> = rows.iter().map(|it| Row(it).text("id")).collect();
    for (row, short) in rows.iter().map(Row).zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.text("id").into(),
            row.text("hostname").into(),
            Cell::state(row.text("state")),
            row.count("tasks").into(),
            row.count("volumes").into(),
            amounts::summary(row.text("free")).into(),
            human::ago(now_ms, row.count("reregistered_ms")).into(),
            Cell::bad(row.text("why")),
            row.text("address").into(),
            row.count("ledger_version").into(),
            row.text("used").into(),
            row.text("total").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Vec<Value> {
        let cluster = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";
        let row = |tail: &str, state: &str, why: Option<&str>| {
            json!({
                "id": format!("{cluster}-{tail}"), "hostname": "h1", "address": "h1:5051", "state": state, "why": why, "total": "cpus:4; mem:2048",
                "free": "cpus:3.5; mem:1024; disk(db):5000; ports:[31000-32000]", "used": "cpus:0.5", "tasks": 2, "volumes": 1,
                "ledger_version": 17, "reregistered_ms": 940_000
            })
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
        assert_eq!(table(&rows(), 1_000_000).render(false, false), text);
        assert!(!table(&rows()[..1], 1_000_000).render(false, false).contains("WHY"));
    }

    #[test]
    fn wide_has_whole_ids_and_resources() {
        let text = table(&rows(), 1_000_000).render(true, false);
        for whole in
            ["0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S0", "h1:5051", "cpus:4; mem:2048", "LEDGER"]
        {
            assert!(text.contains(whole), "{text}");
        }
    }
}
