//! Which agents a framework wants offers of, by their names and attributes.
//!
//! Constraints say nothing of what a framework has: its tasks, reservations and volumes stay where they are. Patterns are compiled
//! when a framework describes itself, and never when agents are divided. Never fails on an agent, whatever its attributes are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::role::Role;

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// How much a pattern may take when it is compiled, in bytes.
const PATTERN_COMPILED_MAX: usize = 128 * 1024;
/// How many groups of an agent that is left out an explanation names.
const NAMED_GROUPS_MAX: usize = 3;

/// What constraints can look at of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The name of its machine.
    pub hostname: String,
    /// The region that it is in, if it says so.
    pub region: Option<String>,
    /// The zone that it is in, if it says so.
    pub zone: Option<String>,
    /// Its attributes, by name and each once (of those that come twice the first one counts); `None` for what is no text.
    pub attributes: Vec<(String, Option<String>)>,
}

impl Traits {
    /// The attribute of this name, if it is there; its text, if it is one.
    fn attribute(&self, name: &str) -> Option<Option<&str>> {
        let at = self.attributes.binary_search_by(|(it, _)| it.as_str().cmp(name)).ok()?;
        Some(self.attributes[at].1.as_deref())
    }
}

/// What a constraint looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The name of the machine.
    Hostname,
    /// The region.
    Region,
    /// The zone.
    Zone,
    /// The attribute of this name.
    Attribute(String),
}

/// What has to hold of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// It is there.
    Exists,
    /// It is not there.
    NotExists,
    /// It is this text, or no text.
    Equals(String),
    /// It is absent, another text, or no text.
    NotEquals(String),
    /// All of it matches, or it is no text.
    Matches(Pattern),
    /// It is absent, does not match as a whole, or is no text.
    NotMatches(Pattern),
}

/// A regular expression that a text has to match as a whole.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it is none, or too costly.
    pub fn new(text: String) -> Result<Pattern, String> {
        if PATTERN_BYTES_MAX < text.len() {
            return Err(format!(
                "is {} bytes long, and {PATTERN_BYTES_MAX} are allowed; match less, or use more constraints",
                text.len()
            ));
        }
        // By itself first: `a)|(b` is none, though it would be one between parentheses.
        compile(&text)?;
        let regex = compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Pattern { text, regex })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_COMPILED_MAX).build().map_err(|it| match it {
        regex::Error::CompiledTooBig(_) => {
            "is too costly when compiled; repeat less, or use more constraints".to_owned()
        }
        other => {
            // What is wrong stands in the last line, below a picture of the pattern.
            let whole = other.to_string();
            let why = whole.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("is no regular expression: {why}")
        }
    })
}

/// What has to hold of one attribute of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeConstraint {
    /// What it looks at.
    pub selector: Selector,
    /// What has to hold of that.
    pub predicate: Predicate,
}

impl AttributeConstraint {
    fn holds(&self, agent: &Traits) -> bool {
        // The outer level is whether it is there, the inner one whether it is a text.
        let value: Option<Option<&str>> = match &self.selector {
            Selector::Hostname => Some(Some(&agent.hostname)),
            Selector::Region => agent.region.as_deref().map(Some),
            Selector::Zone => agent.zone.as_deref().map(Some),
            Selector::Attribute(name) => agent.attribute(name),
        };
        let is_text = |holds: &dyn Fn(&str) -> bool| value.map(|it| it.is_none_or(holds));
        match &self.predicate {
            Predicate::Exists => value.is_some(),
            Predicate::NotExists => value.is_none(),
            Predicate::Equals(text) => is_text(&|it| it == text).unwrap_or(false),
            Predicate::NotEquals(text) => is_text(&|it| it != text).unwrap_or(true),
            Predicate::Matches(it) => is_text(&|text| it.regex.is_match(text)).unwrap_or(false),
            Predicate::NotMatches(it) => is_text(&|text| !it.regex.is_match(text)).unwrap_or(true),
        }
    }
}

impl fmt::Display for AttributeConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Hostname => f.write_str("the host name"),
            Selector::Region => f.write_str("the region"),
            Selector::Zone => f.write_str("the zone"),
            Selector::Attribute(name) => write!(f, "attribute `{name}`"),
        }?;
        match &self.predicate {
            Predicate::Exists => f.write_str(" must be there"),
            Predicate::NotExists => f.write_str(" must not be there"),
            Predicate::Equals(text) => write!(f, " must be `{text}`"),
            Predicate::NotEquals(text) => write!(f, " must not be `{text}`"),
            Predicate::Matches(it) => write!(f, " must match `{}`", it.text),
            Predicate::NotMatches(it) => write!(f, " must not match `{}`", it.text),
        }
    }
}

/// What has to hold of an agent for a role: all constraints of at least one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleConstraints {
    groups: Vec<Vec<AttributeConstraint>>,
}

