//! Tasks that have not ended or not been acknowledged, by name, whose order is that of their frameworks, and by agent; kills that wait for an agent; and, for people, the newest of
//! those that are over.
//!
//! A task belongs to one agent as long as its name is known. Never counts what a task holds; see [`crate::flows::bookkeeping`].

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use holdfast_model::{
    AgentId, ExecutorId, FrameworkId, OpaquePayload, Resources, SharedIndex, SharedMap, TaskId,
    TaskKey, TaskState, TaskStatus,
};

use super::past_statuses::PastStatuses;

/// How many tasks that have ended and been acknowledged are kept, for people.
pub(crate) const COMPLETED_TASKS_MAX: usize = 1000;

/// What the master believes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub id: TaskId,
    /// For people.
    pub name: String,
    /// Where.
    pub agent: AgentId,
    /// In which executor.
    pub executor: ExecutorId,
    /// What it uses, allocated.
    pub resources: Resources,
    /// The newest state.
    pub state: TaskState,
    /// The newest status that was sent or could have been.
    pub latest: Option<TaskStatus>,
    /// What it was before.
    pub past: PastStatuses,
    /// The whole description, as received.
    pub payload: OpaquePayload,
}

impl TaskView {
    /// Its name.
    pub fn key(&self) -> TaskKey {
        (self.framework.clone(), self.id.clone())
    }

    /// Whether what it uses is counted as held: it lives, and its agent can be reached.
    pub fn holds(&self) -> bool {
        !self.state.is_terminal() && self.state != TaskState::Unreachable
    }
}

/// The tasks as readers see them. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskRows {
    known: SharedMap<TaskKey, TaskView>,
    by_agent: SharedIndex<AgentId, TaskKey>,
    /// Those that are over, by the order in which they were forgotten.
    completed: SharedMap<u64, TaskView>,
}

/// All tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    rows: TaskRows,
    /// The place of the next task that is over.
    next_completed: u64,
    /// Kills asked for while the agent was away, with their grace in milliseconds.
    kills: BTreeMap<TaskKey, Option<u64>>,
}

impl Deref for Tasks {
    type Target = TaskRows;

    fn deref(&self) -> &TaskRows {
        &self.rows
    }
}

impl TaskRows {
    pub(crate) fn known(&self) -> &SharedMap<TaskKey, TaskView> {
        &self.known
    }

    /// Those that are over, the newest last.
    pub(crate) fn completed(&self) -> impl Iterator<Item = &TaskView> {
        self.completed.values()
    }

    /// A task that a peer or an operator names; it may be unknown.
    pub(crate) fn get(&self, key: &TaskKey) -> Option<&TaskView> {
        self.known.get(key)
    }

    /// The tasks on an agent.
    pub(crate) fn of_agent<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a TaskView> {
        self.by_agent.of(agent).map(|key| self.indexed(key))
    }

    /// The tasks of a framework.
    pub(crate) fn of_framework<'a>(
        &'a self,
        framework: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a TaskView> {
        // They stand together, since keys begin with the framework.
        let first = (framework.clone(), TaskId::made(String::new()));
        let from = self.known.range_from(&first);
        from.take_while(move |(key, _)| key.0 == *framework).map(|(_, task)| task)
    }

    /// The tasks of a framework on an agent.
    pub(crate) fn of_both<'a>(
        &'a self,
        framework: &'a FrameworkId,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = &'a TaskView> {
        self.of_agent(agent).filter(move |it| it.framework == *framework)
    }

    fn indexed(&self, key: &TaskKey) -> &TaskView {
        self.known
            .get(key)
            .unwrap_or_else(|| panic!("task {} of {} is in the index only", key.1, key.0))
    }

    /// Whether a task of that name, seen on `agent`, is not the one that bears the name.
    pub(crate) fn is_name_taken(&self, agent: &AgentId, key: &TaskKey) -> bool {
        self.get(key).is_some_and(|it| it.agent != *agent)
    }
}

impl Tasks {
    pub(crate) fn rows(&self) -> &TaskRows {
        &self.rows
    }

    /// Notes a task, or describes anew one that was known on the same agent.
    pub(crate) fn put(&mut self, mut task: TaskView) {
        let (key, agent) = (task.key(), task.agent.clone());
        if let Some(former) = self.rows.known.get(&key) {
            task.past = former.past.clone();
            if let (Some(former), Some(newest)) = (&former.latest, &task.latest) {
                task.past.superseded(former, newest);
            }
        }
        let former = self.rows.known.insert(key.clone(), task);
        let is_theirs = former.is_none_or(|it| it.agent == agent);
        assert!(is_theirs, "a task's name belongs to one agent");
        self.rows.by_agent.insert(&agent, key);
    }

    /// Notes a newer state of a task that is known.
    pub(crate) fn set_state(&mut self, key: &TaskKey, state: TaskState) {
        self.at_mut(key).state = state;
    }

    /// Notes a newer status of a task that is known.
    pub(crate) fn set_latest(&mut self, key: &TaskKey, latest: TaskStatus) {
        let task = self.at_mut(key);
        if let Some(former) = &task.latest {
            task.past.superseded(former, &latest);
        }
        task.latest = Some(latest);
    }

