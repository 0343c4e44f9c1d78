//! A disk that hangs, beside one that is well: real processes over a loop device that is frozen (`fsfreeze`), which puts whoever writes to it
//! into an uninterruptible wait, as a dying disk does.
//!
//! Relies on root, loop devices and ext4's tools; says so and passes where they are not there. Thaws whatever it froze, however it ends. Never
//! measures time, but for the deadline that it sets itself.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_tests::calls::{self, command_task, cpus, disk, mem, path_source, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::http::{post, Answer};
use holdfast_tests::syscalls::disk_helpers;
use holdfast_tests::{until, Cluster, Daemon, Scheduler};
use serde_json::{json, Value};

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";
/// How long a disk may take.
const TIMEOUT: &str = "1s";

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(words).output().map_err(|error| error.to_string())?;
    let said = || format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(said)
}

/// A file system of its own on a loop device, unmounted at the end.
struct LoopDisk {
    dir: tempfile::TempDir,
}

impl LoopDisk {
    /// `None` where this machine does not let us; says why.
    fn new(test: &str) -> Option<LoopDisk> {
        let made = LoopDisk::try_new();
        made.inspect_err(|why| holdfast_tests::left_out(test, why)).ok()
    }

    fn try_new() -> Result<LoopDisk, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (image, disk) = (dir.path().join("image"), LoopDisk { dir });
        fs::File::create(&image).and_then(|it| it.set_len(100 << 20)).unwrap();
        fs::create_dir(disk.root()).unwrap();
        run("mkfs.ext4", &["-q", "-F", &text(&image)])?;
        run("mount", &["-o", "loop", &text(&image), &text(&disk.root())])?;
        // It must thaw, too, or a test could not end.
        drop(disk.freeze()?);
        Ok(disk)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn freeze(&self) -> Result<Frozen, String> {
        run("fsfreeze", &["-f", &text(&self.root())]).map(|()| Frozen { root: self.root() })
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // What was killed lets go in its own time; a lazy unmount leaves nothing behind either.
        let _ = run("umount", &["-l", &text(&self.root())]);
    }
}

/// A disk that hangs until this is dropped. It must be dropped before the cluster that uses the disk.
struct Frozen {
    root: PathBuf,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = run("fsfreeze", &["-u", &text(&self.root)]);
    }
}

/// A cluster of one agent with a disk that can be frozen and another one.
struct Scene {
    cluster: Cluster,
    ill: PathBuf,
    well: PathBuf,
}

impl Scene {
    fn new(disk: &LoopDisk) -> Scene {
        let mut cluster = Cluster::without_agents();
        let (ill, well) = (disk.root(), cluster.path("well"));
        fs::create_dir(&well).unwrap();
        let setting = |root: &Path, size_mb| format!("path={},size-mb={size_mb}", text(root));
        let (one, other) = (setting(&ill, 50), setting(&well, 500));
        let settings = [
            "--resources",
            "cpus:4;mem:4096;disk:1000",
            "--hostname",
            "agent0",
            "--disk-timeout",
            TIMEOUT,
            "--disk",
            &one,
            "--disk",
            &other,
        ];
        let mut agent = cluster.agent_with("agent0", &settings);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(0, "well");
        Scene { cluster, ill, well }
    }

    /// 10 MB of one of the disks.
    fn piece(root: &Path) -> Value {
        disk(10.0, Some(&path_source(&text(root))))
    }

    /// An operator's call, again while the agent's news are on their way.
    fn call(&self, call: &Value) -> Answer {
        until("the master takes a call", || match self.cluster.call(call) {
            answer if answer.text().contains("is just reporting") => Err(answer.text()),
            answer => Ok(answer),
        })
    }

    /// CREATE on a piece that is reserved already.
    fn create(&self, root: &Path, name: &str) -> Answer {
        self.call(&calls::create(&self.agent(), &[volume(&Scene::piece(root), name)]))
    }

    fn destroy(&self, root: &Path, name: &str) -> Answer {
        self.call(&calls::destroy(&self.agent(), &[volume(&Scene::piece(root), name)]))
    }

    fn claim(&self, root: &Path, name: &str) -> Value {
        self.cluster.claim_volume(0, name, &Scene::piece(root))
    }

    fn reserve(&self, root: &Path) {
        let piece = calls::reserved(&Scene::piece(root));
        self.call(&calls::reserve(&self.agent(), &[piece])).expect(202, "RESERVE");
    }

    fn agent(&self) -> String {
        self.cluster.agent_id(0)
    }

    fn daemon(&mut self) -> &mut Daemon {
        &mut self.cluster.agents[0]
    }

