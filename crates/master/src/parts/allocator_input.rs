//! What the allocator sees: agents with what is free, what was declined, and what has changed since it looked last.
//!
//! Relies on whoever changes an agent to say so (`touch`); the views are renewed once, before the allocator looks. A step looks at so much
//! that it is not long, and goes on in the next one. Frameworks are seen as [`super::frameworks`] keeps them.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_allocator::{
    ActiveFilters, AgentView, AllocationInput, Changes, Filters, FrameworkView, Holder, QuotaInput,
    RoleView, SharedAgain,
};
use holdfast_model::{
    AgentId, FrameworkId, Instant, MasterLedger, Quantities, Resources, Role, SharedMap,
};

use super::frameworks::Frameworks;
use super::pending::{Asks, Pending, Sweep, Touches};
use super::short_of_quota::ShortOfQuota;

/// How many agents are divided in one step at most.
const DIVIDED_MAX: usize = 16;
/// How many agents are looked at in one step at most, to see whether there is anything to divide.
const LOOKED_AT_MAX: usize = 1024;

/// How many filters expire in one step, more or less.
const EXPIRED_MAX: usize = 256;

/// Makes the view of an agent, which may take the holders as they were.
pub(crate) type ViewOf<'v> = &'v dyn Fn(&AgentId, Option<Arc<Vec<Holder>>>) -> Option<AgentView>;

/// The allocation input as readers see it, who ask why. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllocatorView {
    agents: SharedMap<AgentId, AgentView>,
    frameworks: SharedMap<FrameworkId, FrameworkView>,
    shared_again: SharedMap<Role, SharedAgain>,
    filters: ActiveFilters,
}

/// The allocation input: what the allocator sees of the cluster.
#[derive(Debug, Default)]
pub(crate) struct AllocatorInput {
    agents: SharedMap<AgentId, AgentView>,
    filters: Filters,
    pending: Pending,
    short: ShortOfQuota,
    /// Whether the policy has seen this belief, and the weights as they are.
    is_seen: bool,
    /// When a step left something for the next one.
    left_at: Option<Instant>,
}

/// How much a step may still do.
struct Budget {
    divided: usize,
    looked_at: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.divided == 0 || self.looked_at == 0
    }
}

impl AllocatorView {
    /// What a policy would read if these resources were free besides.
    pub(crate) fn with_free<'a>(
        &mut self,
        resources: impl Iterator<Item = (&'a AgentId, &'a Resources)>,
    ) {
        for (agent, resources) in resources {
            if let Some(view) = self.agents.get_mut(agent) {
                view.free.add_all(&resources.unshared()); // What is shared is free as it is.
            }
        }
    }

    pub(crate) fn filters_len(&self) -> usize {
        self.filters.len()
    }

    pub(crate) fn roles_of(&self, framework: &FrameworkId) -> &[RoleView] {
        self.frameworks.get(framework).map(|it| it.roles.as_slice()).unwrap_or_default()
    }

    /// What a policy reads.
    pub(crate) fn input<'a>(
        &'a self,
        ledger: &'a MasterLedger,
        (totals, quota): (&'a Quantities, QuotaInput<'a>),
        min_allocatable: &'a [Quantities],
        now: Instant,
    ) -> AllocationInput<'a> {
        AllocationInput {
            agents: &self.agents,
            frameworks: &self.frameworks,
            filters: &self.filters,
            weights: &ledger.weights,
            shared_again: &self.shared_again,
            quota,
            totals,
            min_allocatable,
            now,
        }
    }
}

impl AllocatorInput {
    pub(crate) fn view(&self, frameworks: &Frameworks) -> AllocatorView {
        AllocatorView {
            agents: self.agents.clone(),
            frameworks: frameworks.views().clone(),
            shared_again: frameworks.shared_again().clone(),
            filters: ActiveFilters::clone(&self.filters),
        }
    }

    /// Something about this agent changed: what is free of it is looked at again, and who holds it.
    pub(crate) fn touch(&mut self, agent: &AgentId) {
        self.short.moved();
        self.pending.touch(agent, true);
    }

    /// More or less is free of this agent, and nothing else has changed.
    pub(crate) fn touch_free(&mut self, agent: &AgentId) {
        self.short.moved();
        self.pending.touch(agent, false);
    }

    /// Weights have changed.
    pub(crate) fn touch_weights(&mut self) {
        self.is_seen = false;
    }

