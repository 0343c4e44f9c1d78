//! Tasks move on, are acknowledged, killed and forgotten. The agent is the truth; the master passes it on.

use holdfast_model::{
    AgentId, Event, ExecutorId, FrameworkId, Instant, Order, Reason, StatusSource, StatusUuid,
    TaskId, TaskKey, TaskState, TaskStatus,
};

use crate::state::{TaskView, COMPLETED_TASKS_MAX};
use crate::Master;

impl Master {
    pub(crate) fn task_updated(
        &mut self,
        now: Instant,
        agent: &AgentId,
        framework: &FrameworkId,
        status: TaskStatus,
        latest: TaskState,
    ) {
        let key = (framework.clone(), status.task.clone());
        if self.is_stray(agent, &key) {
            return self.stray_updated(agent, key, &status, latest);
        }
        if let Some(task) = self.tasks.get_mut(&key) {
            task.latest = Some(status.clone());
            self.task_moved(&key, latest);
        }
        // Those are told by nobody's wish, or for nobody: the agent has forgotten the task, or may do so.
        let removed = self.is_removed(now, framework);
        if latest.is_terminal() && (removed || status.uuid.is_none()) {
            self.complete(&key);
        }
        match status.uuid {
            Some(uuid) if removed => {
                self.order(agent, Order::AcknowledgeTask(key.0, key.1, uuid));
            }
            _ => self.tell(framework, Event::Update(status)),
        }
    }

    /// Notes a state; what a task that ended held is free again.
    fn task_moved(&mut self, key: &TaskKey, state: TaskState) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.state.is_terminal() {
            return;
        }
        let held = task.holds();
        task.state = state;
        if held && !task.holds() {
            let (agent, resources) = (task.agent.clone(), task.resources.clone());
            self.release(&agent, &key.0, &resources);
        }
    }

    /// Forgets a task that has ended, or that never will; what it held is free.
    pub(crate) fn complete(&mut self, key: &TaskKey) {
        self.task_moved(key, TaskState::Killed);
        self.retire(key);
    }

    /// Forgets a task (except for people) whose holdings are counted no more.
    pub(crate) fn retire(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.remove(key) else { return };
        if let Some(state) = self.agents.get_mut(&task.agent) {
            state.tasks.remove(key);
            if state.asked.is_some() {
                state.forgotten.insert(key.clone());
            }
        }
        self.kills.remove(key);
        if COMPLETED_TASKS_MAX <= self.completed.len() {
            self.completed.pop_front();
        }
        self.completed.push_back(task);
    }

    pub(crate) fn acknowledge(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        task: &TaskId,
        status: StatusUuid,
    ) {
        self.order(agent, Order::AcknowledgeTask(framework.clone(), task.clone(), status));
        let key = (framework.clone(), task.clone());
        let done = self.tasks.get(&key).is_some_and(|it| {
            it.agent == *agent
                && it.state.is_terminal()
                && it
                    .latest
                    .as_ref()
                    .is_some_and(|it| it.uuid == Some(status) && it.state.is_terminal())
        });
        if done {
            self.complete(&key);
        }
    }

    pub(crate) fn kill(
        &mut self,
        now: Instant,
        framework: &FrameworkId,
        task: TaskId,
        agent: Option<AgentId>,
        grace_ms: Option<u64>,
    ) {
        let key = (framework.clone(), task.clone());
        let Some(view) = self.tasks.get(&key) else {
            return self.reconcile(now, framework, vec![(task, agent)]); // Whoever kills wants to know how it is.
        };
        let at = view.agent.clone();
        let order = Order::Kill { framework: framework.clone(), task, grace_ms };
        if !self.order(&at, order) {
            self.kills.insert(key, grace_ms); // Done when the agent is back.
        }
    }

    /// Kills that were asked for while the agent was away.
    pub(crate) fn order_kills(&mut self, agent: &AgentId) {
        let theirs = |key: &&TaskKey| self.tasks.get(*key).is_some_and(|it| it.agent == *agent);
        let keys: Vec<TaskKey> = self.kills.keys().filter(theirs).cloned().collect();
        for key in keys {
            let grace_ms = self.kills.remove(&key).flatten();
            self.order(agent, Order::Kill { framework: key.0, task: key.1, grace_ms });
        }
    }

    pub(crate) fn executor_exited(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        status: i32,
    ) {
        let key = (framework.clone(), executor.clone());
        if let Some(view) = self.agents.get_mut(agent).and_then(|it| it.executors.remove(&key)) {
            self.release(agent, framework, &view.resources);
        }
        let lives = |it: &TaskView| {
            it.agent == *agent && it.executor == *executor && !it.state.is_terminal()
        };
        let tasks = self
            .tasks
            .range((framework.clone(), TaskId::made(String::new()))..)
            .take_while(|(key, _)| key.0 == *framework);
        if tasks.into_iter().any(|(_, it)| lives(it)) {
            // They end with it, or it is another one of that name: the agent knows.
            self.resync(agent);
        }
        let event = Event::Failure {
            agent: Some(agent.clone()),
            executor: Some(executor.clone()),
            status: Some(status),
        };
        self.tell(framework, event);
    }

    /// A status that the master makes itself; it has no uuid and is not acknowledged.
    pub(crate) fn own_status(
        task: &TaskId,
        state: TaskState,
        now: Instant,
        why: &str,
    ) -> TaskStatus {
        TaskStatus::new(task.clone(), state, now).because(
            StatusSource::Master,
            Reason::Reconciliation,
            why,
        )
    }
}
