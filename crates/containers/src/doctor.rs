//! `doctor`: what this machine can do for containers, and what to do about what it cannot.
//!
//! It tries things for real, in ways that leave nothing behind. It never fails: what cannot be
//! tried is a finding too.

use std::path::Path;

use rustix::process::{getpid, pidfd_open, PidfdFlags};

use crate::isolation::cgroup_v1::CgroupV1;
use crate::isolation::cgroup_v2::CgroupV2;
use crate::isolation::{detect, hide, mounts, CgroupPlan, Isolator, Subject};
use crate::{Limits, Usage};

/// The parent of the trial's cgroup: the default one, so that what is tried is what will be used.
const CGROUP_PARENT: &str = "holdfast";
/// A limit that every kernel takes unrounded (a multiple of every page size).
const TRIAL_BYTES: u64 = 64 << 20;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check.
    pub name: &'static str,
    /// Whether the check passed.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty when `ok`.
    pub advice: String,
}

/// Checks this machine. Takes milliseconds.
pub fn doctor() -> Vec<Finding> {
    let root = nix::unistd::geteuid().is_root();
    let cgroups = detect::mounted();
    vec![
        finding(
            "root",
            root.then(|| "running as root".to_string()).ok_or("not root".to_string()),
            "run the agent as root: without it volumes are links, limits are not enforced",
        ),
        finding(
            "mount namespaces",
            trial_mounts().map(|()| "volumes can be private to a container and read-only".to_string()),
            "needs root with CAP_SYS_ADMIN and Linux 5.12 or newer",
        ),
        finding(
            "pid namespaces",
            mounts::probe_pid_namespace().map(|()| "all processes of a container die with its first".to_string()),
            "needs root with CAP_SYS_ADMIN",
        ),
        finding(
            "isolation",
            trial_hiding().map(|()| "a container sees no volume, sandbox or ledger but what it was given, root included".to_string()),
            "isolation is by user only: run each role's tasks as a user of its own, none as root; or give the agent root with CAP_SYS_ADMIN, CAP_SETPCAP and Linux 5.12",
        ),
        finding("cgroups", describe(&cgroups), "mount cgroups version 2, or version 1 with memory, cpu and freezer"),
        finding("memory limit", trial_limit(&cgroups), "give the agent a cgroup tree that it may write to, with the memory controller"),
        finding(
            "pidfd",
            pidfd_open(getpid(), PidfdFlags::empty())
                .map(|_| "processes are told apart safely".to_string())
                .map_err(|error| error.to_string()),
            "use Linux 5.3 or newer: without pidfds the end of a container is noticed by looking again and again",
        ),
        finding(
            "boot id",
            Some(crate::process::boot_id()).filter(|id| !id.is_empty()).ok_or("/proc/sys/kernel/random/boot_id cannot be read".into()),
            "mount /proc",
        ),
    ]
}

fn finding(name: &'static str, result: Result<String, String>, advice: &str) -> Finding {
    match result {
        Ok(detail) => Finding { name, ok: true, detail, advice: String::new() },
        Err(detail) => Finding { name, ok: false, detail, advice: advice.to_string() },
    }
}

fn describe(found: &CgroupPlan) -> Result<String, String> {
    match found {
        CgroupPlan::None => Err("no cgroups that limit anything".to_string()),
        CgroupPlan::V2(root) => {
            let controllers =
                std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
            Ok(format!("version 2 at {}: {}", root.display(), controllers.trim()))
        }
        CgroupPlan::V1(hierarchies) => {
            let all = [
                ("memory", &hierarchies.memory),
                ("cpu", &hierarchies.cpu),
                ("cpuacct", &hierarchies.cpuacct),
                ("pids", &hierarchies.pids),
                ("freezer", &hierarchies.freezer),
            ];
            let there: Vec<&str> =
                all.iter().filter(|(_, mount)| mount.is_some()).map(|(name, _)| *name).collect();
            Ok(format!("version 1: {}", there.join(", ")))
        }
    }
}

fn trial_mounts() -> Result<(), String> {
    in_trial_dir(mounts::probe)
}

fn trial_hiding() -> Result<(), String> {
    mounts::probe_pid_namespace()?;
    in_trial_dir(hide::probe)
}

fn in_trial_dir(trial: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let dir = std::env::temp_dir().join(format!("holdfast-doctor-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).map_err(|error| format!("creating {}: {error}", dir.display()))?;
    let result = trial(&dir);
    let removed =
        std::fs::remove_dir(&dir).map_err(|error| format!("removing {}: {error}", dir.display()));
    result.and(removed)
}

/// Makes a cgroup, limits it, reads the limit back, removes it.
fn trial_limit(found: &CgroupPlan) -> Result<String, String> {
    let isolator: Box<dyn Isolator> = match detect::usable(found.clone(), CGROUP_PARENT)? {
        CgroupPlan::None => return Err("no cgroups".to_string()),
        CgroupPlan::V1(hierarchies) => Box::new(CgroupV1::new(hierarchies, CGROUP_PARENT)),
        CgroupPlan::V2(root) => Box::new(CgroupV2::new(&root, CGROUP_PARENT)),
    };
    let id = uuid::Uuid::new_v4().to_string();
    let limits = Limits { cpus_thousandths: 1000, mem_bytes: TRIAL_BYTES, cpu_is_ceiling: false };
    let subject = Subject {
        id: &id,
        sandbox: Path::new("/"),
        volumes: &[],
        limits: &limits,
        owner: None,
        hiding: None,
        shim_pid: None,
    };
    let mut usage = Usage::default();
    let tried = isolator.prepare(&subject).and_then(|()| isolator.usage(&subject, &mut usage));
    isolator.cleanup(&subject).map_err(|error| error.to_string())?;
    tried.map_err(|error| error.to_string())?;
    match usage.mem_limit_bytes {
        TRIAL_BYTES => Ok("a limit was set and read back".to_string()),
        other => Err(format!("a limit of {TRIAL_BYTES} bytes was set and {other} read back")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_something_about_everything_and_advises_only_where_something_is_wrong() {
        let findings = doctor();
        assert_eq!(findings.len(), 8);
        for finding in &findings {
            assert_eq!(finding.ok, finding.advice.is_empty(), "{finding:?}");
            assert!(!finding.detail.is_empty(), "{finding:?}");
        }
        assert_eq!(findings[0].ok, nix::unistd::geteuid().is_root());
        assert!(
            findings.iter().any(|finding| finding.name == "pidfd" && finding.ok),
            "every kernel we build on has pidfds"
        );
    }
}
