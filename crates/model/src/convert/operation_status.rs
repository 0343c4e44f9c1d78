//! Statuses of operations.
//!
//! Relies on the conversion of resources. Never keeps a provider's id: there are no resource providers here.

use holdfast_proto::mesos::v1;

use super::field::{agent_id_out, some_agent, uuid_bytes};
use super::resource::{sum_from_proto, sum_to_proto, Format};
use crate::id::StatusUuid;
use crate::message::{OperationState, OperationStatus};
use crate::validate::Invalid;

/// Reads a status.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn from_proto(wire: v1::OperationStatus) -> Result<OperationStatus, Invalid> {
    Ok(OperationStatus {
        id: wire.operation_id.map(|it| it.value),
        state: operation_state(wire.state)?,
        message: wire.message,
        converted: sum_from_proto("converted_resources", wire.converted_resources)?,
        uuid: wire.uuid.map(|it| uuid_bytes("uuid.value", &it.value)).transpose()?.map(StatusUuid),
        agent: some_agent(wire.agent_id)?,
    })
}

/// Writes a status, with resources in this format.
pub fn to_proto(status: &OperationStatus, format: Format) -> v1::OperationStatus {
    v1::OperationStatus {
        operation_id: status.id.clone().map(|value| v1::OperationId { value }),
        state: status.state as i32,
        message: status.message.clone(),
        converted_resources: sum_to_proto(&status.converted, format),
        uuid: status.uuid.map(|it| v1::Uuid { value: it.0.as_bytes().to_vec() }),
        agent_id: status.agent.as_ref().map(agent_id_out),
        resource_provider_id: None,
    }
}

/// Reads a state from the wire's number.
pub(crate) fn operation_state(number: i32) -> Result<OperationState, Invalid> {
    OperationState::from_number(number)
        .ok_or_else(|| Invalid::new("state", format!("there is no operation state {number} here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_statuses_are_named() {
        let wire = v1::OperationStatus { state: 2, ..Default::default() };
        assert!(from_proto(wire.clone()).is_ok());
        for (bad, path) in [
            (v1::OperationStatus { state: 0, ..wire.clone() }, "state"),
            (
                v1::OperationStatus { uuid: Some(v1::Uuid { value: vec![1] }), ..wire.clone() },
                "uuid.value",
            ),
            (
                v1::OperationStatus { converted_resources: vec![v1::Resource::default()], ..wire },
                "converted_resources[0].scalar",
            ),
        ] {
            assert_eq!(from_proto(bad).unwrap_err().path, path);
        }
    }
}
