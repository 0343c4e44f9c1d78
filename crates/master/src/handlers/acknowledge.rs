//! ACKNOWLEDGE and ACKNOWLEDGE_OPERATION_STATUS: a framework has heard a status, and what is over may be forgotten.

use holdfast_model::{AgentId, FrameworkId, Order, StatusUuid, TaskKey};

use crate::flows::drain::check_drained;
use crate::flows::operations::settle;
use crate::flows::tasks::complete;
use crate::flows::telling::order;
use crate::parts::agents::Agents;
use crate::parts::operations::Operations;
use crate::{Belief, Step};

/// Passes on that a framework has heard a status of a task.
pub(crate) fn acknowledge(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    key: TaskKey,
    status: StatusUuid,
) {
    let acknowledgement = Order::AcknowledgeTask(key.0.clone(), key.1.clone(), status);
    order(step, &mut belief.agents, agent, acknowledgement);
    let done = belief.tasks.get(&key).is_some_and(|it| {
        let latest = it.latest.as_ref();
        it.agent == *agent
            && it.state.is_terminal()
            && latest.is_some_and(|it| it.uuid == Some(status) && it.state.is_terminal())
    });
    if done {
        complete(belief, &key);
        check_drained(step, belief, agent);
    }
}

/// A framework has heard how an operation ended. It may say so twice, or mean an older status.
pub(crate) fn acknowledge_operation(
    step: &mut Step,
    agents: &mut Agents,
    operations: &mut Operations,
    framework: &FrameworkId,
    id: &str,
    status: StatusUuid,
) {
    let Some(uuid) = operations.named(framework, id) else { return };
    let settled = operations.at(&uuid).settled.as_ref();
    if settled.is_some_and(|it| it.uuid == Some(status)) {
        settle(step, agents, operations, &uuid, status);
    }
}
