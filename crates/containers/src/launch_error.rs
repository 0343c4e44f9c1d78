//! Why a container could not be started.
//!
//! One type serves both sides of the handshake: the launcher fails with it before anything exists,
//! and the shim, which meets the rest (a missing program, a mount that fails), sends it over as
//! JSON. So it holds plain text only, never an `io::Error`.

use serde::{Deserialize, Serialize};

/// Why `start` did not start a container. Whatever it says, no process of the container is left
/// behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum LaunchError {
    /// A field of the spec is not acceptable.
    #[error("{field}: {reason}")]
    InvalidField {
        /// The field, as `volumes[1].container_path`.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The sandbox is not there.
    #[error("sandbox {sandbox} is not a directory ({detail}); stage it first")]
    SandboxMissing {
        /// The path.
        sandbox: String,
        /// What was found in its place.
        detail: String,
    },
    /// A volume's data is not there. Nothing is made in its place.
    #[error("volume {container_path}: its data directory {source_path} is missing ({detail}); check that its disk is mounted")]
    VolumeMissing {
        /// The path at which the container would see it.
        container_path: String,
        /// The directory on the host.
        source_path: String,
        /// What was found in its place.
        detail: String,
    },
    /// A volume is there but could not be put into the container.
    #[error("volume {container_path} could not be mounted: {detail}")]
    Volume {
        /// The path at which the container would see it.
        container_path: String,
        /// The cause.
        detail: String,
    },
    /// No such user.
    #[error("user {user} does not exist on this machine; create it, or name one that does")]
    UnknownUser {
        /// The name or number asked for.
        user: String,
    },
    /// Another user, and the agent is not root.
    #[error("cannot run as user {user}: the agent is not root; run the agent as root, or leave the user out")]
    CannotSwitchUser {
        /// The user asked for.
        user: String,
    },
    /// The program does not exist.
    #[error("program {program} was not found ({detail}); give an absolute path, put it into the sandbox, or extend PATH")]
    MissingProgram {
        /// The program as given in the spec.
        program: String,
        /// The places where it was looked for.
        detail: String,
    },
    /// The program exists and cannot be run.
    #[error("program {program} cannot be run: {detail}")]
    NotExecutable {
        /// The program as given in the spec.
        program: String,
        /// The kernel's reason.
        detail: String,
    },
    /// Isolation could not be set up.
    #[error("isolator {isolator} could not {action}: {detail}")]
    Isolation {
        /// The name of the isolator.
        isolator: String,
        /// The action that failed.
        action: String,
        /// The cause.
        detail: String,
    },
    /// A step of the shim failed.
    #[error("the shim could not {action}: {detail}")]
    Shim {
        /// The action that failed.
        action: String,
        /// The cause.
        detail: String,
    },
    /// The shim's program could not be started.
    #[error("the shim {program} could not be started: {detail}; point the launcher at the holdfast binary")]
    ShimMissing {
        /// The path.
        program: String,
        /// The cause.
        detail: String,
    },
    /// The shim ended without a report.
    #[error("the shim ended before it reported anything: {detail}")]
    ShimDied {
        /// The last lines of its log.
        detail: String,
    },
    /// The shim took too long, and was killed together with whatever it had started.
    #[error("the shim did not report within {timeout_ms} ms and was killed")]
    TimedOut {
        /// The time that it was given, in milliseconds.
        timeout_ms: u64,
    },
    /// A container of this id has ended already; its payload is never run twice.
    #[error("container {id} has ended already ({ending}); wait for its exit, forget it, and use a new id")]
    AlreadyEnded {
        /// The id of the container.
        id: String,
        /// How that container ended.
        ending: String,
    },
    /// A container of this id left processes behind that cannot be killed.
    #[error(
        "container {id} still has processes that could not be killed: {pids:?}; destroy it first"
    )]
    NotEmpty {
        /// The id of the container.
        id: String,
        /// The pids of the processes that are left.
        pids: Vec<i32>,
    },
    /// The launcher could not keep its own files.
    #[error("{detail}")]
    Files {
        /// What failed, and on which file.
        detail: String,
    },
}

impl From<crate::FileError> for LaunchError {
    fn from(error: crate::FileError) -> LaunchError {
        LaunchError::Files { detail: error.to_string() }
    }
}

impl LaunchError {
    /// A step of the shim failed.
    pub(crate) fn shim(action: impl Into<String>, detail: impl ToString) -> LaunchError {
        LaunchError::Shim { action: action.into(), detail: detail.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_crosses_the_pipe_whole() {
        let sent =
            LaunchError::MissingProgram { program: "mydb".into(), detail: "PATH=/bin".into() };
        let text = serde_json::to_string(&sent).unwrap();
        let received: LaunchError = serde_json::from_str(&text).unwrap();
        assert_eq!(received, sent);
        assert!(received.to_string().contains("mydb"));
    }
}
