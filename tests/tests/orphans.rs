//! Whole volumes that no claim stands for: adopted under their own ids, or removed on purpose; and directories with data that become volumes.
//! Real processes over a real file system on a loop device, killed and put back to old ledgers.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use holdfast_tests::calls::{disk, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::daemon::binary;
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::syscalls::disk_helpers;
use holdfast_tests::{until, Cluster};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

fn orphans(cluster: &Cluster, root: &Path) -> Vec<Value> {
    let row = cluster.list("disks").into_iter().find(|it| it["root"] == text(root));
    row.and_then(|it| it["orphans"].as_array().cloned()).unwrap_or_default()
}

fn wait_for_orphans(cluster: &Cluster, root: &Path, count: usize) -> Vec<Value> {
    until(&format!("{count} orphans are named"), || {
        let found = orphans(cluster, root);
        if found.len() == count {
            Ok(found)
        } else {
            Err(Value::from(found))
        }
    })
}

/// A cluster whose disk carries a volume that was given up while the disk was away.
struct Bed {
    cluster: Cluster,
    _device: LoopDisk,
    root: PathBuf,
    /// The claim that it had.
    lost: Value,
}

fn bed(test: &str) -> Option<Bed> {
    let cluster = Cluster::start();
    let (root, image) = (cluster.path("disk"), cluster.path("image"));
    let mut device = LoopDisk::mounted(test, &image, &root, 64)?;
    let path = text(&root);
    let add = ["disk", "add", "--agent", "agent0", "--path", &path, "--type", "path"];
    done(&cluster, &[&add[..], &["--size-mb", "50"]].concat());
    let lost = cluster.claim_volume(0, "lost", &disk(10.0, Some(&path_source(&path))));
    fs::write(volume_dir(&root, &lost).join("data/file"), BYTES).unwrap();
    // A disk of which all is given up is forgotten.
    cluster.claim_volume(0, "kept", &disk(5.0, Some(&path_source(&path))));
    device.unmount();
    cluster.wait_for_claim("lost", "missing");
    done(&cluster, &["claim", "give-up", "lost", "-y"]);
    device.mount(&root);
    wait_for_orphans(&cluster, &root, 1);
    Some(Bed { cluster, _device: device, root, lost })
}

fn is_whole(bed: &Bed) {
    let file = volume_dir(&bed.root, &bed.lost).join("data/file");
    assert_eq!(fs::read(file).unwrap(), BYTES);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

fn put_back(kept: &Path, dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    copy(kept, dir);
}

#[test]
fn an_orphan_is_adopted_under_its_own_id_with_its_data_and_stays_so_through_kills() {
    let test = "an_orphan_is_adopted_under_its_own_id_with_its_data_and_stays_so_through_kills";
    let Some(mut bed) = bed(test) else { return };
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    let adopt = ["volume", "adopt", "--orphan", &id[..8], "--role", "other", "--name", "found"];
    let plan = holdfast(&bed.cluster, &[&adopt[..], &["--plan"]].concat());
    let told = words(&plan);
    assert!(plan.status.code() == Some(2) && told.contains("action: ADOPT"), "{told}");
    assert!(told.contains("disk(other)") && told.contains("found"), "{told}");
    assert_eq!(orphans(&bed.cluster, &bed.root).len(), 1, "nothing was changed");
    let why = refused(&bed.cluster, &[&adopt[..], &["--size", "4000"]].concat());
    assert!(why.contains("4000 MB are needed") && why.contains("try"), "{why}");
    let why = refused(&bed.cluster, &["volume", "adopt", "--orphan", "ffffffff"]);
    assert!(why.contains("no disk there has a volume ffffffff"), "{why}");
    let told = done(&bed.cluster, &adopt);
    assert!(told.contains("is adopted, with its data"), "{told}");
    let claim = bed.cluster.claim("found");
    assert_eq!(
        (&claim["id"], &claim["role"], &claim["state"]),
        (&bed.lost["id"], &Value::from("other"), &Value::from("ready"))
    );
    is_whole(&bed);
    wait_for_orphans(&bed.cluster, &bed.root, 0);
    let history = done(&bed.cluster, &["claim", "history", "found"]);
    assert!(history.contains("adopted") && history.contains("operator"), "{history}");
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    let claim = bed.cluster.wait_for_claim("found", "ready");
    assert!(claim["id"] == bed.lost["id"] && claim["fault"].is_null(), "{claim}");
    is_whole(&bed);
    let why = refused(&bed.cluster, &adopt);
    assert!(why.contains("no disk there has a volume"), "{why}");
}

#[test]
fn old_ledgers_that_know_nothing_of_an_adoption_end_no_claim() {
    let Some(mut bed) = bed("old_ledgers_that_know_nothing_of_an_adoption_end_no_claim") else {
        return;
    };
    let (master, agent) = (bed.cluster.path("master"), bed.cluster.agent_dir(0));
    let (old_master, old_agent) = (bed.cluster.path("old-master"), bed.cluster.path("old-agent"));
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    copy(&master, &old_master);
    copy(&agent.join("ledger"), &old_agent);
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    wait_for_orphans(&bed.cluster, &bed.root, 1);
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    done(&bed.cluster, &["volume", "adopt", "--orphan", &id, "--name", "found"]);
    // The masters' ledger of before: the agent tells what it owns.
    bed.cluster.master.kill();
    put_back(&old_master, &master);
    bed.cluster.master.start();
    bed.cluster.wait_for_agent(0, "well");
    assert_eq!(bed.cluster.wait_for_claim("found", "ready")["id"], bed.lost["id"]);
    is_whole(&bed);
    // The agent's ledger of before: it is fenced, and its claims stay known.
    bed.cluster.agents[0].kill();
    put_back(&old_agent, &agent.join("ledger"));
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "fenced");
    let claim = bed.cluster.claim("found");
    assert_eq!(claim["id"], bed.lost["id"]);
    let why = refused(&bed.cluster, &["volume", "remove-orphan", &id, "-y"]);
    assert!(!why.is_empty(), "{why}");
    is_whole(&bed);
}

