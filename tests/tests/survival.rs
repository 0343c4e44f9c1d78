//! Real processes killed with -9, and directories moved, damaged and put back: what was acknowledged is still there, and what is not there is
//! said to be missing, never made anew.
//!
//! Relies on the operator's API, the native API and a scheduler written by hand. Never looks into a ledger; looks at the volumes'
//! directories as an operator would.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use holdfast_tests::calls::{self, command_task, cpus, disk, mem, path_source, reserved, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::http::{get, post};
use holdfast_tests::{until, Cluster, Daemon, Scheduler};
use serde_json::{json, Value};

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

/// A volume with something in it.
struct Kept {
    name: String,
    claim: Value,
    dir: PathBuf,
    inode: u64,
}

impl Kept {
    /// Claims a volume on a disk whose root is given, and writes into it.
    fn claim(cluster: &Cluster, name: &str, resource: &Value, root: &Path) -> Kept {
        let claim = cluster.claim_volume(0, name, resource);
        assert_eq!(claim["state"], "ready", "what was acknowledged is done: {claim}");
        let dir = volume_dir(root, &claim);
        fs::write(dir.join("data/record"), BYTES)
            .unwrap_or_else(|error| panic!("{} cannot be written: {error}", dir.display()));
        let inode = fs::metadata(&dir).unwrap().ino();
        Kept { name: name.to_owned(), claim, dir, inode }
    }

    /// A volume of 100 MB on the agent's own directory.
    fn on_root(cluster: &Cluster, name: &str) -> Kept {
        Kept::claim(cluster, name, &disk(100.0, None), &cluster.agent_dir(0))
    }

    /// The claim is ready, is the same one, and the bytes are where they were.
    fn assert_whole(&self, cluster: &Cluster) {
        let now = cluster.wait_for_claim(&self.name, "ready");
        for field in
            ["id", "generation", "role", "principal", "disk", "agent", "amount", "created_ms"]
        {
            assert_eq!(
                now[field], self.claim[field],
                "{field} of {} has changed: {now}",
                self.name
            );
        }
        assert_eq!(
            fs::metadata(&self.dir).unwrap().ino(),
            self.inode,
            "{} is another directory",
            self.dir.display()
        );
        assert_eq!(fs::read(self.dir.join("data/record")).unwrap(), BYTES);
    }
}

