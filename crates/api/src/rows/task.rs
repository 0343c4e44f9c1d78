//! A task, as the native API shows it.

use holdfast_model::TaskState;
use serde::{Deserialize, Serialize};

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework: String,
    /// Its executor.
    pub executor: String,
    /// Its agent.
    pub agent: String,
    /// `host:port` of the agent's API, for logs.
    #[serde(deserialize_with = "Option::deserialize")]
    pub agent_address: Option<String>,
    /// Its state, such as `TASK_RUNNING`.
    #[serde(with = "state")]
    pub state: TaskState,
    /// Why, such as `REASON_EXECUTOR_TERMINATED`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub reason: Option<String>,
    /// What was said last.
    #[serde(deserialize_with = "Option::deserialize")]
    pub message: Option<String>,
    /// What it uses.
    pub resources: String,
    /// Its volumes.
    pub volumes: Vec<String>,
    /// Whether it has ended.
    pub ended: bool,
    /// When its state was last reported, in milliseconds since 1970.
    pub updated_ms: u64,
}

/// A task's state is written as on the wire.
mod state {
    use std::borrow::Cow;

    use holdfast_model::TaskState;
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(state: &TaskState, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TaskState, D::Error> {
        let name = Cow::<'de, str>::deserialize(from)?;
        let state = TaskState::ALL.into_iter().find(|it| it.name() == name);
        state.ok_or_else(|| D::Error::custom(format!("unknown state of a task `{name}`")))
    }
}
