//! `cargo xtask sim`: storms over the simulated cluster.
//!
//! Relies on the binary of `holdfast-sim`, which owns the seeds, the rules and the progress bar. Never reads its words: they go through
//! as they came, so a new one needs no change here.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::arguments::{Flag, Words};
use crate::process::{cargo, run};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "sim",
    about: "Storm the simulated cluster",
    details:
        "Builds `holdfast-sim` (release) and passes every word on to it. `--planted` builds it with its feature `planted`, where it has\n\
              one: bugs put in on purpose, each of which must be found within its stated number of seeds.",
    flags: &[
        Flag { name: "--seeds", value: Some("N"), about: "how many storms" },
        Flag { name: "--start", value: Some("S"), about: "the first seed" },
        Flag { name: "--replay", value: Some("SEED"), about: "one storm, told step by step" },
        Flag { name: "--planted", value: None, about: "storm the planted bugs instead" },
    ],
    words: Words::PassedOn,
    run: |given| run(&mut command(&given.rest)?),
};

/// The command that runs the simulator with these words.
///
/// # Errors
/// If the simulator's manifest cannot be read.
pub fn command(words: &[String]) -> Result<Command> {
    let path = project::root().join("crates/sim/Cargo.toml");
    let manifest = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "holdfast-sim"]);
    if words.iter().any(|word| word == "--planted") && has_feature(&manifest, "planted") {
        command.args(["--features", "planted"]);
    }
    command.arg("--").args(words);
    Ok(command)
}

fn has_feature(manifest: &str, name: &str) -> bool {
    let table: toml::Table = manifest.parse().unwrap_or_default();
    table.get("features").and_then(|features| features.get(name)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_through_after_the_dashes() {
        let command = command(&["--seeds".to_owned(), "9".to_owned()]).unwrap();
        let words: Vec<_> =
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words[words.len() - 3..], ["--", "--seeds", "9"]);
        assert!(words.contains(&"--release".to_owned()));
    }

    #[test]
    fn features_are_read_from_the_manifest() {
        assert!(has_feature("[features]\nplanted = []", "planted"));
        assert!(!has_feature("[features]\nother = []\n[dependencies]\nplanted = \"1\"", "planted"));
    }
}
