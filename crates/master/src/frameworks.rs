//! Frameworks call, fall silent, come back or are removed. Their claims outlive them.

use std::collections::BTreeSet;

use holdfast_model::{
    Call, Event, FrameworkId, FrameworkRecord, Instant, LinkId, MasterChange, OfferId, Order,
    Reason, Role, StatusSource, StepContext, TaskId, TaskKey, TaskState, TaskStatus,
};

use crate::state::{FrameworkState, Timer};
use crate::step::FrameworkCall;
use crate::{Effect, Master};

impl Master {
    /// A new leader expects the frameworks that its predecessors knew, and gives each the time it asked for.
    pub(crate) fn remember_frameworks(&mut self, now: Instant) {
        let records: Vec<FrameworkRecord> =
            self.ledger.frameworks.values().filter(|it| !it.removed).cloned().collect();
        let mut changes = Vec::new();
        for record in records {
            let Some(id) = record.info.id.clone() else { continue };
            let patience = record.info.failover_timeout_ms.max(self.config.failover_grace_ms);
            let deadline = record
                .deadline
                .unwrap_or_else(|| now.plus_ms(patience))
                .max(now.plus_ms(self.config.failover_grace_ms));
            self.frameworks.insert(id.clone(), FrameworkState::absent(&record, now));
            self.set_timer(deadline, Timer::Framework(id.clone()));
            self.show_framework(&id);
            if record.deadline != Some(deadline) {
                changes.push(MasterChange::Framework(FrameworkRecord {
                    deadline: Some(deadline),
                    ..record
                }));
            }
        }
        self.commit(changes);
    }

    pub(crate) fn framework_said(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        call: FrameworkCall,
    ) {
        if let Call::Subscribe { info, suppressed } = call.call {
            return self.subscribe(ctx, link, *info, suppressed);
        }
        let Some(id) = self.framework_links.get(&link).cloned() else {
            self.effects.push(Effect::CloseFramework(link)); // It has to subscribe first.
            return;
        };
        if let Some(other) = call.framework.filter(|it| *it != id) {
            return self
                .log(format!("framework {id} called in the name of {other}; its call is ignored"));
        }
        if self.frameworks.get(&id).is_none_or(|it| it.link != Some(link)) {
            return; // It has failed over; only the newest link speaks for it.
        }
        self.called(ctx, &id, call.call);
    }

    fn called(&mut self, ctx: &mut StepContext<'_>, id: &FrameworkId, call: Call) {
        match call {
            Call::Subscribe { .. } | Call::Request | Call::InverseOffers => {}
            Call::UpdateFramework { info, suppressed } => {
                self.update_framework(id, *info, suppressed)
            }
            Call::Teardown => self.remove_framework(ctx.now, id),
            Call::Accept { offers, operations, filters } => {
                self.accept(ctx, id, offers, operations, filters)
            }
            Call::Decline { offers, filters } => self.decline(ctx.now, id, &offers, filters),
            Call::Revive(roles) => self.suppress(id, &roles, false),
            Call::Suppress(roles) => self.suppress(id, &roles, true),
            Call::Kill { task, agent, grace_ms } => self.kill(ctx.now, id, task, agent, grace_ms),
            Call::Shutdown(executor, agent) => {
                self.order(&agent, Order::ShutdownExecutor(id.clone(), executor));
            }
            Call::Acknowledge { agent, task, status } => {
                self.acknowledge(id, &agent, &task, status)
            }
            Call::Reconcile(tasks) => self.reconcile(ctx.now, id, tasks),
            Call::Message(agent, executor, data) => {
                self.order(&agent, Order::ExecutorMessage(id.clone(), executor, data));
            }
            Call::AcknowledgeOperation { operation, status, .. } => {
                self.acknowledge_operation(id, &operation, status)
            }
            Call::ReconcileOperations(operations) => self.reconcile_operations(id, operations),
        }
    }

    /// Tells a framework, if it is connected.
    pub(crate) fn tell(&mut self, framework: &FrameworkId, event: Event) {
        let Some(state) = self.frameworks.get(framework) else { return };
        let Some(link) = state.link else { return };
        let event = match event {
            Event::Update(status)
                if !state.info.can(holdfast_model::Capability::PartitionAware) =>
            {
                Event::Update(TaskStatus { state: status.state.for_unaware(), ..status })
            }
            event => event,
        };
        self.effects.push(Effect::ToFramework(link, event));
    }

    fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>, suppressed: bool) {
        let Some(state) = self.frameworks.get_mut(id) else { return };
        if let Some(stranger) = roles.iter().find(|role| !state.info.roles.contains(role)).cloned()
        {
            return self.log(format!("framework {id} has no role {stranger}; its call is ignored"));
        }
        let named = state.info.roles.clone();
        for view in state
            .roles
            .iter_mut()
            .filter(|it| named.contains(&it.role) && (roles.is_empty() || roles.contains(&it.role)))
        {
            view.suppressed = suppressed;
        }
        self.show_framework(id);
        if !suppressed {
            self.filters.revive(id, roles);
            self.touch_all();
        }
    }

    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.agents.keys().cloned());
    }

    pub(crate) fn framework_lost(&mut self, now: Instant, link: LinkId) {
        let Some(id) = self.framework_links.remove(&link) else { return };
        let Some(state) = self.frameworks.get_mut(&id).filter(|it| it.link == Some(link)) else {
            return;
        };
        state.link = None;
        self.discard_offers(&id);
        self.filters.remove_framework(&id);
        self.show_framework(&id);
        let Some(record) = self.ledger.frameworks.get(&id).cloned() else { return };
        let deadline = now.plus_ms(record.info.failover_timeout_ms);
        if deadline == now {
            self.log(format!(
                "framework {id} left and has no failover timeout; it is removed, its claims stay"
            ));
            return self.remove_framework(now, &id);
        }
        self.commit(vec![MasterChange::Framework(FrameworkRecord {
            deadline: Some(deadline),
            ..record
        })]);
        self.set_timer(deadline, Timer::Framework(id));
    }

    /// Removes a framework for good: its tasks end, its claims stay, unclaimed.
    pub(crate) fn remove_framework(&mut self, now: Instant, id: &FrameworkId) {
        let Some(record) = self.ledger.frameworks.get(id).filter(|it| !it.removed).cloned() else {
            return;
        };
        if let Some(deadline) = record.deadline {
            self.clear_timer(deadline, Timer::Framework(id.clone()));
        }
        self.commit(vec![MasterChange::Framework(FrameworkRecord {
            removed: true,
            deadline: None,
            ..record
        })]);
        self.removals.push_back(id.clone());
        self.discard_offers(id);
        for agent in self.agents.keys().cloned().collect::<Vec<_>>() {
            let concerned = self.agents.get(&agent).is_some_and(|it| {
                it.tasks.iter().any(|key| key.0 == *id)
                    || it.executors.keys().any(|key| key.0 == *id)
            });
            if concerned {
                self.order(&agent, Order::ShutdownFramework(id.clone()));
            }
        }
        self.end_tasks_of(now, id);
        self.forget_dropped_of(id);
        if let Some(link) = self.frameworks.get(id).and_then(|it| it.link) {
            self.framework_links.remove(&link);
            self.effects.push(Effect::CloseFramework(link));
        }
        self.filters.remove_framework(id);
        self.frameworks.remove(id);
        self.show_framework(id);
        self.touch_all(); // What it held is nobody's now.
        self.forget_oldest_removed();
    }

    /// Nobody hears of these tasks again. What they use is free when their agents say that they have ended, and not before.
    fn end_tasks_of(&mut self, now: Instant, id: &FrameworkId) {
        let mut doubtful = BTreeSet::new();
        for key in self.tasks_of(id) {
            let Some(task) = self.tasks.get_mut(&key) else { continue };
            let agent = task.agent.clone();
            let told = self.agents.get(&agent).is_some_and(|it| it.link.is_some());
            if task.state.is_terminal() || !told {
                self.complete(&key); // One that comes back with its agent is ended then.
                continue;
            }
            if task.state == TaskState::Staging {
                doubtful.insert(agent.clone()); // Its agent may not have begun with it, and then says nothing about its end.
            }
            task.state = TaskState::Killing;
            let status = TaskStatus::new(key.1.clone(), TaskState::Killing, now).at_agent(&agent);
            task.latest = Some(status.because(
                StatusSource::Master,
                Reason::FrameworkRemoved,
                "its framework was removed",
            ));
        }
        doubtful.iter().for_each(|agent| self.resync(agent));
    }

    fn tasks_of(&self, id: &FrameworkId) -> Vec<TaskKey> {
        let first = (id.clone(), TaskId::made(String::new()));
        self.tasks
            .range(first..)
            .map(|(key, _)| key)
            .take_while(|key| key.0 == *id)
            .cloned()
            .collect()
    }

    fn forget_oldest_removed(&mut self) {
        let removed = self.ledger.frameworks.iter().filter(|(_, it)| it.removed);
        // Those that former leaders removed come first, in the order of their beginnings: the ledger does not know that of their ends.
        let age = |id: &FrameworkId, registered| {
            (self.removals.iter().position(|it| it == id), registered, id.clone())
        };
        let mut removed: Vec<_> = removed.map(|(id, it)| age(id, it.registered)).collect();
        let excess = removed.len().saturating_sub(self.config.removed_frameworks_max);
        removed.sort();
        // One whose tasks still run is remembered, so that they end.
        let over = removed
            .into_iter()
            .take(excess)
            .map(|(.., id)| id)
            .filter(|id| self.tasks_of(id).is_empty());
        let over: BTreeSet<FrameworkId> = over.collect();
        self.removals.retain(|id| !over.contains(id));
        self.commit(over.into_iter().map(MasterChange::FrameworkForgotten).collect());
    }

    /// Takes back a framework's offers without a word: it is not there to hear it, or does not care.
    pub(crate) fn discard_offers(&mut self, id: &FrameworkId) {
        let offers: Vec<OfferId> = self
            .frameworks
            .get(id)
            .map(|it| it.offers.iter().cloned().collect())
            .unwrap_or_default();
        for offer in offers {
            self.take_offer(&offer);
        }
    }
}

impl FrameworkState {
    /// A framework that is expected but has not spoken yet.
    pub(crate) fn absent(record: &FrameworkRecord, now: Instant) -> FrameworkState {
        FrameworkState {
            info: record.info.clone(),
            link: None,
            roles: record
                .info
                .roles
                .iter()
                .map(|role| crate::state::role_view(role, false))
                .collect(),
            offers: Default::default(),
            subscribed: now,
        }
    }
}
