//! How an operation stands, as agents tell masters and masters tell frameworks.
//!
//! The numbers are those of the wire. Never says what an operation does: that is [`crate::operation`].

use crate::id::{AgentId, StatusUuid};
use crate::resources::Resources;

/// Where an operation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationState {
    /// The agent has not settled it yet.
    Pending = 1,
    /// The agent has done it, durably.
    Finished = 2,
    /// The agent could not do it.
    Failed = 3,
    /// It broke a rule.
    Error = 4,
    /// It never reached the agent.
    Dropped = 5,
    /// Its agent cannot be reached.
    Unreachable = 6,
    /// An operator said that its agent is gone.
    GoneByOperator = 7,
    /// Its agent has yet to come back.
    Recovering = 8,
    /// Nobody knows it.
    Unknown = 9,
}

impl OperationState {
    /// The state with this number on the wire.
    pub fn from_number(number: i32) -> Option<OperationState> {
        use OperationState::{
            Dropped, Error, Failed, Finished, GoneByOperator, Pending, Recovering, Unknown,
            Unreachable,
        };
        let all = [
            Pending,
            Finished,
            Failed,
            Error,
            Dropped,
            Unreachable,
            GoneByOperator,
            Recovering,
            Unknown,
        ];
        all.into_iter().find(|it| *it as i32 == number)
    }

    /// Whether no other state can follow.
    pub fn is_terminal(self) -> bool {
        use OperationState::{Dropped, Error, Failed, Finished, GoneByOperator};
        matches!(self, Finished | Failed | Error | Dropped | GoneByOperator)
    }
}

/// A status of an operation, for its framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationStatus {
    /// The name that the framework gave the operation.
    pub id: Option<String>,
    /// The state that the operation has reached.
    pub state: OperationState,
    /// What a person should know about it, such as why it failed.
    pub message: Option<String>,
    /// The resources that the operation made.
    pub converted: Resources,
    /// The name of the status, for its acknowledgement; a status without one is not acknowledged.
    pub uuid: Option<StatusUuid>,
    /// The agent that the operation was for.
    pub agent: Option<AgentId>,
}
