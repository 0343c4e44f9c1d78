//! What a leader learns from agents because its own ledger lacks it: frameworks, after the masters' ledger was lost or restored from an old
//! copy; operations, whose order went out just before the last leader died.
//!
//! Relies on agents keeping both until they are told to forget. Never forgets an outcome that nobody has heard yet.

use std::collections::btree_map::Entry;

use holdfast_model::{
    Action, AgentId, ClaimAction, FrameworkId, FrameworkInfo, FrameworkRecord, Instant,
    MasterChange, Operation, OperationRecord, OperationState, OperationStatus, Order,
    PendingOperation, Resource, Resources,
};

use crate::state::{FrameworkState, InFlight, Timer};
use crate::subscribe::FRAMEWORKS_MAX;
use crate::withhold::Withheld;
use crate::Master;

/// How long a new leader keeps statuses for frameworks that it does not know, in milliseconds.
const ORPHAN_MS: u64 = 600_000;

impl Master {
    /// Whether nobody will ever acknowledge a status for `framework`: it was removed, or nobody has named it in a long time.
    pub(crate) fn is_removed(&self, now: Instant, framework: &FrameworkId) -> bool {
        match self.ledger.frameworks.get(framework) {
            Some(record) => record.removed,
            None => self.leads_since.plus_ms(ORPHAN_MS) <= now,
        }
    }

    /// Frameworks that an agent knows and the ledger does not are expected like those that it does.
    pub(crate) fn learn_frameworks(&mut self, now: Instant, infos: &[FrameworkInfo]) {
        for info in infos {
            let Some(id) = info.id.clone().filter(|id| !self.ledger.frameworks.contains_key(id))
            else {
                continue;
            };
            if FRAMEWORKS_MAX <= self.frameworks.len() {
                self.log(format!("there are {FRAMEWORKS_MAX} frameworks; {id}, which an agent names, is not taken in"));
                continue;
            }
            let deadline = now.plus_ms(info.failover_timeout_ms.max(self.config.failover_grace_ms));
            let record = FrameworkRecord {
                info: info.clone(),
                removed: false,
                deadline: Some(deadline),
                registered: now,
            };
            self.log(format!("framework {id} is known only from an agent; it may come back"));
            self.frameworks.insert(id.clone(), FrameworkState::absent(&record, now));
            self.commit(vec![MasterChange::Framework(record)]);
            self.set_timer(deadline, Timer::Framework(id.clone()));
            self.show_framework(&id);
        }
    }

    /// Compares an agent's operations with ours: those that it never heard of did not happen; those that only it knows are learnt.
    pub(crate) fn adopt_operations(
        &mut self,
        now: Instant,
        id: &AgentId,
        records: Vec<OperationRecord>,
    ) {
        self.missing_operations(now, id, &records);
        let mut withheld = std::collections::BTreeMap::new();
        for record in records {
            let acknowledged =
                self.agents.get(id).is_some_and(|it| it.acknowledged.contains(&record.uuid));
            if let (true, Some(status)) = (acknowledged, record.status) {
                self.order(id, Order::AcknowledgeOperation(record.uuid, status)); // It may not have heard it the first time.
                continue;
            }
            let Action::Claim(action) = &record.operation.action else { continue };
            if record.state == OperationState::Pending {
                let what = self.on_its_way(id, action, record.claims.is_empty());
                withheld.insert(record.uuid, Withheld { until: [record.uuid].into(), what });
            }
            let action = action.clone();
            self.learn_operation(id, record, action);
        }
        if let Some(state) = self.agents.get_mut(id) {
            state.withheld = withheld;
        }
    }

    /// What a pending operation keeps from others: what it will take, while it waits for something; else the volumes that it makes.
    fn on_its_way(&self, id: &AgentId, action: &ClaimAction, waits: bool) -> Resources {
        let Some(state) = self.agents.get(id) else { return Resources::new() };
        let conversion = action.conversion();
        let concerned = match action {
            _ if waits => conversion.consumed,
            ClaimAction::Destroy(_) => return Resources::new(), // What it gives is not in the total yet.
            _ => conversion.converted,
        };
        let part = |wanted: Resource| match state.total.get(&wanted.identity) {
            Some(amount) if state.total.contains_one(&wanted) || wanted.identity.is_exclusive() => {
                (amount.value == wanted.value || !wanted.identity.is_exclusive()).then_some(wanted)
            }
            Some(amount) => Some(Resource { value: amount.value.clone(), ..wanted }),
            None => None,
        };
        concerned.iter().filter_map(part).collect()
    }

    fn learn_operation(&mut self, id: &AgentId, record: OperationRecord, action: ClaimAction) {
        let OperationRecord { uuid, framework, operation, state, message, status, .. } = record;
        if self.operations.get(&uuid).is_some_and(|it| it.agent != *id) {
            return self
                .log(format!("agent {id} reports operation {uuid}, which is another agent's"));
        }
        if let Entry::Vacant(vacant) = self.operations.entry(uuid) {
            vacant.insert(InFlight {
                framework: framework.clone(),
                id: operation.id.clone(),
                agent: id.clone(),
                action,
                request: None,
                settled: None,
            });
            if let (Some(framework), Some(name)) = (&framework, &operation.id) {
                self.operation_names.entry((framework.clone(), name.clone())).or_insert(uuid);
            }
            let pending = PendingOperation {
                uuid,
                framework,
                agent: id.clone(),
                operation: Operation { ..operation },
            };
            self.commit(vec![MasterChange::Pending(pending)]);
        }
        let Some(in_flight) = self.operations.get_mut(&uuid) else { return };
        if in_flight.was_dropped(&uuid) {
            in_flight.settled = None; // The agent knows of it after all, and better than we do.
        }
        if state.is_terminal() && in_flight.settled.is_none() {
            let converted = if state == OperationState::Finished {
                in_flight.action.conversion().converted
            } else {
                Resources::new()
            };
            let status = OperationStatus {
                id: in_flight.id.clone(),
                state,
                message,
                converted,
                uuid: status,
                agent: Some(id.clone()),
            };
            in_flight.settled = Some(status); // Told when the agent tells it, which it does once it is welcome.
        }
    }
}
