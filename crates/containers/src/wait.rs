//! `wait`: until a container has ended.
//!
//! The shim need not be our child: a pidfd tells of its end, the exit file of the payload's. Holds no gate, so a container can be
//! signalled and destroyed while it is waited for. Never takes a dead shim without an exit file for an exit.

use std::time::{Duration, Instant};

use crate::durable::FileError;
use crate::launcher::{lock, Launcher, LOOK_AGAIN};
use crate::record::{Condition, Ending};
use crate::{Exit, FoundState};

/// Why `wait` has no exit to tell.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// No such container.
    #[error("container {id} is not known here; it was never started, or has been forgotten")]
    Unknown {
        /// Its id.
        id: String,
    },
    /// The shim died, so nobody knows how the payload ended. Nothing of it is left.
    #[error("container {id} is lost: {message}")]
    Lost {
        /// Its id.
        id: String,
        /// What is known.
        message: String,
    },
    /// The shim died and processes of it could not be killed.
    #[error("container {id} lost its shim and still has processes that could not be killed: {pids:?}; keep its volumes and destroy it")]
    Stuck {
        /// Its id.
        id: String,
        /// What is left.
        pids: Vec<i32>,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Blocks until the container has ended and is empty.
    pub fn wait(&self, id: &str) -> Result<Exit, WaitError> {
        loop {
            // A day, over and over: no deadline is without end on every platform.
            if let Some(exit) = self.wait_timeout(id, Duration::from_secs(86_400))? {
                return Ok(exit);
            }
        }
    }

    /// The same for at most `timeout`; `None` when it has not ended by then.
    pub fn wait_timeout(&self, id: &str, timeout: Duration) -> Result<Option<Exit>, WaitError> {
        let unknown = || WaitError::Unknown { id: id.to_string() };
        crate::spec_check::check_id(id).map_err(|_| unknown())?;
        let deadline = Instant::now() + timeout;
        let dir = self.dir(id);
        loop {
            match dir.condition()? {
                Condition::Unknown => return Err(unknown()),
                Condition::Ended(ending) => {
                    self.reap(id);
                    return ended(id, ending).map(Some);
                }
                Condition::Starting | Condition::Running { .. } => match dir.shim()? {
                    // When the shim is gone the next look finds its exit, or finds it dead without one.
                    // tidy: sleep is the point: another process writes the file that is waited for
                    Some(identity) if !identity.shim.is_alive() => std::thread::sleep(LOOK_AGAIN),
                    Some(identity) => drop(identity.shim.wait_gone(Some(deadline))),
                    // tidy: sleep is the point: another process writes the file that is waited for
                    None => std::thread::sleep(LOOK_AGAIN),
                },
                Condition::Orphaned { .. } => return self.wait_settled(id).map(Some),
            }
            if Instant::now() >= deadline && !matches!(dir.condition()?, Condition::Ended(_)) {
                return Ok(None);
            }
        }
    }

    /// The shim is dead: empties the container, unless another call is just doing so, and tells what came of it.
    fn wait_settled(&self, id: &str) -> Result<Exit, WaitError> {
        let gate = self.gate(id);
        let _held = lock(&gate);
        match self.settle(id)? {
            Some(FoundState::Exited(exit)) => Ok(exit),
            Some(FoundState::Lost { message }) => {
                Err(WaitError::Lost { id: id.to_string(), message })
            }
            Some(FoundState::Stuck { pids }) => Err(WaitError::Stuck { id: id.to_string(), pids }),
            Some(FoundState::Starting | FoundState::Running { .. }) | None => {
                Err(WaitError::Unknown { id: id.to_string() })
            }
        }
    }
}

fn ended(id: &str, ending: Ending) -> Result<Exit, WaitError> {
    match ending {
        Ending::Lost { message } => Err(WaitError::Lost { id: id.to_string(), message }),
        other => Ok(other.as_exit()),
    }
}
