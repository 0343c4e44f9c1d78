//! Messages between masters and agents.

use holdfast_model::convert::link;
use holdfast_proto::binary;
use holdfast_proto::holdfast::v1;

pub(super) fn to_agent(input: &[u8]) {
    let Ok(message) = binary::decode::<v1::ToAgent>(input) else { return };
    drop(link::to_agent_from_proto(message));
}

pub(super) fn to_master(input: &[u8]) {
    let Ok(message) = binary::decode::<v1::FromAgent>(input) else { return };
    drop(link::to_master_from_proto(message));
}
