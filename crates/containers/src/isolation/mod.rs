//! The isolation of a container from others: a plan, and isolators that carry it out.
//!
//! The launcher makes the plan from what the machine can do and writes it beside the container, so
//! that whoever cleans up later uses the same isolators even if the machine or the settings have
//! changed. Isolators keep no state of their own: everything follows from the plan and the
//! [`Subject`]. They never touch the bytes of a sandbox or a volume.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Limits, MemoryEvents, Usage, VolumeMount};
use hide::Hiding;

pub use hide::HiddenPlace;

pub(crate) mod beneath;
pub(crate) mod cgroup_files;
pub(crate) mod cgroup_v1;
pub(crate) mod cgroup_v2;
#[cfg(test)]
mod conformance;
pub(crate) mod detect;
pub(crate) mod hide;
pub(crate) mod inside;
pub(crate) mod mounts;
pub(crate) mod posix;

/// An isolator could not do its part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("isolator {isolator} could not {action}: {detail}")]
pub struct IsolationError {
    /// The name of the isolator.
    pub isolator: &'static str,
    /// The action that failed.
    pub action: String,
    /// What failed and what to try.
    pub detail: String,
}

/// One container as isolators see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub id: &'a str,
    pub sandbox: &'a Path,
    pub volumes: &'a [VolumeMount],
    pub limits: &'a Limits,
    /// The owner (uid, gid) of what is made inside the sandbox; `None` for the agent's own user.
    pub owner: Option<(u32, u32)>,
    /// What it must not see; `None` when nothing is hidden from it.
    pub hiding: Option<&'a Hiding>,
    /// The pid of the shim, while it lives.
    pub shim_pid: Option<i32>,
}

/// One way of keeping containers apart. All calls may be repeated: doing again what is done is no
/// error.
pub(crate) trait Isolator {
    /// The isolator's name, for messages.
    fn name(&self) -> &'static str;
    /// Prepares the host's side, before the first process exists.
    fn prepare(&self, subject: &Subject) -> Result<(), IsolationError>;
    /// Runs in the first process, inside its namespaces, before the payload exists.
    fn enter(&self, _subject: &Subject) -> Result<(), IsolationError> {
        Ok(())
    }
    /// Opens the files by which the payload puts itself, and so all its descendants, under control:
    /// it writes `0` to each before it does anything else. Called where the host's files can be
    /// seen. The first process stays outside: it must be able to report when the container has no
    /// memory left.
    fn doors(&self, _subject: &Subject) -> Result<Vec<File>, IsolationError> {
        Ok(Vec::new())
    }
    /// Puts the payload, which waits and has not been exec'ed yet, under control from outside, where
    /// it cannot do so itself.
    fn attach(&self, _subject: &Subject, _pid: i32) -> Result<(), IsolationError> {
        Ok(())
    }
    /// Changes the limits of a running container. Fails without a change when it uses more memory
    /// than the new limit.
    fn update(&self, _subject: &Subject, _limits: &Limits) -> Result<(), IsolationError> {
        Ok(())
    }
    /// Adds what it knows to `usage`.
    fn usage(&self, _subject: &Subject, _usage: &mut Usage) -> Result<(), IsolationError> {
        Ok(())
    }
    /// Lists the live processes of the container that it can see.
    fn members(&self, _subject: &Subject) -> Vec<i32> {
        Vec::new()
    }
    /// Sends SIGKILL to all members; they may not be gone yet when it returns.
    fn kill(&self, _subject: &Subject) {}
    /// What it knows about the memory of the container; `None` when it does not limit it.
    fn memory_events(&self, _subject: &Subject) -> Option<MemoryEvents> {
        None
    }
    /// Removes what it made; the container must be empty.
    fn cleanup(&self, subject: &Subject) -> Result<(), IsolationError>;
}

/// The cgroups that a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CgroupPlan {
    /// There are none: limits are recorded but not enforced.
    #[default]
    None,
    /// Version 1: one directory per controller, as mounted.
    V1(cgroup_v1::Hierarchies),
    /// Version 2: the mount point of the one tree.
    V2(PathBuf),
}

