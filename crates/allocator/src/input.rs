//! What an allocation policy sees: agents with what is free, frameworks with what they hold, filters, weights.
//!
//! The master keeps this picture and changes it piece by piece; a policy only reads it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentId, Capability, FrameworkId, Identity, Instant, Quantities, Resources, Role, Scalar,
};

use crate::filters::Filters;

/// One role of one framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// Whether the framework wants no offers for it now.
    pub suppressed: bool,
    /// What it holds for this role, used and offered.
    pub allocated: Quantities,
    /// Smallest offers it cares for, any of these; `None` = the cluster's.
    pub min_allocatable: Option<Vec<Quantities>>,
}

/// A framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkView {
    /// Its id.
    pub id: FrameworkId,
    /// Its roles.
    pub roles: Vec<RoleView>,
    /// Whether it is connected and may be sent offers.
    pub active: bool,
    /// What it understands.
    pub capabilities: BTreeSet<Capability>,
}

/// Who holds a reservation or volume of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What is held, without allocation.
    pub identity: Identity,
    /// By whom: the framework that made the claim.
    pub framework: FrameworkId,
    /// Whether it is connected, or away but still expected: then nobody else is offered what it holds,
    /// unless it is connected and has declined it.
    pub expected: bool,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// What is neither used nor offered, without allocations.
    pub free: Resources,
    /// Why nothing of it may be offered now; `None` when it is well.
    pub fault: Option<String>,
    /// Who holds what of it.
    pub holders: Vec<Holder>,
}

/// All that a policy sees.
#[derive(Clone, Copy, Debug)]
pub struct AllocationInput<'a> {
    /// The agents.
    pub agents: &'a BTreeMap<AgentId, AgentView>,
    /// The frameworks.
    pub frameworks: &'a BTreeMap<FrameworkId, FrameworkView>,
    /// Refusals that still hold.
    pub filters: &'a Filters,
    /// Weights that are not 1.
    pub weights: &'a BTreeMap<Role, Scalar>,
    /// What the whole cluster has.
    pub totals: &'a Quantities,
    /// Offers smaller than all of these are not made, unless they hold a reservation or volume.
    pub min_allocatable: &'a [Quantities],
    /// Now.
    pub now: Instant,
}

/// A decision: offer these to that role of that framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// To whom.
    pub framework: FrameworkId,
    /// For which of its roles.
    pub role: Role,
    /// Where.
    pub agent: AgentId,
    /// What, without allocations.
    pub resources: Resources,
}
