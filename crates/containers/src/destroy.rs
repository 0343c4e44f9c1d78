//! `destroy`: the fence that a volume waits for.
//!
//! Kills everything in the container and returns only when it has been seen to be empty; what cannot be killed in time is named and
//! the call fails. Relies on the shim to sweep and write the exit, does it itself when the shim is dead or too slow. Removes nothing:
//! that is `forget`.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::durable::FileError;
use crate::launcher::{lock, Launcher};
use crate::record::{Condition, ContainerDir, Ending, ShimIdentity};
use crate::survivors::{fence, fence_unrecorded};
use crate::{Exit, FoundState};

/// Of the time that destroying may take, the shim's part; the rest is for doing it without the shim.
const SHIM_SHARE: u32 = 2;

/// A container that is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destroyed {
    /// How it ended; `None` when nothing is known of such a container (no process of it lives either: that has been looked for).
    pub exit: Option<Exit>,
}

/// Why a container may not be empty.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// The id is no id.
    #[error("{reason}")]
    InvalidId {
        /// What is wrong with it.
        reason: String,
    },
    /// Processes survive SIGKILL, as those that wait for a broken disk do.
    #[error("container {id} still has processes that could not be killed: {pids:?}; keep its volumes, look at their disks, destroy again")]
    StillAlive {
        /// Its id.
        id: String,
        /// What is left.
        pids: Vec<i32>,
    },
    /// A file could not be read or written. Whether the container is empty is not known.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Kills every process of a container and returns once none is left, whatever state the container is in. May be repeated.
    pub fn destroy(&self, id: &str) -> Result<Destroyed, DestroyError> {
        crate::spec_check::check_id(id).map_err(|reason| DestroyError::InvalidId { reason })?;
        let gate = self.gate(id);
        let _held = lock(&gate);
        let still_alive = |pids| DestroyError::StillAlive { id: id.to_string(), pids };
        match self.destroy_by_record(id) {
            // Whatever its files say or no longer say: it is asked to be empty.
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
            // It was written when the container was empty, and nothing enters an empty container; the cgroups are asked all the same.
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

/// Kills what the container runs and waits for its shim to notice, to sweep up, and to write the exit.
fn kill_and_await_shim(dir: &ContainerDir, deadline: Instant) -> Result<(), FileError> {
    let Some(ShimIdentity { shim, first }) = dir.shim()? else { return Ok(()) };
    match (dir.condition()?, first) {
        (Condition::Running { .. }, Some(first)) => {
            // The payload dies with it; the rest by the kernel's hand or by the shim's.
            let _ = first.signal(Signal::KILL);
            shim.wait_gone(Some(deadline));
        }
        // Not started yet: the shim has nothing to tell, and without it the rest is found and killed by the fence.
        (Condition::Starting, _) => {
            let _ = shim.signal(Signal::KILL);
            shim.wait_gone(Some(deadline));
        }
        _ => {}
    }
    Ok(())
}
