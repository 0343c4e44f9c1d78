//! `framework list`: the frameworks, whether they are here and what they hold.

use holdfast_api::rows::FrameworkRow;

use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Table};

/// The list of frameworks.
pub const FRAMEWORKS: Listing<FrameworkRow> = Listing { table };

/// Runs the verb.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn run(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    FRAMEWORKS.show(context, args, |_| true).await
}

fn table(rows: &[&FrameworkRow], now_ms: u64) -> Table {
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
        Column::left("WEB UI").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.name.as_str().into(),
            Cell::state(row.state.word()),
            row.roles.join(",").into(),
            row.tasks.into(),
            row.offers.into(),
            row.volumes.into(),
            human::ago(now_ms, row.registered_ms).into(),
            row.deadline_ms
                .map(|it| human::span(it.saturating_sub(now_ms)))
                .unwrap_or_default()
                .into(),
            human::span(row.failover_timeout_ms).into(),
            human::or_dash(row.principal.as_deref()).into(),
            human::or_dash(row.webui_url.as_deref()).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_table() {
        let row = |tail: &str, state: &str, deadline_ms: Option<u64>| {
            testbed::row(json!({
                "id": format!("0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-{tail}"), "name": "journal", "state": state, "roles": ["db", "web"], "principal": null,
                "tasks": 3, "offers": 0, "volumes": 3, "failover_timeout_ms": 604_800_000u64, "deadline_ms": deadline_ms, "registered_ms": 1000,
                "webui_url": null
            }))
        };
        let text = "\
ID    NAME     STATE      ROLES   TASKS  OFFERS  VOLUMES  REGISTERED  REMOVED IN
0000  journal  connected  db,web      3       0        3  9s ago
0001  journal  away       db,web      3       0        3  9s ago      5m
";
        let rows = [row("0000", "connected", None), row("0001", "away", Some(310_000))];
        assert_eq!(table(&rows.iter().collect::<Vec<_>>(), 10_000).render(false, false), text);
    }
}
