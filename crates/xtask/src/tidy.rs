//! `cargo xtask tidy`: the house rules that a compiler does not know. Runs as a test, too.
//!
//! Relies on [`house`], which reads the tree once. Never changes a file, and never asks cargo or git: what it says depends on the tree
//! alone. A rule is one entry of [`RULES`] and one file, with a planted offender in its tests.

mod calls;
mod dependencies;
mod gates;
mod headers;
mod house;
mod items;
mod lengths;
mod limits;
mod manifest;
mod modules;
mod names;
mod paths;
mod purity;
mod sleeps;
mod state;
mod tree;
mod unused;
mod write_sites;

use std::fmt;

use anyhow::{Context as _, Result};

use self::house::House;
use crate::arguments::{Flag, Given, Words};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "tidy",
    about: "Check the house rules",
    details:
        "Each complaint names file, line, rule, and what to try. A sleep that is right says so in a comment on its line or above it:\n\
              `// tidy: sleep is the point: WHY`. What clippy can say, the lints of Cargo.toml and .clippy.toml say.\n\
              The rules: cargo xtask tidy --list",
    flags: &[
        Flag { name: "--list", value: None, about: "name the rules and check nothing" },
        Flag { name: "--calls", value: Some("CRATE"), about: "draw which file of a crate calls which, and check nothing" },
        Flag { name: "--only", value: Some("PATH"), about: "complaints about files whose path starts with this (repeatable)" },
    ],
    words: Words::Flags,
    run: verb,
};

/// One house rule.
struct Rule {
    name: &'static str,
    about: &'static str,
    check: fn(&House) -> Vec<Complaint>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "dependencies",
        about: "a crate depends only on those of the table",
        check: dependencies::check,
    },
    Rule {
        name: "confined",
        about: "sled, tonic, nix and their like stay in the crates that tame them",
        check: dependencies::confined,
    },
    Rule {
        name: "manifests",
        about: "folder and package agree; the workspace's lints hold everywhere",
        check: manifest::check,
    },
    Rule {
        name: "purity",
        about: "pure crates have no clock, randomness, files, threads, async or hash maps",
        check: purity::check,
    },
    Rule {
        name: "lengths",
        about: "functions, files and main.rs fit a head",
        check: lengths::check,
    },
    Rule {
        name: "calls",
        about: "files of a pure crate do not call each other in circles; pictures of it are true",
        check: calls::check,
    },
    Rule { name: "headers", about: "each file says what it is for", check: headers::check },
    Rule { name: "names", about: "a name says what is inside", check: names::check },
    Rule { name: "sleeps", about: "each sleep says why it is one", check: sleeps::check },
    Rule {
        name: "state",
        about: "what a core keeps is private, and no type of it keeps too much",
        check: state::check,
    },
    Rule { name: "unused", about: "what may be used is used", check: unused::check },
    Rule {
        name: "write-sites",
        about: "each place that writes for good has its crash test",
        check: write_sites::check,
    },
    Rule { name: "modules", about: "each file is compiled", check: modules::check },
    Rule {
        name: "tree",
        about: "the root holds what it should, and nothing speaks of a workplace",
        check: tree::check,
    },
];

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Relative to the root.
    pub path: String,
    /// Counted from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong, and what to try.
    pub says: String,
}

impl Complaint {
    /// About one line.
    fn at(path: &str, line: usize, says: impl Into<String>) -> Complaint {
        Complaint { path: path.to_owned(), line, says: says.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.says),
            line => write!(f, "{}:{line}: {}", self.path, self.says),
        }
    }
}

/// All complaints about a house, each with the name of its rule, by file and line.
fn inspect(house: &House) -> Vec<(Complaint, &'static str)> {
    let mut found: Vec<_> = RULES
        .iter()
        .flat_map(|rule| (rule.check)(house).into_iter().map(|it| (it, rule.name)))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn verb(given: &Given) -> Result<bool> {
    if given.has("--list") {
        for rule in RULES {
            println!("{:<12} {}", rule.name, rule.about);
        }
        return Ok(true);
    }
    let house = House::read(&project::root())?;
    if let Some(name) = given.values("--calls").last() {
        let picture = calls::picture(&house, name);
        print!("{}", picture.with_context(|| format!("no crate `{name}` under crates/"))?);
        return Ok(true);
    }
    let mut complaints = inspect(&house);
    let only = given.values("--only");
    complaints.retain(|(complaint, _)| {
        only.is_empty() || only.iter().any(|start| complaint.path.starts_with(start.as_str()))
    });
    for (complaint, rule) in &complaints {
        println!("{complaint} [{rule}]");
    }
    eprintln!(
        "tidy: {} packages, {} files, {}; {} complaints",
        house.packages.len(),
        house.files(),
        lengths::summary(&house),
        complaints.len()
    );
    Ok(complaints.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let house = House::read(&project::root()).unwrap();
        assert!(10 < house.packages.len(), "the project was not found");
        let complaints: Vec<String> = inspect(&house)
            .iter()
            .map(|(complaint, rule)| format!("{complaint} [{rule}]"))
            .collect();
        assert!(
            complaints.is_empty(),
            "{} complaints:\n{}",
            complaints.len(),
            complaints.join("\n")
        );
    }

    #[test]
    fn complaints_come_sorted_with_their_rule_and_once() {
        let house = House::of(&[
            ("crates/store/src/lib.rs", "//! x\nfn f() { thread::sleep(a); thread::sleep(b); }\n"),
            ("notes.txt", ""),
        ]);
        let found = inspect(&house);
        assert!(found.is_sorted());
        let sleeps: Vec<_> = found.iter().filter(|(_, rule)| *rule == "sleeps").collect();
        assert_eq!(sleeps.len(), 1, "{sleeps:?}");
        assert!(sleeps[0].0.to_string().starts_with("crates/store/src/lib.rs:2: "));
    }
}