    /// Whether anything is to be looked at.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When what a step left is wanted to go on, when filters expire, and when those are asked again that quota left short.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let others = self.filters.next_expiry().into_iter().chain(self.short.due());
        self.left_at.into_iter().chain(others).min()
    }

    /// Whatever a step leaves is gone on with at once.
    pub(crate) fn end_step(&mut self, now: Instant) {
        self.left_at = self.is_pending().then_some(now);
        self.short.end_step(now);
    }

    #[cfg(test)]
    pub(crate) fn agent(&self, agent: &AgentId) -> Option<&AgentView> {
        self.agents.get(agent)
    }

    /// So much of an agent was offered: of each resource all that was free, unless quota cut it.
    /// A shared volume stays free for others.
    pub(crate) fn offered(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        resources: &Resources,
    ) {
        let view = self.agents.get_mut(agent).expect("only what is seen is offered");
        assert!(view.fault.is_none(), "an allocation names an agent that is well");
        for (identity, _) in resources.shared() {
            let sharing = view.sharing.iter_mut().find(|it| it.identity == *identity);
            let sharing = sharing.expect("what is free and shared is in the view as such");
            let is_new = sharing.offered.insert(framework.clone());
            assert!(is_new, "nobody is offered a shared volume twice at a time");
        }
        let resources = &*resources.unshared();
        let mut given = resources.entries();
        let is_all = given.all(|(identity, amount)| view.free.get(identity) == Some(amount));
        if is_all {
            view.free = view.free.without_any_of(resources);
        } else {
            assert!(view.free.contains(resources), "an allocation gives only what is free");
            view.free.subtract_all(resources);
        }
    }

    /// Quota left these short in the last division.
    pub(crate) fn left_short(&mut self, frameworks: BTreeSet<FrameworkId>) {
        self.short.add(frameworks);
    }

    /// A framework may be offered more by quota now.
    pub(crate) fn may_have_more(&mut self, framework: &FrameworkId) {
        self.pending.sweep(framework, Sweep { asks: Asks::Everywhere, ..Sweep::default() });
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

    /// These roles (none named: all) of a framework want again what they declined; if some had not waited at all, also all else.
    pub(crate) fn revive(
        &mut self,
        framework: &FrameworkId,
        roles: &BTreeSet<Role>,
        had_waited: bool,
    ) {
        let asks = if had_waited { Asks::WhereDeclined } else { Asks::Everywhere };
        let forgets = Some(roles.clone());
        self.pending.sweep(framework, Sweep { forgets, asks, ..Sweep::default() });
    }

    /// A framework has described itself anew: it may want other things, and if it has lost roles, keep others from less.
    pub(crate) fn described(&mut self, framework: &FrameworkId, has_lost_roles: bool) {
        let touches = if has_lost_roles { Touches::WhatItHolds } else { Touches::Nothing };
        self.pending
            .sweep(framework, Sweep { asks: Asks::Everywhere, touches, ..Sweep::default() });
    }

    /// A framework is known that was not: what claims say that it holds is kept for it from now on.
    pub(crate) fn known(&mut self, framework: &FrameworkId) {
        let touches = Touches::Everything;
        self.pending.sweep(framework, Sweep { touches, ..Sweep::default() });
    }

    /// A framework is gone: what it held is nobody's.
    pub(crate) fn removed(&mut self, framework: &FrameworkId) {
        let (forgets, touches) = (Some(BTreeSet::new()), Touches::WhatItHolds);
        self.pending.sweep(framework, Sweep { forgets, touches, ..Sweep::default() });
    }

    pub(crate) fn forget_declined_by(&mut self, framework: &FrameworkId) {
        let forgets = Some(BTreeSet::new());
        self.pending.sweep(framework, Sweep { forgets, ..Sweep::default() });
    }

    pub(crate) fn forget_declined_of(&mut self, agent: &AgentId) {
        self.filters.remove_agent(agent);
    }

    /// What was declined long enough ago may be offered again; those that quota left short are asked again.
    pub(crate) fn expire(&mut self, now: Instant) {
        for framework in self.short.take_due(now) {
            self.may_have_more(&framework);
        }
        for (agent, framework) in self.filters.expire(now, EXPIRED_MAX) {
            self.pending.ask(agent, framework);
        }
    }

    pub(crate) fn filters_len(&self) -> usize {
        self.filters.len()
    }
}

