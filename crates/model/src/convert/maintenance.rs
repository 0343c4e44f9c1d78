//! Planned downtime as Mesos's messages have it.
//!
//! Refuses what Mesos refuses, in the words that its clients know. Whether a machine is down is not said there: an operator says it by
//! other calls.

use std::collections::BTreeSet;

use holdfast_proto::mesos::v1;
use v1::maintenance;

use super::field::each;
use crate::maintenance::{Machine, MachineId, Schedule, Unavailability, Window, MACHINES_MAX};
use crate::validate::Invalid;

/// The longest hostname, in bytes.
const HOSTNAME_BYTES_MAX: usize = 255;

/// Reads a schedule; no machine of it is down.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn schedule_from_proto(wire: maintenance::Schedule) -> Result<Vec<Window>, Invalid> {
    let windows = each("windows", wire.windows, window)?;
    let mut seen = BTreeSet::new();
    for (at, window) in windows.iter().enumerate() {
        for (place, Machine { id, .. }) in window.machines.iter().enumerate() {
            if !seen.insert(id.key()) {
                return Err(Invalid::new(
                    format!("windows[{at}].machine_ids[{place}]"),
                    format!("Machine '{id}' appears more than once in the schedule"),
                ));
            }
        }
    }
    if MACHINES_MAX < seen.len() {
        let why = format!("has more than {MACHINES_MAX} machines; plan fewer at a time");
        return Err(Invalid::new("windows", why));
    }
    Ok(windows)
}

fn window(wire: maintenance::Window) -> Result<Window, Invalid> {
    if wire.machine_ids.is_empty() {
        let why = "List of machines in the maintenance window is empty";
        return Err(Invalid::new("machine_ids", why));
    }
    let duration_ns = wire.unavailability.duration.map(|it| it.nanoseconds);
    if duration_ns.is_some_and(|it| it < 0) {
        let why = "Unavailability 'duration' is negative";
        return Err(Invalid::new("unavailability.duration", why));
    }
    let ids = each("machine_ids", wire.machine_ids, machine_id)?;
    Ok(Window {
        machines: ids.into_iter().map(|id| Machine { id, is_down: false }).collect(),
        unavailability: Unavailability {
            start_ns: wire.unavailability.start.nanoseconds,
            duration_ns,
        },
    })
}

/// Reads the machines that are to go down or come back: at least one, each once.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn machines_from_proto(wire: Vec<v1::MachineId>) -> Result<Vec<MachineId>, Invalid> {
    if wire.is_empty() {
        return Err(Invalid::new("machines", "List of machines is empty"));
    }
    let ids = each("machines", wire, machine_id)?;
    let mut seen = BTreeSet::new();
    for (at, id) in ids.iter().enumerate() {
        if !seen.insert(id.key()) {
            let why = format!("Machine '{id}' appears more than once in the list of machines");
            return Err(Invalid::new(format!("machines[{at}]"), why));
        }
    }
    Ok(ids)
}

fn machine_id(wire: v1::MachineId) -> Result<MachineId, Invalid> {
    let id =
        MachineId { hostname: wire.hostname.unwrap_or_default(), ip: wire.ip.unwrap_or_default() };
    if id.hostname.is_empty() && id.ip.is_empty() {
        return Err(Invalid::new("", "Both 'hostname' and 'ip' for a machine are empty"));
    }
    if HOSTNAME_BYTES_MAX < id.hostname.len() {
        let why = format!("is longer than {HOSTNAME_BYTES_MAX} bytes");
        return Err(Invalid::new("hostname", why));
    }
    if !id.ip.is_empty() && !is_ip(&id.ip) {
        return Err(Invalid::new("ip", format!("Failed to parse the IP '{}'", id.ip)));
    }
    Ok(id)
}

/// Whether that is an IPv4 address, which is all that Mesos takes.
fn is_ip(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_byte = |it: &&str| it.bytes().all(|it| it.is_ascii_digit()) && it.parse::<u8>().is_ok();
    parts.len() == 4 && parts.iter().all(is_byte)
}

/// Writes a schedule.
pub fn schedule_to_proto(schedule: &Schedule) -> maintenance::Schedule {
    let window = |it: &Window| maintenance::Window {
        machine_ids: it.machines.iter().map(|it| machine_id_to_proto(&it.id)).collect(),
        unavailability: unavailability_to_proto(it.unavailability),
    };
    maintenance::Schedule { windows: schedule.windows().iter().map(window).collect() }
}

/// Writes the name of a machine.
pub fn machine_id_to_proto(id: &MachineId) -> v1::MachineId {
    let some = |it: &String| Some(it.clone()).filter(|it| !it.is_empty());
    v1::MachineId { hostname: some(&id.hostname), ip: some(&id.ip) }
}

/// Writes when machines will be down.
pub fn unavailability_to_proto(it: Unavailability) -> v1::Unavailability {
    v1::Unavailability {
        start: v1::TimeInfo { nanoseconds: it.start_ns },
        duration: it.duration_ns.map(|nanoseconds| v1::DurationInfo { nanoseconds }),
    }
}

/// Reads when machines will be down.
pub fn unavailability_from_proto(wire: v1::Unavailability) -> Unavailability {
    Unavailability {
        start_ns: wire.start.nanoseconds,
        duration_ns: wire.duration.map(|it| it.nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_id(hostname: &str, ip: &str) -> v1::MachineId {
        v1::MachineId { hostname: Some(hostname.to_owned()), ip: Some(ip.to_owned()) }
    }

    fn wire_window(ids: &[v1::MachineId], duration: Option<i64>) -> maintenance::Window {
        let duration_ns = duration;
        let unavailability = unavailability_to_proto(Unavailability { start_ns: 7, duration_ns });
        maintenance::Window { machine_ids: ids.to_vec(), unavailability }
    }

    #[test]
    fn i7_a_schedule_is_what_mesos_takes() {
        let why = |windows: Vec<maintenance::Window>| {
            schedule_from_proto(maintenance::Schedule { windows }).unwrap_err().to_string()
        };
        let good = wire_window(&[wire_id("a", "10.0.0.1"), wire_id("", "10.0.0.2")], Some(5));
        let read = schedule_from_proto(maintenance::Schedule { windows: vec![good.clone()] });
        assert_eq!(schedule_to_proto(&Schedule::new(read.unwrap())).windows.len(), 1);
        for (windows, expected) in [
            (
                vec![wire_window(&[], None)],
                "windows[0].machine_ids: List of machines in the maintenance window is empty",
            ),
            (
                vec![wire_window(&[wire_id("a", "")], Some(-1))],
                "Unavailability 'duration' is negative",
            ),
            (
                vec![wire_window(&[wire_id("", "")], None)],
                "Both 'hostname' and 'ip' for a machine are empty",
            ),
            (
                vec![wire_window(&[wire_id("a", "10.0.0")], None)],
                "windows[0].machine_ids[0].ip: Failed to parse the IP '10.0.0'",
            ),
            (
                vec![good.clone(), wire_window(&[wire_id("A", "")], None)],
                "Machine 'A' appears more than once in the schedule",
            ),
        ] {
            let text = why(windows);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn machines_are_named_once_and_not_none_of_them() {
        let why = |ids: Vec<v1::MachineId>| machines_from_proto(ids).unwrap_err().to_string();
        assert_eq!(why(Vec::new()), "machines: List of machines is empty");
        let twice = why(vec![wire_id("a", ""), wire_id("a", "")]);
        assert!(twice.contains("appears more than once in the list of machines"), "{twice}");
    }
}
