//! Believing an agent's report: what it owns is the truth; what we thought is corrected, and whoever
//! was told otherwise is told.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::claim::fit;
use holdfast_model::{
    AgentId, AgentRecord, Claim, ClaimId, Event, FrameworkId, Identity, Instant, MasterChange,
    OfferId, OperationRecord, OperationUuid, Order, Presence, Reason, Report, Resources,
    StatusSource, TaskKey, TaskRecord, TaskState, TaskStatus,
};

use crate::reconcile::status_of;
use crate::state::{AgentHealth, ExecutorView, TaskView};
use crate::{Master, Refusal};

impl Master {
    /// Takes `report` for what `id` is and has.
    pub(crate) fn adopt(&mut self, now: Instant, id: &AgentId, report: Report) {
        let returns =
            self.ledger.agents.get(id).is_some_and(|it| it.presence == Presence::Unreachable);
        self.learn_frameworks(now, &report.frameworks);
        self.adopt_claims(now, id, &report);
        let frameworks: Vec<FrameworkId> =
            report.frameworks.iter().filter_map(|it| it.id.clone()).collect();
        let Report { executors, tasks, operations, .. } = self.adopt_machine(id, report);
        self.forget_holdings(id);
        self.adopt_executors(id, executors);
        let missing = self.adopt_tasks(now, id, &tasks);
        self.missing_tasks(now, id, missing);
        self.rescind_unfounded(id);
        self.adopt_operations(now, id, operations);
        if returns {
            self.tell_returned(now, id);
        }
        self.shut_down_removed(id, frameworks);
        if let Some(state) = self.agents.get_mut(id) {
            state.heard = true;
            state.forgotten.clear();
        }
        self.sum_totals();
        self.touch(id);
    }

    /// What the machine has, claims laid on it, and what of it cannot be used. Gives back what is left of the report.
    fn adopt_machine(&mut self, id: &AgentId, mut report: Report) -> Report {
        let claims: BTreeMap<ClaimId, Claim> =
            report.claims.iter().map(|it| (it.id, it.clone())).collect();
        let (total, misfits) = fit(&report.machine.resources, &claims);
        let joining = report.cluster.is_none() || report.machine.resources.is_empty();
        let Some(state) = self.agents.get_mut(id) else { return report };
        state.health = if joining { AgentHealth::Joining } else { AgentHealth::Well };
        state.faults = std::mem::take(&mut report.faults).into_iter().collect();
        for misfit in misfits {
            state
                .faults
                .entry(misfit)
                .or_insert_with(|| "it no longer fits on what the machine has".to_owned());
        }
        let described_anew = state.heard && state.machine.payload != report.machine.payload;
        state.machine = std::mem::take(&mut report.machine);
        state.disks = std::mem::take(&mut report.disks);
        state.version = std::mem::take(&mut report.version);
        state.total = total;
        if described_anew {
            self.filters.remove_agent(id); // What was refused was another machine.
        }
        report
    }

    fn adopt_claims(&mut self, now: Instant, id: &AgentId, report: &Report) {
        let mut changes = Vec::new();
        for claim in &report.claims {
            if self.ledger.claims.get(&(id.clone(), claim.id)) != Some(claim) {
                changes.push(MasterChange::Claim(id.clone(), claim.clone()));
            }
        }
        let ended = |claim: &&Claim| report.claims.iter().all(|it| it.id != claim.id);
        changes.extend(
            self.ledger
                .claims_of(id)
                .filter(ended)
                .map(|it| MasterChange::ClaimGone(id.clone(), it.id)),
        );
        if let Some(record) = self.ledger.agents.get(id) {
            let renewed = AgentRecord {
                presence: Presence::Admitted,
                since: if record.presence == Presence::Admitted { record.since } else { now },
                hostname: report.machine.hostname.clone(),
                port: report.machine.port,
                ledger_version: report.ledger_version.max(record.ledger_version),
                ..record.clone()
            };
            // The version alone is worth no write of its own: a lesser watermark only fences less.
            if (&renewed.hostname, renewed.port, renewed.presence)
                != (&record.hostname, record.port, record.presence)
                || !changes.is_empty()
            {
                changes.push(MasterChange::Agent(renewed));
            }
        }
        self.commit(changes);
    }

    /// Forgets what tasks and executors of this agent hold; whoever calls says it anew, or there is nothing to be held.
    pub(crate) fn forget_holdings(&mut self, id: &AgentId) {
        let Some(state) = self.agents.get_mut(id) else { return };
        state.strays.clear();
        let executors = std::mem::take(&mut state.executors);
        let tasks: Vec<TaskKey> = state.tasks.iter().cloned().collect();
        for ((framework, _), executor) in executors {
            self.release(id, &framework, &executor.resources);
        }
        for key in tasks {
            if let Some(task) = self.tasks.get(&key).filter(|it| it.holds()) {
                let resources = task.resources.clone();
                self.release(id, &key.0, &resources);
            }
        }
        if let Some(state) = self.agents.get_mut(id) {
            state.held = Resources::new();
            for offer in state.offers.iter().filter_map(|it| self.offers.get(it)) {
                state.held.add_all(&offer.offer.resources.unallocated());
            }
        }
    }

