//! Volumes: seen inside, not outside, and never harmed.

use holdfast_containers::{LaunchError, UpdateVolumesError};

use crate::stage::{at, both, isolated, record_at, Stage};

#[test]
fn a_volume_is_there_under_a_path_of_several_parts_and_keeps_what_is_written() {
    both(|stage| {
        let volume = stage.volume("v");
        let mut spec = stage.spec("cat var/lib/db/kept; echo new > var/lib/db/new");
        spec.volumes = vec![at(&volume, "var/lib/db")];
        let (exit, output) = stage.run_spec(&spec);
        assert!(exit.succeeded());
        assert_eq!(output, "v");
        assert_eq!(std::fs::read_to_string(volume.join("new")).unwrap(), "new\n");
        stage.launcher().forget(&spec.id).unwrap();
        assert!(std::fs::symlink_metadata(spec.sandbox.join("var/lib/db"))
            .map_or(true, |found| !found.is_symlink()));
        assert_eq!(std::fs::read_to_string(volume.join("kept")).unwrap(), "v");
    });
}

#[test]
fn a_volume_is_seen_inside_and_not_outside() {
    isolated(|stage| {
        let volume = stage.volume("v");
        let mut spec = stage.spec("cat data/kept; echo up; exec sleep 1000");
        spec.volumes = vec![at(&volume, "data")];
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        assert_eq!(stage.output(&spec.id), "vup\n");
        assert_eq!(
            std::fs::read_dir(spec.sandbox.join("data")).unwrap().count(),
            0,
            "an empty directory to the host"
        );
        assert!(!mountinfo().contains(spec.sandbox.to_str().unwrap()));
        // What collects sandboxes cannot reach it, not even while it is mounted.
        std::fs::remove_dir_all(&spec.sandbox).unwrap();
        assert_eq!(std::fs::read_to_string(volume.join("kept")).unwrap(), "v");
    });
}

#[test]
fn what_a_container_mounts_stays_in_the_container() {
    isolated(|stage| {
        // Only a payload that is left everything can mount at all.
        stage.hides = false;
        stage.restart();
        let volume = stage.volume("v");
        let mut spec = stage.spec("mkdir data/sub && mount -t tmpfs none data/sub && echo x > data/sub/x && echo up; exec sleep 1000");
        spec.volumes = vec![at(&volume, "data")];
        stage.launcher().start(&spec).unwrap();
        stage.until_output(&spec.id, "up");
        assert_eq!(std::fs::read_dir(volume.join("sub")).unwrap().count(), 0);
        assert!(!mountinfo().contains(volume.to_str().unwrap()));
    });
}

#[test]
fn read_only_refuses_writes_beside_a_writable_view_of_the_same() {
    isolated(|stage| {
        let volume = stage.volume("v");
        let mut spec = stage.spec("cat ro/kept; if echo x > ro/x; then echo written; else echo refused; fi; echo y > rw/y; cat ro/y");
        spec.volumes = vec![at(&volume, "ro").read_only(), at(&volume, "rw")];
        let (_, output) = stage.run_spec(&spec);
        assert_eq!(output, "vrefused\ny\n");
        assert!(!volume.join("x").exists());
        assert!(std::fs::read_to_string(spec.sandbox.join("stderr"))
            .unwrap()
            .contains("Read-only"));
    });
}

#[test]
fn volumes_come_to_a_running_container_and_leave_it() {
    both(|stage| {
        let (one, other) = (stage.volume("one"), stage.volume("other"));
        let line = "while [ ! -e b/c/kept ]; do sleep 0.02; done; cat a/kept b/c/kept; echo up; \
                    while [ -e b/c/kept ]; do sleep 0.02; done; echo gone; exec sleep 1000";
        let mut spec = stage.spec(line);
        spec.volumes = vec![at(&one, "a")];
        stage.launcher().start(&spec).unwrap();
        stage.launcher().add_volumes(&spec.id, &[at(&other, "b/c")]).unwrap();
        stage.launcher().add_volumes(&spec.id, &[at(&other, "b/c")]).expect("again is no error");
        stage.until_output(&spec.id, "up");
        assert_eq!(stage.output(&spec.id), "oneotherup\n");
        // A shell that looks at the file holds the volume for a moment: then the call refuses, and
        // is repeated.
        crate::stage::until("it is not in use", || {
            match stage.launcher().remove_volumes(&spec.id, &["b/c".into()]) {
                Ok(()) => true,
                Err(UpdateVolumesError::Isolation(_)) => false,
                Err(error) => panic!("{error}"),
            }
        });
        stage.until_output(&spec.id, "gone");
        assert!(matches!(
            stage.launcher().remove_volumes(&spec.id, &["b/c".into()]),
            Err(UpdateVolumesError::NoSuchVolume { .. })
        ));
        assert_eq!(std::fs::read_to_string(other.join("kept")).unwrap(), "other");
        let clash = stage.launcher().add_volumes(&spec.id, &[at(&other, "a/b")]).unwrap_err();
        assert!(
            matches!(clash, UpdateVolumesError::Refused(LaunchError::InvalidField { .. })),
            "{clash}"
        );
        stage.launcher().destroy(&spec.id).unwrap();
        assert!(matches!(
            stage.launcher().add_volumes(&spec.id, &[at(&other, "z")]),
            Err(UpdateVolumesError::NotRunning { .. })
        ));
    });
}