#[test]
fn an_orphan_is_removed_on_purpose_and_comes_back_with_its_data() {
    let Some(mut bed) = bed("an_orphan_is_removed_on_purpose_and_comes_back_with_its_data") else {
        return;
    };
    let id = bed.lost["id"].as_str().unwrap().to_owned();
    let remove = ["volume", "remove-orphan", &id[..8]];
    let plan = holdfast(&bed.cluster, &[&remove[..], &["--plan"]].concat());
    let told = words(&plan);
    assert!(plan.status.code() == Some(2) && told.contains("REMOVE_ORPHAN"), "{told}");
    is_whole(&bed);
    // Nobody agrees to it by pressing Enter.
    refused(&bed.cluster, &remove);
    is_whole(&bed);
    done(&bed.cluster, &[&remove[..], &["-y"]].concat());
    until("its bytes are in the trash", || {
        let there = volume_dir(&bed.root, &bed.lost).exists();
        if there {
            Err("they are still there")
        } else {
            Ok(())
        }
    });
    wait_for_orphans(&bed.cluster, &bed.root, 0);
    assert!(bed.cluster.list("trash").iter().any(|it| it["id"] == bed.lost["id"]));
    bed.cluster.agents[0].kill();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    until("the trash is told", || {
        let trash = bed.cluster.list("trash");
        trash.iter().any(|it| it["id"] == bed.lost["id"]).then_some(()).ok_or(trash.len())
    });
    done(&bed.cluster, &["volume", "undelete", &id]);
    let claim = bed.cluster.wait_for_claim("lost", "ready");
    assert_eq!(claim["id"], bed.lost["id"]);
    is_whole(&bed);
    let history = done(&bed.cluster, &["claim", "history", &id]);
    assert!(history.contains("removed as an orphan") && history.contains("undeleted"), "{history}");
}

/// A cluster whose disk, a file system of its own, has a directory with data beside what is Holdfast's.
struct Old {
    cluster: Cluster,
    _device: LoopDisk,
    root: PathBuf,
    /// The directory.
    dir: PathBuf,
}

impl Old {
    fn start(test: &str) -> Option<Old> {
        let cluster = Cluster::start();
        let (root, image) = (cluster.path("disk"), cluster.path("image"));
        let device = LoopDisk::mounted(test, &image, &root, 64)?;
        let path = text(&root);
        let add = ["disk", "add", "--agent", "agent0", "--path", &path, "--type", "path"];
        done(&cluster, &[&add[..], &["--size-mb", "50"]].concat());
        let dir = root.join("old");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), BYTES).unwrap();
        Some(Old { cluster, _device: device, root, dir })
    }

    /// Asks for a directory to be adopted as the volume `name`, of 40 MB.
    fn command(&self, from: &Path, name: &str) -> Command {
        let mut command = Command::new(binary());
        command.args(["volume", "adopt", &text(from), "--agent", "agent0", "--size", "40"]);
        command.args(["--disk", &text(&self.root), "--role", "db", "--name", name]);
        command.args(["--master", &self.cluster.master.address().to_string()]);
        command
    }

    fn adopt(&self, from: &Path) -> Output {
        self.command(from, "found").output().unwrap()
    }

    /// It is refused with these words, and the directory is as it was.
    fn refuses(&self, from: &Path, why: &str) {
        let refused = self.adopt(from);
        let told = words(&refused);
        assert!(!refused.status.success() && told.contains(why), "{}: {told}", from.display());
        self.is_as_it_was();
    }

    fn is_as_it_was(&self) {
        assert!(self.cluster.find_claim("found").is_none());
        assert_eq!(fs::read(self.dir.join("file")).unwrap(), BYTES);
    }

    /// It is the volume of a claim, with its data, and no longer at its place.
    fn is_adopted(&self) -> PathBuf {
        let claim = self.cluster.wait_for_claim("found", "ready");
        assert!(claim["fault"].is_null(), "{claim}");
        let data = volume_dir(&self.root, &claim).join("data");
        assert_eq!(fs::read(data.join("file")).unwrap(), BYTES);
        assert!(!self.dir.exists());
        data
    }

    /// The processes that work on the agent's disks.
    fn helpers(&self) -> Vec<u32> {
        disk_helpers(self.cluster.agents[0].id())
    }
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap())
}

