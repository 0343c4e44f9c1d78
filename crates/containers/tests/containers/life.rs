//! What a payload finds when it starts, and what is told when it ends.

use holdfast_containers::{stage_sandbox, Command, ForgetError, SignalError, WaitError};

use crate::stage::{both, is_root, isolated, left_out, until, PATIENCE};

#[test]
fn it_finds_its_environment_its_directory_and_nothing_of_the_agents() {
    // Set for the whole test process: the agent's own environment.
    both(|stage| {
        let mut spec = stage.spec("env; pwd; echo complaint >&2");
        spec.environment.insert("GREETING".into(), "hello, world = yes".into());
        let (exit, output) = stage.run_spec(&spec);
        assert!(exit.succeeded(), "{exit:?}");
        let mut lines: Vec<&str> = output
            .lines()
            .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="))
            .collect();
        lines.retain(|line| !line.starts_with("SHLVL=") && !line.starts_with("OLDPWD="));
        lines.sort_unstable();
        let mut wanted = vec![
            spec.sandbox.display().to_string(),
            "GREETING=hello, world = yes".into(),
            format!("HOLDFAST_CONTAINER_ID={}", spec.id),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
        ];
        wanted.sort_unstable();
        assert_eq!(lines, wanted);
        assert_eq!(std::fs::read_to_string(spec.sandbox.join("stderr")).unwrap(), "complaint\n");
    });
}

