//! The words after a verb: which flags it knows, which were given, and what to say about the rest.
//!
//! Relies on nothing. Never guesses: an unknown flag, a missing value or a number that is none is an error that names the flag.
//! By hand and small, because xtask is the first thing that a fresh machine compiles.

use std::collections::BTreeMap;
use std::fmt;

/// One flag that a verb knows.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// With its dashes: `--seeds`.
    pub name: &'static str,
    /// What the value is called in the help text; `None` for a switch.
    pub value: Option<&'static str>,
    /// One line for the help text.
    pub about: &'static str,
}

/// How a verb treats its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Only the flags of its table.
    Flags,
    /// Flags, and words without dashes, each of which is a name.
    FlagsAndNames,
    /// Everything goes on, untouched, to another program; the flags of the table are for the help text.
    PassedOn,
}

/// What was given.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Given {
    flags: BTreeMap<String, Vec<String>>,
    /// Words without dashes, in their order.
    pub names: Vec<String>,
    /// Everything after `--`, or everything at all where words are passed on.
    pub rest: Vec<String>,
}

/// Why the words make no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotUnderstood {}

impl Given {
    /// Sorts `words` by the table `known`.
    ///
    /// # Errors
    /// [`NotUnderstood`], naming the word and what would have been understood.
    pub fn sort(known: &[Flag], kind: Words, words: &[String]) -> Result<Given, NotUnderstood> {
        let mut given = Given::default();
        if kind == Words::PassedOn {
            given.rest = words.to_vec();
            return Ok(given);
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                given.rest = words.cloned().collect();
                break;
            }
            if !word.starts_with('-') {
                if kind == Words::Flags {
                    return Err(NotUnderstood(format!(
                        "`{word}` has no meaning here; {}",
                        choices(known)
                    )));
                }
                given.names.push(word.clone());
                continue;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let flag = known.iter().find(|flag| flag.name == name);
            let flag =
                flag.ok_or_else(|| NotUnderstood(format!("no flag `{name}`; {}", choices(known))))?;
            let value = match (flag.value, attached) {
                (None, None) => String::new(),
                (None, Some(_)) => {
                    return Err(NotUnderstood(format!(
                        "`{name}` is a switch and takes no value; leave the `=` out"
                    )))
                }
                (Some(_), Some(value)) => value,
                (Some(what), None) => words.next().cloned().ok_or_else(|| {
                    NotUnderstood(format!("`{name}` needs a value: {name} {what}"))
                })?,
            };
            given.flags.entry(name.to_owned()).or_default().push(value);
        }
        Ok(given)
    }

    /// Whether a switch was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// Every value given for a flag, in order.
    pub fn values(&self, name: &str) -> &[String] {
        self.flags.get(name).map_or(&[], Vec::as_slice)
    }

    /// The last value of a flag as a number, or `otherwise`.
    ///
    /// # Errors
    /// [`NotUnderstood`] if it is no whole number.
    pub fn number(&self, name: &str, otherwise: u64) -> Result<u64, NotUnderstood> {
        let Some(value) = self.values(name).last() else { return Ok(otherwise) };
        value.replace('_', "").parse().map_err(|_| {
            NotUnderstood(format!("`{name} {value}`: a whole number is needed, such as 5000"))
        })
    }
}

fn choices(known: &[Flag]) -> String {
    if known.is_empty() {
        return "this verb takes no flags".to_owned();
    }
    format!("known are {}", known.iter().map(|flag| flag.name).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Flag] = &[
        Flag { name: "--seeds", value: Some("N"), about: "how many" },
        Flag { name: "--list", value: None, about: "list" },
    ];

    fn sort(kind: Words, words: &str) -> Result<Given, NotUnderstood> {
        Given::sort(KNOWN, kind, &words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_values_names_and_the_rest_are_told_apart() {
        let given =
            sort(Words::FlagsAndNames, "--seeds 1_000 one --list --seeds=7 two -- --seeds 9")
                .unwrap();
        assert_eq!(given.values("--seeds"), ["1_000", "7"]);
        assert_eq!(given.number("--seeds", 5), Ok(7));
        assert_eq!(given.number("--absent", 5), Ok(5));
        assert!(given.has("--list"));
        assert_eq!(given.names, ["one", "two"]);
        assert_eq!(given.rest, ["--seeds", "9"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, says) in [
            ("--sedes 3", "no flag `--sedes`"),
            ("--seeds", "`--seeds` needs a value"),
            ("--list=yes", "takes no value"),
            ("seeds", "`seeds` has no meaning"),
        ] {
            let error = sort(Words::Flags, words).unwrap_err();
            assert!(error.0.contains(says), "{words}: {error}");
        }
        let error = sort(Words::Flags, "--seeds many").unwrap().number("--seeds", 1).unwrap_err();
        assert!(error.0.contains("--seeds many"), "{error}");
    }

    #[test]
    fn passed_on_words_are_not_touched() {
        let given = sort(Words::PassedOn, "--sedes 3 -- x --list").unwrap();
        assert_eq!(given.rest, ["--sedes", "3", "--", "x", "--list"]);
        assert!(!given.has("--list"));
    }
}
