//! The isolator without root: volumes as symbolic links, processes counted along the tree beneath
//! the shim.
//!
//! A link cannot forbid a write and is visible to everyone, so this isolator gives a place, not
//! protection. It never follows a link inside a sandbox and never removes one that it has not made.

use super::beneath::{make_link, open_directory, remove_link};
use super::{IsolationError, Isolator, Subject};
use crate::process::{descendants, kill_members};
use crate::{Usage, VolumeMount};

const NAME: &str = "posix";

/// The isolator of this kind.
pub(crate) struct Posix {
    /// Whether volumes become links; `false` when a mount namespace shows them.
    pub links_volumes: bool,
    /// Whether processes are found along the tree; `false` when cgroups list them.
    pub counts_processes: bool,
}

/// Links one volume into a sandbox.
pub(crate) fn link(subject: &Subject, volume: &VolumeMount) -> Result<(), IsolationError> {
    let failed =
        |error| IsolationError::new(NAME, format!("link volume {}", volume.container_path), error);
    let sandbox = open_directory(subject.sandbox).map_err(failed)?;
    make_link(&sandbox, volume.container_path.as_ref(), &volume.source, subject.owner)
        .map_err(failed)
}

/// Removes the link to one volume from a sandbox.
pub(crate) fn unlink(subject: &Subject, volume: &VolumeMount) -> Result<(), IsolationError> {
    let failed = |error| {
        IsolationError::new(NAME, format!("unlink volume {}", volume.container_path), error)
    };
    let sandbox = match open_directory(subject.sandbox) {
        Ok(sandbox) => sandbox,
        // The sandbox is the caller's: when it is gone, so is the link.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    remove_link(&sandbox, volume.container_path.as_ref(), &volume.source).map_err(failed)
}

impl Isolator for Posix {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, subject: &Subject) -> Result<(), IsolationError> {
        match self.links_volumes {
            true => subject.volumes.iter().try_for_each(|volume| link(subject, volume)),
            false => Ok(()),
        }
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), IsolationError> {
        let (true, Some(shim)) = (self.counts_processes, subject.shim_pid) else { return Ok(()) };
        let ticks_per_s = ticks_per_s();
        let all = descendants(shim);
        for (_, stat) in &all {
            usage.cpu_user_s += stat.user_ticks as f64 / ticks_per_s;
            usage.cpu_system_s += stat.system_ticks as f64 / ticks_per_s;
            usage.mem_rss_bytes += stat.rss_pages.saturating_mul(page_bytes());
        }
        usage.processes = (all.len() as u64).saturating_sub(1);
        Ok(())
    }

    fn members(&self, subject: &Subject) -> Vec<i32> {
        match subject.shim_pid {
            Some(shim) if self.counts_processes => {
                descendants(shim).into_iter().map(|(pid, _)| pid).collect()
            }
            _ => Vec::new(),
        }
    }

    fn kill(&self, subject: &Subject) {
        let members = self.members(subject);
        if !members.is_empty() {
            kill_members(&members, || self.members(subject));
        }
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), IsolationError> {
        match self.links_volumes {
            true => subject.volumes.iter().try_for_each(|volume| unlink(subject, volume)),
            false => Ok(()),
        }
    }
}

fn ticks_per_s() -> f64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .filter(|ticks| *ticks > 0)
        .unwrap_or(100) as f64
}

fn page_bytes() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(4096)
}
