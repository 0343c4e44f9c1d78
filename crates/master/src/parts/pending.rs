//! What the allocator is to look at: agents and frameworks that changed, and whoever is to be asked again.
//!
//! A step takes so much of it that no step is long; what is left goes on in the next one. Relies on whoever changes something to say so.
//! Never reads what an agent or a framework is.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, FrameworkId, Role};

/// What a framework is to be told of all agents, or of those where it has declined something, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Whether it wants again what it declined for these roles (none named: all).
    pub(super) forgets: Option<BTreeSet<Role>>,
    /// Whether it is asked, and where.
    pub(super) asks: Asks,
    /// Where everybody is asked, since who holds what has changed.
    pub(super) touches: Touches,
    /// The agent that was looked at last.
    pub(super) last: Option<AgentId>,
}

/// Where a framework is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asks {
    /// It is not asked at all.
    #[default]
    Nowhere,
    /// About the agents where it has declined something.
    WhereDeclined,
    /// About all agents.
    Everywhere,
}

/// Where everybody is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touches {
    /// About no agent.
    #[default]
    Nothing,
    /// About the agents where the framework holds something: others may be offered that now.
    WhatItHolds,
    /// About all agents: it may hold something there that it was not known to hold.
    Everything,
}

impl Sweep {
    /// Whether the agents where it has declined something are all that matters.
    pub(super) fn is_of_declined(&self) -> bool {
        self.touches == Touches::Nothing && self.asks < Asks::Everywhere
    }

    /// Does `other` as well, from the beginning.
    fn join(&mut self, other: Sweep) {
        self.forgets = match (self.forgets.take(), other.forgets) {
            (Some(some), Some(more)) if some.is_empty() || more.is_empty() => Some(BTreeSet::new()),
            (Some(some), Some(more)) => Some(some.into_iter().chain(more).collect()),
            (some, more) => some.or(more),
        };
        self.asks = self.asks.max(other.asks);
        self.touches = self.touches.max(other.touches);
        self.last = None;
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Agents that changed; also in more than what is free, or in that alone.
    touched: BTreeMap<AgentId, bool>,
    /// Frameworks that are asked about an agent.
    asks: BTreeMap<AgentId, BTreeSet<FrameworkId>>,
    sweeps: BTreeMap<FrameworkId, Sweep>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.asks.is_empty() && self.sweeps.is_empty()
    }

    /// Something about this agent changed: what is free, or also more.
    pub(super) fn touch(&mut self, agent: &AgentId, in_more: bool) {
        *self.touched.entry(agent.clone()).or_default() |= in_more;
    }

    pub(super) fn is_touched(&self, agent: &AgentId) -> bool {
        self.touched.contains_key(agent)
    }

    /// The next agent that changed.
    pub(super) fn take_touched(&mut self) -> Option<(AgentId, bool)> {
        self.touched.pop_first()
    }

    pub(super) fn is_any_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// This framework may want what it was not offered of the agent before.
    pub(super) fn ask(&mut self, agent: AgentId, framework: FrameworkId) {
        self.asks.entry(agent).or_default().insert(framework);
    }

    pub(super) fn take_asked(&mut self) -> Option<(AgentId, BTreeSet<FrameworkId>)> {
        self.asks.pop_first()
    }

    /// Nobody need be asked about this agent apart: all are, or nobody is.
    pub(super) fn forget_asked(&mut self, agent: &AgentId) {
        if !self.asks.is_empty() {
            self.asks.remove(agent);
        }
    }

    pub(super) fn sweep(&mut self, framework: &FrameworkId, sweep: Sweep) {
        self.sweeps.entry(framework.clone()).or_default().join(sweep);
    }

    /// Some framework's sweep, to be gone on with.
    pub(super) fn take_sweep(&mut self) -> Option<(FrameworkId, Sweep)> {
        self.sweeps.pop_first()
    }

    /// A sweep is not over yet.
    pub(super) fn go_on_later(&mut self, framework: FrameworkId, sweep: Sweep) {
        self.sweeps.insert(framework, sweep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::role;

    #[test]
    fn sweeps_that_meet_do_both_from_the_beginning() {
        let (agent, framework) = (AgentId::made("a".to_owned()), FrameworkId::made("f".to_owned()));
        let forgets = |roles: &[&str]| Some(roles.iter().map(|it| role(it)).collect());
        let mut pending = Pending::default();
        let begun = Sweep { forgets: forgets(&["x"]), last: Some(agent), ..Sweep::default() };
        pending.go_on_later(framework.clone(), begun);
        let more =
            Sweep { forgets: forgets(&["y"]), asks: Asks::WhereDeclined, ..Sweep::default() };
        pending.sweep(&framework, more);
        let (_, sweep) = pending.take_sweep().unwrap();
        assert_eq!((sweep.forgets.clone(), &sweep.last), (forgets(&["x", "y"]), &None));
        assert!(sweep.is_of_declined() && pending.is_empty());
        pending.go_on_later(framework.clone(), sweep);
        let all = Sweep { forgets: forgets(&[]), asks: Asks::Everywhere, ..Sweep::default() };
        pending.sweep(&framework, all);
        let (_, sweep) = pending.take_sweep().unwrap();
        assert_eq!((sweep.forgets.clone(), sweep.is_of_declined()), (forgets(&[]), false));
    }
}
