//! One node: reads the whole journal on its volume, then appends to it and says `acked N` whenever N records are durable. Refuses to start
//! where anything is missing that was acknowledged; never makes a volume, and never begins anew in place of what is lost.

use crate::chain::{self, Chain};
use holdfast_sdk::net::{ensure, Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Its volume, its number, how many records were acknowledged, whether the volume may be new, and how many to append per second.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    pub dir: PathBuf,
    #[arg(long)]
    pub member: u32,
    #[arg(long)]
    pub at_least: u64,
    #[arg(long, conflicts_with = "again")]
    pub first: bool,
    #[arg(long, required_unless_present = "first")]
    pub again: bool,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
}

/// Appends until it is killed or cannot go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut chain = open(arguments)?;
    let per_batch = (arguments.rate / 10).max(1);
    loop {
        writeln!(std::io::stdout(), "acked {}", chain.found.count).context("nobody listens")?;
        // tidy: sleep is the point: so many records per second, and no more
        std::thread::sleep(Duration::from_secs(1) * per_batch / arguments.rate);
        let records = (0..per_batch).map(|number| format!("member {} wrote this, {number}th of its batch", arguments.member).into_bytes());
        chain.append(records).with_context(|| format!("cannot go on in {}", arguments.dir.display()))?;
    }
}

fn open(arguments: &Arguments) -> Result<Chain> {
    let Arguments { dir, member, at_least, first, .. } = arguments;
    let path = dir.join("journal");
    ensure!(dir.is_dir(), "there is no volume at {}; mount it, it is not made here", dir.display());
    let is_new = !path.try_exists()?;
    ensure!(!is_new || *at_least == 0, "{} is missing, with {at_least} acknowledged records in it; restore the volume", path.display());
    ensure!(!first || *at_least == 0, "a volume that is new has no {at_least} acknowledged records; whose are they?");
    let mine = format!("member {member} ");
    let chain = Chain::open(&path, is_new, |data| data.starts_with(mine.as_bytes())).with_context(|| path.display().to_string())?;
    let count = chain.found.count;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(dir: &Path, at_least: u64, first: bool) -> Arguments {
        Arguments { dir: dir.to_owned(), member: 1, at_least, first, again: !first, rate: 100 }
    }

    fn refused(arguments: &Arguments, says: &str) {
        let error = open(arguments).err().map(|it| format!("{it:#}")).unwrap_or_default();
        assert!(error.contains(says), "`{error}` does not say `{says}`");
    }

    fn append(arguments: &Arguments, records: u64) {
        let record = |_| b"member 1 wrote this".to_vec();
        open(arguments).unwrap().append((0..records).map(record)).unwrap();
    }

    #[test]
    fn a_node_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        append(&arguments(dir.path(), 0, true), 5);
        append(&arguments(dir.path(), 5, false), 2);
        assert_eq!(open(&arguments(dir.path(), 6, false)).unwrap().found.count, 7);
        verify(dir.path()).unwrap();
    }

    #[test]
    fn a_node_that_never_began_may_begin_again() {
        let dir = tempfile::tempdir().unwrap();
        append(&arguments(dir.path(), 0, false), 1);
        append(&arguments(dir.path(), 0, true), 1); // It began, but nobody heard of it.
    }

    #[test]
    fn less_than_was_acknowledged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let again = arguments(dir.path(), 3, false);
        refused(&again, "is missing");
        assert!(!dir.path().join("journal").exists(), "nothing is made in its place");
        append(&arguments(dir.path(), 0, true), 2);
        refused(&again, "ends after 2 of 3 acknowledged records");
        append(&arguments(dir.path(), 2, false), 2);
        let bytes = std::fs::read(dir.path().join("journal")).unwrap();
        std::fs::write(dir.path().join("journal"), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(open(&again).unwrap().found.count, 3, "what broke off was never acknowledged");
        std::fs::write(dir.path().join("journal"), &bytes[..bytes.len() / 2 - 1]).unwrap();
        refused(&again, "ends after 1 of 3");
    }

    #[test]
    fn a_volume_that_is_not_the_nodes_own_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        refused(&arguments(&dir.path().join("data"), 0, true), "no volume");
        append(&arguments(dir.path(), 0, true), 1);
        refused(&arguments(dir.path(), 1, true), "whose are they?");
        refused(&Arguments { member: 2, ..arguments(dir.path(), 0, false) }, "another node");
        refused(&Arguments { member: 11, ..arguments(dir.path(), 0, false) }, "another node");
    }

    #[test]
    fn damage_is_named_and_verify_fails() {
        let dir = tempfile::tempdir().unwrap();
        append(&arguments(dir.path(), 0, true), 3);
        let path = dir.path().join("journal");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        refused(&arguments(dir.path(), 3, false), "record 0 at byte 0 is damaged");
        assert!(verify(dir.path()).is_err());
        assert!(verify(&dir.path().join("elsewhere")).is_err());
    }
}
