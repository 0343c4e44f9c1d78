//! The isolator of a container inside another: the namespaces of the one around it, and a cgroup of its own to tell its processes by.
//!
//! Its limits are those of the container around it: with cgroups version 1 it is in the very cgroups of that one, but for those of the
//! controllers that only count and freeze; with version 2 in one beneath that has no controllers. Both are made only beneath cgroups that
//! are there: those of a container that is over are not made anew.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sched::{setns, CloneFlags};
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use super::cgroup_files::{processes, remove, write_if_there};
use super::{CgroupPlan, IsolationError, Isolator, Subject};
use crate::process::{kill_members, ProcessIdentity};
use crate::record::Launch;
use crate::Usage;

const NAME: &str = "inside";

/// Where a container inside another is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InsidePlan {
    /// The first process of the outermost container, whose namespaces it has.
    pub around: ProcessIdentity,
    /// The cgroups of the container around it that it is in, too.
    joined: Vec<PathBuf>,
    /// Its own cgroups.
    own: Vec<PathBuf>,
    /// The file of a cgroup by which a process enters it.
    door: String,
}

impl InsidePlan {
    /// The plan of one inside an outermost container.
    pub fn within(around: &Launch, first: ProcessIdentity, id: &str) -> Result<Self, String> {
        let plan = &around.plan;
        if !plan.namespaces {
            return Err("containers inside others need namespaces, and the one around it has none: run the agent as root".into());
        }
        let outer = |mount: &PathBuf| mount.join(&plan.cgroup_parent).join(&around.spec.id);
        let (joined, own, door) = match &plan.cgroups {
            CgroupPlan::None => {
                return Err("containers inside others need cgroups, and the one around it has none: mount them, and run the agent as root".into())
            }
            CgroupPlan::V1(all) => {
                let mut counting: Vec<&PathBuf> =
                    [&all.pids, &all.freezer].into_iter().filter_map(Option::as_ref).collect();
                counting.sort();
                counting.dedup();
                if counting.is_empty() {
                    return Err("containers inside others need the cgroup controller pids or freezer; mount one".into());
                }
                let points = all.mount_points();
                let joined = points.into_iter().filter(|it| !counting.contains(it)).map(outer);
                let own = counting.iter().map(|it| outer(it).join(id)).collect();
                (joined.collect(), own, "tasks")
            }
            CgroupPlan::V2(root) => (Vec::new(), vec![outer(root).join(id)], "cgroup.procs"),
        };
        Ok(InsidePlan { around: first, joined, own, door: door.to_owned() })
    }

    /// The plan of one inside this one.
    pub fn deeper(&self, id: &str) -> InsidePlan {
        let own = self.own.iter().map(|it| it.join(id)).collect();
        InsidePlan { own, ..self.clone() }
    }

    /// A handle on the first process of the outermost container, which cannot be another's that was given its number.
    pub fn handle(&self) -> Result<OwnedFd, String> {
        let over = || "the container around it has ended".to_owned();
        let pid = Pid::from_raw(self.around.pid).ok_or_else(over)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
        match self.around.is_alive() {
            true => Ok(handle),
            false => Err(over()),
        }
    }
}

/// Has the children of this process be in the pid namespace of the one that `around` is a handle on.
pub(crate) fn enter_pids(around: &OwnedFd) -> Result<(), String> {
    setns(around.as_fd(), CloneFlags::CLONE_NEWPID).map_err(|error| error.to_string())
}

/// Has this process see what that one sees.
pub(crate) fn enter_mounts(around: &OwnedFd) -> Result<(), String> {
    setns(around.as_fd(), CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())
}

fn failed(action: &str, path: &Path, detail: impl std::fmt::Display) -> IsolationError {
    IsolationError::new(NAME, action, format!("{}: {detail}", path.display()))
}

impl Isolator for InsidePlan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, _subject: &Subject) -> Result<(), IsolationError> {
        for path in &self.own {
            match fs::create_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make a cgroup", path, error)),
            }
        }
        Ok(())
    }

    fn doors(&self, _subject: &Subject) -> Result<Vec<File>, IsolationError> {
        let open = |directory: &PathBuf| {
            let path = directory.join(&self.door);
            let opened = File::options().write(true).open(&path);
            opened.map_err(|error| failed("open", &path, error))
        };
        self.joined.iter().chain(&self.own).map(open).collect()
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), IsolationError> {
        usage.processes = self.members(subject).len() as u64;
        Ok(())
    }

    fn members(&self, _subject: &Subject) -> Vec<i32> {
        let mut pids: Vec<i32> = self.own.iter().flat_map(|it| processes(it)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Frozen first, so that nothing forks between the list and the signal; thawed in the end, because a frozen process does not die.
    fn kill(&self, subject: &Subject) {
        let set = |v1: &str, v2: &str| {
            for path in &self.own {
                // What cannot be frozen is found by the next look.
                let _ = write_if_there(&path.join("freezer.state"), v1);
                let _ = write_if_there(&path.join("cgroup.freeze"), v2);
            }
        };
        set("FROZEN", "1");
        kill_members(&self.members(subject), || self.members(subject));
        set("THAWED", "0");
    }

    fn cleanup(&self, _subject: &Subject) -> Result<(), IsolationError> {
        let removed = self.own.iter().try_for_each(|it| remove(it));
        removed.map_err(|detail| IsolationError::new(NAME, "clean up", detail))
    }
}