    /// What is wrong with a disk, as `holdfast disk list` shows it.
    fn fault(&self, root: &Path) -> Option<String> {
        let disks = self.cluster.list("disks");
        let row = disks.iter().find(|row| row["root"] == text(root).as_str());
        let row = row.unwrap_or_else(|| panic!("{} is not among {disks:#?}", root.display()));
        row["fault"].as_str().map(str::to_owned)
    }

    fn wait_for_fault(&self, words: &str) -> String {
        until(&format!("the disk's fault says `{words}`"), || match self.fault(&self.ill) {
            Some(fault) if fault.contains(words) => Ok(fault),
            other => Err(format!("{other:?}")),
        })
    }

    fn wait_until_whole(&self) {
        until("the disk is whole again", || self.fault(&self.ill).map_or(Ok(()), Err));
    }

    /// Volumes are made and destroyed on the disk that is well.
    fn assert_the_other_disk_works(&self, name: &str) {
        assert_eq!(self.fault(&self.well), None);
        self.reserve(&self.well);
        self.create(&self.well, name).expect(202, "CREATE on the disk that is well");
        self.destroy(&self.well, name).expect(202, "DESTROY on the disk that is well");
    }

    fn processes_of_tasks(&self) -> Vec<u32> {
        let all = holdfast_tests::leftovers::processes_of(self.cluster.scratch());
        all.into_iter().map(i32::unsigned_abs).collect()
    }

    fn wait_until_a_task_hangs(&self) {
        until("a task hangs", || {
            match self.processes_of_tasks().iter().any(|it| state(*it) == Some('D')) {
                true => Ok(()),
                false => Err("none does"),
            }
        });
    }

    /// The agent's helpers: process ids.
    fn helpers(&self) -> Vec<u32> {
        disk_helpers(self.cluster.agents[0].id())
    }
}

/// The state of a process, such as `D`; none when it is gone.
fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}

/// A framework that takes what it is offered for its tasks.
struct Owner(Scheduler);

impl Owner {
    fn of(scene: &Scene) -> Owner {
        let info = calls::framework_info("owner", 60.0);
        Owner(Scheduler::subscribe(scene.cluster.master.address(), &info, true))
    }

    /// Launches a task on a volume, and waits until it runs. It asks for an offer only now: one that was made before what else happens to the
    /// agent would be taken back.
    fn start(&mut self, task: &str, volume: &str, command: &str) {
        self.call("REVIVE");
        let is_ours = |resource: &Value| resource["disk"]["persistence"]["id"] == volume;
        let offer = self.0.offer_with("the volume", is_ours);
        self.call("SUPPRESS");
        let offered = offer["resources"].as_array().unwrap().iter().find(|it| is_ours(it));
        let agent = offer["agent_id"]["value"].as_str().unwrap();
        let resources = [cpus(0.1), mem(32.0), offered.unwrap().clone()];
        let info = command_task(task, agent, command, &resources);
        self.0.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [info] } }]));
        self.wait_for(task, "TASK_RUNNING");
    }

    fn call(&self, kind: &str) {
        self.0.call(json!({ "type": kind })).expect(202, kind);
    }

    fn wait_for(&mut self, task: &str, state: &str) {
        loop {
            let status = self.0.status(task);
            self.0.acknowledge(&status);
            match status["state"].as_str().unwrap() {
                now if now == state => return,
                "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING" => {}
                _ => panic!("{task} is not {state}, but {status}"),
            }
        }
    }

    /// A task on a volume starts and is killed.
    fn start_and_kill(&mut self, task: &str, volume: &str) {
        self.start(task, volume, "sleep 1000");
        self.kill(task);
        self.wait_for(task, "TASK_KILLED");
    }

    fn kill(&self, task: &str) {
        let call = json!({ "type": "KILL", "kill": { "task_id": { "value": task } } });
        self.0.call(call).expect(202, "KILL");
    }
}

