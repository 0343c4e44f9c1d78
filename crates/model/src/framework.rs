//! A framework as it describes itself.

use std::collections::BTreeSet;

use crate::id::FrameworkId;
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
    /// Knows the finer words for lost tasks.
    PartitionAware = 5,
    /// Has several roles.
    MultiRole = 6,
    /// Knows stacks of reservations.
    ReservationRefinement = 7,
    /// May be offered agents of other regions.
    RegionAware = 8,
}

impl Capability {
    /// From the wire's number; those we do not know are ignored.
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
    /// For people.
    pub name: String,
    /// The user its tasks run as.
    pub user: String,
    /// Whom its tasks serve; at least one.
    pub roles: Vec<Role>,
    /// How long it may be away before it is removed, in milliseconds.
    pub failover_timeout_ms: u64,
    /// Whether its tasks outlive an agent's restart.
    pub checkpoint: bool,
    /// Who it says it is.
    pub principal: Option<String>,
    /// Its host.
    pub hostname: Option<String>,
    /// What it understands.
    pub capabilities: BTreeSet<Capability>,
    /// What else it says (web address, labels, offer filters), as an encoded `mesos.v1.FrameworkInfo`, or nothing.
    pub payload: OpaquePayload,
}

impl FrameworkInfo {
    /// Whether it understands something.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
