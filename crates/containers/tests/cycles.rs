//! Twenty lives and deaths leave nothing: no mount, no cgroup, no process, no open file.
//!
//! A program of its own, because it counts the open files of its process.

#![allow(clippy::unwrap_used, reason = "tests may unwrap: a panic there is the report")]

#[path = "containers/stage.rs"]
mod stage;

use std::collections::BTreeSet;

use stage::{at, both, lives, Stage};

#[derive(Debug, PartialEq, Eq)]
struct Baseline {
    mounts: usize,
    cgroups: usize,
    files: BTreeSet<String>,
    runtime_files: usize,
}

fn measure(stage: &Stage) -> Baseline {
    let own = stage.dir.path().to_str().unwrap().to_string();
    let open = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Baseline {
        mounts: std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .filter(|line| line.contains(&own))
            .count(),
        cgroups: stage.cgroups().len(),
        files: open
            .map(|target| target.display().to_string())
            .filter(|target| !target.contains("/fd"))
            .collect(),
        runtime_files: ["containers", "gone"]
            .iter()
            .map(|name| std::fs::read_dir(stage.runtime_dir().join(name)).unwrap().count())
            .sum(),
    }
}

#[test]
fn twenty_cycles_leave_everything_as_it_was() {
    both(|stage| {
        let volume = stage.volume("v");
        let cycle = |round: usize| {
            let mut spec = stage.spec("setsid sleep 1000 & sleep 1000 & echo up; wait");
            spec.volumes = vec![at(&volume, "data"), at(&volume, "ro").read_only()];
            let pid = stage.launcher().start(&spec).unwrap().pid;
            let shim = stage.shim_pid(&spec.id);
            stage.until_output(&spec.id, "up");
            match round % 4 {
                // Destroyed, ended by itself, shim killed, and not even started.
                0 | 3 => assert!(stage.launcher().destroy(&spec.id).unwrap().exit.is_some()),
                1 => {
                    stage.launcher().signal(&spec.id, 15).unwrap();
                    assert_eq!(stage.launcher().wait(&spec.id).unwrap().signal, Some(15));
                }
                _ => {
                    stage::kill_9(shim);
                    assert!(stage.launcher().wait(&spec.id).is_err());
                }
            }
            stage.launcher().forget(&spec.id).unwrap();
            assert!(!lives(pid) && !lives(shim));
            assert!(
                !std::path::Path::new(&format!("/proc/{shim}")).exists(),
                "the shim was our child and is reaped"
            );
        };
        cycle(0);
        let before = measure(stage);
        (0..20).for_each(cycle);
        assert_eq!(measure(stage), before);
        assert_eq!(before.mounts + before.cgroups + before.runtime_files, 0);
        assert_eq!(std::fs::read_to_string(volume.join("kept")).unwrap(), "v");
        let mut left: Vec<_> =
            std::fs::read_dir(&volume).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept"]);
    });
}
