//! `cargo xtask demo`: builds the binary and the journal framework, and lets the binary show what it does.
//!
//! Relies on `holdfast demo`. Never reads its words: they go through as they came.

use anyhow::Result;

use crate::arguments::Words;
use crate::process::{cargo, program, run};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "demo",
    about: "Build, and show it working: five kinds of kill -9, nothing lost",
    details: "Builds `holdfast` and the journal framework, then runs `holdfast demo` with the words that follow. The build is\n\
              the one that the README's tour and the tests use: what is killed needs no optimiser.",
    flags: &[],
    words: Words::PassedOn,
    run: |given| show(&given.rest),
};

fn show(words: &[String]) -> Result<bool> {
    if !run(&mut cargo(&["build", "--package", "holdfast", "--package", "holdfast-journal"]))? {
        return Ok(false);
    }
    run(program(project::target().join("debug").join("holdfast")).arg("demo").args(words))
}
