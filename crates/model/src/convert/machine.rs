//! Machines as agents describe them (`AgentInfo`).
//!
//! Name, port and resources are typed; attributes and domain are kept as received, together with name and port, so
//! that whoever holds only the received bytes can still say where the agent is. Never keeps the agent's id: the cluster gives it, not the machine.

use holdfast_proto::mesos::v1;

use super::resource::{sum_from_proto, sum_to_proto, Format};
use super::rest;
use crate::message::MachineInfo;
use crate::validate::Invalid;

/// The port of an agent that names none.
pub const AGENT_PORT: u16 = 5051;

/// Reads a machine's description.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn from_proto(mut wire: v1::AgentInfo) -> Result<MachineInfo, Invalid> {
    wire.id = None;
    let port = wire.port.unwrap_or(i32::from(AGENT_PORT));
    let port = u16::try_from(port)
        .map_err(|_| Invalid::new("port", format!("{port} is no port; give 1 to 65535")))?;
    let resources = sum_from_proto("resources", std::mem::take(&mut wire.resources))?;
    wire.port = Some(i32::from(port));
    Ok(MachineInfo { hostname: wire.hostname.clone(), port, resources, payload: rest::pack(&wire) })
}

/// Writes a machine's description, with its resources in this format.
pub fn to_proto(machine: &MachineInfo, format: Format) -> v1::AgentInfo {
    let mut wire: v1::AgentInfo = rest::unpack(&machine.payload);
    wire.hostname.clone_from(&machine.hostname);
    wire.port = Some(i32::from(machine.port));
    wire.resources = sum_to_proto(&machine.resources, format);
    wire.id = None;
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_port() {
        let wire = |port| v1::AgentInfo { hostname: "h".to_owned(), port, ..Default::default() };
        assert_eq!(from_proto(wire(None)).unwrap().port, 5051);
        for bad in [-1, 65_536] {
            assert_eq!(from_proto(wire(Some(bad))).unwrap_err().path, "port");
        }
    }

    proptest::proptest! {
        #[test]
        fn machines_come_back(machine in crate::convert::samples::machine()) {
            proptest::prop_assert_eq!(from_proto(to_proto(&machine, Format::WHOLE)), Ok(machine));
        }
    }
}