/// All that lies under a directory.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in tree(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        if path.is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A claim that cannot be used is called so, with a reason; nobody may change it or what it is on.
fn assert_missing(cluster: &Cluster, kept: &Kept, resource: &Value) -> Value {
    let claim = cluster.wait_for_claim(&kept.name, "missing");
    assert_eq!(
        (&claim["id"], &claim["generation"]),
        (&kept.claim["id"], &kept.claim["generation"])
    );
    assert!(!claim["fault"].as_str().unwrap_or_default().is_empty(), "no reason: {claim}");
    let agent = kept.claim["agent"].as_str().unwrap();
    for call in [
        calls::destroy(agent, &[volume(resource, &kept.name)]),
        calls::unreserve(agent, &[reserved(resource)]),
    ] {
        let answer = cluster.call(&call);
        assert!(
            [400, 409].contains(&answer.status) && !answer.body.is_empty(),
            "{call}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(cluster.claim(&kept.name)["state"], "missing", "a refused call changed something");
    claim
}

#[test]
fn acknowledged_claims_survive_the_agents_death() {
    let mut cluster = Cluster::start();
    let mut kept: Vec<Kept> = Vec::new();
    for round in 0..5 {
        kept.push(Kept::on_root(&cluster, &format!("v{round}")));
        // Only just acknowledged.
        cluster.agents[0].restart();
        cluster.wait_for_agent(0, "well");
        kept.iter().for_each(|it| it.assert_whole(&cluster));
    }
    let volumes = fs::read_dir(cluster.agent_dir(0).join("holdfast/volumes")).unwrap().count();
    assert_eq!((volumes, cluster.list("claims").len()), (kept.len(), kept.len()));
}

#[test]
fn a_master_knows_every_claim_before_its_agents_are_back() {
    let mut cluster = Cluster::start();
    let mut kept: Vec<Kept> = Vec::new();
    for round in 0..4 {
        kept.push(Kept::on_root(&cluster, &format!("v{round}")));
        cluster.master.kill();
        cluster.agents[0].kill();
        cluster.master.start();
        let known = cluster.list("claims");
        assert_eq!(known.len(), kept.len(), "at once: {known:#?}");
        for it in &kept {
            let claim = cluster.claim(&it.name);
            assert_eq!((&claim["id"], &claim["disk"]), (&it.claim["id"], &it.claim["disk"]));
            assert_ne!(claim["agent_state"], "well", "its agent is down: {claim}");
            assert_eq!(claim["hostname"], "agent0", "where it is, is known: {claim}");
        }
        let refused =
            cluster.call(&calls::reserve(&cluster.agent_id(0), &[reserved(&disk(1.0, None))]));
        assert!(
            [409, 503].contains(&refused.status),
            "nothing is promised for an agent that is away: {} {}",
            refused.status,
            refused.text()
        );
        cluster.agents[0].start();
        cluster.wait_for_agent(0, "well");
        kept.iter().for_each(|it| it.assert_whole(&cluster));
    }
}

#[test]
fn an_empty_directory_never_takes_a_volumes_place() {
    let mut cluster = Cluster::start();
    let kept = Kept::on_root(&cluster, "v");
    let aside = cluster.path("aside");
    cluster.agents[0].kill();
    fs::rename(&kept.dir, &aside).unwrap();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let claim = assert_missing(&cluster, &kept, &disk(100.0, None));
    println!("a volume that is gone: {}", claim["fault"]);
    let mut framework = Scheduler::subscribe(
        cluster.master.address(),
        &calls::framework_info("owner", 60.0),
        false,
    );
    let offer = framework.offer_with("cpus", |resource| resource["name"] == "cpus");
    let agent = offer["agent_id"]["value"].as_str().unwrap().to_owned();
    let task =
        command_task("t", &agent, "true", &[cpus(0.1), mem(32.0), volume(&disk(100.0, None), "v")]);
    framework.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    let status = framework.status("t");
    let state = status["state"].as_str().unwrap().to_owned();
    assert!(["TASK_ERROR", "TASK_DROPPED", "TASK_FAILED"].contains(&state.as_str()), "{status}");
    println!("a task that wants it: {state}: {}", status["message"]);
    assert!(!kept.dir.exists(), "something was made in its place");
    let volumes = cluster.agent_dir(0).join("holdfast/volumes");
    assert_eq!(tree(&volumes), Vec::<PathBuf>::new(), "something was made in its place");
    // It comes back, and nobody has to help.
    cluster.agents[0].kill();
    fs::rename(&aside, &kept.dir).unwrap();
    cluster.agents[0].start();
    kept.assert_whole(&cluster);
}

#[test]
fn a_volume_that_vanishes_under_a_running_agent_is_not_mounted() {
    let mut cluster = Cluster::start();
    let kept = Kept::on_root(&cluster, "v");
    let aside = cluster.path("aside");
    let mut framework = Scheduler::subscribe(
        cluster.master.address(),
        &calls::framework_info("owner", 60.0),
        false,
    );
    let is_ours = |resource: &Value| resource["disk"]["persistence"]["id"] == "v";
    let offer = framework.offer_with("the volume", is_ours);
    let offered =
        offer["resources"].as_array().unwrap().iter().find(|it| is_ours(it)).unwrap().clone();
    let agent = offer["agent_id"]["value"].as_str().unwrap().to_owned();
    fs::rename(&kept.dir, &aside).unwrap();
    let task = command_task("t", &agent, "true", &[cpus(0.1), mem(32.0), offered]);
    framework.accept(&offer, json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]));
    let status = framework.event_where("the end of the task", |event| {
        let state = event["update"]["status"]["state"].as_str().unwrap_or_default();
        !["", "TASK_STAGING", "TASK_STARTING"].contains(&state)
    });
    let status = &status["update"]["status"];
    assert!(
        ["TASK_FAILED", "TASK_DROPPED", "TASK_ERROR", "TASK_LOST"]
            .contains(&status["state"].as_str().unwrap()),
        "{status}"
    );
    println!(
        "a task on a volume that has just vanished: {}: {}",
        status["state"], status["message"]
    );
    assert!(!kept.dir.exists(), "something was made in its place");
    // An agent that looks again says what it sees.
    cluster.agents[0].restart();
    cluster.wait_for_agent(0, "well");
    assert_missing(&cluster, &kept, &disk(100.0, None));
    cluster.agents[0].kill();
    fs::rename(&aside, &kept.dir).unwrap();
    cluster.agents[0].start();
    kept.assert_whole(&cluster);
}

