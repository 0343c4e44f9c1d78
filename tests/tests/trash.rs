//! Destroyed volumes: brought back whole, released early when their space is needed, removed after a `kill -9` in the middle of it; and
//! tens of thousands of files that are removed while the agent and other volumes go on. Real processes over real folders.
//!
//! The disks that fill up are small file systems in memory, which needs root; where that is not allowed it is said, and passed. Never
//! measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast_tests::calls::{self, disk, path_source, reserved, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::http::Answer;
use holdfast_tests::small_disk::SmallDisk;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// A cluster of one agent with one disk.
struct Scene {
    cluster: Cluster,
    root: PathBuf,
}

impl Scene {
    fn over(mut cluster: Cluster, root: PathBuf, size_mb: u64, settings: &[&str]) -> Scene {
        fs::create_dir_all(&root).unwrap();
        let setting = format!("path={},size-mb={size_mb}", text(&root));
        let all = [
            "--resources",
            "cpus:4;mem:4096;disk:1000",
            "--hostname",
            "agent0",
            "--disk",
            &setting,
        ];
        let all: Vec<&str> = all.into_iter().chain(settings.iter().copied()).collect();
        let mut agent = cluster.agent_with("agent0", &all);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(0, "well");
        Scene { cluster, root }
    }

    fn new(settings: &[&str]) -> Scene {
        let cluster = Cluster::without_agents();
        let root = cluster.path("disk");
        Scene::over(cluster, root, 500, settings)
    }

    fn piece(&self, mb: f64) -> Value {
        disk(mb, Some(&path_source(&text(&self.root))))
    }

    fn agent(&self) -> String {
        self.cluster.agent_id(0)
    }

    /// An operator's call, again while the agent's news are on their way.
    fn call(&self, call: &Value) -> Answer {
        until("the master takes a call", || match self.cluster.call(call) {
            answer if answer.text().contains("is just reporting") => Err(answer.text()),
            answer => Ok(answer),
        })
    }

    fn create(&self, name: &str, mb: f64) {
        let call = calls::create(&self.agent(), &[volume(&self.piece(mb), name)]);
        self.call(&call).expect(202, "CREATE");
    }

    fn claim(&self, name: &str, mb: f64) -> Value {
        let call = calls::reserve(&self.agent(), &[reserved(&self.piece(mb))]);
        self.call(&call).expect(202, "RESERVE");
        self.create(name, mb);
        self.cluster.claim(name)
    }

    fn destroy(&self, name: &str, mb: f64) {
        let call = calls::destroy(&self.agent(), &[volume(&self.piece(mb), name)]);
        self.call(&call).expect(202, "DESTROY");
    }

    fn unreserve(&self, mb: f64) {
        let call = calls::unreserve(&self.agent(), &[reserved(&self.piece(mb))]);
        self.call(&call).expect(202, "UNRESERVE");
    }

    /// A line on the command line, again while the agent's news are on their way.
    fn line(&self, line: &str) -> Output {
        let master = self.cluster.master.address().to_string();
        let words: Vec<&str> = line.split(' ').chain(["--master", &master]).collect();
        until(line, || match Command::new(binary()).args(&words).output().unwrap() {
            output if said(&output).contains("is just reporting") => Err(said(&output)),
            output => Ok(output),
        })
    }

    fn says(&self, line: &str) -> String {
        said(&self.line(line))
    }

    /// The names in the trash of the disk.
    fn trash(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("holdfast/trash")).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn rows(&self) -> Vec<Value> {
        self.cluster.list("trash")
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it)).concat()
}

fn data(root: &Path, claim: &Value) -> PathBuf {
    volume_dir(root, claim).join("data")
}

#[test]
fn a_destroyed_volume_comes_back_with_its_data_its_uuid_and_its_history() {
    let mut scene = Scene::new(&[]);
    let claim = scene.claim("data-0", 10.0);
    fs::write(data(&scene.root, &claim).join("db"), "every acknowledged record").unwrap();
    scene.destroy("data-0", 10.0);
    // News of the trash follow the answer.
    let row = until("the trash is told", || scene.rows().pop().ok_or("no row"));
    assert_eq!((&row["id"], &row["volume"]), (&claim["id"], &"data-0".into()));
    assert_eq!((&row["destroyed_by"], &row["purging"]), (&"operator".into(), &false.into()));
    assert!(scene.says("trash list").contains("data-0"));
    // Also when everybody has forgotten what is not written down.
    scene.cluster.agents[0].kill();
    scene.cluster.master.kill();
    scene.cluster.master.start();
    scene.cluster.agents[0].start();
    until("the trash is told again", || match scene.rows().len() {
        1 => Ok(()),
        other => Err(format!("{other} rows")),
    });
    let plan = scene.line("volume undelete data-0 --plan");
    assert_eq!(plan.status.code(), Some(2), "{plan:?}");
    assert_eq!(scene.rows().len(), 1, "a plan changes nothing");
    let back = scene.line("volume undelete data-0");
    assert!(back.status.success(), "{back:?}");
    let row = scene.cluster.claim("data-0");
    assert_eq!((&row["id"], &row["state"]), (&claim["id"], &"ready".into()));
    let what: Vec<&Value> =
        row["history"].as_array().unwrap().iter().map(|it| &it["what"]).collect();
    assert_eq!(what, ["created", "destroyed", "undeleted"]);
    let path = data(&scene.root, &row).join("db");
    assert_eq!(fs::read_to_string(path).unwrap(), "every acknowledged record");
    assert!(scene.rows().is_empty() && scene.trash().is_empty());
    assert!(scene.line("volume undelete data-0").status.success(), "what is back is no error");
}

