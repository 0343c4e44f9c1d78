//! What the allocator sees: agents with what is free, frameworks with what they hold, what was declined, and what has changed since it
//! looked last.
//!
//! Relies on whoever changes an agent or a framework to say so (`touch`); the views are renewed once, before the allocator looks.

use std::collections::BTreeSet;

use holdfast_allocator::{ActiveFilters, AgentView, AllocationInput, Filters, FrameworkView};
use holdfast_model::{
    AgentId, FrameworkId, Instant, MasterLedger, Quantities, Resources, Role, SharedMap,
};

/// The allocation input as readers see it, who ask why. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllocatorView {
    agents: SharedMap<AgentId, AgentView>,
    frameworks: SharedMap<FrameworkId, FrameworkView>,
    filters: ActiveFilters,
}

/// The allocation input: what the allocator sees of the cluster.
#[derive(Debug, Default)]
pub(crate) struct AllocatorInput {
    agents: SharedMap<AgentId, AgentView>,
    frameworks: SharedMap<FrameworkId, FrameworkView>,
    filters: Filters,
    /// Agents that changed: what is free of them is looked at again.
    dirty: BTreeSet<AgentId>,
    /// Frameworks that changed since their view was made.
    stale: BTreeSet<FrameworkId>,
}

impl AllocatorView {
    /// What a policy would read if these resources were free besides.
    pub(crate) fn with_free<'a>(
        &mut self,
        resources: impl Iterator<Item = (&'a AgentId, &'a Resources)>,
    ) {
        for (agent, resources) in resources {
            if let Some(view) = self.agents.get_mut(agent) {
                view.free.add_all(resources);
            }
        }
    }

    pub(crate) fn filters_len(&self) -> usize {
        self.filters.len()
    }

    /// What a policy reads.
    pub(crate) fn input<'a>(
        &'a self,
        ledger: &'a MasterLedger,
        totals: &'a Quantities,
        min_allocatable: &'a [Quantities],
        now: Instant,
    ) -> AllocationInput<'a> {
        AllocationInput {
            agents: &self.agents,
            frameworks: &self.frameworks,
            filters: &self.filters,
            weights: &ledger.weights,
            totals,
            min_allocatable,
            now,
        }
    }
}

impl AllocatorInput {
    pub(crate) fn view(&self) -> AllocatorView {
        let AllocatorInput { agents, frameworks, filters, .. } = self;
        let filters = ActiveFilters::clone(filters);
        AllocatorView { agents: agents.clone(), frameworks: frameworks.clone(), filters }
    }

    /// Something about this agent changed: what is free of it is looked at again.
    pub(crate) fn touch(&mut self, agent: &AgentId) {
        if !self.dirty.contains(agent) {
            self.dirty.insert(agent.clone());
        }
    }

    pub(crate) fn touch_all<'a>(&mut self, agents: impl Iterator<Item = &'a AgentId>) {
        self.dirty.extend(agents.cloned());
    }

    /// Something about this framework changed.
    pub(crate) fn touch_framework(&mut self, framework: &FrameworkId) {
        if !self.stale.contains(framework) {
            self.stale.insert(framework.clone());
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn dirty(&self) -> impl Iterator<Item = &AgentId> {
        self.dirty.iter()
    }

    pub(crate) fn take_dirty(&mut self) -> BTreeSet<AgentId> {
        std::mem::take(&mut self.dirty)
    }

    pub(crate) fn take_stale(&mut self) -> BTreeSet<FrameworkId> {
        std::mem::take(&mut self.stale)
    }

    /// Renews the view of an agent; there is none of an agent that is not expected.
    pub(crate) fn show_agent(&mut self, agent: AgentId, view: Option<AgentView>) {
        match view {
            Some(view) => drop(self.agents.insert(agent, view)),
            None => {
                self.agents.remove(&agent);
                self.dirty.remove(&agent);
            }
        }
    }

    /// Renews the view of a framework; there is none of one that was removed.
    pub(crate) fn show_framework(&mut self, framework: FrameworkId, view: Option<FrameworkView>) {
        match view {
            Some(view) => drop(self.frameworks.insert(framework, view)),
            None => drop(self.frameworks.remove(&framework)),
        }
    }

    pub(crate) fn agent(&self, agent: &AgentId) -> Option<&AgentView> {
        self.agents.get(agent)
    }

    /// Notes that a role of a framework does not want `declined` until then.
    pub(crate) fn decline(
        &mut self,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        declined: Resources,
        until: Instant,
    ) {
        self.filters.insert(framework, role, agent, declined, until);
    }

    /// These roles (none named: all) of a framework want again what they declined.
    pub(crate) fn revive(&mut self, framework: &FrameworkId, roles: &BTreeSet<Role>) {
        self.filters.revive(framework, roles);
    }

    pub(crate) fn forget_declined_by(&mut self, framework: &FrameworkId) {
        self.filters.remove_framework(framework);
    }

    pub(crate) fn forget_declined_of(&mut self, agent: &AgentId) {
        self.filters.remove_agent(agent);
    }

    /// What was declined long enough ago may be offered again.
    pub(crate) fn expire(&mut self, now: Instant) {
        let offered_again = self.filters.expire(now);
        self.dirty.extend(offered_again);
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.filters.next_expiry()
    }

    pub(crate) fn filters_len(&self) -> usize {
        self.filters.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{disk, role};

    #[test]
    fn what_was_declined_touches_its_agent_when_it_may_be_offered_again() {
        let (agent, framework) = (AgentId::made("a".to_owned()), FrameworkId::made("f".to_owned()));
        let mut input = AllocatorInput::default();
        let declined: Resources = [disk(10)].iter().collect();
        input.decline(&framework, &role("db"), &agent, declined, Instant(50));
        assert_eq!((input.next_expiry(), input.filters_len()), (Some(Instant(50)), 1));
        input.expire(Instant(49));
        assert!(!input.is_dirty());
        input.expire(Instant(50));
        assert_eq!(input.take_dirty(), BTreeSet::from([agent.clone()]));
        assert_eq!((input.is_dirty(), input.filters_len()), (false, 0));
    }

    #[test]
    fn an_agent_without_a_view_is_not_dirty() {
        let agent = AgentId::made("a".to_owned());
        let mut input = AllocatorInput::default();
        input.touch(&agent);
        input.touch_all([&agent].into_iter());
        assert_eq!(input.dirty().count(), 1);
        input.show_agent(agent.clone(), None);
        assert!(!input.is_dirty() && input.agent(&agent).is_none());
    }
}
