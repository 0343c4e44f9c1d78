//! One node: reads the whole journal on its volume, then appends to it and says `acked N:SUM`
//! whenever N records are durable, the last with that checksum. Refuses to start where that very
//! record is not there; never makes a volume, never begins anew in place of what is lost.

use crate::chain::{self, Chain};
use holdfast_sdk::net::{ensure, Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Its volume, its number, what was acknowledged, and how many records to append per second.
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    pub dir: PathBuf,
    #[arg(long)]
    pub member: u32,
    #[arg(long, value_parser = acked)]
    pub acked: (u64, u32),
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
}

/// `41:0badcafe`: 41 records, and the last one's checksum.
pub fn acked(text: &str) -> Result<(u64, u32)> {
    let (count, sum) = text.split_once(':').context("write COUNT:CHECKSUM")?;
    Ok((count.parse()?, u32::from_str_radix(sum, 16)?))
}

/// Appends until it is killed or cannot go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut chain = open(arguments)?;
    let per_batch = (arguments.rate / 10).max(1);
    loop {
        writeln!(std::io::stdout(), "acked {}:{:08x}", chain.found.count, chain.found.last)
            .context("nobody listens")?;
        // tidy: sleep is the point: so many records per second, and no more
        std::thread::sleep(Duration::from_secs(1) * per_batch / arguments.rate);
        let now = UNIX_EPOCH.elapsed()?.as_nanos(); // No two records are alike, so what is written anew is not what was there.
        let records = (0..per_batch).map(|number| {
            format!("member {} wrote {number} at {now}", arguments.member).into_bytes()
        });
        chain
            .append(records)
            .with_context(|| format!("cannot go on in {}", arguments.dir.display()))?;
    }
}

fn open(arguments: &Arguments) -> Result<Chain> {
    let Arguments { dir, member, acked: (acked, last), .. } = arguments;
    let path = dir.join("journal");
    ensure!(dir.is_dir(), "there is no volume at {}; mount it, it is not made here", dir.display());
    let is_new = !path.try_exists()?;
    ensure!(
        !is_new || *acked == 0,
        "{} is missing, with {acked} acknowledged records in it; restore the volume",
        path.display()
    );
    let mine = format!("member {member} ");
    let see = |number: u64, data: &[u8], sum: u32| {
        ensure!(
            data.starts_with(mine.as_bytes()),
            "record {number} was written by another node; find out whose volume this is"
        );
        ensure!(
            number + 1 != *acked || sum == *last,
            "record {number} is not the one that was acknowledged; restore the volume"
        );
        Ok(())
    };
    let chain = Chain::open(&path, is_new, see).with_context(|| path.display().to_string())?;
    let count = chain.found.count;
    ensure!(
        *acked <= count,
        "{} ends after {count} of {acked} acknowledged records; restore the volume",
        path.display()
    );
    Ok(chain)
}

