//! `disk list`: the disks, where they are and how full of volumes.

use holdfast_api::rows::DiskRow;

use super::choose::agent_filter;
use super::listing::{Listing, WatchArgs};
use super::Context;
use crate::output::{human, ids, Cell, Column, Table};

/// The list of disks.
pub const DISKS: Listing<DiskRow> = Listing { table };

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
    let agent = agent_filter(context, args.agent.as_deref()).await?;
    DISKS.show(context, args.watch, |row| agent.as_ref().is_none_or(|it| *it == row.agent)).await
}

fn table(rows: &[&DiskRow], _now_ms: u64) -> Table {
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
        Column::right("UNCLAIMED"),
        Column::left("LIMIT").wide(),
        Column::left("NAMED BY").wide(),
        Column::right("USED").wide(),
        Column::right("TRASH").wide(),
        Column::left("FILE SYSTEM").wide(),
        Column::right("ITS SIZE").wide(),
        Column::right("ITS FREE").wide(),
        Column::left("FAULT").optional(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            row.kind.into(),
            row.root.as_str().into(),
            human::size_mb(row.size_mb).into(),
            row.volumes.into(),
            human::size_mb(u64::try_from(row.volumes_mb).unwrap_or(0)).into(),
            human::size_mb(row.unclaimed_mb).into(),
            row.limit.as_deref().unwrap_or("-").into(),
            if row.added { "operator" } else { "settings" }.into(),
            size_or_dash(row.used_mb),
            human::size_mb(row.trash_mb).into(),
            row.file_system.as_deref().unwrap_or("-").into(),
            size_or_dash(row.file_system_mb),
            size_or_dash(row.file_system_free_mb),
            Cell::bad(fault(row)),
        ]);
    }
    table
}

fn size_or_dash(mb: Option<u64>) -> Cell {
    mb.map_or_else(|| "-".into(), |it| human::size_mb(it).into())
}

/// What is wrong with a disk, or with what was promised of it.
pub fn fault(row: &DiskRow) -> String {
    match (&row.fault, row.overcommitted_mb) {
        (Some(fault), _) => fault.clone(),
        (None, 0) => String::new(),
        (None, missing) => format!(
            "over-committed: {} of what is claimed of its file system are not there; free them, or give claims back",
            human::size_mb(missing)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_table() {
        let row = testbed::row(json!({
            "id": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9", "agent": "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9-S3", "hostname": "h1", "kind": "path",
            "root": "/mnt/d1", "size_mb": 10240, "volumes_mb": 512, "volumes": 2, "fault": null,
            "unclaimed_mb": 9728, "used_mb": 100, "trash_mb": 0, "overcommitted_mb": 0, "file_system": "8:1", "file_system_mb": 20480,
            "file_system_free_mb": 10240
        }));
        let text = "\
ID        AGENT  HOST  KIND  PATH       SIZE  VOLUMES  IN VOLUMES  UNCLAIMED
0d1e2f30  S3     h1    path  /mnt/d1  10 GiB        2     512 MiB    9.5 GiB
";
        assert_eq!(table(&[&row], 0).render(false, false), text);
        let short = DiskRow { overcommitted_mb: 2048, ..row.clone() };
        let text = table(&[&short], 0).render(false, false);
        assert!(text.contains("over-committed: 2 GiB of what is claimed"), "{text}");
    }
}