impl RoleConstraints {
    /// Constraints of these groups, of which there is at least one, with at least one constraint each.
    pub fn new(groups: Vec<Vec<AttributeConstraint>>) -> RoleConstraints {
        assert!(
            !groups.is_empty() && groups.iter().all(|it| !it.is_empty()),
            "a group has a constraint, and a role a group"
        );
        RoleConstraints { groups }
    }

    /// The groups.
    pub fn groups(&self) -> &[Vec<AttributeConstraint>] {
        &self.groups
    }

    /// Whether the agent may be offered.
    pub fn admit(&self, agent: &Traits) -> bool {
        self.groups.iter().any(|group| group.iter().all(|it| it.holds(agent)))
    }

    /// What does not hold of an agent that may not be offered: of each group the first.
    pub fn unmet(&self, agent: &Traits) -> String {
        let first = |group: &Vec<AttributeConstraint>| {
            group.iter().find(|it| !it.holds(agent)).map(ToString::to_string)
        };
        let named: Vec<String> =
            self.groups.iter().take(NAMED_GROUPS_MAX).filter_map(first).collect();
        named.join(", or ")
    }
}

/// The constraints of a framework, by role; a role without any takes offers of all agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferConstraints {
    roles: BTreeMap<Role, Arc<RoleConstraints>>,
}

impl OfferConstraints {
    /// Constraints of these roles.
    pub fn new(roles: BTreeMap<Role, Arc<RoleConstraints>>) -> OfferConstraints {
        OfferConstraints { roles }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// Those of a role.
    pub fn for_role(&self, role: &Role) -> Option<&Arc<RoleConstraints>> {
        self.roles.get(role)
    }

    /// All of them, by role.
    pub fn roles(&self) -> impl Iterator<Item = (&Role, &RoleConstraints)> {
        self.roles.iter().map(|(role, it)| (role, &**it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Traits {
        let attributes = [("rack", Some("r1")), ("size", None)];
        let attribute =
            |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
        Traits {
            hostname: "node-7".to_owned(),
            region: Some("north".to_owned()),
            zone: None,
            attributes: attributes.into_iter().map(attribute).collect(),
        }
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.to_owned()).unwrap()
    }

    #[test]
    fn c22_what_is_missing_or_no_text() {
        let text = || "r1".to_owned();
        let six = [
            Predicate::Exists,
            Predicate::NotExists,
            Predicate::Equals(text()),
            Predicate::NotEquals(text()),
            Predicate::Matches(pattern("r[0-9]")),
            Predicate::NotMatches(pattern("r[0-9]")),
        ];
        let attribute = |name: &str| Selector::Attribute(name.to_owned());
        for (selector, expected) in [
            (attribute("rack"), [true, false, true, false, true, false]),
            (attribute("size"), [true, false, true, true, true, true]),
            (attribute("other"), [false, true, false, true, false, true]),
            (Selector::Hostname, [true, false, false, true, false, true]),
            (Selector::Region, [true, false, false, true, false, true]),
            (Selector::Zone, [false, true, false, true, false, true]),
        ] {
            for (predicate, expected) in six.iter().zip(expected) {
                let it = AttributeConstraint {
                    selector: selector.clone(),
                    predicate: predicate.clone(),
                };
                assert_eq!(it.holds(&agent()), expected, "{it}");
            }
        }
    }

    #[test]
    fn c21_all_of_a_group_and_any_group() {
        let host = |text: &str| AttributeConstraint {
            selector: Selector::Hostname,
            predicate: Predicate::Matches(pattern(text)),
        };
        let rack = AttributeConstraint {
            selector: Selector::Attribute("rack".to_owned()),
            predicate: Predicate::NotEquals("r1".to_owned()),
        };
        let both = vec![host("node-.*"), rack];
        let only = RoleConstraints::new(vec![both.clone()]);
        assert!(!only.admit(&agent()));
        assert_eq!(only.unmet(&agent()), "attribute `rack` must not be `r1`");
        assert!(RoleConstraints::new(vec![both.clone(), vec![host("node-[0-9]")]]).admit(&agent()));
        let neither = RoleConstraints::new(vec![both, vec![host("node")]]);
        assert_eq!(
            neither.unmet(&agent()),
            "attribute `rack` must not be `r1`, or the host name must match `node`"
        );
    }

    #[test]
    fn a_pattern_is_one_by_itself_and_not_too_costly() {
        for fine in ["", "a|ab", r"\w+-\d{1,3}", "(?i)RACK", "é.*"] {
            assert_eq!(Pattern::new(fine.to_owned()).map(|it| it.text).as_deref(), Ok(fine));
        }
        assert!(pattern("a|ab").regex.is_match("ab"), "the whole text counts");
        assert!(!pattern("a|ab").regex.is_match("ab\n"));
        for (bad, why) in [
            ("a)|(b", "is no regular expression"),
            ("[", "is no regular expression"),
            (r"\pL{1000}", "too costly"),
            ("((a{100}){100}){100}", "too costly"),
            (&"a".repeat(PATTERN_BYTES_MAX + 1), "bytes long"),
        ] {
            let said = Pattern::new(bad.to_owned()).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
