//! `ledger export`: a ledger as one file, for backup and for moving it.
//!
//! Never writes over a file, and never leaves half of one behind.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use holdfast_store::{inspect, Depth, Inspection};

use super::{calm, failure, LedgerArgs};
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};
use crate::verbs::Context;

/// What to export, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Which ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// The file to write; standard output when not given.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Export what can be proven of a ledger that is damaged.
    #[arg(long)]
    pub damaged_too: bool,
}

/// Runs the verb.
///
/// # Errors
/// When there is no ledger, it is damaged, or the file cannot be written or is there already.
pub fn run(context: &Context, args: &ExportArgs) -> anyhow::Result<i32> {
    let inspection = inspect(&args.ledger.place(), Depth::Bytes).map_err(|it| failure(&it))?;
    if !inspection.report.is_sound() && !args.damaged_too {
        let hint = "restore the damaged files; or add --damaged-too to export what can be proven";
        return Err(Failure::new(
            EXIT_ERROR,
            format!("the ledger is damaged: {}", inspection.report),
            hint,
        )
        .into());
    }
    match &args.to {
        Some(file) => write_file(&inspection, file)?,
        None if context.console.is_terminal => {
            return Err(Failure::usage(
                "an export is not for reading",
                "name a file with --to FILE, or redirect standard output",
            )
            .into());
        }
        None => {
            let mut bytes = Vec::new();
            inspection.export(&mut bytes)?;
            context.console.put_bytes(&bytes)?;
        }
    }
    context.remark(&format!("exported {}", calm(inspection.report.clone())));
    Ok(0)
}

fn write_file(inspection: &Inspection, file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        let cause = format!("{} is there already", file.display());
        return Err(Failure::new(
            EXIT_CONFLICT,
            cause,
            "name another file, or remove that one yourself",
        )
        .into());
    }
    let part = part_of(file);
    let written = write_part(inspection, &part).and_then(|()| std::fs::hard_link(&part, file));
    // Linking refuses a file that came meanwhile; the part goes in any case.
    let removed = std::fs::remove_file(&part);
    written.and(removed).with_context(|| format!("cannot write {}", file.display()))?;
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|it| it.sync_all())
        .with_context(|| format!("cannot sync {}", folder.display()))
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    file.with_file_name(name)
}

fn write_part(inspection: &Inspection, part: &Path) -> std::io::Result<()> {
    // A ledger holds secrets of tasks: what is exported is for its owner alone.
    let file = File::options().write(true).create_new(true).mode(0o600).open(part)?;
    let mut writer = BufWriter::new(file);
    inspection.export(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}
