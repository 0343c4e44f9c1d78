//! Limits, usage and killing through cgroups version 1: one directory per controller.
//!
//! It uses whichever of memory, cpu, cpuacct, pids and freezer are mounted. It relies on
//! `cgroup_files`; it never reads `/proc/mounts` itself (`detect` does) and never touches a cgroup
//! that is not `<mount>/<parent>/<container>`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cgroup_files::{processes, read_keyed, read_number, remove, write, write_if_there};
use super::{IsolationError, Isolator, Subject};
use crate::process::kill_members;
use crate::{Limits, MemoryEvents, Usage};

const NAME: &str = "cgroup_v1";
/// A lower limit is raised to this: nothing starts in less.
pub(super) const MEM_BYTES_MIN: u64 = 4 << 20;
/// Processes and threads of one container, so that a fork bomb ends in the container and not in the
/// machine.
pub(super) const TASKS_MAX: u64 = 16_384;
/// The period over which a ceiling of cpu is measured, microseconds.
pub(super) const CPU_PERIOD_US: u64 = 100_000;
/// The kernel's "no limit" is near 2^63; no machine has this much.
const MEM_BYTES_NO_LIMIT: u64 = 1 << 60;

/// The mount points of the controllers, as far as they are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hierarchies {
    pub memory: Option<PathBuf>,
    pub cpu: Option<PathBuf>,
    pub cpuacct: Option<PathBuf>,
    pub pids: Option<PathBuf>,
    pub freezer: Option<PathBuf>,
}

/// The isolator of this kind.
pub(crate) struct CgroupV1 {
    hierarchies: Hierarchies,
    parent: String,
}

impl Hierarchies {
    /// Each mount point once: cpu and cpuacct are often mounted together.
    pub fn mount_points(&self) -> Vec<&PathBuf> {
        let mut all: Vec<&PathBuf> =
            [&self.memory, &self.cpu, &self.cpuacct, &self.pids, &self.freezer]
                .into_iter()
                .filter_map(Option::as_ref)
                .collect();
        all.sort();
        all.dedup();
        all
    }
}

impl CgroupV1 {
    pub fn new(hierarchies: Hierarchies, parent: &str) -> CgroupV1 {
        CgroupV1 { hierarchies, parent: parent.to_string() }
    }

    fn dirs(&self, subject: &Subject) -> Vec<PathBuf> {
        self.hierarchies.mount_points().into_iter().map(|mount| self.of(mount, subject)).collect()
    }

    fn of(&self, mount: &Path, subject: &Subject) -> PathBuf {
        mount.join(&self.parent).join(subject.id)
    }

    fn dir(&self, mount: &Option<PathBuf>, subject: &Subject) -> Option<PathBuf> {
        mount.as_ref().map(|mount| self.of(mount, subject))
    }

    fn set_limits(&self, subject: &Subject, limits: &Limits) -> Result<(), String> {
        if let Some(dir) = self.dir(&self.hierarchies.memory, subject) {
            set_memory(&dir, limits.mem_bytes)?;
        }
        if let Some(dir) = self.dir(&self.hierarchies.cpu, subject) {
            write(
                &dir.join("cpu.shares"),
                (limits.cpus_thousandths.saturating_mul(1024) / 1000).clamp(2, 262_144),
            )?;
            write_if_there(&dir.join("cpu.cfs_period_us"), CPU_PERIOD_US)?;
            let quota_us = limits.cpus_thousandths.saturating_mul(CPU_PERIOD_US / 1000).max(1000);
            match limits.cpu_is_ceiling {
                true => write(&dir.join("cpu.cfs_quota_us"), quota_us)?,
                false => write_if_there(&dir.join("cpu.cfs_quota_us"), -1)?,
            }
        }
        Ok(())
    }

    fn failed(&self, action: &str, detail: String) -> IsolationError {
        IsolationError::new(NAME, action, detail)
    }
}

