//! What is not started, why, and that nothing of it is left.

use holdfast_containers::{
    check_container_path, Command, LaunchError, Launcher, ShimCommand, VolumeMount,
};

use crate::stage::{at, both, is_root, Stage};

/// Nothing of a refused container: no file, no cgroup, no link.
fn left_nothing(stage: &Stage, id: &str) {
    assert!(!stage.runtime_dir().join("containers").join(id).exists());
    assert!(stage.cgroups().is_empty());
}

#[test]
fn a_missing_program_is_named() {
    both(|stage| {
        for program in ["no-such-program", "./no-such-program", "/no/such/program"] {
            let mut spec = stage.spec("");
            spec.command = Command::Argv { program: program.into(), args: vec![] };
            let volume = stage.volume("v");
            spec.volumes = vec![at(&volume, "data")];
            let error = stage.launcher().start(&spec).unwrap_err();
            assert!(
                matches!(&error, LaunchError::MissingProgram { program: named, .. } if named == program),
                "{error}"
            );
            assert!(error.to_string().contains(program));
            left_nothing(stage, &spec.id);
            assert!(std::fs::symlink_metadata(spec.sandbox.join("data"))
                .map_or(true, |found| !found.is_symlink()));
            // The same id may be used again: it never ran.
            spec.command = Command::Shell("exit 2".into());
            assert_eq!(stage.run_spec(&spec).0.code, Some(2));
        }
    });
}

#[test]
fn a_program_that_cannot_run_is_not_called_missing() {
    both(|stage| {
        let mut spec = stage.spec("");
        std::fs::write(spec.sandbox.join("plain"), "x").unwrap();
        std::fs::write(spec.sandbox.join("script"), "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(
            spec.sandbox.join("script"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        for (program, reason) in
            [("./plain", "EACCES"), ("./script", "interpreter"), ("/", "EACCES")]
        {
            spec.command = Command::Argv { program: program.into(), args: vec![] };
            let error = stage.launcher().start(&spec).unwrap_err();
            assert!(
                matches!(&error, LaunchError::NotExecutable { program: named, detail } if named == program && detail.contains(reason)),
                "{error}"
            );
        }
        left_nothing(stage, &spec.id);
    });
}

#[test]
fn a_bad_container_path_is_refused_with_its_field() {
    both(|stage| {
        let volume = stage.volume("v");
        for path in ["/data", "../data", "a/../../b", "", "a//b", "stdout"] {
            let mut spec = stage.spec("true");
            spec.volumes = vec![at(&volume, "good"), at(&volume, path)];
            let error = stage.launcher().start(&spec).unwrap_err();
            assert!(
                matches!(&error, LaunchError::InvalidField { field, .. } if field == "volumes[1].container_path"),
                "{path:?}: {error}"
            );
            assert!(check_container_path(path).is_err());
            left_nothing(stage, &spec.id);
        }
    });
}

#[test]
fn a_missing_volume_is_not_replaced_by_an_empty_directory() {
    both(|stage| {
        let missing = stage.dir.path().join("volumes/none/data");
        let mut spec = stage.spec("echo ran > data/x");
        spec.volumes = vec![VolumeMount::new(&missing, "data")];
        let error = stage.launcher().start(&spec).unwrap_err();
        assert!(matches!(error, LaunchError::VolumeMissing { .. }), "{error}");
        assert!(!missing.exists());
        assert!(!spec.sandbox.join("data").exists());
        left_nothing(stage, &spec.id);
    });
}

#[test]
fn ids_sandboxes_and_users_that_are_not() {
    both(|stage| {
        for id in ["", "x", "../../../tmp/x", "6F1C8A52-5A0A-4F6E-9D9B-0C4B7C2E1A11"] {
            let mut spec = stage.spec("true");
            spec.id = id.into();
            assert!(
                matches!(stage.launcher().start(&spec), Err(LaunchError::InvalidField { field, .. }) if field == "id")
            );
        }
        let mut spec = stage.spec("true");
        std::fs::remove_dir(&spec.sandbox).unwrap();
        assert!(matches!(stage.launcher().start(&spec), Err(LaunchError::SandboxMissing { .. })));
        assert!(!spec.sandbox.exists());
        spec = stage.spec("true");
        spec.user = Some("no-such-user-here".into());
        assert!(
            matches!(stage.launcher().start(&spec), Err(LaunchError::UnknownUser { user }) if user == "no-such-user-here")
        );
        if !is_root() {
            spec.user = Some("root".into());
            assert!(matches!(
                stage.launcher().start(&spec),
                Err(LaunchError::CannotSwitchUser { .. })
            ));
        }
    });
}

#[test]
fn output_does_not_follow_a_link() {
    both(|stage| {
        let spec = stage.spec("echo x");
        let victim = stage.dir.path().join("victim");
        std::fs::write(&victim, "whole").unwrap();
        std::os::unix::fs::symlink(&victim, spec.sandbox.join("stdout")).unwrap();
        let error = stage.launcher().start(&spec).unwrap_err();
        assert!(
            matches!(&error, LaunchError::Shim { detail, .. } if detail.contains("stdout")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "whole");
    });
}

#[test]
fn a_shim_that_is_missing_or_no_shim_is_reported() {
    let mut stage = Stage::new(false);
    let spec = stage.spec("true");
    stage.close();
    for (program, args, wanted) in [
        ("/no/such/shim", vec![], "could not be started"),
        ("/bin/sh", vec!["-c", "echo broken >&2"], "broken"),
        ("/bin/sh", vec!["-c", "echo nonsense"], "nothing to its log"),
    ] {
        let shim = ShimCommand {
            program: program.into(),
            leading_args: args.into_iter().map(Into::into).collect(),
        };
        let launcher = Launcher::open_with(stage.runtime_dir(), shim, stage.options()).unwrap();
        let error = launcher.start(&spec).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(launcher.list().unwrap().is_empty());
    }
}

#[test]
fn a_shim_that_hangs_is_killed() {
    let mut stage = Stage::new(false);
    let spec = stage.spec("true");
    stage.close();
    let shim = ShimCommand {
        program: "/bin/sh".into(),
        leading_args: vec!["-c".into(), "exec sleep 1000".into()],
    };
    let mut options = stage.options();
    options.start_timeout_ms = 50;
    options.destroy_timeout_ms = 500;
    let launcher = Launcher::open_with(stage.runtime_dir(), shim, options).unwrap();
    let error = launcher.start(&spec).unwrap_err();
    assert!(matches!(error, LaunchError::TimedOut { timeout_ms: 50 }), "{error}");
    assert!(launcher.list().unwrap().is_empty());
    assert!(children_named("sleep").is_empty(), "the hanging shim lives on");
}

/// Living children of this process by name.
fn children_named(name: &str) -> Vec<i32> {
    let own = std::process::id();
    std::fs::read_dir(format!("/proc/{own}/task"))
        .unwrap()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_ascii_whitespace().map(|pid| pid.parse::<i32>().unwrap()).collect::<Vec<_>>()
        })
        .filter(|pid| {
            crate::stage::lives(*pid)
                && std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|comm| comm.trim() == name)
        })
        .collect()
}

#[test]
fn a_shim_started_by_hand_refuses() {
    let stage = Stage::new(false);
    let spec = stage.spec("exec sleep 1000");
    stage.launcher().start(&spec).unwrap();
    let dir = stage.runtime_dir().join("containers").join(&spec.id);
    let output =
        std::process::Command::new(crate::stage::shim().program).arg(&dir).output().unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("only an agent's launcher"),
        "{output:?}"
    );
    assert!(stage.launcher().start(&spec).unwrap().already_running);
}
