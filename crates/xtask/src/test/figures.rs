//! The figures of an earlier run, kept in a file, so that two runs can end in one line.
//!
//! Relies on a file of four numbers: seconds, passed, failed, ignored. Never keeps names: each run has printed its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::tally::Tally;

/// Adds what is in the file, if it is there, puts the sums back, and returns how long the earlier run took.
///
/// # Errors
/// If the file cannot be written.
pub fn add(file: &Path, tally: &mut Tally, took: Duration) -> Result<Duration> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let mut before = Duration::ZERO;
    if let [seconds, passed, failed, ignored] = numbers[..] {
        before = Duration::from_secs(seconds);
        tally.passed += passed;
        tally.failed += failed;
        tally.ignored += ignored;
    }
    let seconds = (before + took).as_secs();
    let text = format!("{seconds} {} {} {}\n", tally.passed, tally.failed, tally.ignored);
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_ends_with_the_sum_of_both() {
        let file = std::env::temp_dir().join(format!("holdfast-figures-{}", std::process::id()));
        let tally = || Tally { passed: 5, failed: 1, ..Tally::default() };
        let took = Duration::from_secs(60);
        assert_eq!(add(&file, &mut tally(), took).unwrap(), Duration::ZERO);
        let mut second = tally();
        assert_eq!(add(&file, &mut second, took).unwrap(), took);
        assert_eq!((second.passed, second.failed), (10, 2));
        fs::remove_file(&file).unwrap();
    }
}
