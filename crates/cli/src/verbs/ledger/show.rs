//! `ledger show`: every record of a ledger, in words.

use holdfast_store::{inspect, Depth};
use serde::Serialize;
use serde_json::Value;

use super::records::{key, record};
use super::{calm, failure, LedgerArgs};
use crate::failure::{Failure, EXIT_ERROR};
use crate::output::{Column, Table};
use crate::verbs::Context;

/// Which records.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Only those of this tree, such as claims or tasks.
    #[arg(long)]
    pub tree: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When there is no ledger, it cannot be read, or acknowledged commits are lost.
pub fn run(context: &Context, args: &ShowArgs) -> anyhow::Result<i32> {
    let inspection = inspect(&args.ledger.place(), Depth::Bytes).map_err(|it| failure(&it))?;
    let kind = inspection.report.identity.as_ref().map(|it| it.kind.clone()).unwrap_or_default();
    let wanted =
        inspection.records().filter(|it| args.tree.as_deref().is_none_or(|tree| tree == it.tree));
    let rows: Vec<RecordRow> = wanted
        .map(|it| {
            let (key, record) =
                (key(&kind, it.tree, it.key), record(&kind, it.tree, it.key, it.value));
            let (tree, commit) = (it.tree.to_owned(), it.sequence.0);
            RecordRow { bytes: it.value.len(), commit, key, record, tree }
        })
        .collect();
    if context.quiet {
        context
            .console
            .put(&rows.iter().map(|it| format!("{}/{}\n", it.tree, it.key)).collect::<String>())?;
    } else if context.format.is_table() {
        context.console.put(&table(&rows).render(context.is_wide(), context.console.colours))?;
    } else {
        context.put_value(&serde_json::to_value(rows)?)?;
    }
    context.remark(&calm(inspection.report.clone()).to_string());
    match inspection.report.lost {
        None => Ok(0),
        Some((from, to)) => {
            let cause = format!("acknowledged commits {from} to {to} cannot be proven; what is shown may be out of date");
            Err(Failure::new(EXIT_ERROR, cause, "look closer: `holdfast ledger check`").into())
        }
    }
}

/// A record, in words.
#[derive(Clone, Debug, Serialize)]
struct RecordRow {
    bytes: usize,
    commit: u64,
    key: String,
    record: Value,
    tree: String,
}

fn table(rows: &[RecordRow]) -> Table {
    let columns = [
        Column::left("TREE"),
        Column::left("KEY"),
        Column::right("COMMIT"),
        Column::right("BYTES").wide(),
        Column::left("RECORD"),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        table.push(vec![
            row.tree.as_str().into(),
            row.key.as_str().into(),
            row.commit.into(),
            row.bytes.into(),
            row.record.to_string().into(),
        ]);
    }
    table
}
