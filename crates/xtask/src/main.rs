//! `cargo xtask VERB`: everything that CI does, anyone does, with the same words.
//!
//! Relies on [`verbs`] for the table of verbs and on `cargo` being at hand. Never decides anything itself: it finds the verb, runs it
//! and turns its verdict into an exit code (0 done, 1 refused or failed, 2 not understood).

mod arguments;
mod bench;
mod chaos;
mod demo;
mod dist;
mod fuzz;
mod process;
mod project;
mod services;
mod sim;
mod test;
mod tidy;
mod verbs;

use std::process::ExitCode;

use crate::verbs::Asked;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match verbs::understand(&words) {
        Ok(Asked::Help(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(verb, given)) => match (verb.run)(&given) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("xtask {}: {error:#}", verb.name);
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(2)
        }
    }
}