#[test]
fn a_helper_has_nothing_of_its_agents_but_the_three_standard_streams() {
    let cluster = Cluster::start();
    let scene = Scene { ill: cluster.agent_dir(0), well: cluster.agent_dir(0), cluster };
    let helpers = scene.helpers();
    assert_eq!(helpers.len(), 1, "one for each disk");
    let files = |process: u32| {
        let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
        let links = entries.map(|it| {
            let name = it.file_name().to_string_lossy().parse::<u32>().unwrap();
            (name, fs::read_link(it.path()).unwrap_or_default())
        });
        links.collect::<std::collections::BTreeMap<u32, PathBuf>>()
    };
    let agents = files(scene.cluster.agents[0].id());
    for helper in helpers {
        let own = files(helper);
        // Beside them, the name by which it keeps other helpers off its disk.
        assert!(own.keys().copied().eq(0..=3), "{own:?}");
        let shared: Vec<_> =
            own.values().filter(|it| agents.values().any(|of| of == *it)).collect();
        // The agent reads what it has to tell people.
        assert!(shared.iter().all(|it| **it == own[&2]), "{shared:?} of {own:?}");
        run("kill", &["-9", &helper.to_string()]).unwrap();
        until("the helper ends", || match state(helper) {
            None | Some('Z') => Ok(()),
            Some(state) => Err(state),
        });
    }
    // One that is gone is replaced when it is needed.
    let claim = scene.cluster.claim_volume(0, "v", &disk(10.0, None));
    assert_eq!((&claim["state"], &claim["fault"]), (&json!("ready"), &Value::Null));
}

#[test]
fn a_frozen_disk_stops_nobody_else() {
    let Some(disk) = LoopDisk::new("a_frozen_disk_stops_nobody_else") else { return };
    let mut scene = Scene::new(&disk);
    let kept = scene.claim(&scene.ill, "kept");
    let record = volume_dir(&scene.ill, &kept).join("data/record");
    fs::write(&record, BYTES).unwrap();
    fs::File::open(&record).and_then(|it| it.sync_all()).unwrap();
    scene.claim(&scene.well, "healthy");
    scene.reserve(&scene.ill);
    let mut owner = Owner::of(&scene);
    let frozen = disk.freeze().unwrap();

    // Whoever wants something of it is told why not, and others do not wait for that.
    let (address, late) = (scene.cluster.master.address(), Scene::piece(&scene.ill));
    let late = calls::create(&scene.agent(), &[volume(&late, "late")]);
    let asked = std::thread::spawn(move || post(address, "/api/v1", &late));
    until("the helper hangs", || match scene.helpers().iter().any(|it| state(*it) == Some('D')) {
        true => Ok(()),
        false => Err("none does"),
    });
    scene.assert_the_other_disk_works("v1");
    let answer = asked.join().unwrap();
    assert!(
        answer.status != 202 && answer.text().contains("has not answered for 1 s"),
        "{}",
        answer.text()
    );
    let fault = scene.wait_for_fault("has not answered for 1 s (making volume");
    println!("the words of the fault: {fault}");
    assert_eq!(scene.cluster.wait_for_claim("kept", "missing")["fault"], fault.as_str());
    let refused = scene.create(&scene.ill, "more");
    assert!(
        refused.status != 202 && refused.text().contains("has not answered"),
        "{}",
        refused.text()
    );
    scene.assert_the_other_disk_works("v2");
    owner.start_and_kill("t", "healthy");

    // The agent ends and starts as ever, at its port and on its ledger, while the old helper still hangs.
    scene.daemon().restart();
    scene.cluster.wait_for_agent(0, "well");
    scene.wait_for_fault("a helper process of an earlier agent");
    scene.assert_the_other_disk_works("v3");
    assert!(scene.daemon().stop().success());
    scene.daemon().start();
    scene.cluster.wait_for_agent(0, "well");
    scene.assert_the_other_disk_works("v4");

    drop(frozen);
    scene.wait_until_whole();
    let whole = scene.cluster.wait_for_claim("kept", "ready");
    assert_eq!((&whole["id"], &whole["generation"]), (&kept["id"], &kept["generation"]));
    assert_eq!(fs::read(&record).unwrap(), BYTES);
    assert!(scene.cluster.find_claim("late").is_none(), "it was said not to be made");
    scene.create(&scene.ill, "late").expect(202, "CREATE on the disk that is whole again");
    scene.destroy(&scene.ill, "kept").expect(202, "DESTROY on the disk that is whole again");
    let making = fs::read_dir(scene.ill.join("holdfast/making")).unwrap();
    assert_eq!(making.count(), 0, "what was left half made is cleared away");
}

