//! What a change would do, and that one was accepted.

use serde::{Deserialize, Serialize};

use super::machine::MaintenancePlan;
use super::quota::QuotaPlan;
use super::{ChangeDocument, FrameworkStanding, LeavingPlan, RecoverPlan};

/// What a change of claims on an agent would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimPlan {
    /// What, such as `RESERVE`.
    pub action: String,
    /// Where.
    pub agent: String,
    /// The very change, with the generations that the plan was made on; `None` for what can only be asked for by its own name.
    #[serde(deserialize_with = "Option::deserialize")]
    pub apply: Option<ChangeDocument>,
    /// What it gives.
    pub gives: String,
    /// Of which claims it takes how much, in this order; what nobody had claimed is not among it.
    pub taken_from: Vec<TakenRow>,
    /// What it takes.
    pub takes: String,
}

/// What several changes that are made together would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplyPlan {
    /// `APPLY`.
    pub action: String,
    /// Where.
    pub agent: String,
    /// The very changes, with the generations that the plan was made on.
    pub apply: ChangeDocument,
    /// What they give in all.
    pub gives: String,
    /// The names of the operations, in order.
    pub operations: Vec<String>,
    /// Of which claims the operations take how much, in this order; what they make themselves is not among it.
    pub taken_from: Vec<TakenRow>,
    /// What they take in all.
    pub takes: String,
}

/// What a change takes of one claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenRow {
    /// Which.
    pub claim: String,
    /// The framework that made it; `None` when it is the role's.
    #[serde(deserialize_with = "Option::deserialize")]
    pub holder: Option<HolderRow>,
    /// What it takes of it.
    pub takes: String,
}

/// What the end of one claim would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndPlan {
    /// `UNRESERVE` or `DESTROY`.
    pub action: String,
    /// Where.
    pub agent: String,
    /// The very change, with the generation that the plan was made on.
    pub apply: ChangeDocument,
    /// Which.
    pub claim: String,
    /// What it gives.
    pub gives: String,
    /// The framework that made it, if one did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub holder: Option<HolderRow>,
    /// What it takes.
    pub takes: String,
}

/// Who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderRow {
    /// Since when it is away, in milliseconds since 1970, if it is.
    #[serde(deserialize_with = "Option::deserialize")]
    pub away_since_ms: Option<u64>,
    /// Its id.
    pub framework: String,
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub state: FrameworkStanding,
}

/// A change was made, and is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDone {
    /// Always so: what cannot be done is refused.
    pub done: bool,
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

/// What the removal of a volume would do that no claim stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalPlan {
    /// `REMOVE_ORPHAN`.
    pub action: String,
    /// Where.
    pub agent: String,
    /// As what it lies in the trash then, and can be brought back.
    pub to_trash: String,
    /// Which.
    pub volume: String,
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Plan {
    /// An agent leaves.
    Leaving(LeavingPlan),
    /// Planned downtime.
    Maintenance(MaintenancePlan),
    /// The recovery of an agent.
    Recover(RecoverPlan),
    /// The end of one claim.
    End(EndPlan),
    /// Several changes of claims.
    Apply(ApplyPlan),
    /// A change of claims.
    Claim(ClaimPlan),
    /// The removal of a framework.
    Teardown(TeardownPlan),
    /// The removal of a volume that no claim stands for.
    Removal(RemovalPlan),
    /// The quota of roles.
    Quota(QuotaPlan),
}

/// The end of a task was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillAccepted {
    /// Always so: what is not accepted is refused.
    pub accepted: bool,
}
