//! Planned downtime: which machines will be down, when, and which are down now.
//!
//! It is the masters' to remember, over every failover; an agent knows nothing of it. A machine is named by its hostname, whose case does not
//! matter, or by its IP address where no hostname is given; an agent is of a machine if its hostname is that name. Never concerns what is
//! claimed: whatever a machine's mode is, the claims on it stay as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How many machines a schedule may name.
pub const MACHINES_MAX: usize = 20_000;

/// From when on machines will be down, and for how long, in nanoseconds as Mesos has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailability {
    /// When it begins, since 1970.
    pub start_ns: i64,
    /// How long it lasts; `None` when that is not known.
    pub duration_ns: Option<i64>,
}

/// A machine as an operator names it; at least one of the two is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId {
    /// Its hostname, or empty.
    pub hostname: String,
    /// Its IP address, or empty.
    pub ip: String,
}

/// A machine of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// As an operator named it.
    pub id: MachineId,
    /// Whether it is down; else it is to be drained.
    pub is_down: bool,
}

/// Machines that will be down together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The machines.
    pub machines: Vec<Machine>,
    /// When they will be down.
    pub unavailability: Unavailability,
}

/// All windows, in the order in which they were given. A clone shares everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    windows: Arc<Vec<Window>>,
    /// Where each machine stands, by the key of its name: window, and place in it.
    places: Arc<BTreeMap<String, (usize, usize)>>,
}

/// How a hostname is looked up: names of hosts are the same in any case.
pub fn host_key(hostname: &str) -> String {
    hostname.to_ascii_lowercase()
}

impl MachineId {
    /// What the machine is looked up by.
    pub fn key(&self) -> String {
        host_key(if self.hostname.is_empty() { &self.ip } else { &self.hostname })
    }

    /// Whether both may be the same machine: what both name is the same.
    pub fn is_same(&self, other: &MachineId) -> bool {
        let is_ip_same = self.ip.is_empty() || other.ip.is_empty() || self.ip == other.ip;
        self.key() == other.key() && is_ip_same
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.hostname.as_str(), self.ip.as_str()) {
            (hostname, "") => f.write_str(hostname),
            ("", ip) => f.write_str(ip),
            (hostname, ip) => write!(f, "{hostname} ({ip})"),
        }
    }
}

impl Schedule {
    /// A schedule of these windows. Of machines of one name, the first one is found.
    pub fn new(windows: Vec<Window>) -> Schedule {
        let mut places = BTreeMap::new();
        for (at, window) in windows.iter().enumerate() {
            for (place, machine) in window.machines.iter().enumerate() {
                places.entry(machine.id.key()).or_insert((at, place));
            }
        }
        Schedule { windows: Arc::new(windows), places: Arc::new(places) }
    }

    /// The windows as they were given.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Every machine, with when it will be down.
    pub fn machines(&self) -> impl Iterator<Item = (&Machine, Unavailability)> {
        let of = |it: &'_ Window| it.unavailability;
        self.windows.iter().flat_map(move |it| it.machines.iter().map(move |m| (m, of(it))))
    }

    /// The machine that bears this name, and when it will be down.
    pub fn of_host(&self, hostname: &str) -> Option<(&Machine, Unavailability)> {
        if self.places.is_empty() {
            return None;
        }
        let (window, place) = *self.places.get(&host_key(hostname))?;
        let window = &self.windows[window];
        Some((&window.machines[place], window.unavailability))
    }

    /// The machine that an operator names.
    pub fn get(&self, id: &MachineId) -> Option<(&Machine, Unavailability)> {
        self.of_host(&id.key()).filter(|(it, _)| it.id.is_same(id))
    }

    /// The same, with these machines down.
    pub fn with_down(&self, ids: &[MachineId]) -> Schedule {
        let mut windows = self.windows.to_vec();
        for machine in windows.iter_mut().flat_map(|it| &mut it.machines) {
            machine.is_down |= ids.iter().any(|it| it.is_same(&machine.id));
        }
        Schedule::new(windows)
    }

    /// The same without these machines, and without windows that have no machine any more.
    pub fn without(&self, ids: &[MachineId]) -> Schedule {
        let mut windows = self.windows.to_vec();
        for window in &mut windows {
            window.machines.retain(|machine| !ids.iter().any(|it| it.is_same(&machine.id)));
        }
        windows.retain(|it| !it.machines.is_empty());
        Schedule::new(windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hostname: &str, ip: &str) -> MachineId {
        MachineId { hostname: hostname.to_owned(), ip: ip.to_owned() }
    }

    fn window(start_ns: i64, ids: &[MachineId]) -> Window {
        let machine = |id: &MachineId| Machine { id: id.clone(), is_down: false };
        let unavailability = Unavailability { start_ns, duration_ns: None };
        Window { machines: ids.iter().map(machine).collect(), unavailability }
    }

    #[test]
    fn a_machine_is_found_by_its_hostname_in_any_case_or_else_by_its_ip() {
        let schedule = Schedule::new(vec![
            window(1, &[id("Rack-1", "10.0.0.1")]),
            window(2, &[id("", "10.0.0.2")]),
        ]);
        let start = |host: &str| schedule.of_host(host).map(|it| it.1.start_ns);
        assert_eq!(
            (start("rack-1"), start("RACK-1"), start("10.0.0.2")),
            (Some(1), Some(1), Some(2))
        );
        assert_eq!((start("rack-2"), start("10.0.0.1")), (None, None));
        assert!(schedule.get(&id("rack-1", "")).is_some());
        assert!(
            schedule.get(&id("rack-1", "10.0.0.9")).is_none(),
            "another address is another machine"
        );
    }

    #[test]
    fn machines_go_down_and_leave_with_their_windows() {
        let (a, b) = (id("a", ""), id("b", ""));
        let schedule =
            Schedule::new(vec![window(1, &[a.clone(), b.clone()]), window(2, &[id("c", "")])]);
        let down = schedule.with_down(&[id("A", "")]);
        let is_down: Vec<bool> = down.machines().map(|(it, _)| it.is_down).collect();
        assert_eq!(is_down, [true, false, false]);
        let left = down.without(&[a, b]);
        assert_eq!((left.windows().len(), left.of_host("c").unwrap().1.start_ns), (1, 2));
        assert!(left.without(&[id("c", "")]).is_empty());
    }
}