#[test]
fn a_volume_that_comes_later_can_be_read_only_and_one_in_use_does_not_leave() {
    isolated(|stage| {
        let volume = stage.volume("v");
        let spec = stage
            .spec("while [ ! -e ro/kept ]; do sleep 0.02; done; echo x > ro/x || echo refused; exec 7<ro/kept; echo up; exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        stage.launcher().add_volumes(&spec.id, &[at(&volume, "ro").read_only()]).unwrap();
        stage.until_output(&spec.id, "up");
        assert!(stage.output(&spec.id).contains("refused"));
        let error = stage.launcher().remove_volumes(&spec.id, &["ro".into()]).unwrap_err();
        assert!(error.to_string().contains("still uses it"), "{error}");
    });
}

/// What a crash of the agent leaves between a volume's record and its mount.
fn record_only(stage: &Stage, id: &str, volume: &holdfast_containers::VolumeMount) {
    let path = stage.runtime_dir().join("containers").join(id).join("launch.json");
    let mut launch: serde_json::Value = serde_json::from_str(&record_at(&path)).unwrap();
    launch["spec"]["volumes"].as_array_mut().unwrap().push(serde_json::to_value(volume).unwrap());
    std::fs::write(&path, serde_json::to_vec(&launch).unwrap()).unwrap();
}

#[test]
fn a_volume_that_was_recorded_and_not_mounted_is_mounted_when_it_is_asked_for_again() {
    both(|stage| {
        let volume = stage.volume("v");
        let spec = stage.spec(
            "while [ ! -e a/b/kept ]; do sleep 0.02; done; cat a/b/kept; echo up; exec sleep 1000",
        );
        stage.launcher().start(&spec).unwrap();
        record_only(stage, &spec.id, &at(&volume, "a/b"));
        if stage.launcher().isolation().namespaces {
            // It got as far as the mount point, which passes for the volume.
            std::fs::create_dir_all(spec.sandbox.join("a/b")).unwrap();
        }
        stage.restart();
        stage.launcher().add_volumes(&spec.id, &[at(&volume, "a/b")]).unwrap();
        stage.until_output(&spec.id, "vup");
    });
}

#[test]
fn a_volume_that_is_mounted_is_not_mounted_once_more() {
    isolated(|stage| {
        let volume = stage.volume("v");
        let mut spec = stage.spec("exec sleep 1000");
        spec.volumes = vec![at(&volume, "a")];
        let pid = stage.launcher().start(&spec).unwrap().pid;
        let mounts =
            || std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap().lines().count();
        let before = mounts();
        stage
            .launcher()
            .add_volumes(&spec.id, &[at(&volume, "a"), at(&volume, "b").read_only()])
            .unwrap();
        stage
            .launcher()
            .add_volumes(&spec.id, &[at(&volume, "a"), at(&volume, "b").read_only()])
            .unwrap();
        assert_eq!(mounts(), before + 1);
    });
}

#[test]
fn what_stands_in_place_of_a_recorded_volume_is_told() {
    both(|stage| {
        let volume = stage.volume("v");
        let spec = stage.spec("exec sleep 1000");
        stage.launcher().start(&spec).unwrap();
        record_only(stage, &spec.id, &at(&volume, "a"));
        std::fs::write(spec.sandbox.join("a"), "not a volume").unwrap();
        assert!(matches!(
            stage.launcher().add_volumes(&spec.id, &[at(&volume, "a")]),
            Err(UpdateVolumesError::Isolation(_))
        ));
    });
}

#[test]
fn a_planted_link_does_not_lead_a_mount_elsewhere() {
    both(|stage| {
        let (volume, elsewhere) = (stage.volume("v"), stage.dir.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        let spec = stage.spec("exec sleep 1000");
        std::os::unix::fs::symlink(&elsewhere, spec.sandbox.join("trap")).unwrap();
        stage.launcher().start(&spec).unwrap();
        for path in ["trap", "trap/x"] {
            assert!(matches!(
                stage.launcher().add_volumes(&spec.id, &[at(&volume, path)]),
                Err(UpdateVolumesError::Isolation(_))
            ));
        }
        let mut started = stage.spec("true");
        std::os::unix::fs::symlink(&elsewhere, started.sandbox.join("trap")).unwrap();
        started.volumes = vec![at(&volume, "trap/x")];
        assert!(matches!(stage.launcher().start(&started), Err(LaunchError::Isolation { .. })));
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    });
}

#[test]
fn a_disk_can_be_unmounted_while_a_stranger_runs() {
    isolated(|stage: &mut Stage| {
        let (disks, disk) = (stage.dir.path().join("disks"), stage.dir.path().join("disks/one"));
        std::fs::create_dir_all(&disk).unwrap();
        let mount = |args: &[&str]| {
            std::process::Command::new("mount").args(args).status().unwrap().success()
        };
        // Shared, as systemd makes the whole tree: only then a container can follow the host.
        assert!(mount(&["--bind", disks.to_str().unwrap(), disks.to_str().unwrap()]));
        assert!(mount(&["--make-shared", disks.to_str().unwrap()]));
        assert!(mount(&["-t", "tmpfs", "none", disk.to_str().unwrap()]));
        let spec = stage.spec("exec sleep 1000");
        let pid = stage.launcher().start(&spec).unwrap().pid;
        assert!(std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))
            .unwrap()
            .contains(disk.to_str().unwrap()));
        assert!(std::process::Command::new("umount").arg(&disk).status().unwrap().success());
        let inside = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert!(std::process::Command::new("umount").arg(&disks).status().unwrap().success());
        assert!(!inside.contains(disk.to_str().unwrap()), "the container pins the disk: {inside}");
    });
}

fn mountinfo() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}
