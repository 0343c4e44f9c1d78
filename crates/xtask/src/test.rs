//! `cargo xtask test`: everything that must hold, in two runs that each end with one line of figures: what needs only Rust and C, and,
//! with `--engines`, what needs real engines and foreign clients.
//!
//! Relies on cargo, on [`machine`] for what the second needs installed, and on [`compat`] for foreign clients. Never stops at the first
//! failure, and never hides a step that was left out: the closing table names it with its reason. Output goes through as it comes.

mod compat;
mod figures;
pub mod machine;
mod python;
mod tally;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};

use self::tally::Tally;
use crate::arguments::{Flag, Given, Words};
use crate::process::{cargo, echo, run, watch, End};
use crate::sim;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "test",
    about: "Run everything that CI runs",
    details: "Needs Rust and a C compiler, and installs nothing. Steps: format, lint, lean (the SDK without its feature `net`), build, test,\n\
              storm, planted (bugs put in on purpose, each of which the simulator must find).\n\
              With --engines: prepare (Debian packages as root, Python packages into target/), tools (the tests that use them),\n\
              compat: each tests/compat/*.py that does not start with `_` is one test. It passes by exit code 0, within five minutes,\n\
              finds the binary in $HOLDFAST_BIN and may make files under $HOLDFAST_SCRATCH.\n\
              A step that fails does not stop the others; what a step or test does without is left out, counted and named.\n\
              The last line is `N passed, N failed`: cargo's own results, one for each script and each planted bug, and one failure\n\
              for each step that failed otherwise.",
    flags: &[
        Flag { name: "--engines", value: None, about: "install and use what real engines and foreign clients need" },
        Flag { name: "--seeds", value: Some("N"), about: "storms in the simulator (1000)" },
        Flag { name: "--only", value: Some("STEP"), about: "run only this step (repeatable)" },
        Flag { name: "--skip", value: Some("STEP"), about: "leave this step out (repeatable)" },
        Flag { name: "--figures", value: Some("FILE"), about: "add the figures of an earlier run, which are in this file, and put ours there" },
    ],
    words: Words::Flags,
    run: verb,
};

/// Storms, where the caller does not say.
const SEEDS: u64 = 1_000;
/// What all steps may take on two cores, so that a change is judged while its author still thinks of it.
const BUDGET: Duration = Duration::from_secs(22 * 60);

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// All is well; remarks name what was done without.
    Passed { remarks: Vec<String> },
    /// It was not run, for this reason.
    LeftOut(String),
    /// It found fault, or could not run.
    Failed(String),
}

/// What steps share.
#[derive(Debug, Default)]
struct Run {
    seeds: u64,
    tally: Tally,
    /// The Python that has what the compat scripts import, or why there is none.
    python: Option<Result<PathBuf, String>>,
}

/// One step.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Run) -> Result<Outcome>,
}

/// What needs Rust and C alone.
const STEPS: &[Step] = &[
    Step { name: "format", about: "cargo fmt --all --check", run: |_| plain("fmt --all --check") },
    Step {
        name: "lint",
        about: "cargo clippy --workspace --all-targets -- -D warnings",
        run: |_| plain("clippy --workspace --all-targets -- -D warnings"),
    },
    Step {
        name: "lean",
        about: "the SDK without its feature `net`",
        run: |_| {
            plain("clippy --package holdfast-sdk --no-deps --no-default-features -- -D warnings")
        },
    },
    Step {
        name: "build",
        about: "cargo build --workspace --bins --tests",
        run: |_| plain("build --workspace --bins --tests"),
    },
    Step {
        name: "test",
        about: "cargo test --workspace --no-fail-fast",
        run: |run| tests(run, "test --workspace --no-fail-fast"),
    },
    Step { name: "storm", about: "cargo xtask sim --seeds N", run: storm },
    Step { name: "planted", about: "cargo xtask sim --planted", run: planted },
];

