//! What a container must not see, tried by payloads that are root.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use holdfast_containers::{stage_sandbox, HiddenPlace};

use crate::stage::{at, isolated, left_out, Stage};

/// With a machine on which something can be hidden; tells why when there is none.
fn hidden(play: impl FnOnce(&mut Stage)) {
    isolated(|stage| match stage.launcher().isolation().hides {
        true => play(stage),
        false => left_out("hiding", "this machine lets nobody cover anything"),
    });
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The stage's own directory is the agent's, with all sandboxes and volumes.
fn hide_all(stage: &Stage) {
    assert_eq!(stage.launcher().hide(vec![HiddenPlace::whole(stage.dir.path())]).len(), 0);
}

#[test]
fn root_finds_reads_and_writes_its_own_volume_and_no_other() {
    hidden(|stage| {
        hide_all(stage);
        let (own, other) = (stage.volume("own"), stage.volume("other"));
        let (top, secret) = (text(stage.dir.path()), text(&other.join("kept")));
        let line = format!(
            "cat data/kept; echo new > data/new && echo written
             ls {top} {top}/volumes {top}/run 2>/dev/null | grep -v '^/' | grep -v '^$'
             find {top} -name kept 2>/dev/null
             cat {secret} 2>/dev/null && echo LEAKED
             echo x > {secret} 2>/dev/null && echo LEAKED
             umount {top} 2>/dev/null && echo UNMOUNTED; umount -l {top} 2>/dev/null && echo UNMOUNTED
             mount -t tmpfs none /mnt 2>/dev/null && echo MOUNTED
             mount -o remount,rw {top} 2>/dev/null && echo REMOUNTED
             mkdir {top}/x 2>/dev/null && echo MADE
             ls /proc/1/root{top}/volumes 2>/dev/null && echo LEAKED
             for pid in /proc/[0-9]*; do ls $pid/root{top}/volumes 2>/dev/null && echo LEAKED; done
             find /dev -type b | grep . && echo BLOCK
             mknod disk b 8 0 2>/dev/null && echo NODE
             unshare -m -U -r umount {top} 2>/dev/null && echo UNMOUNTED
             grep -q '/volumes/other' /proc/self/mountinfo && echo SHOWN
             id -u; echo end"
        );
        let mut spec = stage.spec(&line);
        spec.volumes = vec![at(&own, "data")];
        let (_, output) = stage.run_spec(&spec);
        let sandbox = text(&spec.sandbox);
        assert_eq!(
            output,
            format!("ownwritten\nsandboxes\n{sandbox}/data/kept\n0\nend\n"),
            "it sees the way to its sandbox, and what it was given"
        );
        assert_eq!(std::fs::read_to_string(other.join("kept")).unwrap(), "other");
        assert_eq!(std::fs::read_to_string(own.join("new")).unwrap(), "new\n");
    });
}

#[test]
fn another_user_reaches_its_sandbox_and_its_volume_and_nobody_elses() {
    hidden(|stage| {
        hide_all(stage);
        let stranger = stage.spec("echo printed; true");
        stage.run_spec(&stranger);
        let own = stage.volume("own");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).unwrap();
        let line = format!(
            "pwd; echo x > file && echo y > data/file && cat file data/file; id -un
             cat {}/stdout 2>&1 | grep -o 'No such file.*'",
            text(&stranger.sandbox)
        );
        let mut spec = stage.spec(&line);
        spec.user = Some("nobody".into());
        stage_sandbox(&spec.sandbox, spec.user.as_deref()).unwrap();
        spec.volumes = vec![at(&own, "data")];
        let (_, output) = stage.run_spec(&spec);
        let sandbox = text(&spec.sandbox);
        assert_eq!(output, format!("{sandbox}\nx\ny\nnobody\nNo such file or directory\n"));
    });
}

#[test]
fn without_namespaces_modes_keep_other_users_out() {
    let mut stage = Stage::new(false);
    if !crate::stage::is_root() {
        return left_out("modes between users", "not root");
    }
    stage.restart();
    let stranger = stage.spec("echo printed");
    stage.run_spec(&stranger);
    let own = stage.volume("own");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).unwrap();
    let line = format!(
        "echo x > file && echo y > data/file && cat file data/file; cat {0}/stdout; ls {0}; true",
        text(&stranger.sandbox)
    );
    let mut spec = stage.spec(&line);
    spec.user = Some("nobody".into());
    stage_sandbox(&spec.sandbox, spec.user.as_deref()).unwrap();
    spec.volumes = vec![at(&own, "data")];
    let (exit, output) = stage.run_spec(&spec);
    assert!(exit.succeeded());
    assert_eq!(output, "x\ny\n");
    let problems = std::fs::read_to_string(spec.sandbox.join("stderr")).unwrap();
    assert_eq!(problems.matches("Permission denied").count(), 2, "{problems}");
}