#[test]
fn a_path_disk_that_is_not_there_is_not_made_anew() {
    let mut cluster = Cluster::without_agents();
    let (root, aside) = (cluster.path("disk"), cluster.path("aside"));
    fs::create_dir(&root).unwrap();
    cluster.add_agent(&[&format!("path={},size-mb=1000", text(&root))]);
    let resource = disk(100.0, Some(&path_source(&text(&root))));
    let kept = Kept::claim(&cluster, "v", &resource, &root);
    let before = tree(&root);
    cluster.agents[0].kill();
    fs::rename(&root, &aside).unwrap();
    for replaced in [false, true] {
        if replaced {
            fs::create_dir(&root).unwrap();
        }
        cluster.agents[0].start();
        cluster.wait_for_agent(0, "well");
        let claim = assert_missing(&cluster, &kept, &resource);
        println!(
            "a disk that is {}: {}",
            if replaced { "an empty directory" } else { "not there" },
            claim["fault"]
        );
        let more = cluster.call(&calls::reserve(
            &cluster.agent_id(0),
            &[reserved(&disk(1.0, Some(&path_source(&text(&root)))))],
        ));
        assert!(
            [400, 409].contains(&more.status),
            "more was promised on a disk that is not there: {} {}",
            more.status,
            more.text()
        );
        cluster.agents[0].kill();
        assert_eq!(root.exists(), replaced, "the disk's root was made");
        assert!(
            !replaced || tree(&root).is_empty(),
            "something was made on what is not the disk: {:?}",
            tree(&root)
        );
    }
    fs::remove_dir(&root).unwrap();
    fs::rename(&aside, &root).unwrap();
    assert_eq!(tree(&root), before);
    cluster.agents[0].start();
    kept.assert_whole(&cluster);
}

/// File systems that a test mounted; unmounted at the end, whatever happens.
struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn run(program: &str, words: &[&str]) -> Result<(), String> {
        let output =
            Command::new(program).args(words).output().map_err(|error| error.to_string())?;
        let said = || {
            format!(
                "{program} {}: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            )
        };
        output.status.success().then_some(()).ok_or_else(said)
    }

    fn mount(&mut self, words: &[&str], at: &Path) -> Result<(), String> {
        Mounts::run("mount", &[words, &[&text(at)]].concat())?;
        self.0.push(at.to_owned());
        Ok(())
    }

    fn unmount(&mut self, at: &Path) {
        Mounts::run("umount", &[&text(at)]).unwrap();
        self.0.retain(|it| it != at);
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for at in self.0.drain(..).rev() {
            // What is still in use goes when its user does.
            let _ = Mounts::run("umount", &["-l", &text(&at)]);
        }
    }
}

/// A cluster whose agent has a MOUNT disk with a volume on it.
struct Mounted {
    cluster: Cluster,
    mounts: Mounts,
    root: PathBuf,
    /// A second place, which keeps the file system alive while it is unmounted from the first.
    elsewhere: PathBuf,
    resource: Value,
    kept: Kept,
}