#[test]
fn a_volume_that_was_to_be_destroyed_is_destroyed_when_its_disk_answers() {
    let Some(disk) = LoopDisk::new("a_volume_that_was_to_be_destroyed") else { return };
    let scene = Scene::new(&disk);
    let claim = scene.claim(&scene.ill, "v");
    let record = volume_dir(&scene.ill, &claim).join("data/record");
    fs::write(&record, BYTES).unwrap();
    let frozen = disk.freeze().unwrap();
    let (address, piece) = (scene.cluster.master.address(), Scene::piece(&scene.ill));
    let destroy = calls::destroy(&scene.agent(), &[volume(&piece, "v")]);
    let asked = std::thread::spawn(move || post(address, "/api/v1", &destroy));
    scene.wait_for_fault("has not answered for 1 s (moving to the trash volume");
    let answer = asked.join().unwrap();
    assert!(
        answer.status == 409 && answer.text().contains("not done yet: it has not answered for 1 s"),
        "{}",
        answer.text()
    );
    scene.assert_the_other_disk_works("v1");
    assert!(
        scene.cluster.find_claim("v").is_some(),
        "nothing is given back while bytes may lie there"
    );
    drop(frozen);
    scene.wait_until_whole();
    until("the volume is destroyed", || match scene.cluster.find_claim("v") {
        None => Ok(()),
        Some(claim) => Err(claim.to_string()),
    });
    let trash: Vec<_> = fs::read_dir(scene.ill.join("holdfast/trash")).unwrap().flatten().collect();
    assert_eq!(trash.len(), 1, "once");
    assert_eq!(fs::read(trash[0].path().join("data/record")).unwrap(), BYTES);
}

#[test]
fn a_task_that_hangs_on_its_disk_holds_up_neither_its_agent_nor_others() {
    let Some(disk) = LoopDisk::new("a_task_that_hangs_on_its_disk") else { return };
    let mut scene = Scene::new(&disk);
    scene.claim(&scene.ill, "v");
    scene.claim(&scene.well, "healthy");
    let mut owner = Owner::of(&scene);
    owner.start("stuck", "v", "while :; do echo x >> data/log; done");
    let frozen = disk.freeze().unwrap();
    scene.wait_until_a_task_hangs();
    owner.kill("stuck");
    scene.assert_the_other_disk_works("v1");
    owner.start_and_kill("t", "healthy");
    scene.daemon().restart();
    scene.cluster.wait_for_agent(0, "well");
    scene.assert_the_other_disk_works("v2");
    assert!(scene.daemon().stop().success());
    scene.daemon().start();
    scene.cluster.wait_for_agent(0, "well");
    drop(frozen);
    until("the task ends", || {
        let tasks = scene.cluster.list("tasks");
        let stuck = tasks.iter().find(|it| it["name"] == "stuck").cloned().unwrap_or_default();
        match stuck["state"].as_str() {
            Some("TASK_KILLED") => Ok(()),
            _ => Err(stuck.to_string()),
        }
    });
    assert_eq!(scene.cluster.wait_for_claim("v", "ready")["fault"], Value::Null);
}

#[test]
fn what_is_left_of_a_task_that_hangs_holds_up_no_start_of_its_agent() {
    let Some(disk) = LoopDisk::new("what_is_left_of_a_task_that_hangs") else { return };
    let mut scene = Scene::new(&disk);
    scene.claim(&scene.ill, "v");
    let mut owner = Owner::of(&scene);
    owner.start("stuck", "v", "while :; do echo x >> data/log; done");
    let frozen = disk.freeze().unwrap();
    scene.wait_until_a_task_hangs();
    // The agent dies, and so do the keepers of its containers.
    scene.daemon().kill();
    for process in scene.processes_of_tasks() {
        let _ = run("kill", &["-9", &process.to_string()]);
    }
    scene.daemon().start();
    scene.cluster.wait_for_agent(0, "well");
    scene.assert_the_other_disk_works("v1");
    assert!(scene.processes_of_tasks().iter().any(|it| state(*it) == Some('D')), "it hangs yet");
    drop(frozen);
    until("the task ends", || {
        let tasks = scene.cluster.list("tasks");
        let stuck = tasks.iter().find(|it| it["name"] == "stuck").cloned().unwrap_or_default();
        match stuck["state"].as_str() {
            Some("TASK_FAILED" | "TASK_GONE" | "TASK_LOST") => Ok(()),
            _ => Err(stuck.to_string()),
        }
    });
    assert_eq!(scene.cluster.wait_for_claim("v", "ready")["fault"], Value::Null);
}

#[test]
fn an_agent_starts_beside_a_disk_that_hangs_from_the_first() {
    let Some(disk) = LoopDisk::new("an_agent_starts_beside_a_disk_that_hangs") else { return };
    let frozen = disk.freeze().unwrap();
    let scene = Scene::new(&disk);
    // It bears no label yet, and cannot be given one.
    scene.wait_for_fault("has not answered for 1 s (opening it)");
    scene.assert_the_other_disk_works("v1");
    drop(frozen);
    scene.wait_until_whole();
    scene.claim(&scene.ill, "v");
}
