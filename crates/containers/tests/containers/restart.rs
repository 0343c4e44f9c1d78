//! Agents come and go; containers stay.

use std::process::{Command, Stdio};

use holdfast_containers::{FoundState, LaunchError, Launcher, OpenError};

use crate::stage::{both, kill_9, lives, new_id, record_at, shim, until, Stage};

/// Tells the re-executed test program that it is the agent.
const AGENT_STAGE: &str = "HOLDFAST_TEST_AGENT_STAGE";

#[test]
fn the_next_agent_finds_what_runs_and_what_has_ended() {
    both(|stage| {
        let runs = stage.spec("while [ ! -e go ]; do sleep 0.02; done; exit 4");
        let pid = stage.launcher().start(&runs).unwrap().pid;
        let ended = stage.spec("exit 3");
        stage.run_spec(&ended);
        let ends_meanwhile = stage.spec("while [ ! -e go ]; do sleep 0.02; done; exit 6");
        stage.launcher().start(&ends_meanwhile).unwrap();
        stage.close();
        std::fs::write(ends_meanwhile.sandbox.join("go"), "").unwrap();
        let exit_file =
            stage.runtime_dir().join("containers").join(&ends_meanwhile.id).join("exit.json");
        until("it ends while no agent is there", || exit_file.exists());
        stage.open();

        let mut found = stage.launcher().recover().unwrap();
        assert!(found.is_sorted_by(|one, other| one.id <= other.id));
        let mut take =
            |id: &str| found.remove(found.iter().position(|found| found.id == id).unwrap()).state;
        assert_eq!(take(&runs.id), FoundState::Running { pid });
        assert!(matches!(take(&ended.id), FoundState::Exited(exit) if exit.code == Some(3)));
        assert!(
            matches!(take(&ends_meanwhile.id), FoundState::Exited(exit) if exit.code == Some(6))
        );
        assert!(found.is_empty());

        let again = stage.launcher().start(&runs).unwrap();
        assert!(again.already_running && again.pid == pid);
        assert!(matches!(stage.launcher().start(&ended), Err(LaunchError::AlreadyEnded { .. })));
        std::fs::write(runs.sandbox.join("go"), "").unwrap();
        assert_eq!(stage.launcher().wait(&runs.id).unwrap().code, Some(4));
    });
}

#[test]
#[ignore = "no test by itself: an_agent_killed_with_9_leaves_its_containers_running runs it as a process of its own"]
fn agent_process() {
    let dir =
        std::env::var_os(AGENT_STAGE).map(std::path::PathBuf::from).expect("told where to play");
    let text = std::fs::read_to_string(dir.join("agent.json")).unwrap();
    let (isolate, parent, spec): (bool, String, holdfast_containers::ContainerSpec) =
        serde_json::from_str(&text).unwrap();
    let options = holdfast_containers::LauncherOptions {
        isolate,
        cgroup_parent: parent,
        ..Default::default()
    };
    let launcher = Launcher::open_with(dir.join("run"), shim(), options).unwrap();
    launcher.start(&spec).unwrap();
    std::fs::write(dir.join("agent.up"), "").unwrap();
    launcher.wait(&spec.id).unwrap();
}

#[test]
fn an_agent_killed_with_9_leaves_its_containers_running() {
    both(|stage| {
        stage.close();
        let spec = stage.spec("echo up; while [ ! -e go ]; do sleep 0.02; done; exit 9");
        let told = serde_json::to_string(&(stage.isolate, &stage.cgroup_parent, &spec)).unwrap();
        std::fs::write(stage.dir.path().join("agent.json"), told).unwrap();
        let mut agent = Command::new(std::env::current_exe().unwrap())
            .args(["restart::agent_process", "--exact", "--ignored", "--nocapture"])
            .env(AGENT_STAGE, stage.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the agent is up", || stage.dir.path().join("agent.up").exists());
        kill_9(agent.id() as i32);
        agent.wait().unwrap();
        stage.open();
        // Not our child, and never was.
        let found = stage.launcher().recover().unwrap();
        let FoundState::Running { pid } = found[0].state else { panic!("{found:?}") };
        assert!(lives(pid));
        std::fs::write(spec.sandbox.join("go"), "").unwrap();
        assert_eq!(stage.launcher().wait(&spec.id).unwrap().code, Some(9));
        assert!(!lives(pid));
    });
}

#[test]
fn many_starts_of_one_id_run_it_once() {
    both(|stage| {
        let spec = stage.spec("echo started; exec sleep 1000");
        let launcher = stage.launcher();
        let pids: Vec<(i32, bool)> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| launcher.start(&spec).unwrap())).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .map(|started| (started.pid, started.already_running))
                .collect()
        });
        assert!(pids.iter().all(|(pid, _)| *pid == pids[0].0), "{pids:?}");
        assert_eq!(pids.iter().filter(|(_, again)| !again).count(), 1);
        stage.until_output(&spec.id, "started");
        launcher.destroy(&spec.id).unwrap();
        assert_eq!(stage.output(&spec.id), "started\n");
    });
}

