//! `framework list`: the frameworks, whether they are here and what they hold.

use serde_json::Value;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Row, Table};

/// The list of frameworks.
pub const FRAMEWORKS: Listing = Listing { page: "frameworks", id: "id", table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    FRAMEWORKS.show(context, args, |_| true).await
}

fn table(rows: &[Value], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("FRAMEWORK ID").wide(),
        Column::left("NAME"),
        Column::left("STATE"),
        Column::left("ROLES"),
        Column::right("TASKS"),
        Column::right("OFFERS"),
        Column::right("VOLUMES"),
        Column::left("REGISTERED"),
        Column::left("REMOVED IN").optional(),
        Column::left("FAILOVER TIMEOUT").wide(),
        Column::left("PRINCIPAL").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| Row(it).text("id")).collect();
    for (row, short) in rows.iter().map(Row).zip(ids::short_all(&all)) {
        let deadline_ms = Some(row.count("deadline_ms")).filter(|it| 0 < *it);
        table.push(vec![
            short.into(),
            row.text("id").into(),
            row.text("name").into(),
            Cell::state(row.text("state")),
            row.joined("roles").into(),
            row.count("tasks").into(),
            row.count("offers").into(),
            row.count("volumes").into(),
            human::ago(now_ms, row.count("registered_ms")).into(),
            deadline_ms.map(|it| human::span(it.saturating_sub(now_ms))).unwrap_or_default().into(),
            human::span(row.count("failover_timeout_ms")).into(),
            row.text_or_dash("principal").into(),
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
        let row = |tail: &str, state: &str, deadline_ms: Option<u64>| {
            json!({
                "id": format!("0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-{tail}"), "name": "journal", "state": state, "roles": ["db", "web"], "principal": null,
                "tasks": 3, "offers": 0, "volumes": 3, "failover_timeout_ms": 604_800_000u64, "deadline_ms": deadline_ms, "registered_ms": 1000
            })
        };
        let text = "\
ID    NAME     STATE      ROLES   TASKS  OFFERS  VOLUMES  REGISTERED  REMOVED IN
0000  journal  connected  db,web      3       0        3  9s ago
0001  journal  away       db,web      3       0        3  9s ago      5m
";
        let rows = [row("0000", "connected", None), row("0001", "away", Some(310_000))];
        assert_eq!(table(&rows, 10_000).render(false, false), text);
    }
}