/// Prints how many records there are, or each one's checksum; fails when any is damaged.
pub fn verify(dir: &Path, sums: bool) -> Result<()> {
    let path = dir.join("journal");
    let (bytes, mut all) = (
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        Vec::new(),
    );
    let found = chain::read(&bytes, |_, _, sum| Ok(writeln!(all, "{sum:08x}")?))
        .with_context(|| path.display().to_string())?;
    let count = format!(
        "{} records, {} bytes of an unfinished write\n",
        found.count,
        bytes.len() - found.end
    );
    Ok(std::io::stdout().write_all(if sums { &all } else { count.as_bytes() })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(dir: &Path, acked: (u64, u32)) -> Arguments {
        Arguments { dir: dir.to_owned(), member: 1, acked, rate: 100 }
    }

    fn refused(arguments: &Arguments, says: &str) {
        let error = open(arguments).err().map(|it| format!("{it:#}")).unwrap_or_default();
        assert!(error.contains(says), "`{error}` does not say `{says}`");
    }

    /// Appends, and says what is acknowledged then.
    fn append(arguments: &Arguments, records: &[&str]) -> (u64, u32) {
        let mut chain = open(arguments).unwrap();
        chain.append(records.iter().map(|it| format!("member 1 wrote {it}").into_bytes())).unwrap();
        (chain.found.count, chain.found.last)
    }

    #[test]
    fn a_node_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let first = append(&arguments(dir.path(), (0, 0)), &["a", "b", "c"]);
        append(&arguments(dir.path(), first), &["d"]);
        assert_eq!(
            open(&arguments(dir.path(), first)).unwrap().found.count,
            4,
            "more than was acknowledged may be there"
        );
        verify(dir.path(), false).unwrap();
        verify(dir.path(), true).unwrap();
    }

    #[test]
    fn a_node_that_never_began_may_begin_again() {
        let dir = tempfile::tempdir().unwrap();
        append(&arguments(dir.path(), (0, 0)), &["a"]);
        append(&arguments(dir.path(), (0, 0)), &["b"]); // It began, but nobody heard of it.
    }

    #[test]
    fn less_than_was_acknowledged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        refused(&arguments(dir.path(), (3, 0)), "is missing");
        assert!(!dir.path().join("journal").exists(), "nothing is made in its place");
        let two = append(&arguments(dir.path(), (0, 0)), &["a", "b"]);
        refused(&arguments(dir.path(), (3, 0)), "ends after 2 of 3 acknowledged records");
        let three = append(&arguments(dir.path(), two), &["c"]);
        append(&arguments(dir.path(), three), &["d"]);
        let bytes = std::fs::read(dir.path().join("journal")).unwrap();
        std::fs::write(dir.path().join("journal"), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(
            open(&arguments(dir.path(), three)).unwrap().found.count,
            3,
            "what broke off was never acknowledged"
        );
        std::fs::write(dir.path().join("journal"), &bytes[..bytes.len() / 2 - 1]).unwrap();
        refused(&arguments(dir.path(), three), "ends after 1 of 3");
    }

    #[test]
    fn a_chain_that_was_rolled_back_and_written_anew_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let two = append(&arguments(dir.path(), (0, 0)), &["a", "b"]);
        let copy = std::fs::read(dir.path().join("journal")).unwrap();
        let four = append(&arguments(dir.path(), two), &["c", "d"]);
        std::fs::write(dir.path().join("journal"), copy).unwrap();
        append(&arguments(dir.path(), two), &["x", "y", "z"]);
        verify(dir.path(), false).unwrap(); // Whole and longer than before.
        refused(&arguments(dir.path(), four), "record 3 is not the one that was acknowledged");
    }

    #[test]
    fn a_volume_that_is_not_the_nodes_own_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        refused(&arguments(&dir.path().join("data"), (0, 0)), "no volume");
        append(&arguments(dir.path(), (0, 0)), &["a"]);
        refused(&Arguments { member: 2, ..arguments(dir.path(), (0, 0)) }, "another node");
        refused(&Arguments { member: 11, ..arguments(dir.path(), (0, 0)) }, "another node");
    }

    #[test]
    fn damage_is_named_and_verify_fails() {
        let dir = tempfile::tempdir().unwrap();
        let three = append(&arguments(dir.path(), (0, 0)), &["a", "b", "c"]);
        let path = dir.path().join("journal");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        refused(&arguments(dir.path(), three), "record 0 at byte 0 is damaged");
        assert!(verify(dir.path(), false).is_err());
        assert!(verify(&dir.path().join("elsewhere"), true).is_err());
    }

    #[test]
    fn what_was_acknowledged_is_a_count_and_a_checksum() {
        assert_eq!(acked("41:0badcafe").unwrap(), (41, 0x0bad_cafe));
        for wrong in ["", "41", "41:", ":0", "x:0", "1:xyz", "-1:0"] {
            assert!(acked(wrong).is_err(), "{wrong:?}");
        }
    }
}