    fn at_mut(&mut self, key: &TaskKey) -> &mut TaskView {
        self.rows
            .known
            .get_mut(key)
            .unwrap_or_else(|| panic!("task {} of {} is known", key.1, key.0))
    }

    /// Forgets a task, except for people; returns its agent.
    pub(crate) fn retire(&mut self, key: &TaskKey) -> Option<AgentId> {
        let task = self.rows.known.remove(key)?;
        self.rows.by_agent.remove(&task.agent, key);
        self.kills.remove(key);
        let oldest = self.next_completed.checked_sub(COMPLETED_TASKS_MAX as u64);
        if let Some(oldest) = oldest {
            self.rows.completed.remove(&oldest);
        }
        let (agent, place) = (task.agent.clone(), self.next_completed);
        self.rows.completed.insert(place, Arc::unwrap_or_clone(task));
        self.next_completed += 1;
        Some(agent)
    }

    /// A task that is known is to be killed when its agent is back.
    pub(crate) fn kill_later(&mut self, key: TaskKey, grace_ms: Option<u64>) {
        if self.known.contains_key(&key) {
            self.kills.insert(key, grace_ms);
        }
    }

    /// The kills that wait for an agent, which is back.
    pub(crate) fn take_kills(&mut self, agent: &AgentId) -> Vec<(TaskKey, Option<u64>)> {
        let Tasks { rows, kills, .. } = self;
        if kills.is_empty() {
            return Vec::new();
        }
        let theirs = rows.by_agent.of(agent);
        theirs.filter_map(|key| Some((key.clone(), kills.remove(key)?))).collect()
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert_eq!(
            self.by_agent.key_values().count(),
            self.known.len(),
            "each task is at one agent"
        );
        for (key, task) in self.known.iter() {
            assert_eq!(*key, task.key());
            assert!(self.by_agent.of(&task.agent).any(|it| it == key));
            assert!(self.of_framework(&task.framework).any(|it| it.id == task.id));
        }
        assert!(
            self.kills.keys().all(|it| self.known.contains_key(it)),
            "only what is known is to be killed"
        );
        assert!(self.completed.len() <= COMPLETED_TASKS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::made(name.to_owned())
    }

    fn framework(name: &str) -> FrameworkId {
        FrameworkId::made(name.to_owned())
    }

    fn task(whose: &str, id: &str, at: &str) -> TaskView {
        TaskView {
            framework: framework(whose),
            id: TaskId::made(id.to_owned()),
            name: id.to_owned(),
            agent: agent(at),
            executor: ExecutorId::made("e".to_owned()),
            resources: Resources::new(),
            state: TaskState::Running,
            latest: None,
            past: PastStatuses::default(),
            payload: OpaquePayload::default(),
        }
    }

    fn several() -> Tasks {
        let mut tasks = Tasks::default();
        for (whose, id, at) in [("f", "1", "a"), ("f", "2", "b"), ("g", "1", "a"), ("g", "2", "a")]
        {
            tasks.put(task(whose, id, at));
        }
        tasks
    }

    #[test]
    fn tasks_are_found_by_agent_and_framework() {
        let tasks = several();
        let (g, a) = (framework("g"), agent("a"));
        assert_eq!(tasks.of_agent(&a).count(), 3);
        assert_eq!(tasks.of_framework(&g).count(), 2);
        assert_eq!(tasks.of_both(&framework("f"), &a).count(), 1);
        assert_eq!(tasks.of_both(&g, &agent("b")).count(), 0);
        tasks.check();
    }

    #[test]
    fn a_task_described_anew_is_one_task() {
        let mut tasks = several();
        tasks.put(TaskView { state: TaskState::Finished, ..task("f", "1", "a") });
        assert_eq!(tasks.known().len(), 4);
        let key = task("f", "1", "a").key();
        assert!(tasks.is_name_taken(&agent("b"), &key) && !tasks.is_name_taken(&agent("a"), &key));
        tasks.check();
    }

    #[test]
    fn a_kill_waits_for_its_agent_and_is_forgotten_with_its_task() {
        let mut tasks = several();
        let key = |whose, id| task(whose, id, "").key();
        tasks.kill_later(key("f", "1"), Some(5));
        tasks.kill_later(key("f", "2"), None);
        tasks.kill_later(key("g", "1"), None);
        tasks.kill_later(key("g", "9"), None); // Nobody knows it.
        assert_eq!(tasks.retire(&key("g", "1")), Some(agent("a")));
        assert_eq!(tasks.retire(&key("g", "1")), None);
        tasks.check();
        assert_eq!(tasks.take_kills(&agent("a")), [(key("f", "1"), Some(5))]);
        assert!(tasks.take_kills(&agent("a")).is_empty());
        assert_eq!(tasks.completed().count(), 1);
    }

    #[test]
    fn only_the_newest_completed_tasks_are_kept() {
        let mut tasks = Tasks::default();
        for number in 0..COMPLETED_TASKS_MAX + 2 {
            let it = task("f", &number.to_string(), "a");
            tasks.put(it.clone());
            tasks.retire(&it.key());
        }
        let oldest = tasks.completed().next().map(|it| it.id.to_string());
        assert_eq!(
            (tasks.completed().count(), oldest),
            (COMPLETED_TASKS_MAX, Some("2".to_owned()))
        );
        tasks.check();
    }
}
