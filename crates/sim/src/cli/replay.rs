//! Prints the trace of one seed: its plot, or every message, at once or line by line.
//!
//! It relies on the seed alone; the trace never changes what happens.

use std::io::{BufRead, Write};

use super::words::Words;
use crate::storm::{run as storm, Outcome};
use crate::trace::Detail;

/// Runs the command. Returns whether no rule was broken.
pub fn run(seed: u64, words: &Words) -> bool {
    let detail = if words.trace { Detail::Messages } else { Detail::Plot };
    let outcome = storm(seed, &words.shape, None, detail);
    let printed = if words.step { step_through(&outcome) } else { print(&outcome) };
    if printed.is_err() {
        return false; // The reader of the output has left.
    }
    if let Some((violation, at_ms)) = &outcome.violation {
        println!("seed {seed} at {}.{:03} s breaks {violation}", at_ms / 1_000, at_ms % 1_000);
    }
    println!(
        "seed {seed}: {} steps, {} faults, {} records, digest {:016x}, {} violations",
        outcome.steps,
        outcome.faults,
        outcome.records,
        outcome.digest,
        u64::from(outcome.violation.is_some())
    );
    outcome.violation.is_none()
}

fn print(outcome: &Outcome) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    outcome.trace.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn step_through(outcome: &Outcome) -> std::io::Result<()> {
    let (mut out, mut answers) = (std::io::stdout(), std::io::stdin().lock().lines());
    for line in &outcome.trace {
        write!(out, "{line} ")?;
        out.flush()?;
        match answers.next().transpose()? {
            Some(answer) if answer.trim() == "q" => break,
            Some(_) => {}
            None => writeln!(out)?,
        }
    }
    Ok(())
}