#[test]
fn what_stands_in_the_way_is_named_and_a_removal_for_good_is_for_good() {
    let scene = Scene::new(&[]);
    let claim = scene.claim("a", 10.0);
    scene.destroy("a", 10.0);
    scene.create("a", 10.0);
    let id = claim["id"].as_str().unwrap();
    let refused = scene.says(&format!("trash restore {id}"));
    assert!(refused.contains("already has a volume `a`"), "{refused}");
    scene.destroy("a", 10.0);
    scene.unreserve(10.0);
    let ambiguous = scene.says("trash restore a");
    assert!(ambiguous.contains(id), "two bore that name: {ambiguous}");
    // Its reservation was given up, and nobody has claimed the space: it is reserved again on the way.
    let back = scene.line(&format!("trash restore {id}"));
    assert!(back.status.success(), "{back:?}");
    scene.destroy("a", 10.0);
    let asked = scene.line(&format!("trash purge {id}"));
    assert_eq!(asked.status.code(), Some(64), "nobody has agreed: {asked:?}");
    assert!(scene.line(&format!("trash purge {id} -y")).status.success());
    until("its files are gone", || match scene.trash() {
        names if names.iter().any(|it| it.starts_with(id)) => Err(names.join(", ")),
        _ => Ok(()),
    });
    // The master hears of it after the fact, and until then the refusal is the agent's, in its own words.
    until("it is listed no more", || match scene.rows() {
        rows if rows.iter().any(|it| it["id"] == id) => Err(format!("{rows:?}")),
        _ => Ok(()),
    });
    let gone = scene.says(&format!("volume undelete {id}"));
    assert!(gone.contains("there is no"), "{gone}");
}

#[test]
fn what_was_taken_away_by_hand_is_not_said_to_lie_there() {
    let scene = Scene::new(&[]);
    scene.claim("data-1", 100.0);
    scene.destroy("data-1", 100.0);
    let entry = scene.root.join("holdfast/trash").join(scene.trash().remove(0));
    fs::remove_dir_all(entry).unwrap();
    let refused = scene.line("volume undelete data-1");
    assert!(!refused.status.success(), "{}", said(&refused));
    until("it is listed no more", || match scene.says("trash list") {
        list if list.contains("data-1") => Err(list),
        _ => Ok(()),
    });
}

#[test]
fn a_disk_that_is_full_of_trash_has_room_for_the_next_volume_when_that_is_made() {
    let cluster = Cluster::without_agents();
    let root = cluster.path("disk");
    let Some(_small) = SmallDisk::new("a_disk_that_is_full_of_trash", root.clone(), 64) else {
        return;
    };
    let scene = Scene::over(cluster, root, 64, &[]);
    for name in ["v0", "v1", "v2"] {
        let claim = scene.claim(name, 50.0);
        fs::write(data(&scene.root, &claim).join("db"), vec![7; 45 << 20]).unwrap();
        scene.destroy(name, 50.0);
        scene.unreserve(50.0);
        assert!(scene.says("trash list").contains(name), "it can be brought back until then");
    }
    let log = scene.cluster.agents[0].log();
    assert!(log.contains("early") && log.contains("are promised to volumes"), "{log}");
}

#[test]
fn a_removal_that_kill_9_cuts_short_goes_on_and_nothing_else_waits_for_it() {
    let mut scene = Scene::new(&["--trash-retention", "0"]);
    let claim = scene.claim("many", 10.0);
    let files = data(&scene.root, &claim);
    (0..60_000).for_each(|it| drop(fs::File::create(files.join(it.to_string())).unwrap()));
    scene.destroy("many", 10.0);
    until("its removal has begun", || match scene.trash() {
        names if names.iter().any(|it| it.ends_with(".purging")) => Ok(()),
        names if names.is_empty() => Ok(()), // It is gone already.
        names => Err(names.join(", ")),
    });
    scene.cluster.agents[0].kill();
    scene.cluster.agents[0].start();
    scene.cluster.wait_for_agent(0, "well");
    // Other volumes come and go meanwhile.
    for number in 0..5 {
        let name = format!("other{number}");
        scene.claim(&name, 1.0);
        scene.destroy(&name, 1.0);
    }
    until("nothing is left", || match (scene.trash(), scene.rows().len()) {
        (names, 0) if names.is_empty() => Ok(()),
        (names, rows) => Err(format!("{} entries, {rows} rows", names.len())),
    });
    assert!(scene.line("volume undelete many").status.code() != Some(0), "there is no way back");
}
