//! What agents say to masters.
//!
//! Relies on [`super::report`] for the long one. Never fails to write; reading names the field.

use holdfast_proto::holdfast::v1 as wire;
use wire::from_agent::Message;

use super::{report_from_proto, report_to_proto};
use crate::convert::field::{each, needed, some, some_text, Place};
use crate::convert::ledger::{claim_ids, claim_in, claim_out};
use crate::convert::operation_status::operation_state;
use crate::convert::status::{self, task_state};
use crate::id::{ExecutorId, FrameworkId, OperationUuid, StatusUuid};
use crate::message::{OperationUpdate, ToMaster};
use crate::validate::Invalid;

/// Writes a message.
pub fn to_master_to_proto(message: &ToMaster) -> wire::FromAgent {
    let message = match message {
        ToMaster::Report(it) => Message::Report(report_to_proto(it)),
        ToMaster::TaskUpdate { framework, status, latest } => {
            Message::TaskUpdate(wire::TaskUpdate {
                framework_id: framework.to_string(),
                status: Some(status::to_proto(status)),
                latest_state: *latest as i32,
            })
        }
        ToMaster::OperationUpdate(it) => Message::OperationUpdate(operation_update_out(it)),
        ToMaster::ExecutorMessage(framework, executor, data) => {
            Message::ExecutorMessage(wire::ExecutorMessage {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
                data: data.clone(),
            })
        }
        ToMaster::ExecutorExited { framework, executor, status } => {
            Message::ExecutorExited(wire::ExecutorExited {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
                status: *status,
            })
        }
        ToMaster::Pong(number) => Message::Pong(wire::Pong { number: *number }),
    };
    wire::FromAgent { message: Some(message) }
}

/// Reads a message.
///
/// # Errors
/// [`Invalid`] naming the field; a message of a kind that we do not know is one without `message`.
pub fn to_master_from_proto(wire: wire::FromAgent) -> Result<ToMaster, Invalid> {
    Ok(match needed("message", wire.message)? {
        Message::Report(it) => ToMaster::Report(Box::new(report_from_proto(it).under("report")?)),
        Message::TaskUpdate(it) => task_update(it).under("task_update")?,
        Message::OperationUpdate(it) => {
            ToMaster::OperationUpdate(operation_update_in(it).under("operation_update")?)
        }
        Message::ExecutorMessage(it) => {
            let framework = FrameworkId::parse(&it.framework_id).under("executor_message")?;
            ToMaster::ExecutorMessage(
                framework,
                ExecutorId::parse(&it.executor_id).under("executor_message")?,
                it.data,
            )
        }
        Message::ExecutorExited(it) => ToMaster::ExecutorExited {
            framework: FrameworkId::parse(&it.framework_id).under("executor_exited")?,
            executor: ExecutorId::parse(&it.executor_id).under("executor_exited")?,
            status: it.status,
        },
        Message::Pong(it) => ToMaster::Pong(it.number),
    })
}

fn task_update(it: wire::TaskUpdate) -> Result<ToMaster, Invalid> {
    Ok(ToMaster::TaskUpdate {
        framework: FrameworkId::parse(&it.framework_id)?,
        status: needed("status", it.status)
            .and_then(|it| status::from_proto(it).under("status"))?,
        latest: task_state(it.latest_state).at("latest_state")?,
    })
}

fn operation_update_out(it: &OperationUpdate) -> wire::OperationUpdate {
    wire::OperationUpdate {
        uuid: it.uuid.to_string(),
        operation_id: it.id.clone().unwrap_or_default(),
        framework_id: it.framework.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: it.state as i32,
        message: it.message.clone().unwrap_or_default(),
        status_uuid: it.status.to_string(),
        ledger_version: it.ledger_version,
        claims: it.claims.iter().map(claim_out).collect(),
        ended_claims: it.ended.iter().map(ToString::to_string).collect(),
    }
}

fn operation_update_in(it: wire::OperationUpdate) -> Result<OperationUpdate, Invalid> {
    Ok(OperationUpdate {
        uuid: OperationUuid::parse(&it.uuid).at("uuid")?,
        id: some_text(it.operation_id),
        framework: some("framework_id", &it.framework_id, FrameworkId::parse)?,
        state: operation_state(it.state)?,
        message: some_text(it.message),
        status: StatusUuid::parse(&it.status_uuid).at("status_uuid")?,
        ledger_version: it.ledger_version,
        claims: each("claims", it.claims, claim_in)?,
        ended: claim_ids("ended_claims", &it.ended_claims)?,
    })
}