#[test]
fn arguments_arrive_unchanged_and_programs_are_found_in_its_path() {
    both(|stage| {
        let mut spec = stage.spec("");
        let args: Vec<String> =
            ["%s|", "a b", "$HOME", "", "'\"", "ü\n"].map(String::from).to_vec();
        spec.command = Command::Argv { program: "printf".into(), args };
        assert_eq!(stage.run_spec(&spec).1, "a b|$HOME||'\"|ü\n|");

        let mut spec = stage.spec("");
        let tools = spec.sandbox.join("tools");
        std::fs::create_dir(&tools).unwrap();
        std::fs::write(tools.join("own"), "echo own $1\n").unwrap();
        std::fs::set_permissions(
            tools.join("own"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        spec.environment.insert("PATH".into(), format!("/nonexistent:{}", tools.display()));
        spec.command = Command::Argv { program: "own".into(), args: vec!["x".into()] };
        assert_eq!(stage.run_spec(&spec).1, "own x\n", "a script without #! is run by the shell");
        let mut again = stage.spec("");
        again.sandbox = spec.sandbox.clone();
        again.command = Command::Argv { program: "tools/own".into(), args: vec!["y".into()] };
        stage.run_spec(&again);
        assert_eq!(
            stage.output(&spec.id),
            "own x\nown y\n",
            "relative to the sandbox, and output is appended"
        );
    });
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    both(|stage| {
        for code in [0, 1, 7, 127, 137, 255] {
            let (exit, _) = stage.run(&format!("exit {code}"));
            assert_eq!(
                (exit.code, exit.signal, exit.oom_killed),
                (Some(code), None, false),
                "{exit:?}"
            );
        }
        for signal in [9, 15, 6] {
            let (exit, _) = stage.run(&format!("kill -{signal} $$"));
            assert_eq!(
                (exit.code, exit.signal, exit.oom_killed),
                (None, Some(signal), false),
                "{exit:?}"
            );
        }
    });
}

#[test]
fn signals_reach_it_although_its_shim_ignores_them() {
    both(|stage| {
        let spec =
            stage.spec("trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done");
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        stage.launcher().signal(&spec.id, 15).unwrap();
        let exit = stage.launcher().wait(&spec.id).unwrap();
        assert_eq!(exit.code, Some(5));
        assert!(matches!(
            stage.launcher().signal(&spec.id, 15),
            Err(SignalError::NotRunning { .. })
        ));
        assert!(matches!(
            stage.launcher().signal(&spec.id, 0),
            Err(SignalError::Invalid { number: 0 })
        ));

        // Ignored by the shim, default for the payload.
        let spec = stage.spec("exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        stage.launcher().signal(&spec.id, 1).unwrap();
        assert_eq!(stage.launcher().wait(&spec.id).unwrap().signal, Some(1));
    });
}

#[test]
fn the_pid_is_the_payloads_and_wait_has_a_time_limit() {
    both(|stage| {
        let spec = stage.spec("exec sleep 1000");
        let started = stage.launcher().start(&spec).unwrap();
        let name = || std::fs::read_to_string(format!("/proc/{}/comm", started.pid)).unwrap();
        until("the shell becomes what it executes", || name() == "sleep\n");
        assert_eq!(
            stage.launcher().wait_timeout(&spec.id, std::time::Duration::from_millis(20)).unwrap(),
            None
        );
        stage.launcher().destroy(&spec.id).unwrap();
        let exit = stage.launcher().wait_timeout(&spec.id, PATIENCE).unwrap().unwrap();
        assert_eq!(exit.signal, Some(9));
    });
}

#[test]
fn its_own_processes_are_all_it_sees() {
    isolated(|stage| {
        let (exit, output) = stage.run("echo $$; ls /proc | grep -c '^[0-9]'; cat /proc/1/comm");
        assert!(exit.succeeded());
        let numbers: Vec<&str> = output.lines().collect();
        assert!(numbers[0].parse::<u32>().unwrap() < 10, "its pid in its own namespace: {output}");
        assert!(numbers[1].parse::<u32>().unwrap() < 8, "{output}");
    });
}

#[test]
fn it_runs_as_its_user_and_its_user_owns_what_it_needs() {
    if !is_root() {
        left_out("tasks of another user", "not root");
        return;
    }
    both(|stage| {
        let mut spec = stage.spec("id -un; echo x > made; echo y > data/new; grep ^PPid /proc/self/status; exec sleep 1000");
        spec.user = Some("nobody".into());
        std::fs::remove_dir(&spec.sandbox).unwrap();
        stage_sandbox(&spec.sandbox, Some("nobody")).unwrap();
        let volume = stage.volume("v");
        std::fs::write(volume.join("old"), "").unwrap();
        spec.volumes = vec![crate::stage::at(&volume, "data")];
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "PPid");
        assert!(stage.output(&spec.id).starts_with("nobody\n"));
        let uid =
            |path: &std::path::Path| std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap());
        let nobody = uid(&spec.sandbox.join("made"));
        assert_ne!(nobody, 0);
        assert_eq!(uid(&volume), nobody, "the volume's root is given to the user");
        assert_eq!(uid(&volume.join("old")), 0, "what is in it is not");
        // The kernel forgets "kill me with my parent" at a change of user; it must have been said
        // again.
        let shim = stage.shim_pid(&spec.id);
        let pid = stage.launcher().start(&spec).unwrap().pid;
        crate::stage::kill_9(shim);
        until("the payload dies with its shim", || !crate::stage::lives(pid));
    });
}

#[test]
fn its_shim_is_detached_from_the_agent() {
    both(|stage| {
        let spec = stage.spec("exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        let shim = stage.shim_pid(&spec.id);
        let stat = std::fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        assert_eq!(
            (fields[2], fields[3]),
            (shim.to_string().as_str(), shim.to_string().as_str()),
            "its own group and session"
        );
        let open = || -> Vec<String> {
            std::fs::read_dir(format!("/proc/{shim}/fd"))
                .unwrap()
                .filter_map(|entry| {
                    Some(std::fs::read_link(entry.unwrap().path()).ok()?.display().to_string())
                })
                .filter(|target| {
                    target != "/dev/null"
                        && !target.ends_with("/lock")
                        && !target.ends_with("/shim.log")
                })
                .collect()
        };
        until("of pipes only those of the output are open", || {
            open().iter().filter(|target| target.starts_with("pipe")).count() == 2
        });
        let sandbox = spec.sandbox.display().to_string();
        let others = open()
            .into_iter()
            .filter(|target| !target.starts_with("pipe") && !target.starts_with(&sandbox));
        assert_eq!(others.count(), 1, "only its line to the first process: {:?}", open());
        assert_eq!(
            std::fs::read_link(format!("/proc/{shim}/cwd")).unwrap(),
            std::path::Path::new("/")
        );
    });
}

#[test]
fn what_ended_is_kept_until_forgotten_and_the_sandbox_after() {
    both(|stage| {
        let spec = stage.spec("echo done");
        stage.run_spec(&spec);
        assert!(matches!(stage.state(&spec.id), Some(holdfast_containers::FoundState::Exited(_))));
        stage.launcher().forget(&spec.id).unwrap();
        stage.launcher().forget(&spec.id).unwrap();
        assert_eq!(stage.state(&spec.id), None);
        assert!(matches!(stage.launcher().wait(&spec.id), Err(WaitError::Unknown { .. })));
        assert_eq!(stage.output(&spec.id), "done\n");

        let spec = stage.spec("exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        assert!(matches!(stage.launcher().forget(&spec.id), Err(ForgetError::StillRunning { .. })));
        assert!(matches!(stage.launcher().forget("../../etc"), Err(ForgetError::InvalidId { .. })));
    });
}
