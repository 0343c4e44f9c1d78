//! Small clusters for tests: agents `S1`.. with free resources, and frameworks `F1`...
//!
//! It is never compiled but for tests of this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::totals::each_counted_by_quota;
use holdfast_model::{
    AgentId, Capability, FrameworkId, Instant, PersistenceId, Quantities, Quota, Reservation,
    ReservationKind, Resource, Resources, Role, RoleTotals, Scalar, SharedMap, Totals,
};

use crate::filters::Filters;
use crate::input::{
    AgentView, Allocation, AllocationInput, Changes, FrameworkView, Holder, QuotaInput, RoleView,
    SharedAgain,
};
use crate::policy::by_name;

pub(crate) fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

pub(crate) fn agent_id(n: u8) -> AgentId {
    AgentId::made(format!("S{n}"))
}

pub(crate) fn framework_id(n: u8) -> FrameworkId {
    FrameworkId::made(format!("F{n}"))
}

pub(crate) fn quantities(amounts: &[(&str, i64)]) -> Quantities {
    amounts.iter().map(|(name, amount)| ((*name).to_owned(), Scalar::whole(*amount))).collect()
}

fn scalar(name: &str, amount: i64) -> Resources {
    [Resource::scalar(name, Scalar::whole(amount))].into_iter().collect()
}

pub(crate) fn cpus(amount: i64) -> Resources {
    scalar("cpus", amount)
}

pub(crate) fn mem(amount: i64) -> Resources {
    scalar("mem", amount)
}

pub(crate) fn gpus(amount: i64) -> Resources {
    scalar("gpus", amount)
}

pub(crate) fn sum<const N: usize>(parts: [Resources; N]) -> Resources {
    parts.iter().flat_map(|it| it.iter().collect::<Vec<_>>()).collect()
}

pub(crate) fn reservation(role: &str) -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: self::role(role),
        principal: None,
        labels: holdfast_model::Labels::default(),
    }
}

pub(crate) fn reserved(resource: Resource, role: &str) -> Resource {
    resource.reserved(reservation(role))
}

pub(crate) fn reserve(resources: &Resources, role: &str) -> Resources {
    resources.iter().map(|it| reserved(it, role)).collect()
}

pub(crate) fn volume(id: &str, size_mb: i64, role: &str) -> Resource {
    reserved(Resource::scalar("disk", Scalar::whole(size_mb)), role).volume(
        PersistenceId::parse(id).unwrap(),
        "data",
        None,
    )
}

/// Makes framework `n`, connected or expected, the holder of all of these.
pub(crate) fn hold(resources: &Resources, n: u8) -> Arc<Vec<Holder>> {
    let holders = resources
        .entries()
        .map(|(identity, _)| Holder {
            identity: identity.clone(),
            framework: framework_id(n),
            expected: true,
        })
        .collect();
    Arc::new(holders)
}

pub(crate) fn agent(n: u8, free: &Resources) -> AgentView {
    AgentView {
        id: agent_id(n),
        free: free.clone(),
        traits: Arc::default(),
        fault: None,
        holders: Arc::default(),
        sharing: Vec::new(),
    }
}

pub(crate) fn framework(n: u8, roles: &[&str]) -> FrameworkView {
    framework_named(&format!("F{n}"), roles)
}

pub(crate) fn framework_named(id: &str, roles: &[&str]) -> FrameworkView {
    let view = |name: &&str| RoleView {
        role: role(name),
        suppressed: false,
        allocated: Quantities::new(),
        min_allocatable: None,
        constraints: None,
    };
    FrameworkView {
        id: FrameworkId::made(id.to_owned()),
        roles: roles.iter().map(view).collect(),
        active: true,
        capabilities: BTreeSet::from([Capability::ReservationRefinement, Capability::MultiRole]),
    }
}

/// The framework and the agent of an allocation.
pub(crate) fn names(allocation: &Allocation) -> (String, String) {
    (allocation.framework.to_string(), allocation.agent.to_string())
}

