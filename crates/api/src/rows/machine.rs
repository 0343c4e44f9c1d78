//! Machines with planned downtime as the native API shows them, and what a change of the schedule would do.

use serde::{Deserialize, Serialize};

use super::LeavingPlan;

/// What may be done with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineMode {
    /// No downtime is planned.
    Up,
    /// Downtime is planned; its agents go on.
    Draining,
    /// It is down: its agents are not taken in.
    Down,
}

/// What a framework has said about the downtime of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DowntimeAnswer {
    /// It was asked, and has not answered yet.
    Unknown,
    /// It can do without the agent.
    Accept,
    /// It cannot.
    Decline,
}

impl MachineMode {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            MachineMode::Up => "up",
            MachineMode::Draining => "draining",
            MachineMode::Down => "down",
        }
    }
}

/// A machine with planned downtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineRow {
    /// Its agents, by id; the machine may have none.
    pub agents: Vec<String>,
    /// What frameworks that run something there have said.
    pub answers: Vec<DowntimeAnswerRow>,
    /// How many claims are there. They are kept, whatever becomes of the machine.
    pub claims: usize,
    /// How long it will be down, in nanoseconds; `None` when that is not known.
    #[serde(deserialize_with = "Option::deserialize")]
    pub duration_ns: Option<i64>,
    /// Its hostname, or empty.
    pub hostname: String,
    /// Its IP address, or empty.
    pub ip: String,
    /// Its name: its hostname, or else its IP address.
    pub machine: String,
    /// What may be done with it.
    pub mode: MachineMode,
    /// When its downtime begins, in nanoseconds since 1970; `None` when none is planned.
    #[serde(deserialize_with = "Option::deserialize")]
    pub start_ns: Option<i64>,
    /// How many tasks run there.
    pub tasks: usize,
}

/// What a framework has said about the downtime of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DowntimeAnswerRow {
    /// The agent.
    pub agent: String,
    /// What it has said.
    pub answer: DowntimeAnswer,
    /// When it was asked or has answered, in milliseconds since 1970.
    pub at_ms: u64,
    /// The framework.
    pub framework: String,
    /// The name of that.
    pub framework_name: String,
}

/// What a change of planned downtime would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenancePlan {
    /// `UPDATE_MAINTENANCE_SCHEDULE`, `START_MAINTENANCE` or `STOP_MAINTENANCE`.
    pub action: String,
    /// The machines that it concerns, as they would be.
    pub machines: Vec<MachineRow>,
    /// The agents on which something would end, with what becomes of it.
    pub leaving: Vec<LeavingPlan>,
}
