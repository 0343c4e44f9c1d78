//! `destroy` ends a container and everything in it; its volumes are free once it returns.
//!
//! It kills everything in the container and returns only when it has been seen to be empty; what
//! cannot be killed in time is named and the call fails. It relies on the shim to sweep and write
//! the exit, and does so itself when the shim is dead or too slow. It removes no file: `forget`
//! does.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::durable::FileError;
use crate::launcher::{lock, Launcher};
use crate::record::{Condition, ContainerDir, Ending, ShimIdentity};
use crate::survivors::{fence, fence_unrecorded};
use crate::{Exit, FoundState};

/// The shim may take one part in this many of the time for destroying; the rest is for doing it
/// without the shim.
const SHIM_SHARE: u32 = 2;

/// A container in which nothing is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destroyed {
    /// How it ended; `None` when no such container is known (that no process of it lives has been
    /// checked).
    pub exit: Option<Exit>,
}

/// Why a container may not be empty.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// The id is not valid.
    #[error("{reason}")]
    InvalidId {
        /// What is wrong with the value.
        reason: String,
    },
    /// Processes survive SIGKILL, as those that wait for a broken disk do.
    #[error("container {id} still has processes that could not be killed: {pids:?}; keep its volumes, look at their disks, destroy again")]
    StillAlive {
        /// The id of the container.
        id: String,
        /// The pids of the processes that are left.
        pids: Vec<i32>,
    },
    /// A file could not be read or written. Whether the container is empty is not known.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Kills every process of a container and returns once none is left, whatever state the
    /// container is in. May be repeated.
    pub fn destroy(&self, id: &str) -> Result<Destroyed, DestroyError> {
        crate::spec_check::check_id(id).map_err(|reason| DestroyError::InvalidId { reason })?;
        let gate = self.gate(id);
        let _held = lock(&gate);
        let still_alive = |pids| DestroyError::StillAlive { id: id.to_string(), pids };
        match self.destroy_by_record(id) {
            // Damaged files do not matter: the container only has to be emptied.
            Err(DestroyError::File(error)) => match self.settle_damaged(id, &error) {
                FoundState::Stuck { pids } => Err(still_alive(pids)),
                FoundState::Lost { message } => {
                    Ok(Destroyed { exit: Some(Exit { message, ..Exit::default() }) })
                }
                _ => Err(DestroyError::File(error)),
            },
            result => result,
        }
    }

    fn destroy_by_record(&self, id: &str) -> Result<Destroyed, DestroyError> {
        let (dir, deadline) = (self.dir(id), self.destroy_deadline());
        let still_alive = |pids| DestroyError::StillAlive { id: id.to_string(), pids };
        let Some(launch) = dir.launch()? else {
            fence_unrecorded(&dir, &self.plan, id, deadline).map_err(still_alive)?;
            self.reap(id);
            return Ok(Destroyed { exit: dir.ending()?.map(|ending| ending.as_exit()) });
        };
        if let Some(ending) = dir.ending()? {
            // It was written when the container was empty, and nothing enters an empty container;
            // the cgroups are checked all the same.
            if !launch
                .plan
                .isolators()
                .iter()
                .all(|isolator| isolator.members(&launch.subject(None)).is_empty())
            {
                fence(&dir, &launch, deadline).map_err(still_alive)?;
            }
            self.reap(id);
            return Ok(Destroyed { exit: Some(ending.as_exit()) });
        }
        let patience = Duration::from_millis(self.options.destroy_timeout_ms) / SHIM_SHARE;
        kill_and_await_shim(&dir, Instant::now() + patience)?;
        if dir.ending()?.is_none() {
            fence(&dir, &launch, deadline).map_err(still_alive)?;
        }
        self.reap(id);
        let ending = match dir.ending()? {
            Some(ending) => ending,
            None => {
                let message =
                    "killed by signal 9: destroyed, its shim did not take part".to_string();
                let ending = Ending::Exited(Exit { signal: Some(9), message, ..Exit::default() });
                dir.write_ending(&ending)?;
                ending
            }
        };
        if let Err(error) = launch
            .plan
            .isolators()
            .iter()
            .filter(|it| it.name() != "posix")
            .try_for_each(|it| it.cleanup(&launch.subject(None)))
        {
            tracing::warn!(%id, %error, "a destroyed container left something behind; forgetting it tries again");
        }
        Ok(Destroyed { exit: Some(ending.as_exit()) })
    }
}

/// Kills what the container runs and waits for its shim to notice, to sweep up, and to write the
/// exit.
fn kill_and_await_shim(dir: &ContainerDir, deadline: Instant) -> Result<(), FileError> {
    let Some(ShimIdentity { shim, first }) = dir.shim()? else { return Ok(()) };
    match (dir.condition()?, first) {
        (Condition::Running { .. }, Some(first)) => {
            // The payload dies with it; the kernel or the shim kills the rest.
            let _ = first.signal(Signal::KILL);
            shim.wait_gone(Some(deadline));
        }
        // Nothing was started yet: the shim has nothing to report, and the fence finds and kills
        // the rest without it.
        (Condition::Starting, _) => {
            let _ = shim.signal(Signal::KILL);
            shim.wait_gone(Some(deadline));
        }
        _ => {}
    }
    Ok(())
}
