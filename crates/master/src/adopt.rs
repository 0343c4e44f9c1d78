//! Believing an agent's report: what it owns is the truth; what we thought is corrected, and whoever
//! was told otherwise is told.

use std::collections::BTreeMap;

use holdfast_model::claim::fit;
use holdfast_model::{
    AgentId, AgentRecord, Claim, ClaimId, Event, FrameworkId, Instant, MasterChange, OperationUuid, Order, Presence, Reason, Report, Resources,
    StatusSource, TaskKey, TaskRecord, TaskState, TaskStatus,
};

use crate::state::{AgentHealth, ExecutorView, TaskView};
use crate::{Master, Refusal};

impl Master {
    /// Takes `report` for what `id` is and has.
    pub(crate) fn adopt(&mut self, now: Instant, id: &AgentId, report: Report) {
        self.adopt_claims(now, id, &report);
        let claims: BTreeMap<ClaimId, Claim> = report.claims.iter().map(|it| (it.id, it.clone())).collect();
        let (total, misfits) = fit(&report.machine.resources, &claims);
        let joining = report.cluster.is_none() || report.machine.resources.is_empty();
        let returns = self.was_away(id);
        let state = self.agents.get_mut(id).expect("only known agents are adopted");
        state.health = if joining { AgentHealth::Joining } else { AgentHealth::Well };
        state.faults = report.faults.iter().cloned().collect();
        for misfit in misfits {
            state.faults.entry(misfit).or_insert_with(|| "it no longer fits on what the machine has".to_owned());
        }
        (state.machine, state.disks, state.version) = (report.machine, report.disks, report.version);
        state.total = total;
        self.forget_holdings(id);
        self.adopt_executors(id, report.executors);
        let unknown = self.adopt_tasks(id, &report.tasks);
        if !joining {
            self.missing_tasks(now, id, unknown);
        }
        if returns {
            self.tell_returned(now, id);
        }
        self.missing_operations(id, &report.operations.iter().map(|it| it.uuid).collect::<Vec<_>>());
        self.shut_down_removed(id, report.frameworks.iter().filter_map(|it| it.id.clone()));
        self.sum_totals();
        self.touch(id);
    }

    fn was_away(&self, id: &AgentId) -> bool {
        let tasks = self.agents.get(id).map(|it| &it.tasks);
        tasks.is_some_and(|it| it.iter().any(|key| self.tasks.get(key).is_some_and(|task| task.state == TaskState::Unreachable)))
    }

