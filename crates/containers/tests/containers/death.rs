//! Kills of every part, and that nothing outlives what is said to be over.

use std::time::Instant;

use holdfast_containers::{
    DestroyError, FoundState, LaunchError, Launcher, LauncherOptions, ShimCommand, WaitError,
};

use crate::stage::{both, kill_9, lives, until, Stage, PATIENCE};

#[test]
fn a_payload_killed_with_9_is_told_as_such() {
    both(|stage| {
        let spec = stage.spec("exec sleep 1000");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        kill_9(pid);
        let exit = stage.launcher().wait(&spec.id).unwrap();
        assert_eq!((exit.code, exit.signal, exit.oom_killed), (None, Some(9), false));
    });
}

#[test]
fn a_shim_killed_with_9_takes_the_payload_with_it_and_the_container_is_lost() {
    both(|stage| {
        // With children of its own, one of them in a session of its own: the kernel kills only the
        // payload itself.
        let spec = stage.spec("sleep 1000 & setsid sleep 1000 & echo $! > kid; echo up; wait");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        stage.until_output(&spec.id, "up");
        let shim = stage.shim_pid(&spec.id);
        let below = beneath(shim);
        assert!(below.len() >= 4 && below.contains(&pid), "{below:?}");
        kill_9(shim);
        until("the payload dies with its shim", || !lives(pid));
        let error = stage.launcher().wait(&spec.id).unwrap_err();
        assert!(matches!(error, WaitError::Lost { .. }), "{error}");
        assert!(below.iter().all(|pid| !lives(*pid)), "what is called lost does not live");
        assert!(stage.cgroups().is_empty());
        stage.restart();
        assert!(
            matches!(stage.launcher().recover().unwrap()[0].state, FoundState::Lost { .. }),
            "and it stays lost"
        );
        assert!(
            matches!(
                stage.launcher().start(&spec),
                Err(holdfast_containers::LaunchError::AlreadyEnded { .. })
            ),
            "never run twice"
        );
    });
}

/// Survivors cannot be had at will: here they are not killed because no time is given to do it.
#[test]
fn a_start_that_fails_with_survivors_keeps_its_files_until_they_are_gone() {
    let stage = Stage::new(false);
    let runtime_dir = stage.dir.path().join("other");
    let line = "setsid sleep 1000 < /dev/null > /dev/null 2>&1 & exit 0";
    let shim =
        ShimCommand { program: "/bin/sh".into(), leading_args: vec!["-c".into(), line.into()] };
    let hasty =
        LauncherOptions { isolate: false, destroy_timeout_ms: 0, ..LauncherOptions::default() };
    let launcher = Launcher::open_with(&runtime_dir, shim.clone(), hasty).unwrap();
    let spec = stage.spec("true");
    let Err(LaunchError::NotEmpty { pids, .. }) = launcher.start(&spec) else {
        panic!("a survivor is not noticed")
    };
    assert!(pids.iter().all(|pid| lives(*pid)) && !pids.is_empty(), "{pids:?}");
    assert_eq!(launcher.list().unwrap().len(), 1, "what may live is not forgotten");
    assert!(
        matches!(launcher.start(&spec), Err(LaunchError::NotEmpty { .. })),
        "and not started a second time"
    );
    assert!(matches!(launcher.destroy(&spec.id), Err(DestroyError::StillAlive { .. })));
    drop(launcher);
    let patient = LauncherOptions { isolate: false, ..LauncherOptions::default() };
    let launcher = Launcher::open_with(&runtime_dir, shim, patient).unwrap();
    launcher.destroy(&spec.id).unwrap();
    assert!(pids.iter().all(|pid| !lives(*pid)));
    launcher.forget(&spec.id).unwrap();
    assert_eq!(launcher.list().unwrap(), []);
}