/// What is looked at in one step.
impl AllocatorInput {
    /// Renews the views of agents that were touched, and says what is to be divided now. There is no view of an agent
    /// that is not expected.
    pub(crate) fn take_changes(&mut self, view: ViewOf<'_>) -> Changes {
        let mut changes = Changes::default();
        let mut budget = Budget { divided: DIVIDED_MAX, looked_at: LOOKED_AT_MAX };
        loop {
            self.take_touched(view, &mut changes, &mut budget);
            if self.pending.is_any_touched() {
                break; // The views of these are out of date.
            }
            self.take_asked(&mut changes, &mut budget);
            self.go_on_sweeping(&mut changes, &mut budget);
            if budget.is_spent() || !self.pending.is_any_touched() {
                break;
            }
        }
        if !changes.is_empty() && !std::mem::replace(&mut self.is_seen, true) {
            changes.renew_everything();
        }
        changes
    }

    fn take_touched(&mut self, view: ViewOf<'_>, changes: &mut Changes, budget: &mut Budget) {
        while !budget.is_spent() {
            let Some((agent, in_more)) = self.pending.take_touched() else { break };
            budget.looked_at -= 1;
            self.pending.forget_asked(&agent);
            let former = self.agents.get_mut(&agent);
            let holders = former.as_ref().filter(|_| !in_more).map(|it| it.holders.clone());
            let Some(view) = view(&agent, holders) else {
                self.agents.remove(&agent);
                changes.pass_over(&agent);
                continue;
            };
            if is_divisible(&view) {
                budget.divided -= 1;
                changes.divide(agent.clone());
            }
            match former {
                Some(former) => *former = view,
                None => drop(self.agents.insert(agent, view)),
            }
        }
    }

    fn take_asked(&mut self, changes: &mut Changes, budget: &mut Budget) {
        while !budget.is_spent() {
            let Some((agent, frameworks)) = self.pending.take_asked() else { break };
            budget.looked_at -= 1;
            if self.agents.get(&agent).is_some_and(is_divisible) {
                budget.divided -= 1;
                frameworks.into_iter().for_each(|it| changes.ask(agent.clone(), it));
            }
        }
    }

    fn go_on_sweeping(&mut self, changes: &mut Changes, budget: &mut Budget) {
        while !budget.is_spent() {
            let Some((framework, mut sweep)) = self.pending.take_sweep() else { break };
            let next = self.next_of(&framework, &sweep, budget.looked_at);
            let is_last = next.len() < budget.looked_at;
            for agent in next {
                if budget.is_spent() {
                    return self.pending.go_on_later(framework, sweep);
                }
                budget.looked_at -= 1;
                self.visit(&framework, &sweep, &agent, changes, budget);
                sweep.last = Some(agent);
            }
            if !is_last {
                self.pending.go_on_later(framework, sweep);
            }
        }
    }

    /// The agents that a sweep comes to next, so many at most.
    fn next_of(&self, framework: &FrameworkId, sweep: &Sweep, at_most: usize) -> Vec<AgentId> {
        let last = sweep.last.as_ref();
        if sweep.is_of_declined() {
            return self.filters.places(framework, last).take(at_most).cloned().collect();
        }
        match last {
            None => self.agents.keys().take(at_most).cloned().collect(),
            Some(last) => {
                let from = self.agents.range_from(last).map(|(id, _)| id);
                from.filter(|it| *it != last).take(at_most).cloned().collect()
            }
        }
    }

    fn visit(
        &mut self,
        framework: &FrameworkId,
        sweep: &Sweep,
        agent: &AgentId,
        changes: &mut Changes,
        budget: &mut Budget,
    ) {
        if let Some(roles) = &sweep.forgets {
            self.filters.forget(framework, roles, agent);
        }
        let Some(view) = self.agents.get(agent) else { return };
        let is_touched = match sweep.touches {
            Touches::Nothing => false,
            Touches::WhatItHolds => view.holders.iter().any(|it| it.framework == *framework),
            Touches::Everything => true,
        };
        if is_touched {
            self.pending.touch(agent, true);
        }
        // Of one that was touched, everybody is asked.
        let is_asked = sweep.asks != Asks::Nowhere && !self.pending.is_touched(agent);
        if is_asked && is_divisible(view) {
            budget.divided -= 1;
            changes.ask(agent.clone(), framework.clone());
        }
    }
}

