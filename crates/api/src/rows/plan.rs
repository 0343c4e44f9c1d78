//! What a change would do, and that one was accepted.

use serde::{Deserialize, Serialize};

/// What a change of claims on an agent would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimPlan {
    /// What, such as `RESERVE`.
    pub action: String,
    /// Where.
    pub agent: String,
    /// What it gives.
    pub gives: String,
    /// What it takes.
    pub takes: String,
}

/// What the removal of a framework would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeardownPlan {
    /// `TEARDOWN`.
    pub action: String,
    /// Its tasks that it would end.
    pub ends_tasks: Vec<String>,
    /// Which.
    pub framework: String,
    /// The claims that nobody in particular would hold any more.
    pub leaves_unclaimed: Vec<String>,
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Plan {
    /// A change of claims.
    Claim(ClaimPlan),
    /// The removal of a framework.
    Teardown(TeardownPlan),
}

/// The end of a task was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillAccepted {
    /// Always so: what is not accepted is refused.
    pub accepted: bool,
}