    fn adopt_claims(&mut self, now: Instant, id: &AgentId, report: &Report) {
        let mut changes = Vec::new();
        for claim in &report.claims {
            if self.ledger.claims.get(&(id.clone(), claim.id)) != Some(claim) {
                changes.push(MasterChange::Claim(id.clone(), claim.clone()));
            }
        }
        let ended = |claim: &&Claim| report.claims.iter().all(|it| it.id != claim.id);
        changes.extend(self.ledger.claims_of(id).filter(ended).map(|it| MasterChange::ClaimGone(id.clone(), it.id)));
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
            if (&renewed.hostname, renewed.port, renewed.presence) != (&record.hostname, record.port, record.presence) || !changes.is_empty() {
                changes.push(MasterChange::Agent(renewed));
            }
        }
        self.commit(changes);
    }

    /// Forgets what tasks and executors of this agent hold; the report says it anew.
    fn forget_holdings(&mut self, id: &AgentId) {
        let Some(state) = self.agents.get_mut(id) else { return };
        let executors = std::mem::take(&mut state.executors);
        let tasks: Vec<TaskKey> = state.tasks.iter().cloned().collect();
        for ((framework, _), executor) in executors {
            self.release(id, &framework, &executor.resources);
        }
        for key in tasks {
            if let Some(task) = self.tasks.get(&key).filter(|it| !it.state.is_terminal()).cloned() {
                self.release(id, &key.0, &task.resources);
            }
        }
        if let Some(state) = self.agents.get_mut(id) {
            state.held = Resources::new(); // Offers were rescinded or are counted below.
            for offer in &state.offers {
                if let Some(record) = self.offers.get(offer) {
                    state.held.add_all(&record.offer.resources.unallocated());
                }
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
            let view = ExecutorView { resources: resources.clone(), carried: record.info.carried.clone(), command: record.command };
            if let Some(state) = self.agents.get_mut(id) {
                state.executors.insert(record.key(), view);
            }
            self.hold(id, &record.framework, &resources);
        }
    }

    /// Returns the tasks that we know there and the agent does not.
    fn adopt_tasks(&mut self, id: &AgentId, tasks: &[TaskRecord]) -> Vec<TaskKey> {
        let ours = self.agents.get(id).map(|it| it.tasks.clone()).unwrap_or_default();
        for record in tasks {
            let view = TaskView {
                framework: record.framework.clone(),
                id: record.info.id.clone(),
                name: record.info.name.clone(),
                agent: id.clone(),
                executor: record.executor.clone(),
                resources: record.info.clone().allocated_to(&record.role).own_resources(),
                state: record.state,
                latest: record.latest.clone(),
                carried: record.info.carried.clone(),
            };
            let was = self.tasks.get(&record.key()).map(|it| it.state);
            if !view.state.is_terminal() {
                self.hold(id, &record.framework, &view.resources);
            }
            let keep = was.filter(|it| *it == TaskState::Unreachable);
            self.tasks.insert(record.key(), TaskView { state: keep.unwrap_or(view.state), ..view });
            if let Some(state) = self.agents.get_mut(id) {
                state.tasks.insert(record.key());
            }
            if let (Some(_), Some(task)) = (keep, self.tasks.get_mut(&record.key())) {
                task.state = record.state;
            }
        }
        let known: std::collections::BTreeSet<TaskKey> = tasks.iter().map(TaskRecord::key).collect();
        ours.difference(&known).cloned().collect()
    }

    fn missing_tasks(&mut self, now: Instant, id: &AgentId, missing: Vec<TaskKey>) {
        for key in missing {
            let Some(task) = self.tasks.get(&key).cloned() else { continue };
            if !task.state.is_terminal() {
                let status = TaskStatus::new(key.1.clone(), TaskState::Gone, now).at_agent(id).because(
                    StatusSource::Master,
                    Reason::Reconciliation,
                    "the agent is back and does not know this task",
                );
                self.tell(&key.0, Event::Update(status.clone()));
                self.complete(&key, Some(status));
            } else {
                self.complete(&key, None);
            }
        }
    }

    fn tell_returned(&mut self, now: Instant, id: &AgentId) {
        let tasks: Vec<TaskKey> = self.agents.get(id).map(|it| it.tasks.iter().cloned().collect()).unwrap_or_default();
        for key in tasks {
            let Some(task) = self.tasks.get(&key).filter(|it| !it.state.is_terminal()) else { continue };
            let status = TaskStatus::new(key.1.clone(), task.state, now).at_agent(id).because(
                StatusSource::Master,
                Reason::AgentReregistered,
                "the agent is back",
            );
            self.tell(&key.0, Event::Update(status));
        }
    }

    /// Operations that the agent never heard of did not happen.
    fn missing_operations(&mut self, id: &AgentId, known: &[OperationUuid]) {
        let missing = self.operations.iter().filter(|(uuid, it)| it.agent == *id && it.settled.is_none() && !known.contains(uuid));
        let missing: Vec<OperationUuid> = missing.map(|(uuid, _)| *uuid).collect();
        for uuid in missing {
            self.drop_operation(&uuid, "the order was lost on its way to the agent; nothing was changed", Refusal::Conflict);
        }
    }

    fn shut_down_removed(&mut self, id: &AgentId, frameworks: impl Iterator<Item = FrameworkId>) {
        for framework in frameworks {
            if self.ledger.frameworks.get(&framework).is_some_and(|it| it.removed) {
                self.order(id, Order::ShutdownFramework(framework));
            }
        }
    }
}
