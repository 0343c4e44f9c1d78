//! What masters say to frameworks.
//!
//! Relies on the framework's description for the format of resources. Never decides what a framework may know: the core has.

use holdfast_proto::mesos::v1;
use v1::scheduler::event::{self, Type};
use v1::scheduler::Event as Wire;

use crate::convert::field::{agent_id_out, executor_id_out, framework_id_out, offer_id_out};
use crate::convert::resource::Format;
use crate::convert::{offer, operation_status, status};
use crate::message::Event;

/// What a master adds to SUBSCRIBED.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Welcome {
    /// How often it will send a heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
    /// How the master describes itself.
    pub master: Option<v1::MasterInfo>,
}

/// Writes an event for a framework of this format ([`Format::of`]).
pub fn event_to_proto(event: &Event, format: Format, welcome: &Welcome) -> Wire {
    let mut wire = Wire::default();
    let kind = match event {
        Event::Subscribed(framework) => {
            wire.subscribed = Some(event::Subscribed {
                framework_id: framework_id_out(framework),
                heartbeat_interval_seconds: Some(welcome.heartbeat_ms as f64 / 1000.0),
                master_info: welcome.master.clone(),
            });
            Type::Subscribed
        }
        Event::Offers(offers) => {
            wire.offers = Some(event::Offers {
                offers: offers.iter().map(|it| offer::to_proto(it, format)).collect(),
            });
            Type::Offers
        }
        Event::Rescind(offer) => {
            wire.rescind = Some(event::Rescind { offer_id: offer_id_out(offer) });
            Type::Rescind
        }
        Event::InverseOffers(offers) => {
            wire.inverse_offers = Some(event::InverseOffers {
                inverse_offers: offers.iter().map(offer::inverse_to_proto).collect(),
            });
            Type::InverseOffers
        }
        Event::RescindInverse(offer) => {
            let inverse_offer_id = offer_id_out(offer);
            wire.rescind_inverse_offer = Some(event::RescindInverseOffer { inverse_offer_id });
            Type::RescindInverseOffer
        }
        Event::Update(it) => {
            wire.update = Some(event::Update { status: status::to_proto(it) });
            Type::Update
        }
        Event::UpdateOperation(it) => {
            wire.update_operation_status = Some(event::UpdateOperationStatus {
                status: operation_status::to_proto(it, format),
            });
            Type::UpdateOperationStatus
        }
        Event::Message(agent, executor, data) => {
            let (agent_id, executor_id) = (agent_id_out(agent), executor_id_out(executor));
            wire.message = Some(event::Message { agent_id, executor_id, data: data.clone() });
            Type::Message
        }
        Event::Failure { agent, executor, status } => {
            let (agent_id, executor_id) =
                (agent.as_ref().map(agent_id_out), executor.as_ref().map(executor_id_out));
            wire.failure = Some(event::Failure { agent_id, executor_id, status: *status });
            Type::Failure
        }
        Event::Error(message) => {
            wire.error = Some(event::Error { message: message.clone() });
            Type::Error
        }
    };
    wire.r#type = Some(kind.into());
    wire
}

/// The heartbeat that masters send to frameworks.
pub fn heartbeat() -> Wire {
    Wire { r#type: Some(Type::Heartbeat.into()), ..Wire::default() }
}
