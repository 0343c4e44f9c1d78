//! GET_OPERATIONS: operations that are not settled or not acknowledged.
//!
//! Relies on a published view; never shows an outcome that is not durable.

use holdfast_master::InFlight;
use holdfast_model::convert::{operation, operation_status, Format};
use holdfast_model::{
    Action, Operation, OperationState, OperationStatus, OperationUuid, Resources,
};
use holdfast_proto::mesos::v1::{self, master::response::GetOperations};

use super::{agent_id, framework_id};
use crate::MasterView;

/// Operations not yet settled or acknowledged.
pub fn operations(view: &MasterView) -> GetOperations {
    let all = view.operations().iter().map(|(uuid, it)| self::operation(*uuid, it));
    GetOperations { operations: all.collect() }
}

fn operation(uuid: OperationUuid, it: &InFlight) -> v1::Operation {
    let pending = OperationStatus {
        id: it.id.clone(),
        state: OperationState::Pending,
        message: None,
        converted: Resources::new(),
        uuid: None,
        agent: Some(it.agent.clone()),
    };
    let latest =
        operation_status::to_proto(it.settled.as_ref().unwrap_or(&pending), Format::ENDPOINT);
    let action = Operation { id: it.id.clone(), action: Action::Claim(it.action.clone()) };
    v1::Operation {
        framework_id: it.framework.as_ref().map(framework_id),
        agent_id: Some(agent_id(&it.agent)),
        info: operation::to_proto(&action, Format::ENDPOINT),
        statuses: vec![latest.clone()],
        latest_status: latest,
        uuid: v1::Uuid { value: uuid.0.as_bytes().to_vec() },
    }
}
