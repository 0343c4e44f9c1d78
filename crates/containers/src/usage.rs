//! `usage` measures what a container uses now.
//!
//! It reads the container's cgroups or, where there are none, its processes. It never changes
//! anything and holds no gate, so that monitoring never waits.

use crate::durable::FileError;
use crate::launcher::Launcher;
use crate::record::Condition;
use crate::{IsolationError, Usage};

/// Why the usage could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// There is no such container, or it does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id of the container.
        id: String,
    },
    /// The kernel's numbers could not be read.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// The payload's process, as the host numbers it, while the container runs.
    pub fn payload_pid(&self, id: &str) -> Option<u32> {
        crate::spec_check::check_id(id).ok()?;
        match self.dir(id).condition().ok()? {
            Condition::Running { pid } => u32::try_from(pid).ok(),
            _ => None,
        }
    }

    /// Measures a running container.
    pub fn usage(&self, id: &str) -> Result<Usage, UsageError> {
        let not_running = || UsageError::NotRunning { id: id.to_string() };
        crate::spec_check::check_id(id).map_err(|_| not_running())?;
        let dir = self.dir(id);
        let (Condition::Running { .. }, Some(launch)) = (dir.condition()?, dir.launch()?) else {
            return Err(not_running());
        };
        let subject = launch.subject(dir.shim()?.map(|identity| identity.shim.pid));
        let mut usage = Usage::default();
        launch
            .plan
            .isolators()
            .iter()
            .try_for_each(|isolator| isolator.usage(&subject, &mut usage))?;
        Ok(usage)
    }
}
