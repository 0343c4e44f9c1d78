//! What is seen of a member that runs, and whether it serves, from one look after the other.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::marker::Note;
use crate::order::Told;

/// How many looks in a row must fail before a member that served does not any more.
const FAILURES_MAX: u32 = 3;

/// What is seen of a journal node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLook {
    /// Whether the journal of the nameservice is formatted.
    pub is_formatted: bool,
    /// The `clusterID`s of its journals.
    pub clusters: Vec<String>,
    /// How many transactions it is behind the writer.
    pub lag: u64,
    /// What it has on its volume, once its journal is formatted.
    #[serde(default)]
    pub edits: Option<Edits>,
}

/// What a journal node has on its volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// Hadoop's file `VERSION`, as it is.
    pub version: String,
    /// The number of the writer that it has promised to listen to no earlier one than.
    pub promised: u64,
    /// The transaction from which on none is missing; nothing before there is any.
    pub from: Option<u64>,
}

/// What is seen of a name node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameLook {
    /// `active`, `standby`, or what else it says.
    pub state: String,
    /// Whether it is in its safe mode, in which nothing is written.
    pub is_safe: bool,
    /// How many journal nodes have missed edits that it wrote, and take none until its next segment.
    pub behind: u64,
    /// Blocks of which no copy is known.
    pub missing: u64,
    /// Blocks with fewer copies than they should have.
    pub low: u64,
    /// How many data nodes it hears of.
    pub live: u64,
    /// Whether every block had all of its copies at this look and at the one before, of as many data nodes. A look that says
    /// nothing new is not told again at once, so that whoever is told cannot count them.
    #[serde(default)]
    pub is_settled: bool,
    /// How far the data nodes are that it was told to empty, by the host and port of each.
    #[serde(default)]
    pub leaving: BTreeMap<String, String>,
}

/// What is seen of a data node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataLook {
    /// Whether the active name node has taken it.
    pub is_registered: bool,
}

/// What is seen of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// Of a journal node.
    Journal(JournalLook),
    /// Of a name node.
    Name(NameLook),
    /// Of a data node.
    Data(DataLook),
}

impl Look {
    /// Whether the member serves.
    ///
    /// # Errors
    /// Why not.
    pub fn serves(&self) -> Result<(), String> {
        match self {
            Look::Journal(_) => Ok(()),
            Look::Name(it) => match (it.state.as_str(), it.is_safe) {
                ("standby", _) | ("active", false) => Ok(()),
                ("active", true) => Err(
                    "it is active, and in safe mode until its data nodes have told their blocks"
                        .to_owned(),
                ),
                (other, _) => Err(format!("it is {other}")),
            },
            Look::Data(it) if it.is_registered => Ok(()),
            Look::Data(_) => Err("the active name node has not taken it".to_owned()),
        }
    }

    /// What it is, for people.
    pub fn words(&self) -> String {
        match self {
            Look::Journal(it) if it.is_formatted => {
                format!("its journal is formatted, {} transactions behind", it.lag)
            }
            Look::Journal(_) => "its journal is not formatted yet".to_owned(),
            Look::Name(it) => it.state.clone(),
            Look::Data(_) => "registered with the active name node".to_owned(),
        }
    }
}

/// What a member's process tells the scheduler at each look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What is to be remembered, once its volumes belong to the file system.
    pub note: Option<Note>,
    /// What was seen.
    pub look: Look,
    /// Where it was told that the others are, when it was started.
    #[serde(default)]
    pub told: Told,
}

/// Whether a member serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What it served as at the last good look.
    serving: Option<String>,
    failures: u32,
    /// Why it did not serve yet, at the last look.
    not_yet: Option<String>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It serves, as this.
    Serving(String),
    /// It does not any more, for this reason.
    Lost(String),
    /// It does not yet, for another reason than before.
    NotYet(String),
}

impl Readiness {
    /// Takes the outcome of a look.
    pub fn looked(&mut self, look: Result<&Look, &str>) -> Option<Change> {
        let why = match look.map(|it| (it, it.serves())) {
            Ok((look, Ok(()))) => {
                (self.failures, self.not_yet) = (0, None);
                let kind = look.words();
                // A lag that comes and goes is no news.
                let is_news = match look {
                    Look::Journal(_) | Look::Data(_) => self.serving.is_none(),
                    Look::Name(_) => self.serving.as_ref() != Some(&kind),
                };
                self.serving = Some(kind.clone());
                return is_news.then_some(Change::Serving(kind));
            }
            Ok((_, Err(why))) => why,
            Err(why) => why.to_owned(),
        };
        if self.serving.is_none() {
            let is_news = self.not_yet.as_ref() != Some(&why);
            self.not_yet = Some(why.clone());
            return is_news.then_some(Change::NotYet(why));
        }
        self.failures += 1;
        if self.failures < FAILURES_MAX {
            return None;
        }
        (self.serving, self.not_yet, self.failures) = (None, Some(why.clone()), 0);
        Some(Change::Lost(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(state: &str, is_safe: bool) -> Look {
        Look::Name(NameLook { state: state.to_owned(), is_safe, ..NameLook::default() })
    }

    #[test]
    fn who_serves_is_seen() {
        for look in [
            name("active", false),
            name("standby", true),
            Look::Journal(JournalLook::default()),
            Look::Data(DataLook { is_registered: true }),
        ] {
            assert_eq!(look.serves(), Ok(()), "{look:?}");
        }
        assert!(name("active", true).serves().unwrap_err().contains("safe mode"));
        assert!(name("initializing", false).serves().is_err());
        assert!(Look::Data(DataLook::default()).serves().is_err());
    }

    #[test]
    fn a_member_serves_from_its_first_good_look_to_the_third_bad_one() {
        let mut it = Readiness::default();
        let (active, standby) = (name("active", false), name("standby", false));
        assert_eq!(it.looked(Err("a")), Some(Change::NotYet("a".into())));
        assert_eq!(it.looked(Err("a")), None, "that is known");
        assert_eq!(it.looked(Ok(&standby)), Some(Change::Serving("standby".into())));
        assert_eq!(it.looked(Ok(&standby)), None);
        assert_eq!(it.looked(Ok(&active)), Some(Change::Serving("active".into())));
        assert_eq!(it.looked(Err("a")), None);
        assert_eq!(it.looked(Ok(&active)), None, "it is counted anew");
        assert_eq!([it.looked(Err("a")), it.looked(Err("a"))], [None, None]);
        assert_eq!(it.looked(Err("b")), Some(Change::Lost("b".into())));
        assert_eq!(it.looked(Err("b")), None);
        assert_eq!(it.looked(Ok(&active)), Some(Change::Serving("active".into())));
    }
}