    fn adopt_executors(&mut self, id: &AgentId, executors: Vec<holdfast_model::ExecutorRecord>) {
        for record in executors {
            let resources: Resources = if record.command {
                Resources::new() // A command's executor is on the house.
            } else {
                record.info.clone().allocated_to(&record.role).resources.iter().collect()
            };
            let view = ExecutorView {
                resources: resources.clone(),
                payload: record.info.payload.clone(),
                command: record.command,
            };
            let Some(state) = self.agents.get_mut(id) else { return };
            if state.executors.contains_key(&record.key()) {
                continue; // Named twice.
            }
            state.executors.insert(record.key(), view);
            self.hold(id, &record.framework, &resources);
        }
    }

    /// Returns the tasks that we know there and the agent does not. They hold nothing any more.
    fn adopt_tasks(
        &mut self,
        now: Instant,
        id: &AgentId,
        tasks: &[TaskRecord],
    ) -> BTreeSet<TaskKey> {
        let Some(state) = self.agents.get_mut(id) else { return BTreeSet::new() };
        let (mut ours, forgotten) =
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.forgotten));
        let mut seen = BTreeSet::new();
        for record in tasks {
            let key = record.key();
            let over = record.state.is_terminal()
                && (forgotten.contains(&key) || self.is_removed(now, &key.0));
            if over || !seen.insert(key.clone()) {
                continue;
            }
            let resources = record.info.clone().allocated_to(&record.role).own_resources();
            if self.is_stray(id, &key) {
                self.adopt_stray(id, &key, &resources, record.state);
                continue;
            }
            ours.remove(&key);
            let view = TaskView {
                framework: record.framework.clone(),
                id: record.info.id.clone(),
                name: record.info.name.clone(),
                agent: id.clone(),
                executor: record.executor.clone(),
                resources,
                state: record.state,
                // The one that its framework has yet to acknowledge, if any.
                latest: record.updates.first().or(record.latest.as_ref()).cloned(),
                payload: record.info.payload.clone(),
            };
            if view.holds() {
                self.hold(id, &record.framework, &view.resources);
            }
            self.tasks.insert(key.clone(), view);
            if let Some(state) = self.agents.get_mut(id) {
                state.tasks.insert(key);
            }
        }
        ours
    }

    fn missing_tasks(&mut self, now: Instant, id: &AgentId, missing: BTreeSet<TaskKey>) {
        for key in missing {
            let removed = self.is_removed(now, &key.0);
            let Some(task) = self.tasks.get_mut(&key) else { continue };
            if task.state.is_terminal() {
                self.retire(&key);
                continue;
            }
            let (state, why) = match (task.state, &task.latest) {
                _ if removed => (TaskState::Killed, "its framework was removed"),
                (TaskState::Staging, None) => (
                    TaskState::Dropped,
                    "the order was lost on its way to the agent; the task never ran",
                ),
                _ => (TaskState::Gone, "the agent is back and does not know this task"),
            };
            let status = TaskStatus::new(key.1.clone(), state, now).at_agent(id);
            let status = status.because(StatusSource::Master, Reason::Reconciliation, why);
            (task.state, task.latest) = (state, Some(status.clone()));
            self.retire(&key);
            self.tell(&key.0, Event::Update(status));
        }
    }

    /// Takes back offers of what cannot be used, or is not there.
    fn rescind_unfounded(&mut self, id: &AgentId) {
        let Some(state) = self.agents.get(id) else { return };
        let faulty =
            state.faults.keys().filter_map(|it| self.ledger.claims.get(&(id.clone(), *it)));
        let faulty: BTreeSet<Identity> = faulty.map(|it| it.resource.identity.clone()).collect();
        let offers: Vec<OfferId> = state.offers.iter().cloned().collect();
        for offer in offers {
            let (Some(state), Some(record)) = (self.agents.get(id), self.offers.get(&offer)) else {
                continue;
            };
            let there =
                |identity: &Identity| state.total.contains(&state.held.filter(|it| it == identity));
            let resources = record.offer.resources.unallocated();
            if state.health != AgentHealth::Well
                || resources
                    .entries()
                    .any(|(identity, _)| faulty.contains(identity) || !there(identity))
            {
                self.rescind(&offer);
            }
        }
    }

    fn tell_returned(&mut self, now: Instant, id: &AgentId) {
        let tasks: Vec<TaskKey> =
            self.agents.get(id).map(|it| it.tasks.iter().cloned().collect()).unwrap_or_default();
        for key in tasks {
            let Some(task) = self.tasks.get(&key).filter(|it| !it.state.is_terminal()) else {
                continue;
            };
            let status = status_of(now, task).because(
                StatusSource::Master,
                Reason::AgentReregistered,
                "the agent is back",
            );
            self.tell(&key.0, Event::Update(status));
        }
    }

    /// Operations that the agent never heard of did not happen.
    pub(crate) fn missing_operations(
        &mut self,
        now: Instant,
        id: &AgentId,
        known: &[OperationRecord],
    ) {
        let known: BTreeSet<OperationUuid> = known.iter().map(|it| it.uuid).collect();
        let missing = self
            .operations
            .iter()
            .filter(|(uuid, it)| it.agent == *id && it.settled.is_none() && !known.contains(uuid));
        let missing: Vec<OperationUuid> = missing.map(|(uuid, _)| *uuid).collect();
        for uuid in missing {
            self.drop_operation(
                now,
                &uuid,
                "the order was lost on its way to the agent; nothing was changed",
                Refusal::Conflict,
            );
        }
    }

    fn shut_down_removed(&mut self, id: &AgentId, frameworks: Vec<FrameworkId>) {
        for framework in frameworks {
            if self.ledger.frameworks.get(&framework).is_some_and(|it| it.removed) {
                self.order(id, Order::ShutdownFramework(framework));
            }
        }
    }
}
