//! What a service says of itself over HTTP, and what it is told: the rows and documents of `/v1/...`.
//!
//! Whoever asks may be of another version: a field that is new has a default, and one that is gone
//! stays.

use serde::{Deserialize, Serialize};

/// A service as a whole: `/v1/service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// The role for which its claims are reserved.
    pub role: String,
    /// The id of its framework; `None` before the masters gave it one.
    pub framework: Option<String>,
    /// `running`, `working`, `waiting`, `paused`, `failed` or `stopped`.
    pub state: String,
    /// The state in a sentence.
    pub summary: String,
    /// Its pods.
    pub pods: Vec<PodTypeRow>,
    /// What it waits for, a line for each member.
    pub waits: Vec<WaitRow>,
    /// The plans that are not complete.
    pub plans: Vec<PlanRow>,
    /// Why the spec that it was started with is not in force, if it is not.
    pub refused: Vec<String>,
    /// The spec in force, as a file: the one that its plans work towards.
    pub spec: String,
}

/// A kind of members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTypeRow {
    /// Its name.
    pub name: String,
    /// How many members there shall be.
    pub count: u32,
    /// How many run.
    pub running: u32,
}

/// Why a member waits, and what comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitRow {
    /// The member: `data-0`.
    pub member: String,
    /// Why it waits.
    pub reason: String,
    /// What comes next, or what to do.
    pub next: String,
}

/// A plan: `/v1/plans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its name.
    pub name: String,
    /// `PENDING`, `IN_PROGRESS`, `WAITING`, `COMPLETE` or `ERROR`.
    pub state: String,
    /// Why it is in that state, if there is more to say.
    pub why: Option<String>,
    /// Its phases in order.
    pub phases: Vec<PhaseRow>,
}

/// A phase of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Its name.
    pub name: String,
    /// In which order its steps are taken.
    pub strategy: String,
    /// As of a plan.
    pub state: String,
    /// Its steps.
    pub steps: Vec<StepRow>,
}

/// A step of a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRow {
    /// Its name, unique in the plan.
    pub name: String,
    /// As of a plan.
    pub state: String,
    /// Why it is in that state, if there is more to say.
    pub why: Option<String>,
}

/// A member: `/v1/pods`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// Its name: that of its pod and its number, `data-0`.
    pub name: String,
    /// The pod.
    pub pod: String,
    /// The number.
    pub index: u32,
    /// STOPPED, WAITING, STARTING, RUNNING (not ready yet), READY, UNREACHABLE or UNKNOWN.
    pub state: String,
    /// Its agent.
    pub agent: Option<String>,
    /// The name of the agent's machine.
    pub hostname: Option<String>,
    /// The task that it has now.
    pub task: Option<String>,
    /// Its volumes.
    pub volumes: Vec<PodVolumeRow>,
    /// Its ports.
    pub ports: Vec<PodPortRow>,
    /// Volumes that it had before it was replaced, and that are kept until their claims are released.
    pub kept: Vec<String>,
    /// Why it waits, and what comes next.
    pub waits: Option<WaitRow>,
}

/// A volume of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVolumeRow {
    /// The path in its working directory.
    pub path: String,
    /// The volume's id.
    pub id: String,
}

/// A port of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPortRow {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u16,
}

/// Where a member can be reached: `/v1/endpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRow {
    /// The pod.
    pub pod: String,
    /// The member.
    pub member: String,
    /// The name of the port.
    pub port: String,
    /// `host:port`.
    pub address: String,
    /// Whether the member runs.
    pub running: bool,
}

/// An offer that was answered lately: `/v1/offers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRow {
    /// Its agent.
    pub agent: String,
    /// The name of the agent's machine.
    pub hostname: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it was used for.
    pub taken: Vec<String>,
    /// Why it was not used for what is wanted.
    pub why_not: Vec<String>,
}

/// What a change of the spec means: the answer to `POST /v1/spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// What differs.
    pub differences: Vec<DifferenceRow>,
    /// The plan that carries it out.
    pub plan: Option<String>,
    /// The steps of that plan.
    pub steps: Vec<String>,
    /// Whether it was carried out; a plan alone is not.
    pub accepted: bool,
}

/// One difference between two specs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceRow {
    /// What differs.
    pub path: String,
    /// What it was.
    pub from: String,
    /// What it shall be.
    pub to: String,
    /// What follows.
    pub then: String,
}

/// What is posted to `/v1/spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecDocument {
    /// The spec as a file.
    pub toml: String,
    /// Who wants it.
    #[serde(default)]
    pub by: String,
}

/// What is posted to a plan or a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderDocument {
    /// The step of a plan that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How many members there shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Who wants it.
    #[serde(default)]
    pub by: String,
}

/// What became of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneRow {
    /// In a sentence.
    pub message: String,
    /// The plan that has begun.
    pub plan: Option<String>,
    /// The steps of that plan.
    pub steps: Vec<String>,
}
