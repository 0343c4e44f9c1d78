//! The contract of isolators as a test suite that runs on all of them.
//!
//! A fixture brings the isolator and, where a test stands in for the kernel, does what the kernel
//! would do. It runs in this process and never starts a shim, which the integration tests do.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::cgroup_v1::{CgroupV1, Hierarchies};
use super::cgroup_v2::CgroupV2;
use super::mounts::Mounts;
use super::posix::Posix;
use super::{detect, CgroupPlan, Isolator, Subject};
use crate::{Limits, Usage, VolumeMount};

struct Fixture {
    isolator: Box<dyn Isolator>,
    /// Directories in which the test stands in for a cgroup file system.
    fake: Vec<PathBuf>,
    /// Whether it lists and kills members.
    lists: bool,
    /// Whether it enforces limits.
    limits: bool,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// Does what a kernel does when a cgroup is removed: its files go with it.
    fn drop_kernel_files(&self, id: &str) {
        for root in &self.fake {
            let Ok(entries) = fs::read_dir(root.join("holdfast").join(id)) else { continue };
            entries
                .flatten()
                .filter(|entry| entry.path().is_file())
                .for_each(|entry| fs::remove_file(entry.path()).unwrap());
        }
    }

    /// Does what a kernel does when a cgroup is made.
    fn make_kernel_doors(&self, id: &str) {
        let dirs = self.fake.iter().map(|root| root.join("holdfast").join(id));
        dirs.filter(|dir| dir.exists()).for_each(|dir| fs::write(dir.join("tasks"), "").unwrap());
    }

    /// Does what a kernel does when a process has written `0` to these.
    fn let_in(&self, id: &str, doors: &[fs::File], pid: u32) {
        if doors.is_empty() {
            return;
        }
        let dirs = self.fake.iter().map(|root| root.join("holdfast").join(id));
        for dir in dirs.filter(|dir| dir.exists()) {
            assert_eq!(fs::read_to_string(dir.join("tasks")).unwrap(), "0", "{}", dir.display());
            fs::write(dir.join("cgroup.procs"), format!("{pid}\n")).unwrap();
        }
    }

    /// Does what a kernel does when a process of a cgroup ends.
    fn drop_kernel_members(&self, id: &str) {
        self.fake
            .iter()
            .map(|root| root.join("holdfast").join(id).join("cgroup.procs"))
            .filter(|path| path.exists())
            .for_each(|path| {
                fs::write(path, "").unwrap();
            });
    }
}

fn fake_v1(with_swap: bool) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mounts: Vec<PathBuf> = ["memory", "cpu,cpuacct", "pids", "freezer"]
        .iter()
        .map(|name| dir.path().join(name))
        .collect();
    mounts.iter().for_each(|mount| fs::create_dir(mount).unwrap());
    let hierarchies = Hierarchies {
        memory: Some(mounts[0].clone()),
        cpu: Some(mounts[1].clone()),
        cpuacct: Some(mounts[1].clone()),
        pids: Some(mounts[2].clone()),
        freezer: if with_swap { Some(mounts[3].clone()) } else { None },
    };
    Fixture {
        isolator: Box::new(CgroupV1::new(hierarchies, "holdfast")),
        fake: mounts,
        lists: true,
        limits: true,
        _dir: dir,
    }
}

fn fake_v2() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cgroup");
    fs::create_dir_all(root.join("holdfast")).unwrap();
    for path in [root.clone(), root.join("holdfast")] {
        fs::write(path.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    }
    Fixture {
        isolator: Box::new(CgroupV2::new(&root, "holdfast")),
        fake: vec![root],
        lists: true,
        limits: true,
        _dir: dir,
    }
}

fn real_cgroups() -> Option<Fixture> {
    let isolator: Box<dyn Isolator> = match detect::usable(detect::mounted(), "holdfast") {
        Ok(CgroupPlan::V1(hierarchies)) => Box::new(CgroupV1::new(hierarchies, "holdfast")),
        Ok(CgroupPlan::V2(root)) => Box::new(CgroupV2::new(&root, "holdfast")),
        Ok(CgroupPlan::None) | Err(_) => {
            // Not by a macro: the test runner keeps what those print of tests that pass.
            let why = "not root, or not writable here";
            let _ = writeln!(std::io::stdout(), "left out: the kernel's own cgroups: {why}");
            return None;
        }
    };
    Some(Fixture {
        isolator,
        fake: vec![],
        lists: true,
        limits: true,
        _dir: tempfile::tempdir().unwrap(),
    })
}

