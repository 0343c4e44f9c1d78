//! Who holds what: each amount that a task, an executor or an offer holds is counted once at its agent
//! and once at its framework's role. `hold` and `release` are the only ways in and out.

use std::collections::BTreeMap;

use holdfast_allocator::{AgentView, FrameworkView, Holder};
use holdfast_model::{AgentId, FrameworkId, Presence, Quantities, Resources, Role, Scalar};

use crate::state::{role_view, AgentHealth};
use crate::Master;

impl Master {
    /// Counts `resources` (allocated) as held by `framework` on `agent`.
    pub(crate) fn hold(&mut self, agent: &AgentId, framework: &FrameworkId, resources: &Resources) {
        if let Some(state) = self.agents.get_mut(agent) {
            state.held.add_all(&resources.unallocated());
        }
        self.count(framework, resources, Scalar::plus);
        self.touch(agent);
    }

    /// Gives back what `hold` counted.
    pub(crate) fn release(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        resources: &Resources,
    ) {
        if let Some(state) = self.agents.get_mut(agent) {
            state.held.subtract_all(&resources.unallocated());
        }
        self.count(framework, resources, Scalar::minus);
        self.touch(agent);
    }

    /// Counts at the framework only; the agent has counted it already.
    pub(crate) fn count_again(&mut self, framework: &FrameworkId, resources: &Resources) {
        self.count(framework, resources, Scalar::plus);
    }

    fn count(
        &mut self,
        framework: &FrameworkId,
        resources: &Resources,
        change: fn(Scalar, Scalar) -> Scalar,
    ) {
        let Some(state) = self.frameworks.get_mut(framework) else { return };
        for (role, quantities) in by_role(resources) {
            let at = match state.roles.iter().position(|it| it.role == role) {
                Some(at) => at,
                None => {
                    state.roles.push(role_view(&role, true));
                    state.roles.len() - 1
                }
            };
            let allocated = &mut state.roles[at].allocated;
            for (name, amount) in quantities {
                let sum = allocated.entry(name).or_default();
                *sum = change(*sum, amount).max(Scalar::ZERO);
            }
            allocated.retain(|_, amount| Scalar::ZERO < *amount);
        }
        // Roles that it neither names nor uses any more are forgotten.
        state.roles.retain(|it| !it.allocated.is_empty() || state.info.roles.contains(&it.role));
        self.show_framework(framework);
    }

    /// Something about this agent changed: what is free of it is looked at again.
    pub(crate) fn touch(&mut self, agent: &AgentId) {
        self.dirty.insert(agent.clone());
    }

    /// Renews what the allocator sees of the agents that were touched.
    pub(crate) fn show_agents(&mut self) {
        for agent in self.dirty.clone() {
            let view = self.agents.contains_key(&agent).then(|| self.agent_view(&agent)).flatten();
            match view {
                Some(view) => drop(self.agent_views.insert(agent, view)),
                None => {
                    self.agent_views.remove(&agent);
                    self.dirty.remove(&agent);
                }
            }
        }
    }

    fn agent_view(&self, agent: &AgentId) -> Option<AgentView> {
        let state = self.agents.get(agent)?;
        let fault = match &state.health {
            AgentHealth::Well => None,
            AgentHealth::Resyncing => Some("it was asked to report again".to_owned()),
            AgentHealth::Joining => Some("it is opening its disks".to_owned()),
            AgentHealth::Away(_) => Some("it is not connected".to_owned()),
            AgentHealth::Fenced(why) => Some(why.clone()),
        };
        let mut free = if self.is_planted("master-offers-what-is-used") {
            state.total.clone()
        } else {
            state.free()
        };
        for id in state.faults.keys() {
            if let Some(claim) = self.ledger.claims.get(&(agent.clone(), *id)) {
                free.subtract(&claim.resource); // What cannot be used is not offered.
            }
        }
        Some(AgentView { id: agent.clone(), free, fault, holders: self.holders(agent) })
    }

    fn holders(&self, agent: &AgentId) -> Vec<Holder> {
        let holder = |claim: &holdfast_model::Claim| {
            let framework = claim.framework.clone()?;
            let record = self.ledger.frameworks.get(&framework)?;
            (!record.removed).then(|| Holder {
                identity: claim.resource.identity.clone(),
                framework,
                expected: true,
            })
        };
        self.ledger.claims_of(agent).filter_map(holder).collect()
    }

    /// Renews what the allocator sees of a framework.
    pub(crate) fn show_framework(&mut self, framework: &FrameworkId) {
        match self.frameworks.get(framework) {
            Some(state) => {
                let view = FrameworkView {
                    id: framework.clone(),
                    roles: state.roles.clone(),
                    active: state.link.is_some(),
                    capabilities: state.info.capabilities.clone(),
                };
                self.framework_views.insert(framework.clone(), view);
            }
            None => drop(self.framework_views.remove(framework)),
        }
    }

    /// Renews what the whole cluster has. Called when an agent comes, goes or changes its size.
    pub(crate) fn sum_totals(&mut self) {
        let mut totals = Quantities::new();
        let there = |id: &AgentId| {
            self.ledger.agents.get(id).is_some_and(|it| it.presence == Presence::Admitted)
        };
        for (_, state) in self.agents.iter().filter(|(id, _)| there(id)) {
            for (name, amount) in state.total.quantities() {
                let sum = totals.entry(name).or_default();
                *sum = sum.plus(amount);
            }
        }
        self.totals = totals;
    }
}

fn by_role(resources: &Resources) -> BTreeMap<Role, Quantities> {
    let mut roles: BTreeMap<Role, Resources> = BTreeMap::new();
    for resource in resources.iter() {
        let role = resource.identity.allocation.clone().unwrap_or_else(Role::any);
        roles.entry(role).or_default().add(&resource);
    }
    roles.into_iter().map(|(role, resources)| (role, resources.quantities())).collect()
}
