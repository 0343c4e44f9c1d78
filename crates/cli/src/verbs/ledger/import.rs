//! `ledger import`: an export as the ledger of a process that has none.
//!
//! Never writes over a ledger: it is refused where there is one.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use holdfast_model::convert::ledger;
use holdfast_model::{Instant, Term};
use holdfast_node::ledger_file::batches;
use holdfast_store::{import, ImportError, Store as _};

use super::{failure, LedgerArgs};
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};
use crate::verbs::context::now_ms;
use crate::verbs::Context;

/// The kind of the masters' ledgers.
const MASTER: &str = "master";

/// What to import, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// The file to read; standard input when not given.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// When the export is damaged, there is a ledger already, or it cannot be written.
pub fn run(context: &Context, args: &ImportArgs) -> anyhow::Result<i32> {
    let place = args.ledger.dir.join("ledger");
    let mut reader: Box<dyn Read> = match &args.from {
        Some(file) => Box::new(BufReader::new(
            File::open(file).with_context(|| format!("cannot read {}", file.display()))?,
        )),
        None => Box::new(std::io::stdin().lock()),
    };
    let report = import(&place, &mut reader).map_err(|error| match &error {
        ImportError::Occupied { .. } => Failure::new(
            EXIT_CONFLICT,
            error.to_string(),
            "move the ledger that is there out of the way yourself, if it may go",
        ),
        ImportError::Write(inner) => failure(inner),
        _ => Failure::new(
            EXIT_ERROR,
            error.to_string(),
            "make another export: `holdfast ledger export`",
        ),
    })?;
    context.remark(&format!("imported into {}: {report}", place.display()));
    if report.identity.kind == MASTER {
        let pending = note_loss(&place)?;
        context.remark(&format!("what masters wrote after the export was made is not in it: no name that they may have given out is given again, and agents say what they have. {pending} operations that were under way then are forgotten; their frameworks ask how they ended"));
    }
    Ok(0)
}

/// An export is an older copy: the masters' ledger says so, before anybody leads with it.
fn note_loss(place: &Path) -> anyhow::Result<usize> {
    let mut store = holdfast_node::ledger_file::open(place, MASTER)?;
    let records = store.records().map(|it| (it.tree, it.key, it.value));
    let known = ledger::master::fold(records).context("the master's ledger cannot be read")?;
    let (term, pending) = (store.term(), known.pending.len());
    let changes = known.after_loss(Term(term), Instant(now_ms()), |_| false);
    for batch in batches(std::iter::once(changes.iter().map(ledger::master::encode))) {
        store.commit(term, &batch)?;
    }
    store.close()?;
    Ok(pending)
}
