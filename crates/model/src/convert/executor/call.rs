//! What executors say to their agent.
//!
//! Relies on the statuses' own rules. Never lets a status through that the executor could not have made (H27).

use holdfast_proto::mesos::v1;
use v1::executor::call::{Message, Subscribe, Type, Update};
use v1::executor::Call;

use crate::convert::field::{
    each, executor_id, executor_id_out, framework_id, framework_id_out, part, task_id, Place,
};
use crate::convert::limits::{check_size, STATUS_BYTES_MAX};
use crate::convert::resource::Format;
use crate::convert::{status, task};
use crate::id::{ExecutorId, FrameworkId};
use crate::message::ExecutorCall;
use crate::task::{StatusSource, TaskInfo, TaskState, TaskStatus};
use crate::validate::Invalid;

/// A call, and who it says it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFrom {
    /// The framework that the call names.
    pub framework: FrameworkId,
    /// The executor that the call names.
    pub executor: ExecutorId,
    /// What the executor says.
    pub call: ExecutorCall,
}

/// Reads a call; `None` when its type is unknown (answered with 501).
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn call_from_proto(wire: Call) -> Result<Option<CallFrom>, Invalid> {
    let executor = executor_id(&wire.executor_id)?;
    let framework = framework_id(&wire.framework_id)?;
    let read = |it: v1::TaskStatus| executors_status(it, &executor).under("status");
    let call = match wire.r#type.map(Type::try_from) {
        Some(Ok(Type::Subscribe)) => {
            let subscribe = part("SUBSCRIBE", "subscribe", wire.subscribe)?;
            subscribed(subscribe, &executor).under("subscribe")?
        }
        Some(Ok(Type::Update)) => ExecutorCall::Update(
            read(part("UPDATE", "update", wire.update)?.status).under("update")?,
        ),
        Some(Ok(Type::Message)) => {
            ExecutorCall::Message(part("MESSAGE", "message", wire.message)?.data)
        }
        Some(Ok(Type::Heartbeat)) => ExecutorCall::Heartbeat,
        None => return Err(Invalid::new("type", "is missing; say which call this is")),
        _ => return Ok(None),
    };
    Ok(Some(CallFrom { framework, executor, call }))
}

fn subscribed(subscribe: Subscribe, executor: &ExecutorId) -> Result<ExecutorCall, Invalid> {
    let tasks =
        each("unacknowledged_tasks", subscribe.unacknowledged_tasks, |it| task_id(&it.task_id))?;
    let updates = each("unacknowledged_updates", subscribe.unacknowledged_updates, |it| {
        executors_status(it.status, executor).under("status")
    })?;
    Ok(ExecutorCall::Subscribe { tasks, updates })
}

fn executors_status(wire: v1::TaskStatus, executor: &ExecutorId) -> Result<TaskStatus, Invalid> {
    check_size("", &wire, STATUS_BYTES_MAX)?;
    let status = status::from_proto(wire)?;
    if status.uuid.is_none() {
        return Err(Invalid::new("uuid", "is missing; an executor names each of its statuses"));
    }
    if status.source != Some(StatusSource::Executor) {
        return Err(Invalid::new("source", "must be SOURCE_EXECUTOR"));
    }
    if status.executor.as_ref().is_some_and(|it| it != executor) {
        return Err(Invalid::new(
            "executor_id",
            format!("is not `{executor}`, which sends it; leave it out"),
        ));
    }
    if status.state == TaskState::Staging {
        return Err(Invalid::new("state", "TASK_STAGING is said by the cluster, not by executors"));
    }
    Ok(status)
}

/// Writes a call. `given` are the descriptions of the unacknowledged tasks of a SUBSCRIBE, in which the API wants them whole.
pub fn call_to_proto(
    framework: &FrameworkId,
    executor: &ExecutorId,
    call: &ExecutorCall,
    given: &[TaskInfo],
) -> Call {
    let mut wire = Call {
        executor_id: executor_id_out(executor),
        framework_id: framework_id_out(framework),
        ..Call::default()
    };
    let update = |it: &TaskStatus| Update { status: status::to_proto(it) };
    let kind = match call {
        ExecutorCall::Subscribe { tasks, updates } => {
            let mut unacknowledged: Vec<v1::TaskInfo> = Vec::new();
            for id in tasks {
                unacknowledged.extend(
                    given
                        .iter()
                        .find(|it| it.id == *id)
                        .map(|it| task::to_proto(it, Format::WHOLE)),
                );
            }
            let unacknowledged_updates = updates.iter().map(update).collect();
            wire.subscribe =
                Some(Subscribe { unacknowledged_tasks: unacknowledged, unacknowledged_updates });
            Type::Subscribe
        }
        ExecutorCall::Update(status) => {
            wire.update = Some(update(status));
            Type::Update
        }
        ExecutorCall::Message(data) => {
            wire.message = Some(Message { data: data.clone() });
            Type::Message
        }
        ExecutorCall::Heartbeat => Type::Heartbeat,
    };
    wire.r#type = Some(kind.into());
    wire
}