#[test]
fn a_running_container_gets_volumes_and_loses_sight_of_new_places_also_after_a_restart() {
    hidden(|stage| {
        hide_all(stage);
        let disk = tempfile::tempdir().unwrap();
        let volume = disk.path().join("holdfast/volumes/u/data");
        std::fs::create_dir_all(&volume).unwrap();
        std::fs::write(volume.join("kept"), "v").unwrap();
        std::fs::write(disk.path().join("of-others"), "").unwrap();
        let own = stage.volume("later");
        let spec = stage.spec(&format!(
            "until test -e go; do sleep 0.02; done; cat late/kept; echo w > late/w
             ls {0} {0}/holdfast; umount {0}/holdfast 2>/dev/null && echo UNMOUNTED; echo end",
            text(disk.path())
        ));
        stage.launcher().start(&spec).unwrap();
        stage.restart();
        stage.launcher().recover().unwrap();
        let places = vec![
            HiddenPlace::whole(stage.dir.path()),
            HiddenPlace::folder(disk.path(), "holdfast"),
        ];
        for _ in 0..2 {
            assert_eq!(stage.launcher().hide(places.clone()).len(), 0);
        }
        stage.launcher().add_volumes(&spec.id, &[at(&own, "late")]).unwrap();
        std::fs::write(spec.sandbox.join("go"), "").unwrap();
        stage.launcher().wait(&spec.id).unwrap();
        let top = text(disk.path());
        assert_eq!(
            stage.output(&spec.id),
            format!("later{top}:\nholdfast\nof-others\n\n{top}/holdfast:\nend\n")
        );
        assert_eq!(std::fs::read_to_string(own.join("w")).unwrap(), "w\n");
        assert_eq!(std::fs::read_to_string(volume.join("kept")).unwrap(), "v");
    });
}

#[test]
fn a_container_that_was_left_everything_is_named_when_something_is_to_be_hidden() {
    hidden(|stage| {
        stage.hides = false;
        stage.restart();
        let spec = stage.spec("exec sleep 1000");
        assert!(!stage.launcher().start(&spec).unwrap().isolation.hides);
        stage.hides = true;
        stage.restart();
        let sees = stage.launcher().hide(vec![HiddenPlace::whole(stage.dir.path())]);
        assert_eq!(sees.len(), 1);
        assert!(sees[0].0 == spec.id && sees[0].1.is_none(), "{sees:?}");
    });
}

/// A file system of memory on a mount that is shared, as systemd makes the whole tree.
struct Disk(PathBuf);

impl Disk {
    fn new(dir: &Path) -> Disk {
        let disk = dir.join("disks/one");
        std::fs::create_dir_all(&disk).unwrap();
        let disks = text(&dir.join("disks"));
        run("mount", &["--bind", &disks, &disks]);
        run("mount", &["--make-shared", &disks]);
        Disk(disk)
    }

    fn mount(&self) {
        run("mount", &["-t", "tmpfs", "none", &text(&self.0)]);
        std::fs::create_dir(self.0.join("holdfast")).unwrap();
        std::fs::write(self.0.join("holdfast/secret"), "").unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for path in [self.0.as_path(), self.0.parent().unwrap()] {
            let _ = std::process::Command::new("umount").args(["-l", &text(path)]).output();
        }
    }
}

fn run(program: &str, args: &[&str]) {
    let done = std::process::Command::new(program).args(args).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {done:?}");
}

#[test]
fn a_hidden_disk_can_be_unmounted_and_is_hidden_when_it_comes_back() {
    hidden(|stage| {
        let disk = Disk::new(stage.dir.path());
        disk.mount();
        let path = disk.0.clone();
        assert_eq!(stage.launcher().hide(vec![HiddenPlace::folder(&path, "holdfast")]).len(), 0);
        let look = format!("ls -A {} | wc -l", text(&path));
        let spec = stage.spec(&format!(
            "{look}; echo first; until test -e go; do sleep 0.02; done; {look}; echo second
             until test -e on; do sleep 0.02; done; {look}; echo third; exec sleep 1000"
        ));
        let pid = stage.launcher().start(&spec).unwrap().pid;
        stage.until_output(&spec.id, "first");
        // The cover of the disk stays, the disk does not.
        let device = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(&path).unwrap());
        let pins = || {
            let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
            mounts.contains(&format!(" {}:{} ", device >> 8, device & 0xff))
        };
        assert!(pins());
        run("umount", &[&text(&path)]);
        assert!(!pins(), "the container pins the disk");
        std::fs::write(spec.sandbox.join("go"), "").unwrap();
        stage.until_output(&spec.id, "second");
        disk.mount();
        std::fs::write(spec.sandbox.join("on"), "").unwrap();
        stage.until_output(&spec.id, "third");
        run("umount", &[&text(&path)]);
        assert_eq!(stage.output(&spec.id), "0\nfirst\n0\nsecond\n0\nthird\n");
    });
}
