//! Operations that agents have settled, or never heard of, and who has to hear of it. An operation is finished when it is
//! durable at its agent, and not before; it is forgotten when whoever asked for it knows how it ended, and not before.

use holdfast_model::{
    Action, AgentId, AgentRecord, Event, FrameworkId, Instant, MasterChange, OperationState,
    OperationStatus, OperationUpdate, OperationUuid, Order, Resources, StatusUuid,
};

use crate::state::InFlight;
use crate::{Effect, Master, Refusal};

/// How many of the operations that an agent was told to forget are remembered.
const ACKNOWLEDGED_MAX: usize = 256;

impl Master {
    /// A new leader remembers which operations its predecessor had sent.
    pub(crate) fn remember_operations(&mut self) {
        for pending in self.ledger.pending.values() {
            let Action::Claim(action) = &pending.operation.action else { continue };
            let in_flight = InFlight {
                framework: pending.framework.clone(),
                id: pending.operation.id.clone(),
                agent: pending.agent.clone(),
                action: action.clone(),
                request: None,
                settled: None,
            };
            if let (Some(framework), Some(id)) = (&pending.framework, &pending.operation.id) {
                self.operation_names.insert((framework.clone(), id.clone()), pending.uuid);
            }
            self.operations.insert(pending.uuid, in_flight);
        }
    }

    pub(crate) fn operation_updated(
        &mut self,
        now: Instant,
        agent: &AgentId,
        update: OperationUpdate,
    ) {
        if !update.state.is_terminal() {
            return self.log(format!(
                "agent {agent} says that operation {} is {:?}, which is no outcome",
                update.uuid, update.state
            ));
        }
        self.note_claims(agent, &update);
        self.touch(agent);
        let Some(in_flight) = self.operations.get_mut(&update.uuid).filter(|it| it.agent == *agent)
        else {
            // Nobody waits for it any more: it was settled before, and the agent may forget it.
            self.order(agent, Order::AcknowledgeOperation(update.uuid, update.status));
            return;
        };
        let finished = update.state == OperationState::Finished;
        let converted =
            if finished { in_flight.action.conversion().converted } else { Resources::new() };
        let status = OperationStatus {
            id: in_flight.id.clone(),
            state: update.state,
            message: update.message.clone(),
            converted,
            uuid: Some(update.status),
            agent: Some(agent.clone()),
        };
        let is_news = in_flight.settled.replace(status.clone()).is_none();
        let (request, framework) = (in_flight.request.take(), in_flight.framework.clone());
        if let Some(state) = self.agents.get_mut(agent).filter(|_| is_news) {
            state.free_settled(&update.uuid);
        }
        if is_news && !finished {
            self.resync(agent); // We believed it done; only the agent knows how things are now.
        }
        if let Some(request) = request {
            let why = update.message.unwrap_or_else(|| "the agent could not do it".to_owned());
            self.effects.push(Effect::Answer(
                request,
                if finished { Ok(()) } else { Err(Refusal::Conflict(why)) },
            ));
        }
        let waits = framework.filter(|id| status.id.is_some() && !self.is_removed(now, id));
        match waits {
            Some(framework) => self.tell(&framework, Event::UpdateOperation(status)),
            None => self.settle(&update.uuid, update.status),
        }
    }

    /// Outcomes that a framework has not acknowledged, told again to one that came back.
    pub(crate) fn tell_settled(&mut self, framework: &FrameworkId) {
        let theirs = self
            .operations
            .values()
            .filter(|it| it.framework.as_ref() == Some(framework) && it.id.is_some());
        let settled: Vec<OperationStatus> = theirs.filter_map(|it| it.settled.clone()).collect();
        for status in settled {
            self.tell(framework, Event::UpdateOperation(status));
        }
    }

    fn note_claims(&mut self, agent: &AgentId, update: &OperationUpdate) {
        let mut changes: Vec<MasterChange> = Vec::new();
        for claim in &update.claims {
            let key = (agent.clone(), claim.id);
            if self
                .ledger
                .claims
                .get(&key)
                .is_none_or(|it| it.generation <= claim.generation && it != claim)
            {
                changes.push(MasterChange::Claim(agent.clone(), claim.clone()));
            }
        }
        let ended = update
            .ended
            .iter()
            .filter(|id| self.ledger.claims.contains_key(&(agent.clone(), **id)));
        changes.extend(ended.map(|id| MasterChange::ClaimGone(agent.clone(), *id)));
        if let Some(record) =
            self.ledger.agents.get(agent).filter(|it| it.ledger_version < update.ledger_version)
        {
            changes.push(MasterChange::Agent(AgentRecord {
                ledger_version: update.ledger_version,
                ..record.clone()
            }));
        }
        self.commit(changes);
    }

    /// The outcome has been heard by whoever waited: agent and masters may forget the operation.
    fn settle(&mut self, uuid: &OperationUuid, status: StatusUuid) {
        let Some(in_flight) = self.forget_operation(uuid) else { return };
        if let Some(state) = self.agents.get_mut(&in_flight.agent) {
            if ACKNOWLEDGED_MAX <= state.acknowledged.len() {
                state.acknowledged.pop_front();
            }
            state.acknowledged.push_back(*uuid);
        }
        self.order(&in_flight.agent, Order::AcknowledgeOperation(*uuid, status));
    }

