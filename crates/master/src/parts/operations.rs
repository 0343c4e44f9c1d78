//! Operations that agents have yet to settle or frameworks to acknowledge: by uuid, by agent, and by the name that their framework gave them.
//!
//! Never decides whether an operation is over; see [`crate::flows::operations`].

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::{
    AgentId, ClaimAction, ClaimId, FrameworkId, LinkId, OperationState, OperationStatus,
    OperationUuid, Order, Resources, SharedIndex, SharedMap, StatusUuid,
};

use crate::step::RequestId;

/// An operation that an agent has yet to settle, or a framework to acknowledge.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// Whose; `None` for an operator's.
    pub framework: Option<FrameworkId>,
    /// The framework's name for it.
    pub id: Option<String>,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub action: ClaimAction,
    /// The operator who waits for it.
    pub request: Option<RequestId>,
    /// Its latest status; `None` while it is under way. Kept until the framework has acknowledged it.
    pub settled: Option<OperationStatus>,
}

impl InFlight {
    /// Whether the masters know, from nobody but themselves, that `uuid` (its own name) never reached its agent.
    pub(crate) fn was_dropped(&self, uuid: &OperationUuid) -> bool {
        self.settled.as_ref().is_some_and(|it| it.uuid == Some(dropped_status(uuid)))
    }

    /// How it ended.
    pub(crate) fn outcome(
        &self,
        state: OperationState,
        message: Option<String>,
        uuid: Option<StatusUuid>,
    ) -> OperationStatus {
        let is_done = state == OperationState::Finished;
        OperationStatus {
            id: self.id.clone(),
            state,
            message,
            converted: if is_done { self.action.conversion().converted } else { Resources::new() },
            uuid,
            agent: Some(self.agent.clone()),
        }
    }
}

/// The name of the status that says that an operation was dropped. Each leader that finds it out gives it this one, so that one
/// acknowledgement is enough, whoever hears it.
pub(crate) fn dropped_status(uuid: &OperationUuid) -> StatusUuid {
    StatusUuid(uuid.0)
}

/// An operator who waits for what an agent answers to an order about disks.
#[derive(Debug)]
struct DiskRequest {
    agent: AgentId,
    request: RequestId,
    /// The kind of the order, which an agent of an older version may not know.
    kind: u32,
}

/// All operations.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    in_flight: SharedMap<OperationUuid, InFlight>,
    by_agent: SharedIndex<AgentId, OperationUuid>,
    /// Operations by the name that their framework gave them.
    names: BTreeMap<(FrameworkId, String), OperationUuid>,
    /// Operators who wait for an agent to write down that a destroyed volume goes.
    purges: BTreeMap<(AgentId, ClaimId), Vec<RequestId>>,
    /// Operators who wait for an agent to have a disk more or less, by the names of the orders.
    disks: BTreeMap<OperationUuid, DiskRequest>,
    /// Operators who wait for an agent to have its claims back.
    recoveries: BTreeMap<AgentId, Vec<RequestId>>,
    /// The links on which a fenced agent was told to have its claims back, and has not answered yet.
    recovering: BTreeMap<LinkId, AgentId>,
}

impl Operations {
    pub(crate) fn in_flight(&self) -> &SharedMap<OperationUuid, InFlight> {
        &self.in_flight
    }

    /// An operation that an agent names; it may be settled long since.
    pub(crate) fn get(&self, uuid: &OperationUuid) -> Option<&InFlight> {
        self.in_flight.get(uuid)
    }