fn plain(isolator: Box<dyn Isolator>) -> Fixture {
    Fixture {
        isolator,
        fake: vec![],
        lists: false,
        limits: false,
        _dir: tempfile::tempdir().unwrap(),
    }
}

/// A process that has put itself under control, as a payload does.
fn stepped_in(doors: &[fs::File]) -> Child {
    let path = |door: &fs::File| format!("/proc/{}/fd/{}", std::process::id(), door.as_raw_fd());
    let script = "for door; do printf 0 > \"$door\" || exit 1; done; echo in; exec sleep 1000";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(doors.iter().map(path));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"in\n");
    child
}

/// Runs the life of a container, as an isolator sees it.
fn conforms(fixture: Fixture) {
    let dir = tempfile::tempdir().unwrap();
    let (sandbox, data) = (dir.path().join("sandbox"), dir.path().join("data"));
    fs::create_dir(&sandbox).unwrap();
    fs::create_dir(&data).unwrap();
    fs::write(data.join("kept"), "1").unwrap();
    let volumes = [VolumeMount::new(&data, "var/db"), VolumeMount::new(&data, "ro").read_only()];
    let id = uuid::Uuid::new_v4().to_string();
    let limits = Limits { cpus_thousandths: 500, mem_bytes: 64 << 20, cpu_is_ceiling: false };
    let mut subject = Subject {
        id: &id,
        sandbox: &sandbox,
        volumes: &volumes,
        limits: &limits,
        owner: None,
        hiding: None,
        shim_pid: None,
    };
    let isolator = fixture.isolator.as_ref();

    isolator.prepare(&subject).unwrap();
    isolator.prepare(&subject).expect("preparing again is no error");
    assert!(isolator.members(&subject).is_empty());
    fixture.make_kernel_doors(&id);
    let doors = isolator.doors(&subject).unwrap();
    let mut child = stepped_in(&doors);
    fixture.let_in(&id, &doors, child.id());
    subject.shim_pid = Some(std::process::id() as i32);
    isolator.attach(&subject, child.id() as i32).unwrap();
    isolator.attach(&subject, child.id() as i32).expect("attaching again is no error");

    if fixture.lists {
        assert_eq!(isolator.members(&subject), [child.id() as i32]);
        let mut usage = Usage::default();
        isolator.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.processes, 1);
    }
    if fixture.limits {
        let mut usage = Usage::default();
        let more = Limits { mem_bytes: 128 << 20, cpus_thousandths: 1500, cpu_is_ceiling: true };
        isolator.update(&subject, &more).unwrap();
        isolator.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.mem_limit_bytes, 128 << 20);
        isolator.update(&subject, &limits).unwrap();
        isolator.update(&subject, &Limits { mem_bytes: 0, ..limits }).unwrap();
        isolator.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.mem_limit_bytes, 0, "no limit");
        assert_eq!(isolator.memory_events(&subject).unwrap_or_default().oom_kills, 0);
    }
    isolator.kill(&subject);
    if !fixture.lists {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    fixture.drop_kernel_members(&id);
    assert!(isolator.members(&subject).is_empty());

    fixture.drop_kernel_files(&id);
    isolator.cleanup(&subject).unwrap();
    isolator.cleanup(&subject).expect("cleaning up again is no error");
    assert_eq!(fs::read_to_string(data.join("kept")).unwrap(), "1", "a volume is never touched");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    assert!(
        fs::symlink_metadata(sandbox.join("var/db")).map_or(true, |found| !found.is_symlink()),
        "no link is left"
    );
}

#[test]
fn mounts_conform() {
    conforms(plain(Box::new(Mounts)));
}

#[test]
fn posix_conforms() {
    conforms(plain(Box::new(Posix { links_volumes: true, counts_processes: false })));
}

#[test]
fn version_1_conforms_on_a_fake_tree() {
    conforms(fake_v1(true));
    conforms(fake_v1(false));
}

#[test]
fn version_2_conforms_on_a_fake_tree() {
    conforms(fake_v2());
}

#[test]
fn the_kernels_own_cgroups_conform() {
    real_cgroups().into_iter().for_each(conforms);
}

fn written(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_string()
}

