//! What the binary does: storms of many seeds, one seed replayed step by step, and the hunt for
//! planted bugs.
//!
//! It relies on [`crate::storm`]. Progress goes to stderr, results to stdout. Exit codes: 0 well, 1
//! a rule is broken (or a planted bug was not found), 2 the command line was wrong.

mod hunt;
mod many;
mod replay;
mod words;

use std::process::ExitCode;

pub use words::{Words, WordsError};

/// Runs the command line.
pub fn run(words: &[String]) -> ExitCode {
    let words = match Words::read(words) {
        Ok(words) => words,
        Err(WordsError::Help) => {
            println!("{}", words::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("holdfast-sim: {error}\n\n{}", words::HELP);
            return ExitCode::from(2);
        }
    };
    crate::storm::keep_panics_quiet();
    let well = match (words.planted, words.replay) {
        (true, _) => hunt::run(&words),
        (false, Some(seed)) => replay::run(seed, &words),
        (false, None) => many::run(&words),
    };
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
