//! Executors, tasks and operations, as they lie on disk and travel on the link between agent and master.
//!
//! Relies on the conversions of what frameworks sent. Never forgets an update that was not acknowledged.

use holdfast_proto::holdfast::ledger::v1 as ledger;

use crate::agent_ledger::{ExecutorRecord, OperationRecord, TaskRecord};
use crate::convert::executor::{info_from_proto, info_to_proto};
use crate::convert::field::{each, needed, some, some_text, Place};
use crate::convert::operation_status::operation_state;
use crate::convert::resource::Format;
use crate::convert::status::task_state;
use crate::convert::{operation, status, task};
use crate::id::{
    ClaimId, ContainerId, ExecutorId, FrameworkId, Instant, OperationUuid, StatusUuid,
};
use crate::role::Role;
use crate::task::OpaquePayload;
use crate::validate::Invalid;

/// Writes an executor.
pub(crate) fn executor_out(it: &ExecutorRecord) -> ledger::Executor {
    ledger::Executor {
        framework_id: it.framework.to_string(),
        info: Some(info_to_proto(&it.info, Format::WHOLE)),
        container_id: it.container.to_string(),
        command: it.command,
        registered: it.registered,
        launched_ms: it.launched.0,
        role: it.role.to_string(),
        bare: it.info.payload == OpaquePayload::default(),
    }
}

/// Reads an executor.
pub(crate) fn executor_in(wire: ledger::Executor) -> Result<ExecutorRecord, Invalid> {
    let mut info = needed("info", wire.info).and_then(|it| info_from_proto(it).under("info"))?;
    if wire.bare {
        info.payload = OpaquePayload::default();
    }
    Ok(ExecutorRecord {
        framework: FrameworkId::parse(&wire.framework_id)?,
        info,
        container: ContainerId::parse(&wire.container_id).at("container_id")?,
        command: wire.command,
        registered: wire.registered,
        launched: Instant(wire.launched_ms),
        role: Role::parse(&wire.role)?,
    })
}

/// Writes a task.
pub(crate) fn task_out(it: &TaskRecord) -> ledger::Task {
    ledger::Task {
        framework_id: it.framework.to_string(),
        info: Some(task::to_proto(&it.info, Format::WHOLE)),
        executor_id: it.executor.to_string(),
        state: it.state as i32,
        updates: it.updates.iter().map(status::to_proto).collect(),
        delivered: it.delivered,
        latest: it.latest.as_ref().map(status::to_proto),
        role: it.role.to_string(),
        group: it.group.clone().unwrap_or_default(),
        killed: it.killed,
        bare: it.info.payload == OpaquePayload::default(),
    }
}

/// Reads a task.
pub(crate) fn task_in(wire: ledger::Task) -> Result<TaskRecord, Invalid> {
    let mut info = needed("info", wire.info).and_then(|it| task::from_proto(it).under("info"))?;
    if wire.bare {
        info.payload = OpaquePayload::default();
        if let Some(executor) = &mut info.executor {
            executor.payload = OpaquePayload::default();
        }
    }
    Ok(TaskRecord {
        framework: FrameworkId::parse(&wire.framework_id)?,
        info,
        executor: ExecutorId::parse(&wire.executor_id)?,
        state: task_state(wire.state)?,
        latest: wire.latest.map(|it| status::from_proto(it).under("latest")).transpose()?,
        updates: each("updates", wire.updates, status::from_proto)?,
        delivered: wire.delivered,
        killed: wire.killed,
        role: Role::parse(&wire.role)?,
        group: some_text(wire.group),
    })
}

/// Writes an operation.
pub(crate) fn operation_out(it: &OperationRecord) -> ledger::Operation {
    ledger::Operation {
        uuid: it.uuid.to_string(),
        operation_id: it.operation.id.clone().unwrap_or_default(),
        framework_id: it.framework.as_ref().map(ToString::to_string).unwrap_or_default(),
        info: Some(operation::to_proto(&it.operation, Format::WHOLE)),
        state: it.state as i32,
        message: it.message.clone().unwrap_or_default(),
        status_uuid: it.status.map(|it| it.to_string()).unwrap_or_default(),
        claims: it.claims.iter().map(ToString::to_string).collect(),
    }
}

/// Reads an operation.
pub(crate) fn operation_in(wire: ledger::Operation) -> Result<OperationRecord, Invalid> {
    Ok(OperationRecord {
        uuid: OperationUuid::parse(&wire.uuid).at("uuid")?,
        framework: some("framework_id", &wire.framework_id, FrameworkId::parse)?,
        operation: needed("info", wire.info)
            .and_then(|it| operation::from_proto(it).under("info"))?,
        state: operation_state(wire.state)?,
        message: some_text(wire.message),
        status: some("status_uuid", &wire.status_uuid, StatusUuid::parse)?,
        claims: claim_ids("claims", &wire.claims)?,
    })
}

/// Reads names of claims.
pub(crate) fn claim_ids(field: &str, list: &[String]) -> Result<Vec<ClaimId>, Invalid> {
    list.iter()
        .enumerate()
        .map(|(index, it)| ClaimId::parse(it).at(format_args!("{field}[{index}]")))
        .collect()
}