fn signal(process: u32, signal: Signal) {
    kill(pid(process), signal).unwrap();
}

/// The state of a process, such as `T` when it is stopped.
fn state(process: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_directory_with_data_is_renamed_into_a_volume_and_never_copied() {
    let test = "a_directory_with_data_is_renamed_into_a_volume_and_never_copied";
    let Some(mut bed) = Old::start(test) else { return };
    // More than half of the disk: what it uses already is not free, and need not be.
    fs::write(bed.dir.join("large"), vec![7; 30 << 20]).unwrap();
    std::os::unix::fs::chown(&bed.dir, Some(4711), Some(4712)).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let before = (inode(&bed.dir), inode(&bed.dir.join("large")));
    let plan = bed.command(&bed.dir, "found").arg("--plan").output().unwrap();
    let told = words(&plan);
    assert!(plan.status.code() == Some(2) && told.contains("ADOPT"), "{told}");
    bed.is_as_it_was();
    let adopted = bed.adopt(&bed.dir);
    assert!(adopted.status.success(), "{}", words(&adopted));
    let data = bed.is_adopted();
    assert_eq!((inode(&data), inode(&data.join("large"))), before, "the very files");
    let owner = fs::metadata(&data).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (4711, 4712));
    let history = done(&bed.cluster, &["claim", "history", "found"]);
    assert!(history.contains(&format!("adopted from {}", text(&bed.dir))), "{history}");
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    bed.is_adopted();
    // It is not done twice, and what comes to lie at its old place is nobody's.
    fs::create_dir(&bed.dir).unwrap();
    assert!(!bed.adopt(&bed.dir).status.success() && bed.dir.exists());
}

#[test]
fn what_is_no_directory_of_its_own_on_the_disk_is_refused_by_name_and_left() {
    let test = "what_is_no_directory_of_its_own_on_the_disk_is_refused_by_name_and_left";
    let Some(bed) = Old::start(test) else { return };
    let (root, elsewhere) = (&bed.root, bed.cluster.path("elsewhere"));
    bed.cluster.claim_volume(0, "taken", &disk(1.0, Some(&path_source(&text(root)))));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(root.join("plain"), BYTES).unwrap();
    symlink(&bed.dir, root.join("link")).unwrap();
    fs::create_dir_all(bed.dir.join("below")).unwrap();
    symlink(root.join("holdfast"), root.join("innocent")).unwrap();
    for (from, why) in [
        (elsewhere.as_path(), "nothing is copied"),
        (&root.join("absent"), "there is no such directory"),
        (&root.join("plain"), "it is no directory"),
        (&root.join("link"), "it is a symbolic link"),
        (&root.join("link/below"), "reached through a symbolic link"),
        (&root.join("innocent/volumes"), "reached through a symbolic link"),
        (&root.join("holdfast"), "where volumes, trash and sandboxes are"),
        (&root.join("holdfast/volumes"), "where volumes, trash and sandboxes are"),
        (&bed.cluster.agent_dir(0), "where volumes, trash and sandboxes are"),
        (root, "holds disk"),
        (bed.cluster.scratch(), "holds disk"),
        (Path::new("/"), "holds disk"),
        (Path::new("old"), "is not absolute"),
        (&root.join("old/../old"), "goes up"),
    ] {
        bed.refuses(from, why);
    }
    let told = words(&bed.command(&bed.dir, "taken").output().unwrap());
    assert!(told.contains("already has a volume `taken`"), "{told}");
    bed.is_as_it_was();
    let mut user = Command::new("sleep").arg("1000").current_dir(&bed.dir).spawn().unwrap();
    bed.refuses(&bed.dir, &format!("process {} (sleep) has it open", user.id()));
    user.kill().unwrap();
    user.wait().unwrap();
    let below = bed.dir.join("below");
    let mount = |kind: &[&str]| Command::new("mount").args(kind).arg(&below).status().unwrap();
    // A file system of its own, and one that is the disk's own by another mount.
    for kind in [&["-t", "tmpfs", "none"][..], &["--bind", &text(&bed.dir)]] {
        assert!(mount(kind).success());
        bed.refuses(&bed.dir, "is mounted in it");
        bed.refuses(&below, "a file system is mounted there");
        assert!(Command::new("umount").arg(&below).status().unwrap().success());
    }
    let volumes = fs::read_dir(root.join("holdfast/volumes")).unwrap().count();
    assert_eq!(volumes, 1, "what was refused has left nothing behind");
    let adopted = bed.adopt(&bed.dir);
    assert!(adopted.status.success(), "{}", words(&adopted));
    assert!(bed.is_adopted().join("below").is_dir());
}

