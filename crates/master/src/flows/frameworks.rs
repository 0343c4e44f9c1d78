//! Frameworks fall silent or are removed. Their claims outlive them.

use std::collections::BTreeSet;

use holdfast_model::{
    FrameworkId, FrameworkRecord, Instant, LinkId, MasterChange, Order, Reason, StatusSource,
    TaskState, TaskStatus,
};

use super::offers::discard_offers;
use super::operations::forget_dropped_of;
use super::resync::resync;
use super::tasks::{complete, keys_of_framework};
use super::telling::order;
use crate::parts::frameworks::Frameworks;
use crate::parts::outbox::Outbox;
use crate::parts::tasks::Tasks;
use crate::parts::timers::Timer;
use crate::{Belief, Config, Effect, Step};

/// How long a new leader keeps statuses for frameworks that it does not know, in milliseconds.
const ORPHAN_MS: u64 = 600_000;

impl Step<'_> {
    /// Whether nobody will ever acknowledge a status for `framework`: it was removed, or nobody has named it in a long time.
    pub(crate) fn is_removed(&self, framework: &FrameworkId) -> bool {
        match self.out.ledger().frameworks.get(framework) {
            Some(record) => record.removed,
            None => self.leads_since.plus_ms(ORPHAN_MS) <= self.now,
        }
    }
}

/// A framework's link broke, or it was hung up on.
pub(crate) fn framework_lost(step: &mut Step, belief: &mut Belief, link: LinkId) {
    let Some(id) = step.links.close_framework(link) else { return }; // It was nobody's, or closed before.
    if !belief.frameworks.lost(&id, link) {
        return;
    }
    discard_offers(&mut belief.offers, &id);
    belief.offers.inverse.discard(&id);
    belief.allocator.forget_declined_by(&id);
    let record = step.out.ledger().frameworks.get(&id).cloned();
    let record = record.expect("a framework that is here is in the ledger");
    let deadline = step.now.plus_ms(record.info.failover_timeout_ms);
    if deadline == step.now {
        step.out.log(format!(
            "framework {id} left and has no failover timeout; it is removed, its claims stay"
        ));
        return remove_framework(step, belief, &id);
    }
    step.out.commit(vec![MasterChange::Framework(FrameworkRecord {
        deadline: Some(deadline),
        ..record
    })]);
    belief.timers.set(deadline, Timer::Framework(id));
}

/// Removes a framework for good: its tasks end, its claims stay, unclaimed. Once is enough.
pub(crate) fn remove_framework(step: &mut Step, belief: &mut Belief, id: &FrameworkId) {
    let record = step.out.ledger().frameworks.get(id).filter(|it| !it.removed).cloned();
    let record = record.expect("only a framework of the ledger that was not removed is removed");
    if let Some(deadline) = record.deadline {
        belief.timers.clear(deadline, Timer::Framework(id.clone()));
    }
    step.out.commit(vec![MasterChange::Framework(FrameworkRecord {
        removed: true,
        deadline: None,
        ..record
    })]);
    discard_offers(&mut belief.offers, id);
    belief.offers.inverse.remove_framework(id);
    shut_down_everywhere(step, belief, id);
    end_tasks_of(step, belief, id);
    forget_dropped_of(step.out, &mut belief.agents, &mut belief.operations, id);
    if let Some(link) = belief.frameworks.get(id).and_then(|it| it.link()) {
        step.links.close_framework(link);
        step.out.send(Effect::CloseFramework(link));
    }
    belief.frameworks.remove(id);
    belief.allocator.removed(id);
    forget_oldest_removed(step.config, step.out, &mut belief.frameworks, &belief.tasks);
}

fn shut_down_everywhere(step: &mut Step, belief: &mut Belief, id: &FrameworkId) {
    let Belief { agents, tasks, .. } = belief;
    let mut concerned: BTreeSet<_> = tasks.of_framework(id).map(|it| it.agent.clone()).collect();
    let with_executors = agents.states().iter().filter(|(_, it)| it.has_executor_of(id));
    concerned.extend(with_executors.map(|(agent, _)| agent.clone()));
    for agent in concerned {
        order(step, agents, &agent, Order::ShutdownFramework(id.clone()));
    }
}

/// Nobody hears of these tasks again. What they use is free when their agents say that they have ended, and not before.
fn end_tasks_of(step: &mut Step, belief: &mut Belief, id: &FrameworkId) {
    let mut doubtful = BTreeSet::new();
    for key in keys_of_framework(&belief.tasks, id) {
        let task = belief.tasks.get(&key).expect("it was just listed");
        let (agent, state) = (task.agent.clone(), task.state);
        let told = belief.agents.at(&agent).link().is_some();
        if state.is_terminal() || !told {
            complete(belief, &key); // One that comes back with its agent is ended then.
            continue;
        }
        if state == TaskState::Staging {
            doubtful.insert(agent.clone()); // Its agent may not have begun with it, and then says nothing about its end.
        }
        let status = TaskStatus::new(key.1.clone(), TaskState::Killing, step.now).at_agent(&agent);
        let why = "its framework was removed";
        let status = status.because(StatusSource::Master, Reason::FrameworkRemoved, why);
        belief.tasks.set_state(&key, TaskState::Killing);
        belief.tasks.set_latest(&key, status);
    }
    doubtful.iter().for_each(|agent| resync(step, belief, agent));
}

fn forget_oldest_removed(
    config: &Config,
    out: &mut Outbox,
    frameworks: &mut Frameworks,
    tasks: &Tasks,
) {
    let removed = out.ledger().frameworks.iter().filter(|(_, it)| it.removed);
    // Those that former leaders removed come first, in the order of their beginnings: the ledger does not know that of their ends.
    let age =
        |id: &FrameworkId, registered: Instant| (frameworks.removed_at(id), registered, id.clone());
    let mut removed: Vec<_> = removed.map(|(id, it)| age(id, it.registered)).collect();
    let excess = removed.len().saturating_sub(config.removed_frameworks_max);
    removed.sort();
    // One whose tasks still run is remembered, so that they end.
    let over = removed
        .into_iter()
        .take(excess)
        .map(|(.., id)| id)
        .filter(|id| tasks.of_framework(id).next().is_none());
    let over: BTreeSet<FrameworkId> = over.collect();
    frameworks.forget_removed(&over);
    out.commit(over.into_iter().map(MasterChange::FrameworkForgotten).collect());
}
