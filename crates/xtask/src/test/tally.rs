//! The figures of a run, read from the closing lines of cargo's test programs and from the hunt for planted bugs.
//!
//! Relies on the form of `test result: ok. 3 passed; 0 failed; 1 ignored; ...` and of `planted NAME ... found`. Never counts single tests itself: what a program did not
//! live to sum up shows in its exit code.

/// How many tests did what.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and steps that failed without one.
    pub failed: u64,
    /// Tests that were left out.
    pub ignored: u64,
    /// Names of failed tests, in their order.
    pub failures: Vec<String>,
    /// What tests said that they left out, each with the reason.
    pub left_out: Vec<String>,
}

impl Tally {
    /// Reads one line of output.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        // A runner with one thread has begun a line about the test already.
        if let Some((_, what)) = line.split_once("left out: ") {
            if !self.left_out.iter().any(|it| it == what) {
                self.left_out.push(what.to_owned());
            }
            return;
        }
        if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
        // Found anywhere in the line: a child of a test may have left a line unfinished before it. The figures must be whole, though.
        let Some((verdict, figures)) =
            line.rsplit_once("test result: ").and_then(|(_, rest)| rest.split_once(". "))
        else {
            return;
        };
        let whole = ["passed;", "failed;", "ignored;", "measured;", "filtered out"]
            .iter()
            .all(|what| figures.contains(what));
        if !whole || (verdict != "ok" && verdict != "FAILED") {
            return;
        }
        for figure in figures.split(';') {
            let mut words = figure.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => (),
            }
        }
    }

    /// Reads one line of the hunt for planted bugs: `planted NAME ... found after 3 seeds`, or `... NOT FOUND`.
    pub fn read_hunt(&mut self, line: &str) {
        let Some((name, outcome)) =
            line.strip_prefix("planted ").and_then(|rest| rest.split_once(" ... "))
        else {
            return;
        };
        if outcome.starts_with("found ") {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(format!("planted {}", name.trim()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_is_found_is_a_test_that_passed() {
        let mut tally = Tally::default();
        tally.read_hunt("planted agent-a ... found after 3 seeds (of 500 allowed): V1: a volume");
        tally.read_hunt("planted agent-b ... NOT FOUND within 500 seeds: it does this");
        tally.read_hunt("some other line ... found ");
        assert_eq!(
            (tally.passed, tally.failed, tally.failures),
            (1, 1, vec!["planted agent-b".to_owned()])
        );
    }

    #[test]
    fn closing_lines_are_summed_and_failures_named() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test one ... ok",
            "test two::deep ... FAILED",
            "left out: syncs: strace is not installed",
            "test three ... left out: syncs: strace is not installed",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.01s",
            "test result: ok. 40 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "unfinishedtest result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "the test result: ok. 9 passed; 9 failed; 9 ignored",
            "test result: unclear. 9 passed; 9 failed",
            "test result: ok",
            "",
        ] {
            tally.read(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 47,
                failed: 1,
                ignored: 2,
                failures: vec!["two::deep".to_owned()],
                left_out: vec!["syncs: strace is not installed".to_owned()],
            }
        );
    }
}
