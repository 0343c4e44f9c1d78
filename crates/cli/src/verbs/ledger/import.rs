//! `ledger import`: an export as the ledger of a process that has none.
//!
//! Never writes over a ledger: it is refused where there is one.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use anyhow::Context as _;
use holdfast_store::{import, ImportError};

use super::{failure, LedgerArgs};
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};
use crate::verbs::Context;

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
    Ok(0)
}