/// What needs more of the machine. `tools` runs again what a machine without them left out before.
const ENGINES: &[Step] = &[
    Step { name: "prepare", about: "installing what these tests need", run: prepare },
    Step {
        name: "tools",
        about: "tests that use strace, protoc and ZooKeeper",
        run: |run| {
            // Of the whole workspace, as all that was built before: of single packages cargo would build all with other features.
            let all = [
                "test --workspace --test syncs",
                "test --workspace --test spoken protoc",
                "test --workspace --test docs operating_runs",
                "test --workspace --lib on_an_ensemble -- --ignored --test-threads 2",
            ];
            let mut outcome = Outcome::Passed { remarks: Vec::new() };
            for words in all {
                match tests(run, words)? {
                    Outcome::Passed { .. } => {}
                    failed => outcome = failed,
                }
            }
            Ok(outcome)
        },
    },
    Step { name: "compat", about: "foreign clients: tests/compat/*.py", run: compat::step },
];

/// A finished step: name, duration, outcome.
type Row = (&'static str, Duration, Outcome);

fn verb(given: &Given) -> Result<bool> {
    let steps = if given.has("--engines") { ENGINES } else { STEPS };
    let (only, skip) = (given.values("--only"), given.values("--skip"));
    for name in only.iter().chain(skip) {
        let known = steps.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
        ensure!(steps.iter().any(|step| step.name == name), "no step `{name}`; known are {known}");
    }
    let mut run = Run { seeds: given.number("--seeds", SEEDS)?, ..Run::default() };
    let mut rows: Vec<Row> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if (!only.is_empty() && !only.iter().any(|name| name == step.name))
            || skip.iter().any(|name| name == step.name)
        {
            rows.push((step.name, Duration::ZERO, Outcome::LeftOut("not asked for".to_owned())));
            continue;
        }
        eprintln!("[{}/{}] {}: {}", at + 1, steps.len(), step.name, step.about);
        let (began, failures) = (Instant::now(), run.tally.failed);
        let outcome =
            (step.run)(&mut run).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        if matches!(outcome, Outcome::Failed(_)) && run.tally.failed == failures {
            // A step that breaks without a failing test, a compile error for one, is a failure of its own.
            run.tally.failed += 1;
        }
        let (said, took) = (word(&outcome), clock(began.elapsed()));
        eprintln!("[{}/{}] {}: {said} in {took}", at + 1, steps.len(), step.name);
        rows.push((step.name, began.elapsed(), outcome));
    }
    let whole = run.tally.failed == 0;
    let mut before = Duration::ZERO;
    if let Some(file) = given.values("--figures").last() {
        let took = rows.iter().map(|(_, took, _)| *took).sum();
        before = figures::add(Path::new(file), &mut run.tally, took)?;
    }
    println!("{}", closing(&rows, &run.tally, before));
    Ok(whole)
}

fn prepare(run: &mut Run) -> Result<Outcome> {
    let mut remarks = machine::install();
    let python = python::ready();
    if let Err(why) = &python {
        remarks.push(format!("no Python for the compat scripts: {why}"));
    }
    run.python = Some(python);
    Ok(Outcome::Passed { remarks })
}

/// A cargo command that only passes or fails.
fn plain(words: &str) -> Result<Outcome> {
    let words: Vec<&str> = words.split(' ').collect();
    let whole = run(&mut cargo(&words))?;
    Ok(verdict(whole, format!("cargo {} failed; see its output above", words[0])))
}

/// A cargo command that runs tests.
fn tests(run: &mut Run, words: &str) -> Result<Outcome> {
    let mut command = cargo(&words.split(' ').collect::<Vec<_>>());
    command.env("HOLDFAST_BIN", compat::binary()).env("CARGO_TERM_COLOR", "never");
    let tally = &mut run.tally;
    let end = watch(&mut command, None, |line| {
        echo(line);
        tally.read(line);
    })?;
    let whole = matches!(end, End::Exit(status) if status.success());
    Ok(verdict(whole, "tests failed, or did not compile; see above".to_owned()))
}

fn storm(run: &mut Run) -> Result<Outcome> {
    let words = ["--seeds".to_owned(), run.seeds.to_string()];
    let whole = crate::process::run(&mut sim::command(&words)?)?;
    Ok(verdict(
        whole,
        format!("{} storms did not all end well; replay: cargo xtask sim --replay SEED", run.seeds),
    ))
}