#[test]
fn a_start_that_never_came_to_a_shim_is_begun_anew() {
    both(|stage| {
        // What a crash between the directory and the spawn leaves.
        let spec = stage.spec("echo once");
        let dir = stage.runtime_dir().join("containers").join(&spec.id);
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(stage.run_spec(&spec).1, "once\n");

        let other = stage.spec("echo twice");
        let dir = stage.runtime_dir().join("containers").join(&other.id);
        std::fs::create_dir(&dir).unwrap();
        stage.restart();
        let found = stage.launcher().recover().unwrap();
        let state = &found.iter().find(|found| found.id == other.id).unwrap().state;
        assert!(matches!(state, FoundState::Lost { .. }), "{state:?}");
        stage.launcher().forget(&other.id).unwrap();
        assert_eq!(stage.run_spec(&other).1, "twice\n");
    });
}

#[test]
fn what_may_have_run_is_not_run_again() {
    both(|stage| {
        let spec = stage.spec("echo once; exec sleep 1000");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        stage.until_output(&spec.id, "once");
        kill_9(stage.shim_pid(&spec.id));
        until("the payload dies with its shim", || !lives(pid));
        // As if the shim had died between letting the payload exec and noting that it had.
        let path = stage.runtime_dir().join("containers").join(&spec.id).join("started.json");
        let text = record_at(&path);
        assert!(text.contains("\"execed\":true"), "{text}");
        std::fs::write(&path, text.replace("true", "false")).unwrap();
        stage.restart();
        assert!(matches!(stage.launcher().start(&spec), Err(LaunchError::AlreadyEnded { .. })));
        assert!(matches!(stage.launcher().recover().unwrap()[0].state, FoundState::Lost { .. }));
        assert_eq!(stage.output(&spec.id), "once\n");
    });
}

#[test]
fn a_reused_pid_is_not_taken_for_the_shim() {
    both(|stage| {
        let spec = stage.spec("exec sleep 1000");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        // As if all its processes had died with the agent, and the pids belonged to others by now:
        // to us, whom nobody may kill.
        let shim = stage.shim_pid(&spec.id);
        kill_9(shim);
        until("the payload dies with its shim", || !lives(pid) && !lives(shim));
        let dir = stage.runtime_dir().join("containers").join(&spec.id);
        for name in ["shim.json", "started.json"] {
            let mut value: serde_json::Value =
                serde_json::from_str(&record_at(&dir.join(name))).unwrap();
            let own = serde_json::Value::from(std::process::id());
            for part in ["shim", "first", "payload"] {
                if let Some(identity) = value.get_mut(part).filter(|part| !part.is_null()) {
                    identity["pid"] = own.clone();
                }
            }
            std::fs::write(dir.join(name), value.to_string()).unwrap();
        }
        stage.restart();
        let found = stage.launcher().recover().unwrap();
        assert!(matches!(found[0].state, FoundState::Lost { .. }), "{found:?}");
        stage.launcher().destroy(&spec.id).unwrap();
    });
}

#[test]
fn damaged_files_of_one_container_do_not_hide_the_others() {
    both(|stage| {
        let (damaged, whole) = (stage.spec("exec sleep 1000"), stage.spec("exec sleep 1000"));
        let pid = stage.launcher().start(&damaged).unwrap().pid;
        stage.launcher().start(&whole).unwrap();
        std::fs::write(
            stage.runtime_dir().join("containers").join(&damaged.id).join("started.json"),
            "{",
        )
        .unwrap();
        stage.restart();
        let found = stage.launcher().recover().unwrap();
        assert_eq!(found.len(), 2);
        for found in found {
            match (found.id == damaged.id, found.state) {
                (true, FoundState::Lost { message }) => {
                    assert!(message.contains("started.json"), "{message}")
                }
                (false, FoundState::Running { .. }) => {}
                (_, state) => panic!("{}: {state:?}", found.id),
            }
        }
        assert!(!lives(pid), "what is called lost does not live");
        assert_eq!(stage.launcher().list().unwrap().len(), 2);
        stage.launcher().forget(&damaged.id).unwrap();

        // Destroyed and forgotten without anyone having recovered it.
        for name in ["started.json", "shim.json", "launch.json"] {
            let damaged = stage.spec("setsid sleep 1000 & echo up; wait");
            let pid = stage.launcher().start(&damaged).unwrap().pid;
            stage.until_output(&damaged.id, "up");
            std::fs::write(
                stage.runtime_dir().join("containers").join(&damaged.id).join(name),
                "{",
            )
            .unwrap();
            assert!(stage.launcher().destroy(&damaged.id).unwrap().exit.is_some());
            assert!(!lives(pid));
            stage.launcher().forget(&damaged.id).unwrap();
            assert_eq!(stage.state(&damaged.id), None);
        }
    });
}

#[test]
fn two_agents_on_one_directory_are_one_too_many() {
    let stage = Stage::new(false);
    let second = Launcher::open_with(stage.runtime_dir(), shim(), stage.options());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    assert_eq!(
        stage.launcher().destroy(&new_id()).unwrap().exit,
        None,
        "an unknown container is empty"
    );
}