    fn forget_operation(&mut self, uuid: &OperationUuid) -> Option<InFlight> {
        let in_flight = self.operations.remove(uuid)?;
        if let (Some(framework), Some(id)) = (&in_flight.framework, &in_flight.id) {
            let name = (framework.clone(), id.clone());
            if self.operation_names.get(&name) == Some(uuid) {
                self.operation_names.remove(&name);
            }
        }
        if let Some(state) = self.agents.get_mut(&in_flight.agent) {
            state.free_settled(uuid);
        }
        self.commit(vec![MasterChange::Settled(*uuid)]);
        Some(in_flight)
    }

    pub(crate) fn acknowledge_operation(
        &mut self,
        framework: &FrameworkId,
        id: &str,
        status: StatusUuid,
    ) {
        let Some(uuid) = self.operation_names.get(&(framework.clone(), id.to_owned())).copied()
        else {
            return;
        };
        let matches = self
            .operations
            .get(&uuid)
            .and_then(|it| it.settled.as_ref())
            .is_some_and(|it| it.uuid == Some(status));
        if matches {
            self.settle(&uuid, status);
        }
    }

    /// The agent never heard of it. Its framework is told until it acknowledges that, as of any other outcome (B79); since the agent
    /// cannot tell it, the masters keep it.
    pub(crate) fn drop_operation(
        &mut self,
        now: Instant,
        uuid: &OperationUuid,
        why: &str,
        refusal: fn(String) -> Refusal,
    ) {
        let Some(in_flight) = self.operations.get_mut(uuid) else { return };
        let (request, framework, agent) =
            (in_flight.request.take(), in_flight.framework.clone(), in_flight.agent.clone());
        let status = OperationStatus {
            id: in_flight.id.clone(),
            state: OperationState::Dropped,
            message: Some(why.to_owned()),
            converted: Resources::new(),
            uuid: Some(dropped_status(uuid)),
            agent: Some(agent.clone()),
        };
        in_flight.settled = Some(status.clone());
        if let Some(state) = self.agents.get_mut(&agent) {
            state.free_settled(uuid);
        }
        if let Some(request) = request {
            self.effects.push(Effect::Answer(request, Err(refusal(why.to_owned()))));
        }
        match framework.filter(|id| status.id.is_some() && !self.is_removed(now, id)) {
            Some(framework) => self.tell(&framework, Event::UpdateOperation(status)),
            None => {
                self.log(format!("operation {uuid} was dropped: {why}"));
                self.forget_operation(uuid);
            }
        }
    }

    /// Outcomes that no agent tells again are forgotten with the framework that would have acknowledged them.
    pub(crate) fn forget_dropped_of(&mut self, framework: &FrameworkId) {
        let dropped =
            self.operations.iter().filter(|(_, it)| it.framework.as_ref() == Some(framework));
        let dropped: Vec<OperationUuid> =
            dropped.filter(|(uuid, it)| it.was_dropped(uuid)).map(|(uuid, _)| *uuid).collect();
        dropped.iter().for_each(|uuid| drop(self.forget_operation(uuid)));
    }

    /// Operators do not wait for an agent that is away. What they asked for may still come true.
    pub(crate) fn answer_waiting(&mut self, agent: &AgentId) {
        let waiting: Vec<_> = self
            .operations
            .values_mut()
            .filter(|it| it.agent == *agent)
            .filter_map(|it| it.request.take())
            .collect();
        for request in waiting {
            let why = format!(
                "agent {agent} lost its connection before it answered; it is not known whether the operation was done: see its claims"
            );
            self.effects.push(Effect::Answer(request, Err(Refusal::Conflict(why))));
        }
    }

    pub(crate) fn operations_unreachable(&mut self, agent: &AgentId) {
        let theirs =
            self.operations.values().filter(|it| it.agent == *agent && it.settled.is_none());
        let theirs: Vec<(FrameworkId, String)> =
            theirs.filter_map(|it| Some((it.framework.clone()?, it.id.clone()?))).collect();
        for (framework, id) in theirs {
            self.tell_operation(
                &framework,
                Some(id),
                OperationState::Unreachable,
                "the agent does not answer",
            );
        }
    }
}

/// The name of the status that says that an operation was dropped. Each leader that finds it out gives it this one, so that one
/// acknowledgement is enough, whoever hears it.
fn dropped_status(uuid: &OperationUuid) -> StatusUuid {
    StatusUuid(uuid.0)
}

impl InFlight {
    /// Whether the masters know, from nobody but themselves, that `uuid` (its own name) never reached its agent.
    pub(crate) fn was_dropped(&self, uuid: &OperationUuid) -> bool {
        self.settled.as_ref().is_some_and(|it| it.uuid == Some(dropped_status(uuid)))
    }
}