/// Which isolators a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Whether it has a mount and a pid namespace of its own.
    pub namespaces: bool,
    /// What it must not see; `None` when nothing is hidden from it.
    #[serde(default)]
    pub hiding: Option<Hiding>,
    /// The cgroups that limit it.
    pub cgroups: CgroupPlan,
    /// The parent of all cgroups of this launcher, as `holdfast`.
    pub cgroup_parent: String,
    /// Where it is when it is inside another container: then the rest says what it has of that one.
    #[serde(default)]
    pub inside: Option<inside::InsidePlan>,
}

/// What a container is kept apart by, for people and for `Started`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Whether volumes are visible to the container only, read-only is enforced, and all processes
    /// die with the first.
    pub namespaces: bool,
    /// Whether Holdfast's own places are hidden from the container but for what it was given, and a root
    /// payload cannot change that.
    pub hides: bool,
    /// The version of cgroups (1 or 2) that enforces limits on memory and cpu; `None` when they are
    /// not enforced.
    pub cgroup_version: Option<u8>,
}

impl Plan {
    /// The isolators, in the order in which they prepare.
    pub fn isolators(&self) -> Vec<Box<dyn Isolator>> {
        if let Some(inside) = &self.inside {
            return vec![Box::new(inside.clone())];
        }
        let mut isolators: Vec<Box<dyn Isolator>> = Vec::new();
        let counts_processes = self.cgroups == CgroupPlan::None;
        if self.namespaces {
            isolators.push(Box::new(mounts::Mounts));
        }
        if !self.namespaces || counts_processes {
            isolators
                .push(Box::new(posix::Posix { links_volumes: !self.namespaces, counts_processes }));
        }
        match &self.cgroups {
            CgroupPlan::None => {}
            CgroupPlan::V1(hierarchies) => isolators
                .push(Box::new(cgroup_v1::CgroupV1::new(hierarchies.clone(), &self.cgroup_parent))),
            CgroupPlan::V2(root) => {
                isolators.push(Box::new(cgroup_v2::CgroupV2::new(root, &self.cgroup_parent)))
            }
        }
        isolators
    }

    /// The isolation that the plan gives, for callers.
    pub fn isolation(&self) -> Isolation {
        let cgroup_version = match &self.cgroups {
            CgroupPlan::None => None,
            CgroupPlan::V1(_) => Some(1),
            CgroupPlan::V2(_) => Some(2),
        };
        Isolation { namespaces: self.namespaces, hides: self.hiding.is_some(), cgroup_version }
    }

    /// Whether no process can leave this container unseen: its first process takes all with it, or
    /// a cgroup lists them.
    pub fn is_exact(&self) -> bool {
        self.namespaces || self.cgroups != CgroupPlan::None
    }
}

impl IsolationError {
    /// Makes the error of `isolator` doing `action`.
    pub(crate) fn new(
        isolator: &'static str,
        action: impl Into<String>,
        detail: impl ToString,
    ) -> IsolationError {
        IsolationError { isolator, action: action.into(), detail: detail.to_string() }
    }
}

impl From<IsolationError> for crate::LaunchError {
    fn from(error: IsolationError) -> crate::LaunchError {
        crate::LaunchError::Isolation {
            isolator: error.isolator.to_string(),
            action: error.action,
            detail: error.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_links_or_mounts_and_counts_exactly_once() {
        let v1 = CgroupPlan::V1(Default::default());
        for (namespaces, cgroups, names) in [
            (false, CgroupPlan::None, vec!["posix"]),
            (true, CgroupPlan::None, vec!["mounts", "posix"]),
            (false, v1.clone(), vec!["posix", "cgroup_v1"]),
            (true, v1, vec!["mounts", "cgroup_v1"]),
            (true, CgroupPlan::V2("/x".into()), vec!["mounts", "cgroup_v2"]),
        ] {
            let plan = Plan {
                namespaces,
                hiding: None,
                cgroups,
                cgroup_parent: "holdfast".into(),
                inside: None,
            };
            assert_eq!(
                plan.isolators().iter().map(|isolator| isolator.name()).collect::<Vec<_>>(),
                names
            );
        }
    }
}
