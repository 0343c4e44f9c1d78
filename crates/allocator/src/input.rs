//! The input of an allocation: agents with what is free, frameworks with what they hold, filters,
//! weights.
//!
//! The master keeps these views and changes them piece by piece; a policy only reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{
    AgentId, Capability, FrameworkId, Identity, Instant, Quantities, Quota, Resources, Role,
    RoleConstraints, RoleTotals, Scalar, SharedMap, Traits,
};

use crate::filters::ActiveFilters;

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
    /// Which agents the framework wants offers of for this role; `None` means all.
    pub constraints: Option<Arc<RoleConstraints>>,
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
    /// What offer constraints look at.
    pub traits: Arc<Traits>,
    /// Why nothing of the agent may be offered now; `None` when it is healthy.
    pub fault: Option<String>,
    /// Which framework holds which of the agent's reservations and volumes.
    pub holders: Arc<Vec<Holder>>,
    /// Who has each of the shared volumes that are free, which they are whoever has them.
    pub sharing: Vec<Sharing>,
}

/// What the frameworks of a role have of shared volumes beside the first that has each: that is there once, however many have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedAgain {
    /// For the role itself.
    pub own: Quantities,
    /// For the role and those below it.
    pub all: Quantities,
}

/// Who has a shared volume of an agent. It is free for others of its role all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The volume, without allocation.
    pub identity: Identity,
    /// Whether a task uses it.
    pub is_used: bool,
    /// The frameworks that are offered it now; none is offered it twice.
    pub offered: BTreeSet<FrameworkId>,
}

impl Sharing {
    /// Whether anybody has it.
    fn is_busy(&self) -> bool {
        self.is_used || !self.offered.is_empty()
    }
}

impl AgentView {
    /// Who has a shared volume, if anybody has.
    pub(crate) fn sharing_of(&self, identity: &Identity) -> Option<&Sharing> {
        if !identity.shared {
            return None;
        }
        self.sharing.iter().find(|it| it.identity == *identity && it.is_busy())
    }
}

/// Quota, and what it counts. Sums are of scalars that are not revocable.
#[derive(Clone, Copy, Debug)]
pub struct QuotaInput<'a> {
    /// The quota of top-level roles that have one.
    pub quotas: &'a SharedMap<Role, Quota>,
    /// What is reserved on all agents, by top-level role.
    pub reserved: &'a RoleTotals,
    /// What is not reserved on all agents.
    pub unreserved: &'a Quantities,
    /// What of that tasks, executors and offers hold, by top-level role.
    pub held: &'a RoleTotals,
    /// Whether nearly all agents have said what is held of them; before that nothing that has a
    /// limit is offered but what is reserved.
    pub is_known: bool,
}

impl QuotaInput<'_> {
    /// What a top-level role and those below it have of a name: reserved, used or offered.
    pub fn has(&self, role: &Role, name: &str) -> Scalar {
        self.reserved.of(role, name).plus(self.held.of(role, name))
    }

    /// All that they have.
    pub fn all_of(&self, role: &Role) -> Quantities {
        let mut sums = self.reserved.all_of(role);
        for (name, amount) in self.held.all_of(role) {
            let sum: &mut Scalar = sums.entry(name).or_default();
            *sum = sum.plus(amount);
        }
        sums
    }

    /// What of a name is neither reserved nor held in the whole cluster.
    pub fn free(&self, name: &str) -> Scalar {
        let all = self.unreserved.get(name).copied().unwrap_or_default();
        all.minus(self.held.of_all(name))
    }
}

/// What of a name a role is guaranteed and does not have, which has so much.
pub fn missing(quota: &Quota, name: &str, has: Scalar) -> Scalar {
    let guarantee = quota.guarantees.get(name).copied().unwrap_or_default();
    guarantee.minus(has).max(Scalar::ZERO)
}

/// All that a policy may read.
#[derive(Clone, Copy, Debug)]
pub struct AllocationInput<'a> {
    /// All agents, also those with a fault.
    pub agents: &'a SharedMap<AgentId, AgentView>,
    /// All frameworks, also those that are away.
    pub frameworks: &'a SharedMap<FrameworkId, FrameworkView>,
    /// Filters that have not expired.
    pub filters: &'a ActiveFilters,
    /// The weights of roles that were given one; others weigh 1.
    pub weights: &'a SharedMap<Role, Scalar>,
    /// What the frameworks of roles have of shared volumes more than once, which their roles have once.
    pub shared_again: &'a SharedMap<Role, SharedAgain>,
    /// What roles are guaranteed and limited to, and what they have.
    pub quota: QuotaInput<'a>,
    /// The sums of all agents' resources.
    pub totals: &'a Quantities,
    /// Offers that reach none of these sets are not made, unless they hold a reservation or volume.
    pub min_allocatable: &'a [Quantities],
    /// The time of the division, against which filters expire.
    pub now: Instant,
}

/// Which frameworks are asked about an agent. Whatever one may have that is not asked must have been
/// offered to nobody because nobody wanted it: nothing has changed for it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Something about the agent has changed.
    Everybody,
    /// Something about these has changed.
    Only(BTreeSet<FrameworkId>),
}

/// What has changed since the last division.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Any framework and any weight may have changed, or the policy has not seen them yet.
    pub(crate) everything: bool,
    /// Frameworks whose views have changed, or that are gone.
    pub(crate) frameworks: BTreeSet<FrameworkId>,
    /// Roles of which the frameworks have other shared volumes more than once.
    pub(crate) roles: BTreeSet<Role>,
    /// The agents to be divided.
    pub(crate) agents: BTreeMap<AgentId, Asked>,
}

impl Changes {
    /// Nothing was seen before, and these agents are to be divided.
    pub fn anew(agents: impl IntoIterator<Item = AgentId>) -> Changes {
        let agents = agents.into_iter().map(|it| (it, Asked::Everybody)).collect();
        Changes { everything: true, agents, ..Changes::default() }
    }

    /// Whether no agent is to be divided.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// The agents to be divided.
    pub fn agents(&self) -> &BTreeMap<AgentId, Asked> {
        &self.agents
    }

    /// The views of these frameworks have changed, or they are gone.
    pub fn renew(&mut self, frameworks: BTreeSet<FrameworkId>) {
        self.frameworks.extend(frameworks);
    }

    /// The frameworks of these roles have other shared volumes more than once.
    pub fn share(&mut self, roles: BTreeSet<Role>) {
        self.roles.extend(roles);
    }

    /// Nothing was seen before.
    pub fn renew_everything(&mut self) {
        self.everything = true;
    }

    /// Nobody is asked about this agent.
    pub fn pass_over(&mut self, agent: &AgentId) {
        self.agents.remove(agent);
    }

    /// Everybody is asked about this agent.
    pub fn divide(&mut self, agent: AgentId) {
        self.agents.insert(agent, Asked::Everybody);
    }

    /// This framework is asked about the agent, if not everybody is.
    pub fn ask(&mut self, agent: AgentId, framework: FrameworkId) {
        match self.agents.entry(agent).or_insert_with(|| Asked::Only(BTreeSet::new())) {
            Asked::Only(frameworks) => drop(frameworks.insert(framework)),
            Asked::Everybody => {}
        }
    }
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