/// Says so where nothing can be mounted.
fn mounted() -> Option<Mounted> {
    let mut cluster = Cluster::without_agents();
    let (root, elsewhere) = (cluster.path("disk"), cluster.path("elsewhere"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    let mut mounts = Mounts(Vec::new());
    if let Err(why) = mounts.mount(&["-t", "tmpfs", "-o", "size=64m", "holdfast-test"], &root) {
        holdfast_tests::left_out("disks that are mounted", &why);
        return None;
    }
    mounts.mount(&["--bind", &text(&root)], &elsewhere).unwrap();
    cluster.add_agent(&[&format!("mount={},size-mb=64", text(&root))]);
    let resource = disk(64.0, Some(&calls::mount_source(&text(&root))));
    let kept = Kept::claim(&cluster, "v", &resource, &root);
    Some(Mounted { cluster, mounts, root, elsewhere, resource, kept })
}

#[test]
fn a_mount_disk_that_is_not_mounted_is_not_made_anew() {
    let Some(Mounted { mut cluster, mut mounts, root, elsewhere, resource, kept }) = mounted()
    else {
        return;
    };
    cluster.agents[0].kill();
    mounts.unmount(&root);
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let claim = assert_missing(&cluster, &kept, &resource);
    println!("a disk that is not mounted: {}", claim["fault"]);
    cluster.agents[0].kill();
    assert_eq!(tree(&root), Vec::<PathBuf>::new(), "something was made under the mount point");
    mounts.mount(&["--bind", &text(&elsewhere)], &root).unwrap();
    cluster.agents[0].start();
    kept.assert_whole(&cluster);
    cluster.agents[0].kill();
}

#[test]
fn a_disk_that_goes_and_comes_back_under_a_running_agent_needs_nobodys_help() {
    let Some(Mounted { mut cluster, mut mounts, root, elsewhere, resource, kept }) = mounted()
    else {
        return;
    };
    mounts.unmount(&root); // It is not busy: the agent keeps nothing of it open.
    let gone = Instant::now();
    let claim = assert_missing(&cluster, &kept, &resource);
    println!("noticed after {:?} that it was gone: {}", gone.elapsed(), claim["fault"]);
    assert_eq!(tree(&root), Vec::<PathBuf>::new(), "something was made under the mount point");
    mounts.mount(&["--bind", &text(&elsewhere)], &root).unwrap();
    let back = Instant::now();
    kept.assert_whole(&cluster);
    println!("noticed after {:?} that it was back", back.elapsed());
    cluster.agents[0].kill();
}

#[test]
fn two_agents_do_not_share_a_disk() {
    let mut cluster = Cluster::without_agents();
    let root = cluster.path("disk");
    fs::create_dir(&root).unwrap();
    let disk = format!("path={},size-mb=1000", text(&root));
    cluster.add_agent(&[&disk]);
    cluster.add_agent(&[&disk]);
    let second = cluster.agent_id(1);
    let row = until("the disk of the second agent", || {
        let rows = cluster.list("disks");
        let row = rows
            .iter()
            .find(|it| it["agent"] == second.as_str() && it["root"] == text(&root).as_str());
        row.cloned().ok_or_else(|| format!("{rows:?}"))
    });
    assert!(
        row["fault"]
            .as_str()
            .unwrap_or_default()
            .contains("in use by another agent on this machine, process "),
        "{row}"
    );
}

/// Turns over bits all through every file of a directory.
fn damage(dir: &Path) -> usize {
    let mut damaged = 0;
    for path in tree(dir).into_iter().filter(|path| path.is_file()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().step_by(61).for_each(|byte| *byte ^= 0x55);
        fs::write(&path, &bytes).unwrap();
        damaged += bytes.len().div_ceil(61);
    }
    damaged
}

/// Books that hold what the volumes of [`fill_mirror`] need are larger than this.
const MIRROR_BYTES_MIN: usize = 50_000;

/// Claims as many volumes as it takes for the books, which follow the journal from afar, to be brought up.
fn fill_mirror(cluster: &Cluster) {
    let agent = cluster.agent_id(0);
    let small = disk(1.0, None);
    for call in 0..11 {
        let volumes: Vec<Value> =
            (0..100).map(|index| volume(&small, &format!("small-{call}-{index}"))).collect();
        cluster
            .call(&calls::reserve(&agent, &[reserved(&disk(100.0, None))]))
            .expect(202, "RESERVE_RESOURCES");
        cluster.call(&calls::create(&agent, &volumes)).expect(202, "CREATE_VOLUMES");
    }
}

#[test]
fn damaged_mirror_are_made_anew_from_the_journal() {
    let mut cluster = Cluster::start();
    let kept: Vec<Kept> =
        (0..5).map(|index| Kept::on_root(&cluster, &format!("v{index}"))).collect();
    fill_mirror(&cluster);
    let claims = cluster.list("claims");
    cluster.master.kill();
    cluster.agents[0].kill();
    let damaged = damage(&cluster.path("master/ledger/books"));
    assert!(MIRROR_BYTES_MIN < damaged * 61, "the books hold nothing yet: {damaged}");
    cluster.master.start();
    let known = cluster.list("claims");
    assert_eq!(known.len(), claims.len());
    for it in &kept {
        assert_eq!(cluster.claim(&it.name)["id"], it.claim["id"]);
    }
    let said = cluster.master.log();
    println!(
        "{damaged} bytes of the master's books damaged: {}",
        said.lines().rev().find(|line| line.contains("finding")).unwrap_or("nothing said")
    );
    assert!(said.contains("books"), "damage is never silent:\n{said}");
    assert!(MIRROR_BYTES_MIN < damage(&cluster.agent_dir(0).join("ledger/books")) * 61);
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    kept.iter().for_each(|it| it.assert_whole(&cluster));
    let said = cluster.agents[0].log();
    assert!(said.contains("books"), "damage is never silent:\n{said}");
}

#[test]
fn an_agent_whose_ledger_is_gone_is_fenced_and_touches_nothing() {
    let mut cluster = Cluster::start();
    let kept = Kept::on_root(&cluster, "v");
    let (ledger, aside) = (cluster.agent_dir(0).join("ledger"), cluster.path("aside"));
    cluster.agents[0].kill();
    fs::rename(&ledger, &aside).unwrap();
    let disk = cluster.agent_dir(0).join("holdfast");
    let before = tree(&disk);
    cluster.agents[0].start();
    let row = cluster.wait_for_agent(0, "fenced");
    let why = row["why"].as_str().unwrap_or_default();
    println!("an agent without its ledger: {why}");
    assert!(why.contains("its ledger is new"), "{row:#}");
    cluster.agents[0].kill();
    assert_eq!(tree(&disk), before, "nothing on its disk is touched");
    assert_eq!(cluster.claim("v")["id"], kept.claim["id"], "the master still knows");
    fs::remove_dir_all(&ledger).unwrap();
    fs::rename(&aside, &ledger).unwrap();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    kept.assert_whole(&cluster);
}

#[test]
fn a_standby_takes_over_when_the_leader_is_killed() {
    let mut cluster = Cluster::start();
    let kept = Kept::on_root(&cluster, "v");
    let address = cluster.master.address();
    // At the same address, which is free once the leader is dead, so that the agent finds it.
    let mut standby = Daemon::new(
        "standby",
        cluster.scratch(),
        &["master", "--dir", &text(&cluster.path("master"))],
    )
    .at(address);
    standby.launch();
    until("the second master stands by", || {
        if standby.log().contains("standing by") {
            Ok(())
        } else {
            Err(standby.log())
        }
    });
    cluster
        .call(&calls::reserve(&cluster.agent_id(0), &[reserved(&disk(10.0, None))]))
        .expect(202, "a standby is in nobody's way");
    let claims = cluster.list("claims");
    assert!(standby.runs());
    let began = Instant::now();
    cluster.master.kill();
    standby.wait_until_it_serves();
    let serves = began.elapsed();
    std::mem::swap(&mut cluster.master, &mut standby);
    let known = cluster.list("claims");
    assert_eq!(known.len(), claims.len(), "{known:#?}");
    assert_eq!(cluster.claim("v")["id"], kept.claim["id"]);
    cluster.wait_for_agent(0, "well");
    println!(
        "leader killed: the standby served after {serves:?}, and had the agent back after {:?}",
        began.elapsed()
    );
    kept.assert_whole(&cluster);
    cluster
        .call(&calls::unreserve(&cluster.agent_id(0), &[reserved(&disk(10.0, None))]))
        .expect(202, "the new leader leads");
    cluster.agents[0].kill();
}

#[test]
fn a_standby_at_an_address_of_its_own_sends_clients_to_the_leader() {
    let mut cluster = Cluster::without_agents();
    let mut standby = Daemon::new(
        "standby",
        cluster.scratch(),
        &["master", "--dir", &text(&cluster.path("master")), "--ip", "127.0.0.2"],
    );
    standby.launch();
    let port = until("the second master listens", || {
        let log = standby.log();
        let line = log.lines().find_map(|line| line.split_once("listening at 127.0.0.2:"));
        line.and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u16>().ok()).ok_or(log)
    });
    let (first, second) =
        (cluster.master.address(), std::net::SocketAddr::from(([127, 0, 0, 2], port)));
    let dir = text(&cluster.path("agent0"));
    let both = format!("{second},{first}");
    let arguments = [
        "agent",
        "--dir",
        &dir,
        "--master",
        &both,
        "--resources",
        "cpus:1;mem:64;disk:100",
        "--hostname",
        "agent0",
    ];
    let mut agent = Daemon::new("agent0", cluster.scratch(), &arguments);
    agent.start();
    cluster.agents.push(agent);
    cluster.wait_for_agent(0, "well");
    get(second, "/health").expect(200, "a standby is well");
    let elsewhere =
        get(second, "/state?x=1").expect(307, "a standby does not answer for the cluster");
    assert_eq!(elsewhere.header("Location"), Some(format!("//{first}/state?x=1").as_str()));
    let subscribe = serde_json::json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "", "name": "f"}}});
    post(second, "/api/v1/scheduler", &subscribe).expect(307, "nor does it take frameworks");
    let snapshot =
        get(second, "/metrics/snapshot").expect(200, "its own numbers are its own").json();
    assert_eq!(snapshot["master/elected"], 0.0);
    cluster.master.kill();
    standby.wait_until_it_serves();
    assert_eq!(standby.address(), second);
    std::mem::swap(&mut cluster.master, &mut standby);
    cluster.wait_for_agent(0, "well");
    let itself = get(second, "/redirect").expect(307, "now it leads");
    assert_eq!(itself.header("Location"), Some(format!("//{second}").as_str()));
    cluster.agents[0].kill();
}

