//! Detects what this machine permits: which cgroups are mounted and writable, and whether
//! namespaces can be made.
//!
//! It runs once, when a launcher opens, and for `doctor`. It never changes anything but the parent
//! cgroup, which it makes to see whether it may.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup_v1::Hierarchies;
use super::cgroup_v2::CgroupV2;
use super::hide::{self, Hiding};
use super::{mounts, CgroupPlan, Plan};

/// Returns the best plan that this machine allows. `scratch` is a directory of ours for trials.
pub(crate) fn best_plan(scratch: &Path, cgroup_parent: &str, hides: bool) -> Plan {
    if !nix::unistd::geteuid().is_root() {
        return Plan { cgroup_parent: cgroup_parent.to_string(), ..Plan::default() };
    }
    let namespaces = [mounts::probe(scratch), mounts::probe_pid_namespace()];
    for problem in namespaces.iter().filter_map(|result| result.as_ref().err()) {
        tracing::warn!(%problem, "no namespaces: volumes become links, see `holdfast doctor`");
    }
    let cgroups = match usable(mounted(), cgroup_parent) {
        Ok(cgroups) => cgroups,
        Err(problem) => {
            tracing::warn!(%problem, "no cgroups: limits are not enforced, see `holdfast doctor`");
            CgroupPlan::None
        }
    };
    let namespaces = namespaces.iter().all(Result::is_ok);
    let hiding = match hides && namespaces {
        true => hide::probe(scratch)
            .inspect_err(|problem| {
                tracing::warn!(%problem, "containers see the disks and directories of Holdfast, see `holdfast doctor`");
            })
            .ok()
            .map(|()| Hiding::default()),
        false => None,
    };
    Plan { namespaces, hiding, cgroups, cgroup_parent: cgroup_parent.to_string(), inside: None }
}

/// Lists the cgroups that this machine has mounted.
pub(crate) fn mounted() -> CgroupPlan {
    parse(&fs::read_to_string("/proc/mounts").unwrap_or_default(), |root| {
        fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default()
    })
}

/// Returns the same cgroups if they can be changed by us, or why not.
pub(crate) fn usable(found: CgroupPlan, parent: &str) -> Result<CgroupPlan, String> {
    let trial = Path::new(parent).join(format!("trial-{}", uuid::Uuid::new_v4()));
    match &found {
        CgroupPlan::None => {
            return Err(
                "neither version 1 nor version 2 is mounted with a memory or cpu controller"
                    .to_string(),
            )
        }
        CgroupPlan::V1(hierarchies) => {
            for mount in hierarchies.mount_points() {
                try_directory(&mount.join(&trial))?;
            }
        }
        CgroupPlan::V2(root) => {
            CgroupV2::new(root, parent).hand_down()?;
            try_directory(&root.join(&trial))?;
        }
    }
    Ok(found)
}

/// Makes and removes a cgroup: that its parent exists does not prove that this is permitted.
fn try_directory(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("creating {}: {error}", dir.display()))?;
    super::cgroup_files::remove(dir)
}

/// Reads `/proc/mounts`. A controller belongs to one version only; on a hybrid machine version 1
/// has those that limit anything.
fn parse(mounts: &str, v2_controllers: impl Fn(&Path) -> String) -> CgroupPlan {
    let mut v1 = Hierarchies::default();
    let mut v2 = None;
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, point, kind, options, ..] = fields.as_slice() else { continue };
        let point = PathBuf::from(unescape(point));
        match *kind {
            "cgroup" => {
                for option in options.split(',') {
                    let slot = match option {
                        "memory" => &mut v1.memory,
                        "cpu" => &mut v1.cpu,
                        "cpuacct" => &mut v1.cpuacct,
                        "pids" => &mut v1.pids,
                        "freezer" => &mut v1.freezer,
                        _ => continue,
                    };
                    slot.get_or_insert_with(|| point.clone());
                }
            }
            "cgroup2" => v2 = v2.or(Some(point)),
            _ => {}
        }
    }
    let v2_limits = |root: &PathBuf| {
        v2_controllers(root).split_ascii_whitespace().any(|name| name == "memory" || name == "cpu")
    };
    match v2.filter(|_| v1.memory.is_none() && v1.cpu.is_none()).filter(v2_limits) {
        Some(root) => CgroupPlan::V2(root),
        None if v1.memory.is_some() || v1.cpu.is_some() => CgroupPlan::V1(v1),
        None => CgroupPlan::None,
    }
}

/// Undoes the octal escapes of `/proc/mounts`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_is_version_1_and_pairs_share_a_mount() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
             cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
             cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
             cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
             cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n";
        let CgroupPlan::V1(found) = parse(mounts, |_| String::new()) else {
            panic!("not version 1")
        };
        assert_eq!(found.memory.as_deref(), Some(Path::new("/sys/fs/cgroup/memory")));
        assert_eq!(found.cpu, found.cpuacct);
        assert_eq!(found.freezer, None);
        assert_eq!(found.mount_points().len(), 2);
    }

    #[test]
    fn version_2_needs_a_controller_that_limits() {
        let mounts = "cgroup2 /sys/fs/my\\040cgroup cgroup2 rw,nsdelegate 0 0\n";
        assert_eq!(
            parse(mounts, |_| "cpuset cpu memory pids\n".into()),
            CgroupPlan::V2("/sys/fs/my cgroup".into())
        );
        assert_eq!(parse(mounts, |_| "hugetlb\n".into()), CgroupPlan::None);
        assert_eq!(parse("", |_| "memory".into()), CgroupPlan::None);
    }

    #[test]
    fn a_tree_that_takes_no_orders_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let broken = CgroupPlan::V1(Hierarchies { memory: Some(file), ..Hierarchies::default() });
        assert!(usable(broken, "holdfast").unwrap_err().contains("creating"));
        assert!(usable(CgroupPlan::None, "holdfast").is_err());
    }
}
