//! What pages show of cargo, and do not run themselves: it needs the repository, or too long. The file that is named to run it must hold
//! those very words, every verb and flag must be known to the program behind it, every package must exist; what is cheap is run here.
//!
//! Relies on `holdfast-xtask` and `holdfast-sim` being built. Never takes a name of a file for a proof.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::blocks::Block;
use super::{programs, root};

/// What is run here: as pages show it, and the program behind it with its words.
const RUN_HERE: [(&str, &str, &[&str]); 2] = [
    ("cargo xtask tidy", "holdfast-xtask", &["tidy"]),
    ("cargo xtask sim --replay 42", "holdfast-sim", &["--replay", "42"]),
];

/// What is only held against the programs' own words: steps of `cargo xtask test` do it for the whole workspace, or it takes too long.
const ONLY_CHECKED: [&str; 7] = [
    "cargo build -p holdfast -p holdfast-journal",
    "export PATH=\"$PWD/target/debug:$PATH\"",
    "cargo test -p holdfast-model",
    "cargo clippy -p holdfast-model --all-targets",
    "cargo xtask sim --planted",
    "cargo xtask fuzz --seconds 60",
    "cargo xtask fuzz scheduler_call --seconds 600 --keep",
];

/// Whether one of the files holds the command; how many seeds it says does not matter.
fn is_in(text: &str, command: &str) -> bool {
    numbers_aside(text).contains(&numbers_aside(command))
}

/// The text with `N` for each number that is a word of its own, and quotes as they are within quotes.
fn numbers_aside(text: &str) -> String {
    let text = text.replace("\\\"", "\"");
    let is_word = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(|it| !is_word(it)) {
        let word = part.trim_end_matches(|it| !is_word(it));
        let is_number = !word.is_empty() && word.chars().all(|it| it.is_ascii_digit());
        out.push_str(if is_number { "N" } else { word });
        out.push_str(&part[word.len()..]);
    }
    out
}

/// Holds a block's commands against the files that are said to run them, and against the programs.
pub fn check(page: &str, block: &Block, files: &[String]) {
    let read = |file: &String| {
        let place = format!("{page}, line {}", block.line);
        fs::read_to_string(root().join(file))
            .unwrap_or_else(|error| panic!("{place}: {file}, which should run it: {error}"))
    };
    let texts: Vec<String> = files.iter().map(read).collect();
    for command in
        block.body.iter().map(|it| it.trim()).filter(|it| !it.is_empty() && !it.starts_with('#'))
    {
        let place = format!("{page}, line {}: `{command}`", block.line);
        assert!(
            texts.iter().any(|text| is_in(text, command)),
            "{place} is not in {}",
            files.join(", ")
        );
        check_words(command).unwrap_or_else(|why| panic!("{place}: {why}"));
    }
}

/// Whether the programs know what the command says.
fn check_words(command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split(' ').collect();
    for package in words.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1]) {
        if !packages().iter().any(|it| it == package) {
            return Err(format!("there is no package {package}"));
        }
    }
    let ["cargo", "xtask", verb, rest @ ..] = &words[..] else { return Ok(()) };
    let help = output("holdfast-xtask", &[verb, "--help"])?;
    let unknown = rest.iter().find(|it| it.starts_with("--") && !help.contains(*it));
    unknown.map_or(Ok(()), |flag| {
        Err(format!("`cargo xtask {verb} --help` does not know {flag}:\n{help}"))
    })
}

/// The names of our packages.
fn packages() -> Vec<String> {
    let folders = ["crates", "frameworks"]
        .into_iter()
        .flat_map(|it| fs::read_dir(root().join(it)).expect("it can be listed").flatten());
    let name = |folder: &Path| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .map(str::to_owned)
    };
    folders.filter_map(|it| name(&it.path())).collect()
}

/// Runs a program in the repository; what it printed.
fn output(program: &str, words: &[&str]) -> Result<String, String> {
    let path = programs().join(program);
    assert!(path.is_file(), "there is no {program}; try: cargo build -p {program}");
    let output = Command::new(path)
        .args(words)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
        .status
        .success()
        .then_some(said.clone())
        .ok_or_else(|| format!("{program} {} failed:\n{said}", words.join(" ")))
}

#[test]
fn what_is_cheap_is_run() {
    for (command, program, words) in RUN_HERE {
        output(program, words).unwrap_or_else(|why| panic!("`{command}`: {why}"));
    }
}

#[test]
fn a_command_that_is_gone_is_noticed() {
    assert!(is_in("runs cargo xtask sim --seeds 500 each time", "cargo xtask sim --seeds 1000"));
    assert!(is_in("cargo xtask sim --seeds N", "cargo xtask sim --seeds 1000"));
    assert!(!is_in("cargo xtask simulate --seeds 500", "cargo xtask sim --seeds 500"));
    assert!(!is_in("cargo xtask sim --seeds 500", "cargo xtask sim --replay 500"));
    for command in ONLY_CHECKED.into_iter().chain(RUN_HERE.map(|it| it.0)) {
        check_words(command).unwrap_or_else(|why| panic!("`{command}`: {why}"));
    }
    for wrong in
        ["cargo xtask simulate", "cargo xtask sim --storms 5", "cargo test -p holdfast-nothing"]
    {
        assert!(check_words(wrong).is_err(), "{wrong}");
    }
}

/// Commands that our programs and pages advise, each in backticks, with the verbs and flags that it names.
fn advised(text: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let commands =
        spans.filter_map(|it| it.strip_prefix("holdfast ")).filter(|it| !it.contains("..."));
    let is_verb = |it: &&str| {
        it.starts_with(|first: char| first.is_ascii_lowercase())
            && it.chars().all(|it| it.is_ascii_lowercase() || it == '-')
    };
    let is_flag = |it: &&str| {
        it.starts_with("--")
            && 2 < it.len()
            && it[2..].chars().all(|it| it.is_ascii_lowercase() || it == '-')
    };
    let read = |command: &str| {
        let words: Vec<&str> = command.split(' ').take_while(|it| *it != "--").collect();
        let verbs = words.iter().copied().take_while(is_verb).take(2).map(str::to_owned).collect();
        (verbs, words.iter().copied().filter(is_flag).map(str::to_owned).collect())
    };
    commands.map(read).collect()
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("it can be listed").flatten().map(|it| it.path()) {
        if entry.is_dir() && !entry.ends_with("target") {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|it| it == "rs" || it == "md") {
            found.push(entry);
        }
    }
}

#[test]
fn every_command_that_is_advised_exists() {
    let mut files = vec![root().join("README.md")];
    for folder in ["crates", "frameworks", "docs", "deploy"] {
        sources(&root().join(folder), &mut files);
    }
    let texts = files.iter().map(|it| {
        fs::read_to_string(it).unwrap_or_else(|error| panic!("{}: {error}", it.display()))
    });
    let all: std::collections::BTreeSet<_> = texts.flat_map(|it| advised(&it)).collect();
    assert!(20 < all.len(), "they are not found: {all:?}");
    let mut wrong = Vec::new();
    for (verbs, flags) in all {
        // `help` is help itself.
        let words: Vec<&str> =
            verbs.iter().map(String::as_str).filter(|it| *it != "help").chain(["--help"]).collect();
        match output("holdfast", &words) {
            Ok(help) => wrong.extend(
                flags
                    .iter()
                    .find(|it| !help.contains(*it))
                    .map(|it| format!("holdfast {} {it}", verbs.join(" "))),
            ),
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "these do not exist:\n{}", wrong.join("\n"));
}