/// Each bug that the simulator finds is a test passed, each that it does not find one failed.
fn planted(run: &mut Run) -> Result<Outcome> {
    let tally = &mut run.tally;
    let end = watch(&mut sim::command(&["--planted".to_owned()])?, None, |line| {
        echo(line);
        tally.read_hunt(line);
    })?;
    let whole = matches!(end, End::Exit(status) if status.success());
    Ok(verdict(whole, "not every planted bug was found; see above".to_owned()))
}

fn verdict(whole: bool, otherwise: String) -> Outcome {
    match whole {
        true => Outcome::Passed { remarks: Vec::new() },
        false => Outcome::Failed(otherwise),
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed { .. } => "passed",
        Outcome::LeftOut(_) => "left out",
        Outcome::Failed(_) => "FAILED",
    }
}

/// The table of steps, the names of what failed, and the line of figures, which is the last.
fn closing(rows: &[Row], tally: &Tally, before: Duration) -> String {
    let mut text = String::from("\nstep      took    outcome\n");
    for (name, took, outcome) in rows {
        let remarks = match outcome {
            Outcome::Passed { remarks } => remarks.clone(),
            Outcome::LeftOut(why) | Outcome::Failed(why) => vec![why.clone()],
        };
        text.push_str(&format!("{name:<9} {:>5}   {}\n", clock(*took), word(outcome)));
        for remark in remarks {
            text.push_str(&format!("                  - {remark}\n"));
        }
    }
    let total: Duration = before + rows.iter().map(|(_, took, _)| *took).sum::<Duration>();
    let judged = if total <= BUDGET { "within" } else { "OVER" };
    text.push_str(&format!(
        "total     {:>5}   {judged} the budget of {}\n",
        clock(total),
        clock(BUDGET)
    ));
    for name in &tally.failures {
        text.push_str(&format!("failed: {name}\n"));
    }
    for what in &tally.left_out {
        text.push_str(&format!("left out: {what}\n"));
    }
    if !tally.left_out.is_empty() {
        text.push_str(&format!("{} left out\n", tally.left_out.len()));
    }
    if 0 < tally.ignored {
        text.push_str(&format!("{} ignored\n", tally.ignored));
    }
    text.push_str(&format!("{} passed, {} failed", tally.passed, tally.failed));
    text
}

/// Minutes and seconds.
fn clock(took: Duration) -> String {
    format!("{}:{:02}", took.as_secs() / 60, took.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_figures_and_nothing_is_hidden() {
        let tally = Tally {
            passed: 12,
            failed: 2,
            ignored: 1,
            failures: vec!["model::adds".to_owned()],
            left_out: vec!["syncs: strace is not installed".to_owned()],
        };
        let rows = [
            (
                "prepare",
                Duration::from_secs(5),
                Outcome::Passed { remarks: vec!["strace: not root".to_owned()] },
            ),
            ("lint", Duration::from_secs(125), Outcome::Failed("clippy failed".to_owned())),
            ("storm", Duration::ZERO, Outcome::LeftOut("not asked for".to_owned())),
        ];
        let text = closing(&rows, &tally, Duration::from_secs(60));
        assert_eq!(text.lines().last(), Some("12 passed, 2 failed"));
        for part in [
            "strace: not root",
            "2:05   FAILED",
            "clippy failed",
            "left out",
            "failed: model::adds",
            "1 ignored",
            "left out: syncs: strace is not installed",
            "1 left out",
            "3:10   within",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn going_over_the_budget_is_said() {
        let rows =
            [("test", BUDGET + Duration::from_secs(1), Outcome::Passed { remarks: Vec::new() })];
        assert!(
            closing(&rows, &Tally::default(), Duration::ZERO).contains("OVER the budget of 22:00")
        );
    }

    #[test]
    fn an_unknown_step_is_refused() {
        let given = Given::sort(VERB.flags, VERB.words, &["--only".to_owned(), "stomr".to_owned()])
            .unwrap();
        let error = verb(&given).unwrap_err();
        assert!(error.to_string().contains("no step `stomr`"), "{error}");
    }
}
