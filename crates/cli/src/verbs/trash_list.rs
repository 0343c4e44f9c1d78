//! `trash list`: destroyed volumes, and until when each can be brought back.

use holdfast_api::rows::TrashRow;

use super::choose::agent_filter;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Table};

/// The list of destroyed volumes.
pub const TRASH: Listing<TrashRow> = Listing { table };

/// Which destroyed volumes.
#[derive(Clone, Debug, clap::Args)]
pub struct TrashListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those of this role.
    #[arg(long)]
    role: Option<String>,
    /// Only those of this agent.
    #[arg(long)]
    agent: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &TrashListArgs) -> anyhow::Result<i32> {
    let agent = agent_filter(context, args.agent.as_deref()).await?;
    let keep = |row: &TrashRow| {
        agent.as_ref().is_none_or(|it| *it == row.agent)
            && args.role.as_ref().is_none_or(|it| *it == row.role)
    };
    TRASH.show(context, args.watch, keep).await
}

fn table(rows: &[&TrashRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("CLAIM ID").wide(),
        Column::left("VOLUME"),
        Column::left("ROLE"),
        Column::right("SIZE"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("DISK"),
        Column::left("DISK ID").wide(),
        Column::left("HELD BY"),
        Column::left("DESTROYED"),
        Column::left("BY"),
        Column::left("KEPT"),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.volume.as_str().into(),
            row.role.as_str().into(),
            human::size_mb(u64::try_from(row.size_mb).unwrap_or(0)).into(),
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            human::or_dash(row.root.as_deref()).into(),
            human::or_dash(row.disk.as_deref()).into(),
            row.framework.as_deref().map_or("operator", ids::short).into(),
            human::ago(now_ms, row.destroyed_ms).into(),
            row.destroyed_by.as_str().into(),
            kept(row, now_ms),
        ]);
    }
    table
}

fn kept(row: &TrashRow, now_ms: u64) -> Cell {
    match row.kept_until_ms.checked_sub(now_ms) {
        _ if row.purging => Cell::bad("is being removed"),
        Some(left_ms) => format!("{} more", human::span(left_ms)).into(),
        None => "its time is over".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_table() {
        let row = |id: &str, by: &str, purging: bool| {
            testbed::row(json!({
                "id": id, "volume": "data-0", "role": "db", "size_mb": 512, "agent": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S3",
                "hostname": "h1", "disk": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9", "root": "/mnt/d1", "framework": null,
                "destroyed_ms": 1000, "destroyed_by": by, "kept_until_ms": 3_605_000, "purging": purging
            }))
        };
        let (kept, going) = (
            row("1d1e2f30-4151-6172-8393-a4b5c6d7e8f9", "ops", false),
            row("2d1e2f30-4151-6172-8393-a4b5c6d7e8f9", "operator", true),
        );
        let text = "\
ID        VOLUME  ROLE     SIZE  AGENT  HOST  DISK     HELD BY   DESTROYED  BY        KEPT
1d1e2f30  data-0  db    512 MiB  S3     h1    /mnt/d1  operator  4s ago     ops       1h more
2d1e2f30  data-0  db    512 MiB  S3     h1    /mnt/d1  operator  4s ago     operator  is being removed
";
        assert_eq!(table(&[&kept, &going], 5_000).render(false, false), text);
    }
}
