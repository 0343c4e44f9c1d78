//! `signal` sends a signal to the payload.
//!
//! It goes to the payload's own process and to no other: the payload's children end when it ends.
//! It is sent through a pidfd that has been checked, so a reused pid is never signalled.

use rustix::process::Signal;

use crate::durable::FileError;
use crate::launcher::Launcher;
use crate::record::Condition;

/// Why a signal was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// There is no such signal.
    #[error("{number} is no signal that can be sent; use one of 1 to 31")]
    Invalid {
        /// The value that was given.
        number: i32,
    },
    /// There is no such container, or it does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id of the container.
        id: String,
    },
    /// The kernel did not permit it.
    #[error("container {id} could not be signalled: {detail}")]
    Refused {
        /// The id of the container.
        id: String,
        /// The kernel's reason.
        detail: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Sends a signal, by number, to the payload. To end a container for certain use `destroy`.
    pub fn signal(&self, id: &str, number: i32) -> Result<(), SignalError> {
        let signal = Signal::from_named_raw(number).ok_or(SignalError::Invalid { number })?;
        let not_running = || SignalError::NotRunning { id: id.to_string() };
        crate::spec_check::check_id(id).map_err(|_| not_running())?;
        let dir = self.dir(id);
        let (Condition::Running { .. }, Some(payload)) = (dir.condition()?, dir.payload()?) else {
            return Err(not_running());
        };
        match payload.payload.signal(signal) {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_running()),
            Err(error) => {
                Err(SignalError::Refused { id: id.to_string(), detail: error.to_string() })
            }
        }
    }
}
