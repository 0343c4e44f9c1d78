//! Limits, usage and killing through cgroups version 2: one tree.
//!
//! Controllers must be handed down from the root (`cgroup.subtree_control`) before a container's
//! cgroup has them. It relies on `cgroup_files`; never touches a cgroup that is not
//! `<root>/<parent>/<container>`, except to hand controllers down.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup_files::{processes, read_keyed, read_number, remove, write, write_if_there};
use super::cgroup_v1::{CPU_PERIOD_US, MEM_BYTES_MIN, TASKS_MAX};
use super::{IsolationError, Isolator, Subject};
use crate::process::kill_members;
use crate::{Limits, MemoryEvents, Usage};

const NAME: &str = "cgroup_v2";
/// The controllers that we use, where the kernel has them.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// The isolator of this kind.
pub(crate) struct CgroupV2 {
    root: PathBuf,
    parent: String,
}

impl CgroupV2 {
    pub fn new(root: &Path, parent: &str) -> CgroupV2 {
        CgroupV2 { root: root.to_path_buf(), parent: parent.to_string() }
    }

    /// Makes the parent of all containers and hands the controllers down to it and through it.
    pub fn hand_down(&self) -> Result<(), String> {
        let parent = self.root.join(&self.parent);
        fs::create_dir_all(&parent)
            .map_err(|error| format!("creating {}: {error}", parent.display()))?;
        for dir in [&self.root, &parent] {
            let (there, given) = (
                words(&dir.join("cgroup.controllers")),
                words(&dir.join("cgroup.subtree_control")),
            );
            for controller in
                CONTROLLERS.iter().filter(|name| there.iter().any(|found| found == *name))
            {
                if !given.iter().any(|found| found == controller) {
                    write(&dir.join("cgroup.subtree_control"), format!("+{controller}"))?;
                }
            }
        }
        Ok(())
    }

    fn dir(&self, subject: &Subject) -> PathBuf {
        self.root.join(&self.parent).join(subject.id)
    }

    fn has(&self, controller: &str) -> bool {
        words(&self.root.join("cgroup.controllers")).iter().any(|found| found == controller)
    }

    fn set_limits(&self, subject: &Subject, limits: &Limits) -> Result<(), String> {
        let dir = self.dir(subject);
        if self.has("memory") {
            set_memory(&dir, limits.mem_bytes)?;
        }
        if self.has("cpu") {
            write(&dir.join("cpu.weight"), (limits.cpus_thousandths / 10).clamp(1, 10_000))?;
            let quota_us = limits.cpus_thousandths.saturating_mul(CPU_PERIOD_US / 1000).max(1000);
            match limits.cpu_is_ceiling {
                true => write(&dir.join("cpu.max"), format!("{quota_us} {CPU_PERIOD_US}"))?,
                false => write_if_there(&dir.join("cpu.max"), format!("max {CPU_PERIOD_US}"))?,
            }
        }
        Ok(())
    }
}

/// Sets the limit of memory. A limit below what is in use is an error, since the kernel would kill
/// at once.
fn set_memory(dir: &Path, bytes: u64) -> Result<(), String> {
    if bytes == 0 {
        write(&dir.join("memory.max"), "max")?;
        return write_if_there(&dir.join("memory.swap.max"), "max");
    }
    let limit = bytes.max(MEM_BYTES_MIN);
    let used = read_number(&dir.join("memory.current")).unwrap_or(0);
    if used > limit {
        return Err(format!("{used} bytes are in use, more than the new limit of {limit}; lower it once the container uses less"));
    }
    write(&dir.join("memory.max"), limit)?;
    // The limit includes swap as in version 1; there it is one number, here swap is counted apart,
    // so there is none.
    write_if_there(&dir.join("memory.swap.max"), 0)
}

fn words(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_string)
        .collect()
}

impl Isolator for CgroupV2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, subject: &Subject) -> Result<(), IsolationError> {
        self.hand_down()
            .map_err(|detail| IsolationError::new(NAME, "hand controllers down", detail))?;
        let dir = self.dir(subject);
        fs::create_dir_all(&dir).map_err(|error| {
            IsolationError::new(NAME, "create", format!("{}: {error}", dir.display()))
        })?;
        if self.has("pids") {
            write(&dir.join("pids.max"), TASKS_MAX)
                .map_err(|detail| IsolationError::new(NAME, "limit processes", detail))?;
        }
        self.set_limits(subject, subject.limits)
            .map_err(|detail| IsolationError::new(NAME, "set limits", detail))
    }

    fn attach(&self, subject: &Subject, pid: i32) -> Result<(), IsolationError> {
        write(&self.dir(subject).join("cgroup.procs"), pid)
            .map_err(|detail| IsolationError::new(NAME, "attach", detail))
    }

    fn update(&self, subject: &Subject, limits: &Limits) -> Result<(), IsolationError> {
        self.set_limits(subject, limits)
            .map_err(|detail| IsolationError::new(NAME, "change limits", detail))
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), IsolationError> {
        let dir = self.dir(subject);
        let seconds = |key: &str| read_keyed(&dir.join("cpu.stat"), key).unwrap_or(0) as f64 / 1e6;
        usage.cpu_user_s += seconds("user_usec");
        usage.cpu_system_s += seconds("system_usec");
        usage.mem_rss_bytes += read_keyed(&dir.join("memory.stat"), "anon").unwrap_or(0);
        usage.mem_total_bytes += read_number(&dir.join("memory.current")).unwrap_or(0);
        usage.mem_limit_bytes = read_number(&dir.join("memory.max")).unwrap_or(0);
        usage.processes = self.members(subject).len() as u64;
        Ok(())
    }

    fn members(&self, subject: &Subject) -> Vec<i32> {
        processes(&self.dir(subject))
    }

    /// Has the kernel kill the whole tree at once where it can (5.14 and newer).
    fn kill(&self, subject: &Subject) {
        let at_once = self.dir(subject).join("cgroup.kill");
        if !at_once.exists() || write(&at_once, 1).is_err() {
            kill_members(&self.members(subject), || self.members(subject));
        }
    }

    fn memory_events(&self, subject: &Subject) -> Option<MemoryEvents> {
        Some(MemoryEvents::of_v2(&self.dir(subject)))
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), IsolationError> {
        remove(&self.dir(subject)).map_err(|detail| IsolationError::new(NAME, "clean up", detail))
    }
}
