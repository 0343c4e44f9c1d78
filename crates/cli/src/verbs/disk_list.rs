//! `disk list`: the disks, where they are and how full of volumes.

use serde_json::Value;

use super::choose::AGENT;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Row, Table};

/// The list of disks.
pub const DISKS: Listing = Listing { page: "disks", id: "id", table };

/// Which disks.
#[derive(Clone, Debug, clap::Args)]
pub struct DiskListArgs {
    #[command(flatten)]
    watch: WatchArgs,
    /// Only those of this agent.
    #[arg(long)]
    agent: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, args: &DiskListArgs) -> anyhow::Result<i32> {
    let agent = match &args.agent {
        Some(given) => Some(
            Row(AGENT.choose(&context.master.rows("agents").await?, given)?).text("id").to_owned(),
        ),
        None => None,
    };
    DISKS
        .show(context, args.watch, |row| agent.as_ref().is_none_or(|it| it == row.text("agent")))
        .await
}

fn table(rows: &[Value], _now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("DISK ID").wide(),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("KIND"),
        Column::left("PATH"),
        Column::right("SIZE"),
        Column::right("VOLUMES"),
        Column::right("IN VOLUMES"),
        Column::left("FAULT").optional(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| Row(it).text("id")).collect();
    for (row, short) in rows.iter().map(Row).zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.text("id").into(),
            ids::short(row.text("agent")).into(),
            row.text("hostname").into(),
            row.text("kind").into(),
            row.text("root").into(),
            human::size_mb(row.count("size_mb")).into(),
            row.count("volumes").into(),
            human::size_mb(row.count("volumes_mb")).into(),
            Cell::bad(row.text("fault")),
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
        let row = json!({
            "id": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9", "agent": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S3", "hostname": "h1", "kind": "path",
            "root": "/mnt/d1", "size_mb": 10240, "volumes_mb": 512, "volumes": 2, "fault": null
        });
        let text = "\
ID        AGENT  HOST  KIND  PATH       SIZE  VOLUMES  IN VOLUMES
0d1e2f30  S3     h1    path  /mnt/d1  10 GiB        2     512 MiB
";
        assert_eq!(table(&[row], 0).render(false, false), text);
    }
}
