//! KILL: a task is to end.

use holdfast_model::{AgentId, TaskKey};

use super::reconcile::reconcile;
use crate::flows::tasks::order_kill;
use crate::{Belief, Step};

/// Kills a task, now or when its agent is back. Of one that nobody knows, its framework is told how it is.
pub(crate) fn kill(
    step: &mut Step,
    belief: &mut Belief,
    key: TaskKey,
    agent: Option<AgentId>,
    grace_ms: Option<u64>,
) {
    if belief.tasks.get(&key).is_none() {
        let (framework, task) = key;
        return reconcile(step, belief, &framework, vec![(task, agent)]);
    }
    order_kill(step, &mut belief.agents, &mut belief.tasks, key, grace_ms);
}