#[test]
fn an_older_copy_of_an_agents_ledger_is_fenced() {
    let mut cluster = Cluster::start();
    let first = Kept::on_root(&cluster, "first");
    let (ledger, copy, true_one) =
        (cluster.agent_dir(0).join("ledger"), cluster.path("copy"), cluster.path("true"));
    cluster.agents[0].kill();
    copy_tree(&ledger, &copy);
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    let second = Kept::on_root(&cluster, "second");
    cluster.agents[0].kill();
    fs::rename(&ledger, &true_one).unwrap();
    fs::rename(&copy, &ledger).unwrap();
    cluster.agents[0].start();
    let row = cluster.wait_for_agent(0, "fenced");
    let why = row["why"].as_str().unwrap_or_default();
    println!("an agent with an older ledger: {why}");
    assert!(why.contains("version") && why.contains("lost data"), "{row}");
    let refused =
        cluster.call(&calls::reserve(&cluster.agent_id(0), &[reserved(&disk(1.0, None))]));
    assert!([409, 503].contains(&refused.status), "{} {}", refused.status, refused.text());
    for kept in [&first, &second] {
        assert_eq!(cluster.claim(&kept.name)["id"], kept.claim["id"], "the masters' word stands");
        assert_eq!(
            fs::read(kept.dir.join("data/record")).unwrap(),
            BYTES,
            "a fenced agent touches no volume"
        );
    }
    cluster.agents[0].kill();
    fs::rename(&ledger, cluster.path("stale")).unwrap();
    fs::rename(&true_one, &ledger).unwrap();
    cluster.agents[0].start();
    cluster.wait_for_agent(0, "well");
    first.assert_whole(&cluster);
    second.assert_whole(&cluster);
}

#[test]
fn a_master_that_forgot_everything_takes_nothing() {
    let mut cluster = Cluster::start();
    let kept = Kept::on_root(&cluster, "v");
    let (dir, aside) = (cluster.path("master"), cluster.path("aside"));
    cluster.master.kill();
    fs::rename(&dir, &aside).unwrap();
    cluster.master.start();
    // Another cluster's disks are not its own, however empty it is.
    until("the agent is told no", || {
        let said = cluster.agents[0].log() + &cluster.master.log();
        if said.contains("refused") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let rows = cluster.list("agents");
    assert!(rows.iter().all(|row| row["state"] != "well"), "{rows:?}");
    assert_eq!(fs::read(kept.dir.join("data/record")).unwrap(), BYTES);
    cluster.master.kill();
    fs::rename(&dir, cluster.path("forgetful")).unwrap();
    fs::rename(&aside, &dir).unwrap();
    cluster.master.start();
    cluster.wait_for_agent(0, "well");
    kept.assert_whole(&cluster);
    assert_eq!(get(cluster.master.address(), "/health").status, 200);
}