#[test]
fn a_shim_that_died_while_no_agent_was_there_is_noticed_by_the_next() {
    both(|stage| {
        let spec = stage.spec("setsid sleep 1000 & echo up; exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let shim = stage.shim_pid(&spec.id);
        let below = beneath(shim);
        stage.close();
        kill_9(shim);
        until("the shim is dead", || !lives(shim));
        stage.open();
        assert!(matches!(stage.launcher().recover().unwrap()[0].state, FoundState::Lost { .. }));
        assert!(below.iter().all(|pid| !lives(*pid)));
    });
}

#[test]
fn a_daemon_that_left_its_session_and_its_parent_is_dead_before_the_exit_is_told() {
    both(|stage| {
        // Two forks and a session of its own, its environment wiped: nothing ties it to the payload
        // but its ancestry.
        let line = "(setsid env -i sh -c 'sh -c \"while :; do date +%N > beat; sleep 0.01; done\" & exit 0' &) ; \
                    while [ ! -s beat ]; do sleep 0.01; done; echo up; while [ ! -e go ]; do sleep 0.01; done; exit 3";
        let spec = stage.spec(line);
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let below = beneath(stage.shim_pid(&spec.id));
        std::fs::write(spec.sandbox.join("go"), "").unwrap();
        assert_eq!(stage.launcher().wait(&spec.id).unwrap().code, Some(3));
        assert!(below.iter().all(|pid| !lives(*pid)), "told before all were dead: {below:?}");
        let last = std::fs::read(spec.sandbox.join("beat")).unwrap();
        let looked = Instant::now();
        until("some time passes", || looked.elapsed().as_millis() > 60);
        assert_eq!(
            std::fs::read(spec.sandbox.join("beat")).unwrap(),
            last,
            "somebody still writes"
        );
    });
}

#[test]
fn destroy_returns_when_everything_is_dead_even_what_refuses_to_end() {
    both(|stage| {
        let line = "trap '' TERM INT HUP; for i in 1 2 3 4 5 6 7 8; do (trap '' TERM; while :; do sleep 1000; done) & done; \
                    setsid sh -c 'trap \"\" TERM; sleep 1000' & echo up; while :; do sleep 1000; done";
        let spec = stage.spec(line);
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let below = beneath(stage.shim_pid(&spec.id));
        assert!(below.len() > 10, "{below:?}");
        let destroyed = stage.launcher().destroy(&spec.id).unwrap();
        assert!(below.iter().all(|pid| !lives(*pid)));
        assert_eq!(destroyed.exit.unwrap().signal, Some(9));
        assert!(stage.launcher().destroy(&spec.id).unwrap().exit.is_some(), "again is no error");
        assert!(stage.cgroups().is_empty());
    });
}

#[test]
fn destroy_does_without_a_shim_that_is_stopped() {
    both(|stage| {
        let mut options = stage.options();
        options.destroy_timeout_ms = 400;
        stage.close();
        let launcher = holdfast_containers::Launcher::open_with(
            stage.runtime_dir(),
            crate::stage::shim(),
            options,
        )
        .unwrap();
        let spec = stage.spec("sleep 1000 & setsid sleep 1000 & echo up; wait");
        launcher.start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        let shim = stage.shim_pid(&spec.id);
        let below = beneath(shim);
        assert!(std::process::Command::new("kill")
            .args(["-STOP", &shim.to_string()])
            .status()
            .unwrap()
            .success());
        let destroyed = launcher.destroy(&spec.id).unwrap();
        assert!(below.iter().chain([&shim]).all(|pid| !lives(*pid)));
        assert_eq!(destroyed.exit.unwrap().signal, Some(9));
        drop(launcher);
        stage.open();
    });
}

#[test]
fn a_first_process_killed_with_9_ends_the_container_with_it() {
    both(|stage| {
        let spec = stage.spec("sleep 1000 & echo up; wait");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        stage.until_output(&spec.id, "up");
        let below = beneath(stage.shim_pid(&spec.id));
        let first = below
            .iter()
            .copied()
            .find(|first| *first != pid && beneath(*first).contains(&pid))
            .unwrap();
        kill_9(first);
        let exit = stage.launcher().wait(&spec.id).unwrap();
        assert_eq!(exit.signal, Some(9));
        assert!(below.iter().all(|pid| !lives(*pid)));
    });
}

#[test]
fn waiting_and_destroying_at_once_agree() {
    both(|stage| {
        let spec = stage.spec("exec sleep 1000");
        let launcher = stage.launcher();
        launcher.start(&spec).unwrap();
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| launcher.wait_timeout(&spec.id, PATIENCE).unwrap().unwrap())
                })
                .collect();
            let destroyers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| launcher.destroy(&spec.id).unwrap().exit.unwrap()))
                .collect();
            let exits: Vec<_> = waiters
                .into_iter()
                .chain(destroyers)
                .map(|thread| thread.join().unwrap())
                .collect();
            assert!(
                exits.iter().all(|exit| *exit == exits[0] && exit.signal == Some(9)),
                "{exits:?}"
            );
        });
    });
}

/// All that descends from a process, looked up by parent.
fn beneath(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
            .unwrap_or_default();
        let children: Vec<i32> =
            text.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect();
        found.extend(&children);
        parents.extend(children);
    }
    found
}
