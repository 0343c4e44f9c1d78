//! `cargo xtask bench`: what things cost, measured by programs that print their own figures.
//!
//! Relies on the packages that hold the measuring programs. Never judges a figure: budgets belong to tests. A new bench is one entry of
//! [`BENCHES`].

use anyhow::Result;

use crate::arguments::{Flag, Given, Words};
use crate::process::{cargo, run};
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "bench",
    about: "Measure what things cost",
    details:
        "Without a name all benches run, one after the other. Words after `--` are handed on to each.\nThe list: cargo xtask bench --list",
    flags: &[Flag { name: "--list", value: None, about: "name the benches and run none" }],
    words: Words::FlagsAndNames,
    run: verb,
};

/// One program that measures.
struct Bench {
    name: &'static str,
    about: &'static str,
    /// The package whose binary measures.
    package: &'static str,
    /// What the binary is told before the caller's own words.
    words: &'static [&'static str],
}

const BENCHES: &[Bench] =
    &[Bench { name: "sim", about: "simulated steps and storms per second", package: "holdfast-sim", words: &["bench"] }];

fn verb(given: &Given) -> Result<bool> {
    if given.has("--list") {
        for bench in BENCHES {
            println!("{:<10} {}", bench.name, bench.about);
        }
        return Ok(true);
    }
    let mut whole = true;
    for bench in chosen(&given.names)? {
        eprintln!("bench {}: {}", bench.name, bench.about);
        let mut command = cargo(&["run", "--quiet", "--release", "--package", bench.package, "--"]);
        whole &= run(command.args(bench.words).args(&given.rest))?;
    }
    Ok(whole)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bench>> {
    if names.is_empty() {
        return Ok(BENCHES.iter().collect());
    }
    let find = |name: &String| {
        let known = BENCHES.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
        BENCHES.iter().find(|bench| bench.name == name).ok_or_else(|| anyhow::anyhow!("no bench `{name}`; known are {known}"))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), BENCHES.len());
        assert_eq!(chosen(&["sim".to_owned()]).unwrap()[0].package, "holdfast-sim");
        let error = chosen(&["sym".to_owned()]).err().unwrap();
        assert!(error.to_string().contains("known are sim"), "{error}");
    }
}