/// Sets the limit of memory, and of memory with swap where the kernel counts it. The second may
/// never be below the first, so the order depends on whether the limit grows.
fn set_memory(dir: &Path, bytes: u64) -> Result<(), String> {
    let limit = match bytes {
        0 => -1,
        _ => i64::try_from(bytes.max(MEM_BYTES_MIN)).unwrap_or(-1),
    };
    let used = read_number(&dir.join("memory.usage_in_bytes")).unwrap_or(0);
    if limit >= 0 && used > limit as u64 {
        return Err(format!("{used} bytes are in use, more than the new limit of {limit}; lower it once the container uses less"));
    }
    let (memory, with_swap) =
        (dir.join("memory.limit_in_bytes"), dir.join("memory.memsw.limit_in_bytes"));
    match write(&memory, limit) {
        Ok(()) => write_if_there(&with_swap, limit),
        Err(_) => write_if_there(&with_swap, limit).and_then(|()| write(&memory, limit)),
    }
}

impl Isolator for CgroupV1 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, subject: &Subject) -> Result<(), IsolationError> {
        for dir in self.dirs(subject) {
            fs::create_dir_all(&dir)
                .map_err(|error| self.failed("create", format!("{}: {error}", dir.display())))?;
        }
        if let Some(dir) = self.dir(&self.hierarchies.pids, subject) {
            write(&dir.join("pids.max"), TASKS_MAX)
                .map_err(|detail| self.failed("limit processes", detail))?;
        }
        self.set_limits(subject, subject.limits).map_err(|detail| self.failed("set limits", detail))
    }

    /// A process that moves another, or all of its own threads, has the kernel wait until no
    /// processor is in the middle of a fork, which takes some ten milliseconds. A thread that moves
    /// itself by `tasks` has nothing to wait for, and the payload has only one.
    fn doors(&self, subject: &Subject) -> Result<Vec<File>, IsolationError> {
        let open = |dir: PathBuf| {
            let path = dir.join("tasks");
            let opened = File::options().write(true).open(&path);
            opened.map_err(|error| self.failed("open", format!("{}: {error}", path.display())))
        };
        self.dirs(subject).into_iter().map(open).collect()
    }

    fn update(&self, subject: &Subject, limits: &Limits) -> Result<(), IsolationError> {
        self.set_limits(subject, limits).map_err(|detail| self.failed("change limits", detail))
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), IsolationError> {
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        if let Some(dir) = self.dir(&self.hierarchies.cpuacct, subject) {
            usage.cpu_user_s += seconds(read_number(&dir.join("cpuacct.usage_user")).unwrap_or(0));
            usage.cpu_system_s += seconds(read_number(&dir.join("cpuacct.usage_sys")).unwrap_or(0));
        }
        if let Some(dir) = self.dir(&self.hierarchies.memory, subject) {
            usage.mem_rss_bytes += read_keyed(&dir.join("memory.stat"), "total_rss").unwrap_or(0);
            usage.mem_total_bytes += read_number(&dir.join("memory.usage_in_bytes")).unwrap_or(0);
            usage.mem_limit_bytes = read_number(&dir.join("memory.limit_in_bytes"))
                .filter(|limit| *limit < MEM_BYTES_NO_LIMIT)
                .unwrap_or(0);
        }
        usage.processes = self.members(subject).len() as u64;
        Ok(())
    }

    fn members(&self, subject: &Subject) -> Vec<i32> {
        let mut pids: Vec<i32> = self.dirs(subject).iter().flat_map(|dir| processes(dir)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Freezes first, so that nothing forks between the list and the signal; thaws in the end,
    /// because a frozen process does not die.
    fn kill(&self, subject: &Subject) {
        let freezer =
            self.dir(&self.hierarchies.freezer, subject).map(|dir| dir.join("freezer.state"));
        let set = |state: &str| freezer.as_ref().map(|path| write_if_there(path, state));
        set("FROZEN");
        kill_members(&self.members(subject), || self.members(subject));
        set("THAWED");
    }

    fn memory_events(&self, subject: &Subject) -> Option<MemoryEvents> {
        let dir = self.dir(&self.hierarchies.memory, subject)?;
        Some(MemoryEvents::of_v1(&dir))
    }

    fn cleanup(&self, subject: &Subject) -> Result<(), IsolationError> {
        for dir in self.dirs(subject) {
            remove(&dir).map_err(|detail| self.failed("clean up", detail))?;
        }
        Ok(())
    }
}
