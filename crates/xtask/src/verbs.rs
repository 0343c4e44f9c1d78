//! The table of verbs, the help text that is made from it, and the step from words to a verb.
//!
//! Relies on [`crate::arguments`]. Never runs anything: a verb is one entry of [`VERBS`] and one file.

use crate::arguments::{Flag, Given, NotUnderstood, Words};
use crate::{bench, chaos, demo, dist, fuzz, services, sim, test, tidy};

/// One thing that xtask can do.
#[derive(Debug)]
pub struct Verb {
    /// The word on the command line.
    pub name: &'static str,
    /// One line for the help text.
    pub about: &'static str,
    /// More lines for `cargo xtask VERB --help`.
    pub details: &'static str,
    /// What may follow.
    pub flags: &'static [Flag],
    /// How words that are no flags are treated.
    pub words: Words,
    /// Does it; `Ok(false)` if it ran and found fault (already printed).
    pub run: fn(&Given) -> anyhow::Result<bool>,
}

/// All verbs, in the order of the help text.
pub const VERBS: &[&Verb] = &[
    &demo::VERB,
    &chaos::VERB,
    &tidy::VERB,
    &test::VERB,
    &services::VERB,
    &sim::VERB,
    &fuzz::VERB,
    &bench::VERB,
    &dist::VERB,
];

/// What the words ask for.
#[derive(Debug)]
pub enum Asked {
    /// To be told something.
    Help(String),
    /// To run a verb.
    Run(&'static Verb, Given),
}

/// Turns the words after `cargo xtask` into a verb and what was given to it.
///
/// # Errors
/// [`NotUnderstood`] with the nearest help.
pub fn understand(words: &[String]) -> Result<Asked, NotUnderstood> {
    let Some(first) = words.first() else {
        return Err(NotUnderstood(format!("which verb?\n\n{}", help())));
    };
    if ["-h", "--help", "help"].contains(&first.as_str()) {
        return match words.get(1).and_then(|name| VERBS.iter().find(|verb| verb.name == name)) {
            Some(verb) => Ok(Asked::Help(help_of(verb))),
            None => Ok(Asked::Help(help())),
        };
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == first) else {
        return Err(NotUnderstood(format!("no verb `{first}`\n\n{}", help())));
    };
    let words = &words[1..];
    if words.first().is_some_and(|word| word == "-h" || word == "--help") {
        return Ok(Asked::Help(help_of(verb)));
    }
    let given = Given::sort(verb.flags, verb.words, words).map_err(|error| {
        NotUnderstood(format!("{}: {error}\ntry: cargo xtask {} --help", verb.name, verb.name))
    })?;
    Ok(Asked::Run(verb, given))
}

fn help() -> String {
    let mut text = String::from(
        "Everything that CI does, anyone does.\n\nusage: cargo xtask VERB [FLAGS]\n\nverbs:\n",
    );
    for verb in VERBS {
        text.push_str(&format!("  {:<8} {}\n", verb.name, verb.about));
    }
    text.push_str("\nMore about one: cargo xtask VERB --help. Exit code: 0 done, 1 refused or failed, 2 not understood.");
    text
}

fn help_of(verb: &Verb) -> String {
    let tail = match verb.words {
        Words::Flags => "[FLAGS]",
        Words::FlagsAndNames => "[FLAGS] [NAME...] [-- WORDS...]",
        Words::PassedOn => "[WORDS...]",
    };
    let mut text = format!("{}.\n\nusage: cargo xtask {} {tail}\n", verb.about, verb.name);
    if !verb.flags.is_empty() {
        text.push('\n');
    }
    for flag in verb.flags {
        let shown = flag
            .value
            .map_or_else(|| flag.name.to_owned(), |value| format!("{} {value}", flag.name));
        text.push_str(&format!("  {shown:<16} {}\n", flag.about));
    }
    text.push('\n');
    text.push_str(verb.details.trim());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &str) -> Result<Asked, NotUnderstood> {
        understand(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn help_names_every_verb_and_every_flag() {
        let Ok(Asked::Help(text)) = ask("--help") else { panic!("help was not offered") };
        for verb in VERBS {
            assert!(text.contains(verb.about), "{}", verb.name);
            for words in [format!("{} --help", verb.name), format!("help {}", verb.name)] {
                let Ok(Asked::Help(text)) = ask(&words) else { panic!("{words}") };
                assert!(verb.flags.iter().all(|flag| text.contains(flag.about)), "{words}: {text}");
            }
        }
    }

    #[test]
    fn unknown_verbs_and_flags_are_refused_with_help() {
        assert!(ask("").unwrap_err().0.contains("usage:"));
        assert!(ask("tidyy").unwrap_err().0.contains("no verb `tidyy`"));
        assert!(ask("test --sedes 4").unwrap_err().0.contains("cargo xtask test --help"));
    }

    #[test]
    fn a_verb_is_found_with_what_was_given() {
        let Ok(Asked::Run(verb, given)) = ask("test --seeds 12") else {
            panic!("`test` was not found")
        };
        assert_eq!((verb.name, given.number("--seeds", 0)), ("test", Ok(12)));
        let Ok(Asked::Run(verb, given)) = ask("sim --seeds 12 --anything") else {
            panic!("`sim` was not found")
        };
        assert_eq!((verb.name, given.rest.len()), ("sim", 3));
    }
}
