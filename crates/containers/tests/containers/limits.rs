//! Limits that hold, and use that is measured.

use holdfast_containers::{Limits, UpdateLimitsError};

use crate::stage::{both, isolated, left_out, until, Stage};

fn limited(play: impl FnOnce(&mut Stage)) {
    isolated(|stage| match stage.launcher().isolation().cgroup_version {
        Some(_) => play(stage),
        None => left_out("limits of cgroups", "no cgroups here"),
    });
}

#[test]
fn meeting_the_memory_limit_is_told_and_hurts_nobody_else() {
    limited(|stage| {
        let mut spec = stage.spec("exec tail /dev/zero");
        spec.limits.mem_bytes = 32 << 20;
        let (exit, _) = stage.run_spec(&spec);
        assert_eq!((exit.code, exit.signal, exit.oom_killed), (None, Some(9), true), "{exit:?}");
        let words = "Memory limit exceeded: Requested: 32MB Maximum Used: ";
        assert!(exit.message.starts_with(words), "{}", exit.message);

        // A child of the payload met it: the payload's own verdict stands beside the fact.
        let mut spec = stage.spec("tail /dev/zero; exit 21");
        spec.limits.mem_bytes = 32 << 20;
        let (exit, _) = stage.run_spec(&spec);
        assert_eq!((exit.code, exit.oom_killed), (Some(21), true));
        let mut spec = stage.spec("tail /dev/zero; exit 0");
        spec.limits.mem_bytes = 32 << 20;
        assert!(!stage.run_spec(&spec).0.oom_killed, "a payload that copes has succeeded");
        assert!(stage.cgroups().is_empty());
    });
}

#[test]
fn use_is_measured() {
    both(|stage| {
        let spec = stage
            .spec("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1000 & echo up; wait");
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let usage = stage.launcher().usage(&spec.id).unwrap();
        assert_eq!(usage.processes, 2, "{usage:?}");
        assert!(usage.cpu_user_s + usage.cpu_system_s > 0.0, "{usage:?}");
        assert!(usage.mem_rss_bytes > 10_000, "{usage:?}");
        match stage.launcher().isolation().cgroup_version {
            Some(_) => assert_eq!(usage.mem_limit_bytes, 256 << 20),
            None => assert_eq!(usage.mem_limit_bytes, 0),
        }
        stage.launcher().destroy(&spec.id).unwrap();
        assert!(stage.launcher().usage(&spec.id).is_err());
    });
}

#[test]
fn limits_change_while_it_runs_and_not_below_what_is_used() {
    limited(|stage| {
        // Fills 40 MB, then goes on growing once it is told to.
        let line = "head -c 40000000 /dev/zero > /dev/shm/$HOLDFAST_CONTAINER_ID; echo up; while [ ! -e go ]; do sleep 0.02; done; \
                    rm /dev/shm/$HOLDFAST_CONTAINER_ID; exec tail /dev/zero";
        let mut spec = stage.spec(line);
        spec.limits.mem_bytes = 128 << 20;
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let limits = |mem_bytes| Limits { cpus_thousandths: 2000, mem_bytes, cpu_is_ceiling: true };
        let refused = stage.launcher().update_limits(&spec.id, limits(16 << 20)).unwrap_err();
        assert!(
            matches!(&refused, UpdateLimitsError::Isolation(error) if error.detail.contains("in use")),
            "{refused}"
        );
        stage.launcher().update_limits(&spec.id, limits(64 << 20)).unwrap();
        assert_eq!(stage.launcher().usage(&spec.id).unwrap().mem_limit_bytes, 64 << 20);
        std::fs::write(spec.sandbox.join("go"), "").unwrap();
        let exit = stage.launcher().wait(&spec.id).unwrap();
        assert!(exit.oom_killed, "{exit:?}");
    });
}

#[test]
fn without_cgroups_limits_are_carried_and_said_not_to_hold() {
    let stage = Stage::new(false);
    let spec = stage.spec("exec sleep 1000");
    let started = stage.launcher().start(&spec).unwrap();
    assert_eq!(started.isolation.cgroup_version, None);
    let refused = stage.launcher().update_limits(&spec.id, spec.limits).unwrap_err();
    assert!(matches!(refused, UpdateLimitsError::NotEnforced { .. }));
}

#[test]
fn a_fork_bomb_ends_in_its_container() {
    limited(|stage| {
        let spec = stage.spec("bomb() { bomb & bomb & }; bomb; echo up; sleep 1000");
        let mut spec = spec;
        spec.limits.mem_bytes = 64 << 20;
        stage.launcher().start(&spec).unwrap();
        until("it has grown or died", || {
            stage.launcher().usage(&spec.id).map_or(true, |usage| usage.processes > 20)
        });
        let destroyed = stage.launcher().destroy(&spec.id).unwrap();
        assert!(destroyed.exit.is_some());
        assert!(stage.cgroups().is_empty());
    });
}
