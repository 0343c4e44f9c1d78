//! `cargo xtask test`: everything that must hold, in one run that ends with one line of figures.
//!
//! Relies on cargo, on [`machine`] for what the tests need installed, and on [`compat`] for foreign clients. Never stops at the first
//! failure, and never hides a step that was left out: the closing table names it with its reason. Output goes through as it comes.

mod compat;
mod machine;
mod protos;
mod python;
mod tally;

use std::path::PathBuf;
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
    details: "Steps: prepare (Debian packages as root, Python packages into target/), format, lint, lean (the SDK without its\n\
              feature `net`), protos (protoc reads our files), build, test, storm, planted (bugs put in on purpose, each of which the\n\
              simulator must find), compat.\n\
              A step that fails does not stop the others; what cannot be had (not root, offline) is left out and named.\n\
              Each tests/compat/*.py that does not start with `_` is one test: it passes by exit code 0, within five minutes, finds\n\
              the binary in $HOLDFAST_BIN and may make files under $HOLDFAST_SCRATCH.\n\
              The last line is `N passed, N failed`: cargo's own results, one for each script and each planted bug, and one failure\n\
              for each step that failed otherwise.",
    flags: &[
        Flag { name: "--seeds", value: Some("N"), about: "storms in the simulator (1000)" },
        Flag { name: "--only", value: Some("STEP"), about: "run only this step (repeatable)" },
        Flag { name: "--skip", value: Some("STEP"), about: "leave this step out (repeatable)" },
    ],
    words: Words::Flags,
    run: verb,
};

/// Storms, where the caller does not say.
const SEEDS: u64 = 1_000;
/// What the whole may take on two cores, so that a change is judged while its author still thinks of it.
const BUDGET: Duration = Duration::from_secs(35 * 60);

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

const STEPS: &[Step] = &[
    Step { name: "prepare", about: "installing what the tests need", run: prepare },
    Step {
        name: "format",
        about: "cargo fmt --all --check",
        run: |_| plain(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "lint",
        about: "cargo clippy --workspace --all-targets -- -D warnings",
        run: |_| plain(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "lean",
        about: "cargo clippy -p holdfast-sdk --no-deps --no-default-features -- -D warnings",
        run: |_| {
            plain(&[
                "clippy",
                "--package",
                "holdfast-sdk",
                "--no-deps",
                "--no-default-features",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step { name: "protos", about: "protoc reads every .proto file", run: |_| protos::step() },
    Step {
        name: "build",
        about: "cargo build --workspace --bins --tests",
        run: |_| plain(&["build", "--workspace", "--bins", "--tests"]),
    },
    Step { name: "test", about: "cargo test --workspace --no-fail-fast", run: workspace },
    Step { name: "storm", about: "cargo xtask sim --seeds N", run: storm },
    Step { name: "planted", about: "cargo xtask sim --planted", run: planted },
    Step { name: "compat", about: "foreign clients: tests/compat/*.py", run: compat::step },
];

/// A finished step: name, duration, outcome.
type Row = (&'static str, Duration, Outcome);

fn verb(given: &Given) -> Result<bool> {
    let (only, skip) = (given.values("--only"), given.values("--skip"));
    for name in only.iter().chain(skip) {
        let known = STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
        ensure!(STEPS.iter().any(|step| step.name == name), "no step `{name}`; known are {known}");
    }
    let mut run = Run { seeds: given.number("--seeds", SEEDS)?, ..Run::default() };
    let mut rows: Vec<Row> = Vec::new();
    for (at, step) in STEPS.iter().enumerate() {
        if (!only.is_empty() && !only.iter().any(|name| name == step.name))
            || skip.iter().any(|name| name == step.name)
        {
            rows.push((step.name, Duration::ZERO, Outcome::LeftOut("not asked for".to_owned())));
            continue;
        }
        eprintln!("[{}/{}] {}: {}", at + 1, STEPS.len(), step.name, step.about);
        let (began, failures) = (Instant::now(), run.tally.failed);
        let outcome =
            (step.run)(&mut run).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        if matches!(outcome, Outcome::Failed(_)) && run.tally.failed == failures {
            // A step that breaks without a failing test, a compile error for one, is a failure of its own.
            run.tally.failed += 1;
        }
        eprintln!(
            "[{}/{}] {}: {} in {}",
            at + 1,
            STEPS.len(),
            step.name,
            word(&outcome),
            clock(began.elapsed())
        );
        rows.push((step.name, began.elapsed(), outcome));
    }
    println!("{}", closing(&rows, &run.tally));
    Ok(run.tally.failed == 0)
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
fn plain(words: &[&str]) -> Result<Outcome> {
    Ok(verdict(run(&mut cargo(words))?, format!("cargo {} failed; see its output above", words[0])))
}

fn workspace(run: &mut Run) -> Result<Outcome> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
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
fn closing(rows: &[Row], tally: &Tally) -> String {
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
    let total: Duration = rows.iter().map(|(_, took, _)| *took).sum();
    let judged = if total <= BUDGET { "within" } else { "OVER" };
    text.push_str(&format!(
        "total     {:>5}   {judged} the budget of {}\n",
        clock(total),
        clock(BUDGET)
    ));
    for name in &tally.failures {
        text.push_str(&format!("failed: {name}\n"));
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
        let tally =
            Tally { passed: 12, failed: 2, ignored: 1, failures: vec!["model::adds".to_owned()] };
        let rows = [
            (
                "prepare",
                Duration::from_secs(5),
                Outcome::Passed { remarks: vec!["strace: not root".to_owned()] },
            ),
            ("lint", Duration::from_secs(125), Outcome::Failed("clippy failed".to_owned())),
            ("storm", Duration::ZERO, Outcome::LeftOut("not asked for".to_owned())),
        ];
        let text = closing(&rows, &tally);
        assert_eq!(text.lines().last(), Some("12 passed, 2 failed"));
        for part in [
            "strace: not root",
            "2:05   FAILED",
            "clippy failed",
            "left out",
            "failed: model::adds",
            "1 ignored",
            "2:10   within",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn going_over_the_budget_is_said() {
        let rows =
            [("test", BUDGET + Duration::from_secs(1), Outcome::Passed { remarks: Vec::new() })];
        assert!(closing(&rows, &Tally::default()).contains("OVER the budget of 35:00"));
    }

    #[test]
    fn an_unknown_step_is_refused() {
        let given = Given::sort(VERB.flags, VERB.words, &["--only".to_owned(), "stomr".to_owned()])
            .unwrap();
        let error = verb(&given).unwrap_err();
        assert!(error.to_string().contains("no step `stomr`"), "{error}");
    }
}
