//! Strays: tasks of an agent whose names belong to tasks of other agents. They arise when an agent comes back to a master that never knew
//! its tasks, after their framework has used the names again. The task that was known first keeps the name; the stray is ended, what it
//! uses is counted until then, and its statuses are told to nobody, since they would be taken for the other's.

use holdfast_model::{AgentId, Order, Resources, TaskKey, TaskState, TaskStatus};

use crate::Master;

impl Master {
    /// Whether a task of that name, seen on `agent`, is not the one that bears the name.
    pub(crate) fn is_stray(&self, agent: &AgentId, key: &TaskKey) -> bool {
        self.tasks.get(key).is_some_and(|it| it.agent != *agent)
    }

    /// An agent reports a stray.
    pub(crate) fn adopt_stray(
        &mut self,
        agent: &AgentId,
        key: &TaskKey,
        resources: &Resources,
        state: TaskState,
    ) {
        if state.is_terminal() {
            return; // Its statuses are acknowledged as they come.
        }
        self.log(format!(
            "task `{}` of framework {} runs on another agent too; the one on {agent} is ended",
            key.1, key.0
        ));
        let Some(known) = self.agents.get_mut(agent) else { return };
        let bare = resources.unallocated();
        known.held.add_all(&bare);
        known.strays.insert(key.clone(), bare);
        self.order(
            agent,
            Order::Kill { framework: key.0.clone(), task: key.1.clone(), grace_ms: None },
        );
    }

    pub(crate) fn stray_updated(
        &mut self,
        agent: &AgentId,
        key: TaskKey,
        status: &TaskStatus,
        latest: TaskState,
    ) {
        if latest.is_terminal() {
            if let Some(state) = self.agents.get_mut(agent) {
                if let Some(resources) = state.strays.remove(&key) {
                    state.held.subtract_all(&resources);
                }
            }
            self.touch(agent);
        }
        if let Some(uuid) = status.uuid {
            self.order(agent, Order::AcknowledgeTask(key.0, key.1, uuid));
        }
    }
}
