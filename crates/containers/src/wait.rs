//! `wait` waits until a container has ended.
//!
//! The shim need not be our child: a pidfd shows that it ended, the exit file how the payload did.
//! It holds no gate, so a container can be signalled and destroyed while it is waited for. It never
//! takes a dead shim without an exit file for an exit.

use std::time::{Duration, Instant};

use crate::durable::FileError;
use crate::launcher::{lock, Launcher, POLL_PAUSE};
use crate::record::{Condition, Ending};
use crate::{Exit, FoundState};

/// Why `wait` cannot return an exit.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// There is no such container.
    #[error("container {id} is not known here; it was never started, or has been forgotten")]
    Unknown {
        /// The id of the container.
        id: String,
    },
    /// The shim died, so nobody knows how the payload ended. Nothing of it is left.
    #[error("container {id} is lost: {message}")]
    Lost {
        /// The id of the container.
        id: String,
        /// What is known about it.
        message: String,
    },
    /// The shim died and processes of it could not be killed.
    #[error("container {id} lost its shim and still has processes that could not be killed: {pids:?}; keep its volumes and destroy it")]
    Stuck {
        /// The id of the container.
        id: String,
        /// The pids of the processes that are left.
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
            // A day is waited again and again: not every platform has a deadline without end.
            if let Some(exit) = self.wait_timeout(id, Duration::from_secs(86_400))? {
                return Ok(exit);
            }
        }
    }

    /// Waits for at most `timeout`; `None` when it has not ended by then.
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
                    // When the shim is gone the next poll finds its exit, or that it has none.
                    // tidy: sleep is the point: another process writes the file that is waited for
                    Some(identity) if !identity.shim.is_alive() => std::thread::sleep(POLL_PAUSE),
                    Some(identity) => drop(identity.shim.wait_gone(Some(deadline))),
                    // tidy: sleep is the point: another process writes the file that is waited for
                    None => std::thread::sleep(POLL_PAUSE),
                },
                Condition::Orphaned { .. } => return self.wait_settled(id).map(Some),
            }
            if Instant::now() >= deadline && !matches!(dir.condition()?, Condition::Ended(_)) {
                return Ok(None);
            }
        }
    }

    /// Settles a container whose shim is dead: empties it, unless another call is just doing so,
    /// and returns the outcome.
    fn wait_settled(&self, id: &str) -> Result<Exit, WaitError> {
        let gate = self.gate(id);
        let _held = lock(&gate);
        match self.settle(id, self.destroy_deadline())? {
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