/// A whole cluster as the master would keep it for a policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub agents: SharedMap<AgentId, AgentView>,
    pub frameworks: SharedMap<FrameworkId, FrameworkView>,
    pub filters: Filters,
    pub weights: SharedMap<Role, Scalar>,
    pub shared_again: SharedMap<Role, SharedAgain>,
    pub totals: Quantities,
    pub quotas: SharedMap<Role, Quota>,
    pub reserved: RoleTotals,
    pub unreserved: Totals,
    pub held: RoleTotals,
    pub is_unknown: bool,
    pub min_allocatable: Vec<Quantities>,
    /// How long after [`Scene::NOW`] it is.
    pub later_ms: u64,
}

impl Scene {
    pub const NOW: Instant = Instant(1000);
    pub const UNTIL: Instant = Instant(6000);

    pub fn usual_minimum() -> Vec<Quantities> {
        vec![
            BTreeMap::from([("cpus".to_owned(), Scalar::thousandths(10))]),
            quantities(&[("mem", 32)]),
        ]
    }

    /// Adds an agent, and what is free there to the totals.
    pub fn agent(&mut self, view: AgentView) {
        for (name, amount) in view.free.quantities() {
            let total = self.totals.entry(name).or_default();
            *total = total.plus(amount);
        }
        each_counted_by_quota(&view.free, |role, name, sum| match role {
            Some(role) => self.reserved.change(&role.top(), name, sum),
            None => self.unreserved.change(name, sum),
        });
        self.agents.insert(view.id.clone(), view);
    }

    pub fn framework(&mut self, view: FrameworkView) {
        self.frameworks.insert(view.id.clone(), view);
    }

    pub fn each_agent(&mut self, change: impl Fn(&mut AgentView)) {
        for id in self.agents.keys().cloned().collect::<Vec<_>>() {
            change(self.agents.get_mut(&id).unwrap());
        }
    }

    pub fn each_framework(&mut self, change: impl Fn(&mut FrameworkView)) {
        for id in self.frameworks.keys().cloned().collect::<Vec<_>>() {
            change(self.frameworks.get_mut(&id).unwrap());
        }
    }

    pub fn decline(&mut self, framework: u8, role: &str, agent: u8, declined: &Resources) {
        self.filters.insert(
            &framework_id(framework),
            &self::role(role),
            &agent_id(agent),
            declined.clone(),
            Scene::UNTIL,
        );
    }

    pub fn input(&self) -> AllocationInput<'_> {
        AllocationInput {
            agents: &self.agents,
            frameworks: &self.frameworks,
            filters: &self.filters,
            weights: &self.weights,
            shared_again: &self.shared_again,
            quota: QuotaInput {
                quotas: &self.quotas,
                reserved: &self.reserved,
                unreserved: self.unreserved.quantities(),
                held: &self.held,
                is_known: !self.is_unknown,
            },
            totals: &self.totals,
            min_allocatable: &self.min_allocatable,
            now: Scene::NOW.plus_ms(self.later_ms),
        }
    }

    /// All agents are to be divided, and nothing was seen before.
    pub fn all(&self) -> Changes {
        Changes::anew(self.agents.keys().cloned())
    }

    /// The allocations of all agents by a policy that has served nobody yet.
    pub fn divide(&self, policy: &str) -> Vec<Allocation> {
        by_name(policy).unwrap().allocate(&self.input(), &self.all())
    }

    /// The same cluster after these offers.
    pub fn after(&self, allocations: &[Allocation]) -> Scene {
        let mut after = self.clone();
        for Allocation { framework, role, agent, resources } in allocations {
            after.agents.get_mut(agent).unwrap().free.subtract_all(resources);
            let roles = &mut after.frameworks.get_mut(framework).unwrap().roles;
            let allocated = &mut roles.iter_mut().find(|it| it.role == *role).unwrap().allocated;
            for (name, amount) in resources.quantities() {
                let sum = allocated.entry(name).or_default();
                *sum = sum.plus(amount);
            }
            each_counted_by_quota(resources, |reserved_for, name, sum| {
                if reserved_for.is_none() {
                    after.held.change(&role.top(), name, sum);
                }
            });
        }
        after
    }
}
