//! What is known of a task, at a master or at its agent, as the v1 API says it; the legacy pages say the same in their own form. What it uses
//! is left out, since each shows that in another one.
//!
//! Relies on published views; never decodes a payload on a core's thread.

use holdfast_master::{PastStatus, TaskView};
use holdfast_model::convert::status;
use holdfast_model::{ExecutorId, OpaquePayload, TaskId, TaskRecord, TaskStatus};
use holdfast_proto::binary;
use holdfast_proto::mesos::v1;

/// One task of a master's.
pub(crate) fn of_master(task: &TaskView) -> v1::Task {
    let newest = task.latest.iter().map(shown);
    let statuses = task.past.iter().map(|it| past(task, it)).chain(newest).collect();
    v1::Task {
        name: task.name.clone(),
        task_id: v1::TaskId { value: task.id.to_string() },
        framework_id: v1::FrameworkId { value: task.framework.to_string() },
        agent_id: v1::AgentId { value: task.agent.to_string() },
        state: task.state as i32,
        ..described((&task.executor, &task.id), statuses, task.latest.as_ref(), &task.payload)
    }
}

/// One task of an agent's.
pub(crate) fn of_agent(record: &TaskRecord) -> v1::Task {
    let mut seen: Vec<&TaskStatus> = Vec::new();
    for status in record.updates.iter().chain(&record.latest) {
        // As at a master, a state that is reported again replaces what was known of it.
        if seen.last().is_some_and(|it| it.state == status.state) {
            seen.pop();
        }
        seen.push(status);
    }
    let statuses = seen.into_iter().map(shown).collect();
    v1::Task {
        name: record.info.name.clone(),
        task_id: v1::TaskId { value: record.info.id.to_string() },
        framework_id: v1::FrameworkId { value: record.framework.to_string() },
        agent_id: v1::AgentId { value: record.info.agent.to_string() },
        state: record.state as i32,
        ..described(
            (&record.executor, &record.info.id),
            statuses,
            record.latest.as_ref(),
            &record.info.payload,
        )
    }
}

/// What its framework said of it when it launched it, and what was said of it since. As in Mesos, one that runs by a
/// command of its own has no executor here.
fn described(
    (executor, id): (&ExecutorId, &TaskId),
    statuses: Vec<v1::TaskStatus>,
    latest: Option<&TaskStatus>,
    payload: &OpaquePayload,
) -> v1::Task {
    let info = binary::decode::<v1::TaskInfo>(payload.bytes()).ok().unwrap_or_default();
    let is_command = info.executor.is_none() && executor.as_str() == id.as_str();
    let executor_id = (!is_command).then(|| v1::ExecutorId { value: executor.to_string() });
    let executors = info.executor.as_ref().and_then(|it| it.command.as_ref());
    let user = info.command.as_ref().and_then(|it| it.user.as_ref());
    let user = user.or_else(|| executors.and_then(|it| it.user.as_ref())).cloned();
    v1::Task {
        executor_id,
        statuses,
        status_update_state: latest.map(|it| it.state as i32),
        status_update_uuid: latest.and_then(|it| it.uuid).map(|it| it.0.as_bytes().to_vec()),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        health_check: info.health_check,
        kill_policy: info.kill_policy,
        limits: info.limits,
        user,
        ..Default::default()
    }
}

/// A status as lists show it: what an executor put into it for its framework is for nobody else.
fn shown(status: &TaskStatus) -> v1::TaskStatus {
    v1::TaskStatus { data: None, ..status::to_proto(status) }
}

fn past(task: &TaskView, past: &PastStatus) -> v1::TaskStatus {
    let status = TaskStatus::new(task.id.clone(), past.state, past.at).at_agent(&task.agent);
    status::to_proto(&TaskStatus { healthy: past.healthy, ..status })
}
