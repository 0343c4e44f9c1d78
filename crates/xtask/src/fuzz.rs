//! `cargo xtask fuzz`: libFuzzer on every decoder, guided by coverage.
//!
//! Relies on the targets in `tests/fuzz`, each of which checks itself, and on a C++ compiler, which libFuzzer is built with. Everything is
//! built apart from the rest, in `target/fuzz`. Never changes a corpus unless it is told to keep what was found.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{bail, Context as _, Result};

#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;

use crate::arguments::{Flag, Given, Words};
use crate::process::{cargo, program, run};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "fuzz",
    about: "Search for input that a decoder does not take",
    details: "Builds each target of tests/fuzz (or those that are named) with libFuzzer, in target/fuzz, and runs one after the other, from the\n\
              corpus in tests/fuzz/corpus on. An input that makes a target panic, or hold more than 64 times the input and 64 KiB, ends the run of\n\
              that target, and is in target/fuzz/found. Needs a C++ compiler. `cargo xtask test` runs each corpus, and a fixed number of\n\
              mutations, without it.",
    flags: &[
        Flag { name: "--seconds", value: Some("N"), about: "how long each target runs (30)" },
        Flag { name: "--keep", value: None, about: "add inputs that reach new code to the corpus" },
    ],
    words: Words::FlagsAndNames,
    run: verb,
};

/// What tells libFuzzer which code an input reaches: what `cargo fuzz` sets, all of it stable.
const COUNTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                       -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                       -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// The greatest input, in bytes.
const INPUT_BYTES_MAX: usize = 4096;
/// One execution that takes longer, in seconds, counts as a hang.
const HANG_SECONDS: u64 = 20;

fn verb(given: &Given) -> Result<bool> {
    let seconds = given.number("--seconds", 30)?;
    let known = targets()?;
    if let Some(name) = given.names.iter().find(|it| !known.contains(*it)) {
        let known = known.iter().cloned().collect::<Vec<_>>().join(", ");
        bail!("there is no target `{name}`; known are {known}");
    }
    let wanted: Vec<&String> =
        known.iter().filter(|it| given.names.is_empty() || given.names.contains(it)).collect();
    if !build(&wanted)? {
        return Ok(false);
    }
    let mut failed = Vec::new();
    for name in &wanted {
        println!("{name}: {seconds} s");
        if !search(name, seconds)? {
            failed.push(name.as_str());
        }
        if given.has("--keep") {
            keep(name)?;
        }
    }
    if !failed.is_empty() {
        println!("not taken by {}: see {}", failed.join(", "), folder().join("found").display());
    }
    Ok(failed.is_empty())
}

fn folder() -> PathBuf {
    project::target().join("fuzz")
}

fn home() -> PathBuf {
    project::root().join("tests/fuzz")
}

/// The corpus of a target, as it is kept.
fn kept(name: &str) -> PathBuf {
    home().join("corpus").join(format!("{name}.txt"))
}

/// The names of all targets: those of the files that run them.
fn targets() -> Result<BTreeSet<String>> {
    let folder = home().join("libfuzzer/fuzz_targets");
    let files =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = BTreeSet::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    Ok(names)
}

/// The triple of this machine: with it named, build scripts are not counted as code under test.
fn host() -> Result<String> {
    let text = crate::process::output(program("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|it| it.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what machine this is")
}

fn build(names: &[&String]) -> Result<bool> {
    let mut command = cargo(&["build", "--release", "--target", &host()?]);
    command.current_dir(home().join("libfuzzer")).env("RUSTFLAGS", COUNTED);
    command.arg("--target-dir").arg(folder().join("build"));
    for name in names {
        command.args(["--bin", name]);
    }
    run(&mut command)
}

/// Runs a target from its corpus on; whether it took everything.
fn search(name: &str, seconds: u64) -> Result<bool> {
    let (inputs, found) = (unpacked(name)?, folder().join("found"));
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let mut command = fuzzer(name)?;
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/{name}-", found.display()));
    command.args(["-print_final_stats=1", "-verbosity=0"]).arg(inputs);
    run(&mut command)
}

fn fuzzer(name: &str) -> Result<std::process::Command> {
    let mut command = program(folder().join("build").join(host()?).join("release").join(name));
    command.arg(format!("-max_len={INPUT_BYTES_MAX}")).arg(format!("-timeout={HANG_SECONDS}"));
    Ok(command)
}

/// The corpus as files, which libFuzzer adds to.
fn unpacked(name: &str) -> Result<PathBuf> {
    let (inputs, path) = (folder().join("corpus").join(name), kept(name));
    fs::create_dir_all(&inputs).with_context(|| format!("cannot make {}", inputs.display()))?;
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let kept = corpus::read(&text).with_context(|| format!("{} is damaged", path.display()))?;
    for (number, input) in kept.into_iter().enumerate() {
        fs::write(inputs.join(format!("kept-{number}")), input)?;
    }
    Ok(inputs)
}

/// The fewest inputs that reach all that the found ones reach, as the corpus.
fn keep(name: &str) -> Result<()> {
    let fewest = folder().join("fewest").join(name);
    if fewest.exists() {
        fs::remove_dir_all(&fewest)?;
    }
    fs::create_dir_all(&fewest)?;
    let mut command = fuzzer(name)?;
    command.args(["-merge=1", "-verbosity=0"]).arg(&fewest).arg(unpacked(name)?);
    if !run(&mut command)? {
        bail!("the corpus of {name} cannot be made smaller");
    }
    let mut inputs = Vec::new();
    for file in fs::read_dir(&fewest)? {
        inputs.push(fs::read(file?.path())?);
    }
    fs::write(kept(name), corpus::write(inputs))
        .with_context(|| format!("cannot write the corpus of {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_corpus_and_each_corpus_a_target() {
        let names = targets().unwrap();
        assert!(names.contains("scheduler_call"), "{names:?}");
        let corpora = fs::read_dir(home().join("corpus")).unwrap();
        let corpora =
            corpora.map(|it| it.unwrap().file_name().to_string_lossy().replace(".txt", ""));
        assert_eq!(corpora.collect::<BTreeSet<_>>(), names);
    }
}
