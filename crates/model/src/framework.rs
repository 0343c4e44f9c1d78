//! A framework as it describes itself.

use std::collections::BTreeSet;

use crate::id::FrameworkId;
use crate::offer_constraints::OfferConstraints;
use crate::role::Role;
use crate::task::OpaquePayload;

/// What a framework understands (the numbers are those of the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// May be offered revocable resources.
    RevocableResources = 1,
    /// Knows TASK_KILLING.
    TaskKillingState = 2,
    /// May be offered agents with GPUs.
    GpuResources = 3,
    /// May create and be offered shared volumes.
    SharedResources = 4,
    /// Knows the states that tell apart why a task is lost.
    PartitionAware = 5,
    /// Has several roles.
    MultiRole = 6,
    /// Knows reservations that refine each other.
    ReservationRefinement = 7,
    /// May be offered agents of other regions.
    RegionAware = 8,
}

impl Capability {
    /// The capability with this number on the wire; `None` for those that are unknown here, which a caller ignores.
    pub fn from_number(number: i32) -> Option<Capability> {
        use Capability::{
            GpuResources, MultiRole, PartitionAware, RegionAware, ReservationRefinement,
            RevocableResources, SharedResources, TaskKillingState,
        };
        [
            RevocableResources,
            TaskKillingState,
            GpuResources,
            SharedResources,
            PartitionAware,
            MultiRole,
            ReservationRefinement,
            RegionAware,
        ]
        .into_iter()
        .find(|it| *it as i32 == number)
    }
}

/// A framework as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkInfo {
    /// Its id; `None` at its first subscription.
    pub id: Option<FrameworkId>,
    /// A name for people; several frameworks may have the same.
    pub name: String,
    /// The user its tasks run as.
    pub user: String,
    /// The roles for which it is offered resources; at least one.
    pub roles: Vec<Role>,
    /// How long it may be away before it is removed, in milliseconds.
    pub failover_timeout_ms: u64,
    /// Whether its tasks outlive an agent's restart.
    pub checkpoint: bool,
    /// The principal that it says it is.
    pub principal: Option<String>,
    /// The host that it runs on.
    pub hostname: Option<String>,
    /// What it understands beyond the oldest API.
    pub capabilities: BTreeSet<Capability>,
    /// What else it says (web address, labels, offer filters), as an encoded `mesos.v1.FrameworkInfo`, or nothing.
    pub payload: OpaquePayload,
    /// Which agents it wants offers of. It says so beside its description, and no agent is told.
    pub constraints: OfferConstraints,
}

impl FrameworkInfo {
    /// Whether it has this capability.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