/// Whether anybody may be offered anything of an agent.
fn is_divisible(view: &AgentView) -> bool {
    view.fault.is_none() && !view.free.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{disk, role};
    use holdfast_allocator::Asked;

    fn agent(n: usize) -> AgentId {
        AgentId::made(format!("a{n:04}"))
    }

    fn framework() -> FrameworkId {
        FrameworkId::made("f".to_owned())
    }

    fn changes(input: &mut AllocatorInput) -> Changes {
        let view = |id: &AgentId, _: Option<Arc<Vec<Holder>>>| {
            let free = [disk(10)].iter().collect();
            Some(AgentView {
                id: id.clone(),
                free,
                traits: Arc::default(),
                fault: None,
                holders: Arc::default(),
                sharing: Vec::new(),
            })
        };
        input.take_changes(&view)
    }

    /// So many agents with something free, of which everybody was asked.
    fn seen(agents: usize) -> AllocatorInput {
        let mut input = AllocatorInput::default();
        (0..agents).for_each(|it| input.touch(&agent(it)));
        while input.is_pending() {
            changes(&mut input);
        }
        input
    }

    fn decline(input: &mut AllocatorInput, n: usize, until: u64) {
        let declined: Resources = [disk(10)].iter().collect();
        input.decline(&framework(), &role("db"), &agent(n), declined, Instant(until));
    }

    #[test]
    fn who_declined_something_is_asked_when_it_may_be_offered_again() {
        let mut input = seen(2);
        decline(&mut input, 1, 50);
        assert_eq!((input.next_deadline(), input.filters_len()), (Some(Instant(50)), 1));
        input.expire(Instant(49));
        assert!(!input.is_pending());
        input.expire(Instant(50));
        let asked = Asked::Only(BTreeSet::from([framework()]));
        assert_eq!(changes(&mut input).agents(), &[(agent(1), asked)].into());
        assert_eq!((input.is_pending(), input.filters_len()), (false, 0));
    }

    #[test]
    fn an_agent_that_is_not_expected_is_not_seen() {
        let mut input = seen(1);
        input.touch(&agent(0));
        let changes = input.take_changes(&|_, _| None);
        assert!(changes.is_empty() && input.agent(&agent(0)).is_none());
        assert!(!input.is_pending());
    }

    #[test]
    fn a_step_is_never_long_and_the_next_one_goes_on() {
        let mut input = seen(200);
        (0..200).for_each(|it| input.touch(&agent(it)));
        decline(&mut input, 7, 50);
        input.revive(&framework(), &BTreeSet::new(), false);
        let mut steps = Vec::new();
        while input.is_pending() {
            let changes = changes(&mut input);
            let all = changes.agents().values().filter(|it| **it == Asked::Everybody).count();
            steps.push((all, changes.agents().len() - all));
            input.end_step(Instant(9));
            assert_eq!(
                input.next_deadline(),
                input.is_pending().then_some(Instant(9)).or(input.filters.next_expiry())
            );
        }
        // Those of whom everybody was asked in a step are asked about by the sweep in the same or a later one.
        assert_eq!(steps.iter().map(|it| it.0).sum::<usize>(), 200);
        assert!(steps.iter().all(|it| it.0 + it.1 <= DIVIDED_MAX), "{steps:?}");
        assert_eq!(input.filters_len(), 0);
    }

    #[test]
    fn one_that_waited_is_asked_where_it_declined_and_nowhere_else() {
        let mut input = seen(9);
        (3..5).for_each(|it| decline(&mut input, it, 50));
        input.revive(&framework(), &BTreeSet::from([role("db")]), true);
        let asked: Vec<AgentId> = changes(&mut input).agents().keys().cloned().collect();
        assert_eq!((asked, input.filters_len()), (vec![agent(3), agent(4)], 0));
        input.revive(&framework(), &BTreeSet::new(), false);
        assert_eq!(changes(&mut input).agents().len(), 9);
    }

    #[test]
    fn what_was_held_by_one_who_is_gone_is_looked_at_by_everybody() {
        let mut input = seen(9);
        let holder = |it: &str| Holder {
            identity: disk(10).identity,
            framework: FrameworkId::made(it.to_owned()),
            expected: true,
        };
        input.agents.get_mut(&agent(4)).unwrap().holders = Arc::new(vec![holder("f")]);
        input.agents.get_mut(&agent(5)).unwrap().holders = Arc::new(vec![holder("g")]);
        input.removed(&framework());
        assert_eq!(changes(&mut input).agents(), &[(agent(4), Asked::Everybody)].into());
        assert!(!input.is_pending());
    }
}