    pub(crate) fn of_agent<'a>(
        &'a self,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = (&'a OperationUuid, &'a InFlight)> {
        self.by_agent.of(agent).map(|uuid| (uuid, self.at(uuid)))
    }

    pub(crate) fn of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = (&'a OperationUuid, &'a InFlight)> {
        self.in_flight.iter().filter(move |(_, it)| it.framework.as_ref() == Some(framework))
    }

    /// The operation that a framework gave that name.
    pub(crate) fn named(&self, framework: &FrameworkId, id: &str) -> Option<OperationUuid> {
        self.names.get(&(framework.clone(), id.to_owned())).copied()
    }

    /// All that a framework gave names, by those.
    pub(crate) fn names_of<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = (&'a str, OperationUuid)> {
        let names = self.names.range((framework.clone(), String::new())..);
        let mine = names.take_while(move |((whose, _), _)| whose == framework);
        mine.map(|((_, id), uuid)| (id.as_str(), *uuid))
    }

    pub(crate) fn at(&self, uuid: &OperationUuid) -> &InFlight {
        self.get(uuid).unwrap_or_else(|| panic!("operation {uuid} is in an index only"))
    }

    /// Whether an agent has yet to settle an operation. One that is another agent's is not.
    pub(crate) fn is_under_way(&self, uuid: &OperationUuid, agent: &AgentId) -> bool {
        self.get(uuid).is_some_and(|it| it.agent == *agent && it.settled.is_none())
    }

    fn at_mut(&mut self, uuid: &OperationUuid) -> &mut InFlight {
        self.in_flight.get_mut(uuid).unwrap_or_else(|| panic!("operation {uuid} is in flight"))
    }

    /// Notes an operation that was sent. Of two with one name, the newest bears it.
    pub(crate) fn put(&mut self, uuid: OperationUuid, operation: InFlight) {
        if let (Some(framework), Some(id)) = (&operation.framework, &operation.id) {
            self.names.insert((framework.clone(), id.clone()), uuid);
        }
        self.insert(uuid, operation);
    }

    /// Notes an operation that an agent told of. Of two with one name, the one that is known bears it.
    pub(crate) fn learn(&mut self, uuid: OperationUuid, operation: InFlight) {
        if let (Some(framework), Some(id)) = (&operation.framework, &operation.id) {
            self.names.entry((framework.clone(), id.clone())).or_insert(uuid);
        }
        self.insert(uuid, operation);
    }

    fn insert(&mut self, uuid: OperationUuid, operation: InFlight) {
        self.by_agent.insert(&operation.agent, uuid);
        let former = self.in_flight.insert(uuid, operation);
        assert!(former.is_none(), "an operation is sent once");
    }

    /// Notes how an operation ended; says whether that is news.
    pub(crate) fn settle(&mut self, uuid: &OperationUuid, status: OperationStatus) -> bool {
        self.at_mut(uuid).settled.replace(status).is_none()
    }

    /// The masters thought an operation dropped, and its agent knows of it after all.
    pub(crate) fn unsettle(&mut self, uuid: &OperationUuid) {
        self.at_mut(uuid).settled = None;
    }

    /// The operator who waits for an operation, to be answered now.
    pub(crate) fn take_request(&mut self, uuid: &OperationUuid) -> Option<RequestId> {
        self.at_mut(uuid).request.take()
    }

    /// The operators who wait for an agent.
    pub(crate) fn take_requests_of(&mut self, agent: &AgentId) -> Vec<RequestId> {
        let theirs: Vec<OperationUuid> = self.by_agent.of(agent).copied().collect();
        let mut requests: Vec<RequestId> =
            theirs.iter().filter_map(|uuid| self.take_request(uuid)).collect();
        let claims: Vec<ClaimId> = self.purges_of(agent).collect();
        claims.into_iter().for_each(|it| requests.extend(self.take_purges(agent, it)));
        let theirs = self.disks.extract_if(.., |_, it| it.agent == *agent);
        requests.extend(theirs.map(|(_, it)| it.request));
        requests
    }

    /// An operator waits until a destroyed volume cannot be brought back any more.
    pub(crate) fn await_purge(&mut self, agent: AgentId, claim: ClaimId, request: RequestId) {
        self.purges.entry((agent, claim)).or_default().push(request);
    }

    /// The destroyed volumes of an agent for which operators wait so.
    pub(crate) fn purges_of(&self, agent: &AgentId) -> impl Iterator<Item = ClaimId> + '_ {
        let agent = agent.clone();
        self.purges.keys().filter(move |(its, _)| *its == agent).map(|(_, claim)| *claim)
    }

    /// Those who waited for that.
    pub(crate) fn take_purges(&mut self, agent: &AgentId, claim: ClaimId) -> Vec<RequestId> {
        self.purges.remove(&(agent.clone(), claim)).unwrap_or_default()
    }

    /// An operator waits for an agent to have a disk more or less.
    pub(crate) fn await_disk(
        &mut self,
        (order, kind): (OperationUuid, u32),
        agent: AgentId,
        request: RequestId,
    ) {
        self.disks.insert(order, DiskRequest { agent, request, kind });
    }

    /// Those who wait for an answer to orders that an agent passed over: it knows the kinds up to `newest`.
    pub(crate) fn take_passed_over(&mut self, agent: &AgentId, newest: u32) -> Vec<RequestId> {
        let is_beyond = |it: &DiskRequest| it.agent == *agent && newest < it.kind;
        let orders = self.disks.extract_if(.., |_, it| is_beyond(it));
        let mut requests: Vec<RequestId> = orders.map(|(_, it)| it.request).collect();
        if newest < Order::PURGE_TRASH {
            let claims: Vec<ClaimId> = self.purges_of(agent).collect();
            claims.into_iter().for_each(|it| requests.extend(self.take_purges(agent, it)));
        }
        requests
    }

    /// Who waited for what an agent answers to such an order.
    pub(crate) fn take_disk(&mut self, agent: &AgentId, order: OperationUuid) -> Option<RequestId> {
        let is_its = self.disks.get(&order).is_some_and(|it| it.agent == *agent);
        let waiting = is_its.then(|| self.disks.remove(&order)).flatten();
        waiting.map(|it| it.request)
    }

    /// An operator waits for an agent to have its claims back.
    pub(crate) fn await_recovery(&mut self, agent: AgentId, request: RequestId) {
        self.recoveries.entry(agent).or_default().push(request);
    }

    /// Those who waited for that.
    pub(crate) fn take_recoveries(&mut self, agent: &AgentId) -> Vec<RequestId> {
        self.recoveries.remove(agent).unwrap_or_default()
    }

    /// A fenced agent was told on that link to have its claims back.
    pub(crate) fn begin_recovery(&mut self, link: LinkId, agent: AgentId) {
        self.recovering.insert(link, agent);
    }

    /// It answered on that link, or the link is over; returns the agent that was told so.
    pub(crate) fn end_recovery(&mut self, link: LinkId) -> Option<AgentId> {
        self.recovering.remove(&link)
    }

    /// The operators who wait for anything.
    pub(crate) fn requests(&self) -> impl Iterator<Item = RequestId> + '_ {
        let waiting = self.in_flight.values().filter_map(|it| it.request);
        let waiting = waiting.chain(self.purges.values().flatten().copied());
        let waiting = waiting.chain(self.recoveries.values().flatten().copied());
        waiting.chain(self.disks.values().map(|it| it.request))
    }

    pub(crate) fn forget(&mut self, uuid: &OperationUuid) -> Option<InFlight> {
        let operation = Arc::unwrap_or_clone(self.in_flight.remove(uuid)?);
        self.by_agent.remove(&operation.agent, uuid);
        if let (Some(framework), Some(id)) = (&operation.framework, &operation.id) {
            if self.named(framework, id) == Some(*uuid) {
                self.names.remove(&(framework.clone(), id.clone()));
            }
        }
        Some(operation)
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert_eq!(self.by_agent.key_values().count(), self.in_flight.len());
        for (uuid, operation) in self.in_flight.iter() {
            assert!(self.by_agent.of(&operation.agent).any(|it| it == uuid));
            assert!(operation.settled.as_ref().is_none_or(|it| it.state.is_terminal()));
        }
        for ((framework, name), uuid) in &self.names {
            let operation = self.get(uuid).expect("a name is of an operation");
            assert_eq!(
                (operation.framework.as_ref(), operation.id.as_ref()),
                (Some(framework), Some(name))
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{reserve, reserved};
    use uuid::Uuid;

    fn uuid(number: u128) -> OperationUuid {
        OperationUuid(Uuid::from_u128(number))
    }

    fn framework() -> FrameworkId {
        FrameworkId::made("f".to_owned())
    }

    fn operation(agent: &str, id: Option<&str>) -> InFlight {
        InFlight {
            framework: Some(framework()),
            id: id.map(str::to_owned),
            agent: AgentId::made(agent.to_owned()),
            action: reserve(&[reserved(10)]),
            request: Some(RequestId(1)),
            settled: None,
        }
    }

    #[test]
    fn operations_are_found_by_agent_and_name_until_they_are_forgotten() {
        let mut operations = Operations::default();
        operations.put(uuid(1), operation("a", Some("x")));
        operations.put(uuid(2), operation("a", None));
        operations.put(uuid(3), operation("b", Some("y")));
        let a = AgentId::made("a".to_owned());
        assert_eq!(operations.of_agent(&a).count(), 2);
        assert_eq!(operations.named(&framework(), "x"), Some(uuid(1)));
        assert_eq!(operations.names_of(&framework()).count(), 2);
        assert_eq!(operations.take_requests_of(&a).len(), 2);
        assert_eq!(operations.requests().count(), 1);
        assert!(operations.forget(&uuid(1)).is_some() && operations.forget(&uuid(1)).is_none());
        assert_eq!(operations.named(&framework(), "x"), None);
        operations.check();
    }

    #[test]
    fn of_two_with_one_name_the_known_or_the_newest_bears_it() {
        let mut operations = Operations::default();
        operations.put(uuid(1), operation("a", Some("x")));
        operations.learn(uuid(2), operation("b", Some("x")));
        assert_eq!(operations.named(&framework(), "x"), Some(uuid(1)));
        operations.put(uuid(3), operation("a", Some("x")));
        assert_eq!(operations.named(&framework(), "x"), Some(uuid(3)));
        operations.forget(&uuid(1));
        assert_eq!(operations.named(&framework(), "x"), Some(uuid(3)));
        operations.check();
    }

    #[test]
    fn an_outcome_is_news_once() {
        let mut operations = Operations::default();
        operations.put(uuid(1), operation("a", Some("x")));
        let dropped = |it: &InFlight| {
            it.outcome(OperationState::Dropped, None, Some(dropped_status(&uuid(1))))
        };
        let status = dropped(operations.at(&uuid(1)));
        assert!(
            operations.settle(&uuid(1), status.clone()) && !operations.settle(&uuid(1), status)
        );
        assert!(operations.at(&uuid(1)).was_dropped(&uuid(1)));
        operations.unsettle(&uuid(1));
        assert!(!operations.at(&uuid(1)).was_dropped(&uuid(1)));
        operations.check();
    }
}
