//! One node: looks at the whole journal on its volume, then appends to it and says `acked N` whenever N records are durable.
//!
//! Refuses to start where anything is missing that was acknowledged. Never makes a volume, and never starts anew in place of what is lost.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use holdfast_sdk::net::{ensure, Context, Result};

use crate::chain::{self, Chain};

#[derive(clap::Args)]
pub struct Arguments {
    /// The volume.
    #[arg(long)]
    pub dir: PathBuf,
    /// The node's number, which is in each of its records.
    #[arg(long)]
    pub member: u32,
    /// How many records were acknowledged.
    #[arg(long)]
    pub at_least: u64,
    /// The volume is new.
    #[arg(long, conflicts_with = "again")]
    pub first: bool,
    /// The volume was used before.
    #[arg(long, required_unless_present = "first")]
    pub again: bool,
    /// How many records to append per second.
    #[arg(long, default_value_t = 100)]
    pub rate: u32,
}

/// Appends until it is killed or cannot go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut chain = open(arguments)?;
    let per_batch = (arguments.rate / 10).max(1);
    loop {
        writeln!(std::io::stdout(), "acked {}", chain.count).context("nobody listens")?;
        std::thread::sleep(Duration::from_secs(1) * per_batch / arguments.rate.max(1));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let record = |_| format!("member {} at {now} ms", arguments.member).into_bytes();
        chain.append((0..per_batch).map(record)).with_context(|| format!("cannot go on in {}", arguments.dir.display()))?;
    }
}

fn open(arguments: &Arguments) -> Result<Chain> {
    let Arguments { dir, member, at_least, first, .. } = arguments;
    let path = dir.join("journal");
    ensure!(dir.is_dir(), "there is no volume at {}; mount it, it is not made here", dir.display());
    let is_new = !path.try_exists()?;
    ensure!(!is_new || *at_least == 0, "{} is missing, with {at_least} acknowledged records in it; restore the volume", path.display());
    ensure!(is_new || !first, "{} is on a volume that should be new; whose is it? nothing was changed", path.display());
    let mine = format!("member {member} ");
    let chain = Chain::open(&path, is_new, |data| data.starts_with(mine.as_bytes())).with_context(|| path.display().to_string())?;
    let count = chain.count;
    ensure!(*at_least <= count, "{} ends after {count} of {at_least} acknowledged records; restore the volume", path.display());
    Ok(chain)
}

/// Prints how many records there are; fails when any is damaged.
pub fn verify(dir: &Path) -> Result<()> {
    let path = dir.join("journal");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = chain::read(&bytes, |_| true).with_context(|| path.display().to_string())?;
    println!("{} records, {} bytes of an unfinished write", found.count, bytes.len() - found.end);
    Ok(())
}
