//! RECONCILE and RECONCILE_OPERATIONS: a framework compares what it believes with what is.
//! Where the truth may still come from an agent, the answer is silence rather than a guess.

use holdfast_model::{
    AgentId, Event, FrameworkId, Instant, OperationState, OperationStatus, Presence, Resources,
    TaskId, TaskState, TaskStatus,
};

use crate::state::{AgentHealth, TaskView};
use crate::Master;

impl Master {
    pub(crate) fn reconcile(
        &mut self,
        now: Instant,
        framework: &FrameworkId,
        tasks: Vec<(TaskId, Option<AgentId>)>,
    ) {
        let answers: Vec<TaskStatus> = if tasks.is_empty() {
            let live = self
                .tasks
                .values()
                .filter(|it| it.framework == *framework && !it.state.is_terminal());
            live.map(|task| status_of(now, task)).collect()
        } else {
            tasks
                .iter()
                .filter_map(|(task, agent)| {
                    self.reconcile_one(now, framework, task, agent.as_ref())
                })
                .collect()
        };
        for status in answers {
            self.tell(framework, Event::Update(status));
        }
    }

    fn reconcile_one(
        &self,
        now: Instant,
        framework: &FrameworkId,
        task: &TaskId,
        agent: Option<&AgentId>,
    ) -> Option<TaskStatus> {
        if let Some(task) = self.tasks.get(&(framework.clone(), task.clone())) {
            return Some(status_of(now, task));
        }
        let answer = |state, why: &str| {
            let status = Master::own_status(task, state, now, why);
            Some(agent.into_iter().fold(status, |status, agent| status.at_agent(agent)))
        };
        let Some(agent) = agent else {
            return if self.is_any_recovering() {
                None
            } else {
                answer(TaskState::Unknown, "no agent knows this task")
            };
        };
        let record = self.ledger.agents.get(agent);
        let health = self.agents.get(agent).map(|it| &it.health);
        match (record.map(|it| it.presence), health) {
            (Some(Presence::Gone), _) => {
                answer(TaskState::GoneByOperator, "its agent was declared gone")
            }
            (Some(Presence::Unreachable), _) => {
                let mut status = answer(TaskState::Unreachable, "its agent does not answer")?;
                status.unreachable = record.map(|it| it.since);
                Some(status)
            }
            (Some(Presence::Admitted), Some(AgentHealth::Well)) => {
                answer(TaskState::Gone, "its agent does not know this task")
            }
            (Some(Presence::Admitted), _) => None, // The agent may still say.
            (None, _) => answer(TaskState::Unknown, "there is no such agent"),
        }
    }

    pub(crate) fn reconcile_operations(
        &mut self,
        framework: &FrameworkId,
        operations: Vec<(String, Option<AgentId>)>,
    ) {
        let answers: Vec<OperationStatus> = if operations.is_empty() {
            let mine = self.operation_names.iter().filter(|((whose, _), _)| whose == framework);
            mine.map(|((_, id), uuid)| self.operation_status(id, uuid)).collect()
        } else {
            operations
                .iter()
                .map(|(id, agent)| self.reconcile_operation(framework, id, agent.as_ref()))
                .collect()
        };
        for status in answers {
            self.tell(framework, Event::UpdateOperation(status));
        }
    }

    fn operation_status(&self, id: &str, uuid: &holdfast_model::OperationUuid) -> OperationStatus {
        let in_flight = self.operations.get(uuid);
        let under_way =
            || bare(id, in_flight.map_or(OperationState::Unknown, |it| self.under_way(&it.agent)));
        let mut status = in_flight.and_then(|it| it.settled.clone()).unwrap_or_else(under_way);
        status.agent = in_flight.map(|it| it.agent.clone());
        OperationStatus { uuid: None, ..status } // Answers are not acknowledged.
    }

    /// The state of an operation that an agent was sent and has not settled.
    fn under_way(&self, agent: &AgentId) -> OperationState {
        match self.ledger.agents.get(agent).map(|it| it.presence) {
            Some(Presence::Gone) => OperationState::GoneByOperator,
            Some(Presence::Unreachable) => OperationState::Unreachable,
            _ if self.agents.get(agent).is_some_and(|it| it.heard) => OperationState::Pending,
            _ => OperationState::Recovering,
        }
    }

    /// Whether an agent may still come back to this leader with tasks and operations that it does not know.
    fn is_any_recovering(&self) -> bool {
        let expected = |id: &AgentId| {
            self.ledger.agents.get(id).is_some_and(|it| it.presence == Presence::Admitted)
        };
        self.agents.iter().any(|(id, it)| !it.heard && expected(id))
    }

    fn reconcile_operation(
        &self,
        framework: &FrameworkId,
        id: &str,
        agent: Option<&AgentId>,
    ) -> OperationStatus {
        if let Some(uuid) = self.operation_names.get(&(framework.clone(), id.to_owned())) {
            return self.operation_status(id, uuid);
        }
        let record = agent.and_then(|it| self.ledger.agents.get(it));
        let well =
            |id: &AgentId| self.agents.get(id).is_some_and(|it| it.health == AgentHealth::Well);
        let state = match record.map(|it| it.presence) {
            Some(Presence::Gone) => OperationState::GoneByOperator,
            Some(Presence::Unreachable) => OperationState::Unreachable,
            Some(Presence::Admitted) if agent.is_some_and(well) => OperationState::Unknown,
            Some(Presence::Admitted) => OperationState::Recovering,
            None if self.is_any_recovering() => OperationState::Recovering,
            None => OperationState::Unknown,
        };
        OperationStatus { agent: agent.cloned(), ..bare(id, state) }
    }
}

fn bare(id: &str, state: OperationState) -> OperationStatus {
    OperationStatus {
        id: Some(id.to_owned()),
        state,
        message: None,
        converted: Resources::new(),
        uuid: None,
        agent: None,
    }
}

/// The state of the update in flight, not of a later one that the framework has yet to hear.
pub(crate) fn status_of(now: Instant, task: &TaskView) -> TaskStatus {
    let state = match &task.latest {
        Some(latest) if task.state != TaskState::Unreachable => latest.state,
        _ => task.state,
    };
    let mut status =
        Master::own_status(&task.id, state, now, "latest task state").at_agent(&task.agent);
    status.executor = Some(task.executor.clone());
    status.healthy = task.latest.as_ref().and_then(|it| it.healthy);
    status.unreachable = task
        .latest
        .as_ref()
        .and_then(|it| it.unreachable)
        .filter(|_| state == TaskState::Unreachable);
    status
}
