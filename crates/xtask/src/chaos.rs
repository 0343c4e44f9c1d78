//! `cargo xtask chaos`: builds the binary and the journal framework, and lets the binary strike a cluster for as long as is wanted.
//!
//! Relies on `holdfast drill`. Never reads its words: they go through as they came.

use anyhow::Result;

use crate::arguments::Words;
use crate::process::{cargo, program, run};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "chaos",
    about: "Build, and strike a cluster of three masters: --minutes N, --seed N",
    details:
        "Builds `holdfast` and the journal framework, then runs `holdfast drill --fault kill,pause` with the words that\n\
              follow: `--minutes 30 --seed 7`, and `--zk zk://HOST:PORT,.../PATH` for masters that meet in ZooKeeper.\n\
              CI runs a short one, with each fault of each target once, as a test.",
    flags: &[],
    words: Words::PassedOn,
    run: |given| strike(&given.rest),
};

fn strike(words: &[String]) -> Result<bool> {
    if !run(&mut cargo(&["build", "--package", "holdfast", "--package", "holdfast-journal"]))? {
        return Ok(false);
    }
    let faults: &[&str] = match words.iter().any(|it| it.starts_with("--fault")) {
        true => &[],
        false => &["--fault", "kill,pause"],
    };
    let holdfast = project::target().join("debug").join("holdfast");
    run(program(holdfast).arg("drill").args(faults).args(words))
}
