//! What masters say to frameworks, read: for those who are frameworks themselves.
//!
//! Relies on knowing the framework's role, which offers to frameworks with one role do not say. Never fails on what is new: a client
//! must ignore events that it does not know (H24).

use holdfast_proto::mesos::v1;
use v1::scheduler::event::Type;
use v1::scheduler::Event as Wire;

use crate::convert::field::{
    agent_id, each, executor_id, framework_id, offer_id, part, some_agent, Place,
};
use crate::convert::{offer, operation_status, status};
use crate::message::Event;
use crate::role::Role;
use crate::validate::Invalid;

/// Reads an event; `None` for heartbeats, inverse offers, and types that we do not know.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn event_from_proto(wire: Wire, role: &Role) -> Result<Option<Event>, Invalid> {
    let event = match wire.r#type.map(Type::try_from) {
        Some(Ok(Type::Subscribed)) => {
            let it = part("SUBSCRIBED", "subscribed", wire.subscribed)?;
            Event::Subscribed(framework_id(&it.framework_id).under("subscribed")?)
        }
        Some(Ok(Type::Offers)) => {
            let it = part("OFFERS", "offers", wire.offers)?;
            Event::Offers(each("offers.offers", it.offers, |it| offer::from_proto(it, role))?)
        }
        Some(Ok(Type::Rescind)) => {
            let it = part("RESCIND", "rescind", wire.rescind)?;
            Event::Rescind(offer_id(&it.offer_id).under("rescind")?)
        }
        Some(Ok(Type::Update)) => {
            let it = part("UPDATE", "update", wire.update)?;
            Event::Update(status::from_proto(it.status).under("update.status")?)
        }
        Some(Ok(Type::UpdateOperationStatus)) => {
            let it = part(
                "UPDATE_OPERATION_STATUS",
                "update_operation_status",
                wire.update_operation_status,
            )?;
            Event::UpdateOperation(
                operation_status::from_proto(it.status).under("update_operation_status.status")?,
            )
        }
        Some(Ok(Type::Message)) => {
            let it = part("MESSAGE", "message", wire.message)?;
            Event::Message(
                agent_id(&it.agent_id).under("message")?,
                executor_id(&it.executor_id).under("message")?,
                it.data,
            )
        }
        Some(Ok(Type::Failure)) => {
            let it = part("FAILURE", "failure", wire.failure)?;
            let executor =
                it.executor_id.map(|it| executor_id(&it)).transpose().under("failure")?;
            Event::Failure {
                agent: some_agent(it.agent_id).under("failure")?,
                executor,
                status: it.status,
            }
        }
        Some(Ok(Type::Error)) => Event::Error(part("ERROR", "error", wire.error)?.message),
        _ => return Ok(None),
    };
    Ok(Some(event))
}
