//! Offers, as each framework understands them.
//!
//! Relies on the agent's description as received for attributes, domain and address. Never shows allocations or stacks of
//! reservations to frameworks that do not know them (A52, A59). The claims behind an offer have no place in this API and are left out.

use core::net::IpAddr;

use holdfast_proto::mesos::v1;

use super::field::{
    agent_id, agent_id_out, each, executor_id, executor_id_out, framework_id, framework_id_out,
    offer_id, offer_id_out, Place,
};
use super::machine::AGENT_PORT;
use super::maintenance::{unavailability_from_proto, unavailability_to_proto};
use super::resource::{sum_from_proto, sum_to_proto, Format};
use super::rest;
use crate::message::{InverseOffer, Offer};
use crate::resources::Resources;
use crate::role::Role;
use crate::validate::Invalid;

/// Writes an offer for a framework of this format.
pub fn to_proto(offer: &Offer, format: Format) -> v1::Offer {
    let machine: v1::AgentInfo = rest::unpack(&offer.machine);
    let role = offer.role.as_str().to_owned();
    let address = v1::Address {
        hostname: Some(offer.hostname.clone()),
        ip: offer.hostname.parse::<IpAddr>().ok().map(|it| it.to_string()),
        port: machine.port.unwrap_or(i32::from(AGENT_PORT)),
    };
    v1::Offer {
        id: offer_id_out(&offer.id),
        framework_id: framework_id_out(&offer.framework),
        agent_id: agent_id_out(&offer.agent),
        hostname: offer.hostname.clone(),
        url: Some(v1::Url {
            scheme: "http".to_owned(),
            address,
            path: Some("/slave(1)".to_owned()),
            query: Vec::new(),
            fragment: None,
        }),
        domain: machine.domain,
        resources: sum_to_proto(&offer.resources, format),
        attributes: machine.attributes,
        executor_ids: offer.executors.iter().map(executor_id_out).collect(),
        unavailability: offer.unavailability.map(unavailability_to_proto),
        allocation_info: format
            .allocation
            .then_some(v1::resource::AllocationInfo { role: Some(role) }),
    }
}

/// Writes an inverse offer. It names no resources: it concerns all that the framework has there.
pub fn inverse_to_proto(offer: &InverseOffer) -> v1::InverseOffer {
    v1::InverseOffer {
        id: offer_id_out(&offer.id),
        url: None,
        framework_id: framework_id_out(&offer.framework),
        agent_id: Some(agent_id_out(&offer.agent)),
        unavailability: unavailability_to_proto(offer.unavailability),
        resources: Vec::new(),
    }
}

/// Reads an offer made to a framework that has `role` when the offer does not say it (it has only one role then).
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn from_proto(wire: v1::Offer, role: &Role) -> Result<Offer, Invalid> {
    let given = wire.allocation_info.and_then(|it| it.role);
    let role =
        given.map_or_else(|| Ok(role.clone()), |it| Role::parse(&it)).at("allocation_info.role")?;
    let resources = sum_from_proto("resources", wire.resources)?;
    let resources: Resources = resources
        .iter()
        .map(|it| if it.identity.allocation.is_some() { it } else { it.allocated_to(&role) })
        .collect();
    let machine = v1::AgentInfo {
        hostname: wire.hostname.clone(),
        port: Some(wire.url.map_or(i32::from(AGENT_PORT), |it| it.address.port)),
        attributes: wire.attributes,
        domain: wire.domain,
        ..v1::AgentInfo::default()
    };
    Ok(Offer {
        id: offer_id(&wire.id).at("id")?,
        framework: framework_id(&wire.framework_id)?,
        role,
        agent: agent_id(&wire.agent_id)?,
        resources,
        executors: each("executor_ids", wire.executor_ids, |it| executor_id(&it))?,
        hostname: wire.hostname,
        machine: rest::pack(&machine),
        claims: Vec::new(),
        unavailability: wire.unavailability.map(unavailability_from_proto),
    })
}
