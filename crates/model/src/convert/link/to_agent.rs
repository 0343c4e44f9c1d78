//! What masters order agents to do.
//!
//! Relies on the conversions of operations and framework descriptions. Never yields an order without its term.

use holdfast_proto::holdfast::v1 as wire;
use wire::to_agent::Message;

use crate::convert::field::{each, needed, some, Place};
use crate::convert::resource::Format;
use crate::convert::{framework, operation};
use crate::id::{
    AgentId, ClusterId, ExecutorId, FrameworkId, OperationUuid, StatusUuid, TaskId, Term,
};
use crate::message::{NamedOperation, Order, ToAgent};
use crate::role::Role;
use crate::validate::Invalid;

/// Writes an order.
pub fn to_agent_to_proto(it: &ToAgent) -> wire::ToAgent {
    let message = match &it.order {
        Order::Registered(agent, cluster) => Message::Registered(wire::Registered {
            agent_id: agent.to_string(),
            cluster_uuid: cluster.to_string(),
        }),
        Order::Refused(reason) => Message::Refused(wire::Refused { reason: reason.clone() }),
        Order::Apply { framework, role, by, operations } => Message::Apply(wire::Apply {
            framework: framework.as_ref().map(|it| framework::to_proto(it)),
            operations: operations.iter().map(named_out).collect(),
            role: role.as_ref().map(ToString::to_string).unwrap_or_default(),
            by: by.clone(),
        }),
        Order::Kill { framework, task, grace_ms } => Message::Kill(wire::Kill {
            framework_id: framework.to_string(),
            task_id: task.to_string(),
            grace_ms: *grace_ms,
        }),
        Order::ShutdownExecutor(framework, executor) => {
            Message::ShutdownExecutor(wire::ShutdownExecutor {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
            })
        }
        Order::ShutdownFramework(framework) => {
            Message::ShutdownFramework(wire::ShutdownFramework {
                framework_id: framework.to_string(),
            })
        }
        Order::AcknowledgeTask(framework, task, status) => {
            Message::AcknowledgeTask(wire::AcknowledgeTask {
                framework_id: framework.to_string(),
                task_id: task.to_string(),
                status_uuid: status.to_string(),
            })
        }
        Order::AcknowledgeOperation(uuid, status) => {
            Message::AcknowledgeOperation(wire::AcknowledgeOperation {
                uuid: uuid.to_string(),
                status_uuid: status.to_string(),
            })
        }
        Order::ExecutorMessage(framework, executor, data) => {
            Message::ExecutorMessage(wire::ExecutorMessage {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
                data: data.clone(),
            })
        }
        Order::Ping(number) => Message::Ping(wire::Ping { number: *number }),
        Order::Resync => Message::Resync(wire::Resync {}),
    };
    wire::ToAgent { term: it.term.0, message: Some(message) }
}

/// Reads an order.
///
/// # Errors
/// [`Invalid`] naming the field; an order of a kind that we do not know is one without `message`.
pub fn to_agent_from_proto(wire: wire::ToAgent) -> Result<ToAgent, Invalid> {
    let order = match needed("message", wire.message)? {
        Message::Registered(it) => Order::Registered(
            AgentId::parse(&it.agent_id).under("registered")?,
            ClusterId::parse(&it.cluster_uuid).at("registered.cluster_uuid")?,
        ),
        Message::Refused(it) => Order::Refused(it.reason),
        Message::Apply(it) => apply(it).under("apply")?,
        Message::Kill(it) => Order::Kill {
            framework: FrameworkId::parse(&it.framework_id).under("kill")?,
            task: TaskId::parse(&it.task_id).under("kill")?,
            grace_ms: it.grace_ms,
        },
        Message::ShutdownExecutor(it) => {
            let framework = FrameworkId::parse(&it.framework_id).under("shutdown_executor")?;
            Order::ShutdownExecutor(
                framework,
                ExecutorId::parse(&it.executor_id).under("shutdown_executor")?,
            )
        }
        Message::ShutdownFramework(it) => Order::ShutdownFramework(
            FrameworkId::parse(&it.framework_id).under("shutdown_framework")?,
        ),
        Message::AcknowledgeTask(it) => Order::AcknowledgeTask(
            FrameworkId::parse(&it.framework_id).under("acknowledge_task")?,
            TaskId::parse(&it.task_id).under("acknowledge_task")?,
            StatusUuid::parse(&it.status_uuid).at("acknowledge_task.status_uuid")?,
        ),
        Message::AcknowledgeOperation(it) => Order::AcknowledgeOperation(
            OperationUuid::parse(&it.uuid).at("acknowledge_operation.uuid")?,
            StatusUuid::parse(&it.status_uuid).at("acknowledge_operation.status_uuid")?,
        ),
        Message::ExecutorMessage(it) => {
            let framework = FrameworkId::parse(&it.framework_id).under("executor_message")?;
            Order::ExecutorMessage(
                framework,
                ExecutorId::parse(&it.executor_id).under("executor_message")?,
                it.data,
            )
        }
        Message::Ping(it) => Order::Ping(it.number),
        Message::Resync(_) => Order::Resync,
    };
    Ok(ToAgent { term: Term(wire.term), order })
}

fn apply(it: wire::Apply) -> Result<Order, Invalid> {
    Ok(Order::Apply {
        framework: it
            .framework
            .map(|it| framework::from_proto(it).under("framework"))
            .transpose()?
            .map(Box::new),
        role: some("role", &it.role, Role::parse)?,
        by: it.by,
        operations: each("operations", it.operations, named_in)?,
    })
}

fn named_out(it: &NamedOperation) -> wire::NamedOperation {
    wire::NamedOperation {
        uuid: it.uuid.to_string(),
        operation: Some(operation::to_proto(&it.operation, Format::WHOLE)),
    }
}

fn named_in(it: wire::NamedOperation) -> Result<NamedOperation, Invalid> {
    Ok(NamedOperation {
        uuid: OperationUuid::parse(&it.uuid).at("uuid")?,
        operation: needed("operation", it.operation)
            .and_then(|it| operation::from_proto(it).under("operation"))?,
    })
}