#[test]
fn a_directory_that_vanishes_while_it_is_to_be_adopted_is_refused_and_nothing_is_made_of_it() {
    let test =
        "a_directory_that_vanishes_while_it_is_to_be_adopted_is_refused_and_nothing_is_made_of_it";
    let Some(bed) = Old::start(test) else { return };
    let helpers = bed.helpers();
    helpers.iter().for_each(|it| signal(*it, Signal::SIGSTOP));
    let mut command = bed.command(&bed.dir, "found");
    let asked = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let away = bed.root.join("away");
    fs::rename(&bed.dir, &away).unwrap();
    helpers.iter().for_each(|it| signal(*it, Signal::SIGCONT));
    let told = asked.wait_with_output().unwrap();
    let why = words(&told);
    assert!(!told.status.success() && why.contains("there is no such directory"), "{why}");
    assert_eq!(fs::read_dir(bed.root.join("holdfast/volumes")).unwrap().count(), 0);
    fs::rename(&away, &bed.dir).unwrap();
    bed.is_as_it_was();
    assert!(bed.adopt(&bed.dir).status.success());
    bed.is_adopted();
}

#[test]
fn a_kill_between_the_rename_and_the_ledger_leaves_the_data_in_the_claim_that_was_asked_for() {
    let test =
        "a_kill_between_the_rename_and_the_ledger_leaves_the_data_in_the_claim_that_was_asked_for";
    if !has_strace() {
        return holdfast_tests::left_out(test, "this needs strace");
    }
    let Some(mut bed) = Old::start(test) else { return };
    let helpers = bed.helpers();
    // They stop after each rename, before they answer.
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-o", "/dev/null", "-e", "inject=rename,renameat,renameat2:signal=SIGSTOP"]);
    for it in &helpers {
        tracer.args(["-p", &it.to_string()]);
    }
    let mut tracer = tracer.stderr(Stdio::null()).spawn().unwrap();
    let is_traced = |it: &u32| {
        let status = fs::read_to_string(format!("/proc/{it}/status")).unwrap();
        status.lines().any(|it| it == format!("TracerPid:\t{}", tracer.id()))
    };
    until("the helpers are traced", || {
        helpers.iter().all(is_traced).then_some(()).ok_or("one is not")
    });
    let mut command = bed.command(&bed.dir, "found");
    let mut asked = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the directory is moved", || {
        if !bed.dir.exists() {
            return Ok(());
        }
        // One that was stopped before the directory is seen has not moved it.
        let is_stopped = |it: &&u32| matches!(state(**it), Some('T' | 't')) && bed.dir.exists();
        helpers.iter().filter(is_stopped).for_each(|it| signal(*it, Signal::SIGCONT));
        Err(format!("{:?}", helpers.iter().map(|it| state(*it)).collect::<Vec<_>>()))
    });
    assert!(bed.cluster.find_claim("found").is_none(), "the agent has not been told");
    bed.cluster.agents[0].kill();
    for it in &helpers {
        let _ = kill(pid(*it), Signal::SIGKILL); // It may have ended with its agent.
    }
    tracer.wait().unwrap();
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    bed.is_adopted();
    // Until its claim is written down, it is one, and is called so.
    wait_for_orphans(&bed.cluster, &bed.root, 0);
    let volumes = fs::read_dir(bed.root.join("holdfast/volumes")).unwrap().count();
    assert_eq!(volumes, 1, "nothing was made a second time");
    asked.kill().unwrap();
    asked.wait().unwrap();
}

fn has_strace() -> bool {
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    asked.is_ok_and(|it| it.success())
}
