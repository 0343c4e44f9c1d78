//! `update_limits` changes the limits of a running container.
//!
//! They are written into its cgroups, which keep them, and into its record. A memory limit below
//! what is in use is an error: the kernel would answer it by killing. It never stops or restarts
//! anything.

use crate::durable::FileError;
use crate::isolation::CgroupPlan;
use crate::launcher::{lock, Launcher};
use crate::record::Condition;
use crate::{IsolationError, Limits};

/// Why limits were not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateLimitsError {
    /// There is no such container, or it does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id of the container.
        id: String,
    },
    /// There are no cgroups for this container.
    #[error("container {id} has no cgroups, so its limits are not enforced and cannot be changed; see `holdfast doctor`")]
    NotEnforced {
        /// The id of the container.
        id: String,
    },
    /// The kernel refused, or the container uses more memory than the new limit.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Changes the limits of a running container.
    pub fn update_limits(&self, id: &str, limits: Limits) -> Result<(), UpdateLimitsError> {
        let not_running = || UpdateLimitsError::NotRunning { id: id.to_string() };
        crate::spec_check::check_id(id).map_err(|_| not_running())?;
        let gate = self.gate(id);
        let _held = lock(&gate);
        let dir = self.dir(id);
        let (Condition::Running { .. }, Some(mut launch)) = (dir.condition()?, dir.launch()?)
        else {
            return Err(not_running());
        };
        if launch.plan.cgroups == CgroupPlan::None {
            return Err(UpdateLimitsError::NotEnforced { id: id.to_string() });
        }
        let subject = launch.subject(None);
        launch
            .plan
            .isolators()
            .iter()
            .try_for_each(|isolator| isolator.update(&subject, &limits))?;
        launch.spec.limits = limits;
        Ok(dir.write_launch(&launch)?)
    }
}
