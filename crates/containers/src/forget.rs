//! `forget` removes the files of a container that has ended.
//!
//! It removes what launcher, shim and isolators made: runtime files, cgroups, links to volumes. It
//! fails while the container may be alive, and never touches the sandbox's other contents or a
//! volume.

use crate::durable::FileError;
use crate::launcher::{lock, Launcher};
use crate::record::Condition;
use crate::{FoundState, IsolationError};

/// Why a container was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The id is not valid.
    #[error("{reason}")]
    InvalidId {
        /// What is wrong with the value.
        reason: String,
    },
    /// It runs, or is about to.
    #[error("container {id} still runs; destroy it first")]
    StillRunning {
        /// The id of the container.
        id: String,
    },
    /// Its shim is dead and processes of it could not be killed.
    #[error(
        "container {id} still has processes that could not be killed: {pids:?}; destroy it first"
    )]
    Stuck {
        /// The id of the container.
        id: String,
        /// The pids of the processes that are left.
        pids: Vec<i32>,
    },
    /// A cgroup or link could not be removed; the files are still there, so it can be tried again.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A file could not be read or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Removes everything but sandbox and volumes of a container that has ended. What is not known
    /// is forgotten already.
    pub fn forget(&self, id: &str) -> Result<(), ForgetError> {
        crate::spec_check::check_id(id).map_err(|reason| ForgetError::InvalidId { reason })?;
        let gate = self.gate(id);
        let _held = lock(&gate);
        let dir = self.dir(id);
        // `settle` is not called at once: it would wait for a container that is just starting.
        if matches!(dir.condition(), Ok(Condition::Starting | Condition::Running { .. })) {
            return Err(ForgetError::StillRunning { id: id.to_string() });
        }
        match self.settle(id, self.destroy_deadline())? {
            None => {}
            Some(FoundState::Exited(_) | FoundState::Lost { .. }) => {
                if let Ok(Some(shim)) = dir.shim() {
                    // The shim has written its last file; it exits shortly after and can be reaped.
                    shim.shim.wait_gone(Some(self.destroy_deadline()));
                }
                self.reap(id);
                match dir.launch() {
                    Ok(Some(launch)) => self.clean_up(&launch)?,
                    Ok(None) => {}
                    // Its links are not known any more; it has been found empty, and the fence
                    // removes its cgroups.
                    Err(error) => self.fence_again(id, &error)?,
                }
                self.remove_files(id)?;
            }
            Some(FoundState::Stuck { pids }) => {
                return Err(ForgetError::Stuck { id: id.to_string(), pids })
            }
            Some(FoundState::Starting | FoundState::Running { .. }) => {
                return Err(ForgetError::StillRunning { id: id.to_string() })
            }
        }
        self.drop_gate(id);
        Ok(())
    }

    fn fence_again(&self, id: &str, error: &FileError) -> Result<(), ForgetError> {
        match self.settle_damaged(id, error) {
            FoundState::Stuck { pids } => Err(ForgetError::Stuck { id: id.to_string(), pids }),
            _ => Ok(()),
        }
    }
}
