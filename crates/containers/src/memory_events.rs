//! What a container's cgroup says about its memory: the limit, the most that was used, and whether
//! the kernel has killed for it.
//!
//! It reads the files of one cgroup, version 1 or 2. It never changes any, and where a file is
//! missing it does not guess.

use std::fs;
use std::path::{Path, PathBuf};

use crate::isolation::cgroup_files::{read_keyed, read_number};
use crate::isolation::{detect, CgroupPlan};

/// What is known about the memory of a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// How many of its processes the kernel has killed because the limit was met.
    pub oom_kills: u64,
    /// The limit in bytes.
    pub limit_bytes: Option<u64>,
    /// The most that was ever used, in bytes.
    pub peak_bytes: Option<u64>,
}

impl MemoryEvents {
    pub(crate) fn of_v1(dir: &Path) -> MemoryEvents {
        MemoryEvents {
            oom_kills: read_keyed(&dir.join("memory.oom_control"), "oom_kill").unwrap_or(0),
            limit_bytes: read_number(&dir.join("memory.limit_in_bytes")),
            peak_bytes: read_number(&dir.join("memory.max_usage_in_bytes")),
        }
    }

    pub(crate) fn of_v2(dir: &Path) -> MemoryEvents {
        MemoryEvents {
            oom_kills: read_keyed(&dir.join("memory.events"), "oom_kill").unwrap_or(0),
            limit_bytes: read_number(&dir.join("memory.max")),
            // Kernels before 5.19 do not say.
            peak_bytes: read_number(&dir.join("memory.peak")),
        }
    }

    /// That the limit was exceeded, in the words of Mesos, as far as it is known by how much.
    pub fn words(&self) -> String {
        let mut words = "Memory limit exceeded:".to_string();
        for (what, bytes) in [("Requested", self.limit_bytes), ("Maximum Used", self.peak_bytes)] {
            words += &bytes.map(|it| format!(" {what}: {}", sized(it))).unwrap_or_default();
        }
        words.trim_end_matches(':').to_string()
    }
}

/// The greatest unit of which there is a whole number.
fn sized(bytes: u64) -> String {
    let units = [(30, "GB"), (20, "MB"), (10, "KB"), (0, "B")];
    let is_whole = |shift: u32| 0 < bytes && bytes.is_multiple_of(1 << shift);
    let (shift, unit) = units.into_iter().find(|(it, _)| is_whole(*it)).unwrap_or((0, "B"));
    format!("{}{unit}", bytes >> shift)
}

/// The memory of the cgroup that this process is in: what an executor can know about its tasks.
#[derive(Clone, Debug)]
pub struct OwnMemory {
    dir: PathBuf,
    is_v2: bool,
}

impl OwnMemory {
    /// Finds the cgroup; `None` where memory is not limited by one, or it cannot be seen from here.
    pub fn find() -> Option<OwnMemory> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (mount, is_v2) = match detect::mounted() {
            CgroupPlan::None => return None,
            CgroupPlan::V1(hierarchies) => (hierarchies.memory?, false),
            CgroupPlan::V2(root) => (root, true),
        };
        let path = own_path(&own, is_v2)?;
        let dir = mount.join(path.trim_start_matches('/'));
        dir.is_dir().then_some(OwnMemory { dir, is_v2 })
    }

    /// What is known now.
    pub fn events(&self) -> MemoryEvents {
        match self.is_v2 {
            true => MemoryEvents::of_v2(&self.dir),
            false => MemoryEvents::of_v1(&self.dir),
        }
    }
}

/// The line of `/proc/self/cgroup` that is about memory.
fn own_path(own: &str, is_v2: bool) -> Option<&str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_it = match is_v2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|it| it == "memory"),
        };
        is_it.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_mesos() {
        let (limit_bytes, peak_bytes) = (Some(32 << 20), Some((31 << 20) + 1024));
        let events = MemoryEvents { oom_kills: 1, limit_bytes, peak_bytes };
        assert_eq!(events.words(), "Memory limit exceeded: Requested: 32MB Maximum Used: 31745KB");
        let some = MemoryEvents { peak_bytes: None, ..events };
        assert_eq!(some.words(), "Memory limit exceeded: Requested: 32MB");
        assert_eq!(MemoryEvents::default().words(), "Memory limit exceeded");
        assert_eq!((sized(0), sized(1 << 30), sized(7)), ("0B".into(), "1GB".into(), "7B".into()));
    }

    #[test]
    fn a_process_finds_its_own_cgroup() {
        let v1 = "5:devices:/\n4:cpu,memory:/holdfast/x:y\n0::/z\n";
        assert_eq!((own_path(v1, false), own_path(v1, true)), (Some("/holdfast/x:y"), Some("/z")));
        assert_eq!(own_path("1:cpu:/\n", false), None);
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        write("memory.limit_in_bytes", "1048576\n");
        write("memory.max_usage_in_bytes", "4096\n");
        write("memory.events", "low 0\noom 1\noom_kill 3\n");
        write("memory.max", "max\n");
        let v1 = MemoryEvents { oom_kills: 2, limit_bytes: Some(1 << 20), peak_bytes: Some(4096) };
        assert_eq!(MemoryEvents::of_v1(dir.path()), v1);
        let v2 = MemoryEvents { oom_kills: 3, limit_bytes: None, peak_bytes: None };
        assert_eq!(MemoryEvents::of_v2(dir.path()), v2);
    }
}