#[test]
fn version_1_writes_what_the_kernel_expects() {
    let fixture = fake_v1(true);
    let id = uuid::Uuid::new_v4().to_string();
    let limits = Limits { cpus_thousandths: 2500, mem_bytes: 1, cpu_is_ceiling: true };
    let subject = Subject {
        id: &id,
        sandbox: Path::new("/"),
        volumes: &[],
        limits: &limits,
        owner: None,
        hiding: None,
        shim_pid: None,
    };
    let dir = |at: usize| fixture.fake[at].join("holdfast").join(&id);
    fs::create_dir_all(dir(0)).unwrap();
    fs::create_dir_all(dir(1)).unwrap();
    fs::write(dir(0).join("memory.memsw.limit_in_bytes"), "").unwrap();
    fs::write(dir(1).join("cpu.cfs_period_us"), "").unwrap();
    fixture.isolator.prepare(&subject).unwrap();
    assert_eq!(written(&dir(0).join("memory.limit_in_bytes")), "4194304", "no less than the least");
    assert_eq!(
        written(&dir(0).join("memory.memsw.limit_in_bytes")),
        "4194304",
        "swap is no way around"
    );
    assert_eq!(written(&dir(1).join("cpu.shares")), "2560");
    assert_eq!(written(&dir(1).join("cpu.cfs_quota_us")), "250000");
    assert_eq!(written(&dir(2).join("pids.max")), "16384");
    fs::write(dir(0).join("memory.usage_in_bytes"), "9000000").unwrap();
    let error =
        fixture.isolator.update(&subject, &Limits { mem_bytes: 8 << 20, ..limits }).unwrap_err();
    assert!(error.detail.contains("9000000 bytes are in use"), "{error}");
    fs::write(dir(0).join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
        .unwrap();
    assert_eq!(fixture.isolator.memory_events(&subject).unwrap().oom_kills, 2);
}

#[test]
fn version_2_hands_controllers_down_and_writes_what_the_kernel_expects() {
    let fixture = fake_v2();
    let (root, id) = (&fixture.fake[0], uuid::Uuid::new_v4().to_string());
    let limits = Limits { cpus_thousandths: 2500, mem_bytes: 64 << 20, cpu_is_ceiling: true };
    let subject = Subject {
        id: &id,
        sandbox: Path::new("/"),
        volumes: &[],
        limits: &limits,
        owner: None,
        hiding: None,
        shim_pid: None,
    };
    fixture.isolator.prepare(&subject).unwrap();
    // A plain file keeps the last write only; the kernel would keep all three.
    assert_eq!(written(&root.join("cgroup.subtree_control")), "+pids");
    assert_eq!(written(&root.join("holdfast/cgroup.subtree_control")), "+pids");
    let dir = root.join("holdfast").join(&id);
    assert_eq!(written(&dir.join("memory.max")), "67108864");
    assert_eq!(written(&dir.join("cpu.weight")), "250");
    assert_eq!(written(&dir.join("cpu.max")), "250000 100000");
    fs::write(dir.join("cgroup.kill"), "").unwrap();
    fixture.isolator.kill(&subject);
    assert_eq!(written(&dir.join("cgroup.kill")), "1");
    fs::write(dir.join("memory.current"), "99999999").unwrap();
    assert!(fixture.isolator.update(&subject, &limits).unwrap_err().detail.contains("in use"));
}

#[test]
fn two_containers_share_no_cgroup_and_the_parent_stays() {
    let fixture = fake_v2();
    let limits = Limits::default();
    let ids: BTreeSet<String> = (0..2).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    for id in &ids {
        let subject = Subject {
            id,
            sandbox: Path::new("/"),
            volumes: &[],
            limits: &limits,
            owner: None,
            hiding: None,
            shim_pid: None,
        };
        fixture.isolator.prepare(&subject).unwrap();
    }
    for id in &ids {
        assert!(fixture.fake[0].join("holdfast").join(id).is_dir());
        fixture.drop_kernel_files(id);
        let subject = Subject {
            id,
            sandbox: Path::new("/"),
            volumes: &[],
            limits: &limits,
            owner: None,
            hiding: None,
            shim_pid: None,
        };
        fixture.isolator.cleanup(&subject).unwrap();
        assert!(!fixture.fake[0].join("holdfast").join(id).exists());
    }
    assert!(fixture.fake[0].join("holdfast").is_dir());
}
