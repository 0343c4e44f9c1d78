//! Where the members of a pod may be.

use std::fmt;

/// Where the members of a pod may be. It is looked at when a member gets a place: whoever has one
/// keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// How many members of the pod one agent may have; `None` = any number.
    pub max_per_agent: Option<u32>,
    /// The members are spread evenly over the values of this attribute.
    pub spread_over: Option<Attribute>,
    /// An agent must fulfil all of these.
    pub include: Vec<Condition>,
    /// An agent must fulfil none of these.
    pub exclude: Vec<Condition>,
    /// Only on agents that have a member of each of these pods.
    pub near: Vec<String>,
    /// Only on agents that have no member of these pods.
    pub not_near: Vec<String>,
}

/// What an agent is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// The name of its machine.
    Hostname,
    /// An attribute of this name, such as `rack`.
    Named(String),
}

/// A condition that an agent fulfils when its attribute has one of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The attribute that is looked at.
    pub attribute: Attribute,
    /// The values that fulfil it.
    pub values: Vec<String>,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Hostname => write!(f, "hostname"),
            Attribute::Named(name) => write!(f, "{name}"),
        }
    }
}
