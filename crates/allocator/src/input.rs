//! The input of an allocation: agents with what is free, frameworks with what they hold, filters,
//! weights.
//!
//! The master keeps these views and changes them piece by piece; a policy only reads them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AgentId, Capability, FrameworkId, Identity, Instant, Quantities, Resources, Role, Scalar,
};

use crate::filters::Filters;

/// One role to which a framework is subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleView {
    /// The role's full path.
    pub role: Role,
    /// Whether the framework suppressed offers for this role.
    pub suppressed: bool,
    /// What the framework has been allocated for this role, used and offered.
    pub allocated: Quantities,
    /// An offer must reach at least one of these sets; `None` means the cluster's minimum.
    pub min_allocatable: Option<Vec<Quantities>>,
}

/// A framework as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkView {
    /// Its id.
    pub id: FrameworkId,
    /// The roles to which it is subscribed.
    pub roles: Vec<RoleView>,
    /// Whether it is connected and may be sent offers.
    pub active: bool,
    /// The capabilities that it announced.
    pub capabilities: BTreeSet<Capability>,
}

/// Who holds a reservation or volume of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The identity that is held, without allocation.
    pub identity: Identity,
    /// The framework that made the claim.
    pub framework: FrameworkId,
    /// Whether the framework is connected, or away but within its failover timeout. Nobody else is
    /// then offered what it holds, unless it is connected and has declined it.
    pub expected: bool,
}

/// An agent as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// What is neither used nor offered, without allocations.
    pub free: Resources,
    /// Why nothing of the agent may be offered now; `None` when it is healthy.
    pub fault: Option<String>,
    /// Which framework holds which of the agent's reservations and volumes.
    pub holders: Vec<Holder>,
}

/// All that a policy may read.
#[derive(Clone, Copy, Debug)]
pub struct AllocationInput<'a> {
    /// All agents, also those with a fault.
    pub agents: &'a BTreeMap<AgentId, AgentView>,
    /// All frameworks, also those that are away.
    pub frameworks: &'a BTreeMap<FrameworkId, FrameworkView>,
    /// Filters that have not expired.
    pub filters: &'a Filters,
    /// The weights of roles that were given one; others weigh 1.
    pub weights: &'a BTreeMap<Role, Scalar>,
    /// The sums of all agents' resources.
    pub totals: &'a Quantities,
    /// Offers that reach none of these sets are not made, unless they hold a reservation or volume.
    pub min_allocatable: &'a [Quantities],
    /// The time of the division, against which filters expire.
    pub now: Instant,
}

/// A decision: these resources of one agent are to be offered to one role of a framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The framework that receives the offer.
    pub framework: FrameworkId,
    /// The role for which the resources are allocated.
    pub role: Role,
    /// The agent that has the resources.
    pub agent: AgentId,
    /// The resources, without allocations.
    pub resources: Resources,
}
