//! `doctor`: what this machine can do for containers and volumes, and what to do about what it cannot.
//!
//! Relies on the node, which tries things for real. Never changes anything, and needs no master.

use std::path::PathBuf;

use holdfast_model::DiskKind;
use serde::Serialize;

use super::Context;
use crate::failure::{Failure, EXIT_ERROR};
use crate::output::{Cell, Column, Table};

/// What to look at.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// The agent's directory, which is its ROOT disk.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// A disk as an agent is given it: `path=/mnt/d1` or `mount=/mnt/d2`. Repeatable.
    #[arg(long)]
    pub disk: Vec<String>,
    /// Exit with 1 when anything is not as it could be.
    #[arg(long)]
    pub strict: bool,
}

/// Runs the verb.
///
/// # Errors
/// When a disk was not named right.
pub fn run(context: &Context, args: &DoctorArgs) -> anyhow::Result<i32> {
    let mut disks = Vec::new();
    if let Some(dir) = &args.dir {
        disks.push((DiskKind::Root, std::path::absolute(dir)?));
    }
    for given in &args.disk {
        disks.push(disk(given)?);
    }
    let rows = findings(disks);
    if context.quiet {
        let bad = rows.iter().filter(|it| !it.ok);
        context.console.put(&bad.map(|it| format!("{}\n", it.name)).collect::<String>())?;
    } else if context.format.is_table() {
        context.console.put(&table(&rows).render(context.is_wide(), context.console.colours))?;
        context.console.put(&advice(&rows))?;
    } else {
        context.put_value(&serde_json::to_value(&rows)?)?;
    }
    let all_well = rows.iter().all(|it| it.ok);
    Ok(if args.strict && !all_well { EXIT_ERROR } else { 0 })
}

/// What was found of one thing.
#[derive(Clone, Debug, Serialize)]
struct FindingRow {
    advice: String,
    detail: String,
    name: String,
    ok: bool,
}

fn findings(disks: Vec<(DiskKind, PathBuf)>) -> Vec<FindingRow> {
    let findings = holdfast_node::doctor::examine(disks).into_iter();
    findings
        .map(|it| FindingRow { advice: it.advice, detail: it.detail, name: it.name, ok: it.ok })
        .collect()
}

fn disk(given: &str) -> Result<(DiskKind, PathBuf), Failure> {
    let place = given
        .split(',')
        .find_map(|part| part.split_once('=').filter(|(kind, _)| ["path", "mount"].contains(kind)));
    let wrong = || {
        Failure::usage(
            format!("`{given}` is no disk"),
            "write path=/mnt/d1 or mount=/mnt/d2, absolute",
        )
    };
    let (kind, root) = place.ok_or_else(wrong)?;
    let root = PathBuf::from(root);
    let kind = if kind == "path" { DiskKind::Path } else { DiskKind::Mount };
    Some((kind, root)).filter(|(_, root)| root.is_absolute()).ok_or_else(wrong)
}

fn table(rows: &[FindingRow]) -> Table {
    let mut table = Table::new(&[Column::left("CHECK"), Column::left("OK"), Column::left("FOUND")]);
    for row in rows {
        let ok = Cell::state(if row.ok { "ok" } else { "no" });
        table.push(vec![row.name.as_str().into(), ok, row.detail.as_str().into()]);
    }
    table
}

/// What to do, below the table: a line for each thing that could be better.
fn advice(rows: &[FindingRow]) -> String {
    let advised = rows.iter().filter(|it| !it.advice.is_empty());
    let lines: String = advised.map(|it| format!("  {}: {}\n", it.name, it.advice)).collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nWhat could be better\n{lines}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn disks_are_named_as_for_an_agent() {
        assert_eq!(disk("path=/a,size-mb=5").unwrap(), (DiskKind::Path, "/a".into()));
        assert_eq!(disk("mount=/b").unwrap(), (DiskKind::Mount, "/b".into()));
        for wrong in ["", "/a", "path=a", "size-mb=5", "disk=/a"] {
            assert_eq!(disk(wrong).unwrap_err().code, 64, "{wrong:?}");
        }
    }

    #[test]
    fn it_looks_at_machine_and_disks() {
        let dir = tempfile::tempdir().unwrap();
        let (context, data, _) = testbed::context("127.0.0.1:1", None);
        let args = DoctorArgs {
            dir: Some(dir.path().to_owned()),
            disk: vec!["mount=/no/such/place".to_owned()],
            strict: true,
        };
        assert_eq!(run(&context, &args).unwrap(), EXIT_ERROR, "a disk is missing");
        let text = data.text();
        assert!(
            text.starts_with("CHECK")
                && text.contains("disk /no/such/place")
                && text.contains("pidfd"),
            "{text}"
        );
        assert!(
            text.contains("\nWhat could be better\n") && text.contains("\n  disk /no/such/place: "),
            "{text}"
        );
        assert_eq!(run(&context, &DoctorArgs { strict: false, ..args }).unwrap(), 0);
    }
}
