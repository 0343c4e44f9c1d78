//! Changes of claims that are made together, from a file, and only while nothing has changed. Real processes; the command line and plain
//! HTTP.
//!
//! The agent is killed while such a change is under way: all of it is there afterwards, or nothing. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use holdfast_tests::calls::{disk, framework_info, path_source, reserved, volume};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::daemon::binary;
use holdfast_tests::{until, Cluster, Scheduler};
use serde_json::{json, Value};

/// A cluster of one agent with one disk.
struct Scene {
    cluster: Cluster,
    root: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let mut cluster = Cluster::without_agents();
        let root = cluster.path("disk");
        fs::create_dir_all(&root).unwrap();
        let setting = format!("path={},size-mb=500", text(&root));
        let all = [
            "--resources",
            "cpus:4;mem:4096;disk:1000",
            "--hostname",
            "agent0",
            "--disk",
            &setting,
        ];
        let mut agent = cluster.agent_with("agent0", &all);
        agent.start();
        cluster.agents.push(agent);
        cluster.wait_for_agent(0, "well");
        Scene { cluster, root }
    }

    fn piece(&self, mb: f64) -> Value {
        disk(mb, Some(&path_source(&text(&self.root))))
    }

    fn reserve(&self, mb: f64) -> Value {
        json!({ "type": "RESERVE", "reserve": { "resources": [reserved(&self.piece(mb))] } })
    }

    fn unreserve(&self, mb: f64) -> Value {
        json!({ "type": "UNRESERVE", "unreserve": { "resources": [reserved(&self.piece(mb))] } })
    }

    fn create(&self, name: &str, mb: f64) -> Value {
        json!({ "type": "CREATE", "create": { "volumes": [volume(&self.piece(mb), name)] } })
    }

    /// The changes as a file.
    fn file(&self, name: &str, operations: &[Value]) -> String {
        let path = self.cluster.path(name);
        let document = json!({ "agent": self.cluster.agent_id(0), "operations": operations });
        fs::write(&path, document.to_string()).unwrap();
        text(&path)
    }

    fn line(&self, words: &[&str]) -> Output {
        let master = self.cluster.master.address().to_string();
        let words: Vec<&str> = words.iter().copied().chain(["--master", &master]).collect();
        until(&words.join(" "), || match Command::new(binary()).args(&words).output().unwrap() {
            output if said(&output).contains("is just reporting") => Err(said(&output)),
            output => Ok(output),
        })
    }

    /// What a line says that ends with this code.
    fn says(&self, words: &[&str], code: i32) -> String {
        let output = self.line(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        said(&output)
    }

    fn claims(&self) -> Vec<Value> {
        self.cluster.list("claims")
    }

    fn agent_generation(&self) -> u64 {
        self.cluster.list("agents")[0]["generation"].as_u64().unwrap()
    }

    /// The volumes on the disk, by the names of their folders.
    fn volumes_on_disk(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("holdfast/volumes")).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it)).concat()
}

#[test]
fn operations_of_a_file_are_made_together_or_not_at_all() {
    let scene = Scene::new();
    let all = [scene.reserve(100.0), scene.create("data-0", 60.0), scene.create("data-1", 40.0)];
    let file = scene.file("all.json", &all);
    let plan = scene.says(&["claim", "apply", &file, "--plan"], 2);
    assert!(plan.contains("takes: disk[Path:") && plan.contains("made on: generation"), "{plan}");
    assert!(scene.claims().is_empty(), "a plan changes nothing");
    let done = scene.says(&["claim", "apply", &file], 0);
    assert!(done.contains("RESERVE, CREATE, CREATE on agent"), "{done}");
    assert!(done.contains("data-0") && done.contains("data-1"), "{done}");
    let row = scene.cluster.claim("data-1");
    assert_eq!((&row["state"], &row["history"][0]["what"]), (&"ready".into(), &"created".into()));
    assert!(volume_dir(&scene.root, &row).join("data").is_dir());
    assert_eq!(scene.claims().len(), 2, "all that was reserved carries the two");
    // One of the steps cannot be done: none is.
    let before = scene.claims();
    let wrong = [scene.reserve(50.0), scene.create("data-2", 50.0), scene.create("data-0", 1.0)];
    let why = scene.says(&["claim", "apply", &scene.file("wrong.json", &wrong)], 5);
    assert!(why.contains("step 3 (CREATE): "), "{why}");
    assert_eq!((scene.claims(), scene.volumes_on_disk().len()), (before, 2));
    // What gives something up asks first.
    let remove = json!({ "type": "DESTROY", "destroy": { "volumes": [volume(&scene.piece(60.0), "data-0")] } });
    let cpus = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1.0 } });
    let take = json!({ "type": "RESERVE", "reserve": { "resources": [reserved(&cpus)] } });
    let file = scene.file("swap.json", &[remove, take]);
    let why = scene.says(&["claim", "apply", &file], 64);
    assert!(why.contains("Carry out DESTROY, RESERVE"), "{why}");
    scene.says(&["claim", "apply", &file, "-y"], 0);
    let held: Vec<Value> = scene.claims().iter().map(|it| it["resource"].clone()).collect();
    assert!(held.contains(&"cpus".into()), "{held:?}");
    until("the trash is told", || match scene.cluster.list("trash").len() {
        1 => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_change_is_made_only_while_nothing_has_changed() {
    let scene = Scene::new();
    let root = text(&scene.root);
    let on = |words: &str| -> Vec<String> {
        let more = ["--agent", "agent0", "--role", "db", "--disk", &root];
        words.split(' ').chain(more).map(str::to_owned).collect()
    };
    let run = |words: Vec<String>, code: i32| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        scene.says(&words, code)
    };
    let seen = scene.agent_generation();
    run(on("reservation create disk:100"), 0);
    let now = scene.agent_generation();
    assert!(seen < now);
    let why = run(on(&format!("reservation create disk:10 --if-generation {seen}")), 5);
    assert!(why.contains("the state has moved on") && why.contains(&format!("generation {now}")));
    assert!(why.contains("try: look at what has changed"), "{why}");
    run(on(&format!("reservation create disk:10 --if-generation {now}")), 0);
    let now = scene.agent_generation();
    run(on(&format!("volume create data-0 --size 50 --if-generation {now}")), 0);
    // A plan carries what it was made on.
    let plan = text(&scene.cluster.path("plan.json"));
    let grow = ["volume", "grow", "data-0", "--by", "10"];
    let planned = scene.says(&[&grow[..], &["--plan", "--out", &plan]].concat(), 2);
    assert!(planned.contains("made on: generation 1 of claim"), "{planned}");
    scene.says(&grow, 0);
    let why = scene.says(&["volume", "grow", "--apply", &plan], 5);
    assert!(why.contains("is at generation 2, not 1: grown by operator"), "{why}");
    let row = scene.cluster.claim("data-0");
    assert_eq!((&row["amount"], &row["generation"]), (&60.0.into(), &2.into()));
    scene.says(&[&grow[..], &["--plan", "--out", &plan]].concat(), 2);
    scene.says(&["volume", "grow", "--apply", &plan], 0);
    assert_eq!(scene.cluster.claim("data-0")["amount"], 70.0);
    let why = scene.says(&["claim", "apply", &plan], 5);
    assert!(why.contains("the state has moved on"), "what was done is not done twice: {why}");
    let why = scene.says(&["volume", "shrink", "data-0", "--by", "5", "--if-generation", "2"], 5);
    assert!(why.contains("is at generation 3, not 2"), "{why}");
    scene.says(&["volume", "shrink", "data-0", "--by", "5", "--if-generation", "3"], 0);
    let why = scene.says(&["volume", "destroy", "data-0", "-y", "--if-generation", "3"], 5);
    assert!(why.contains("is at generation 4, not 3: shrunk by operator"), "{why}");
    scene.says(&["volume", "destroy", "data-0", "-y", "--if-generation", "4"], 0);
    let claim = scene.claims()[0].clone();
    let (id, generation) = (claim["id"].as_str().unwrap(), claim["generation"].to_string());
    let why = scene.says(&["reservation", "remove", id, "-y", "--if-generation", "1"], 5);
    assert!(why.contains(&format!("is at generation {generation}, not 1")), "{why}");
    scene.says(&["reservation", "remove", id, "-y", "--if-generation", &generation], 0);
    assert!(scene.claims().is_empty());
}

#[test]
fn what_a_framework_holds_is_given_up_only_by_force_and_only_that_claim() {
    let scene = Scene::new();
    let address = scene.cluster.master.address();
    let mut keeper = Scheduler::subscribe(address, &framework_info("keeper", 3600.0), false);
    let offer = keeper.offer_with("the disk", |it| it["disk"]["source"].is_object());
    keeper.accept(&offer, json!([scene.reserve(40.0)]));
    until("its reservation is there", || match scene.claims().as_slice() {
        [] => Err("none"),
        _ => Ok(()),
    });
    let theirs = scene.claims()[0]["id"].as_str().unwrap().to_owned();
    scene.says(&["claim", "apply", &scene.file("roles.json", &[scene.reserve(30.0)])], 0);
    assert_eq!(scene.claims().len(), 2, "equal, and each its maker's");
    // No step of several takes it.
    let before = scene.claims();
    let cpus = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1.0 } });
    let take = json!({ "type": "RESERVE", "reserve": { "resources": [reserved(&cpus)] } });
    let file = scene.file("more.json", &[take, scene.unreserve(31.0)]);
    for words in [vec!["claim", "apply", &file, "--plan"], vec!["claim", "apply", &file, "-y"]] {
        let why = scene.says(&words, 5);
        assert!(why.contains("step 2 (UNRESERVE): ") && why.contains("`keeper`"), "{why}");
    }
    assert_eq!(scene.claims(), before);
    // A plan says whose it is, and has as much force as was given.
    let (bare, forced) = (scene.cluster.path("bare.json"), scene.cluster.path("forced.json"));
    let (bare, forced) = (text(&bare), text(&forced));
    let remove = ["reservation", "remove", theirs.as_str(), "--plan", "--out"];
    let plan = scene.says(&[&remove[..], &[&bare]].concat(), 2);
    assert!(plan.contains("holder: framework `keeper`") && plan.contains("needs: --force"));
    let why = scene.says(&["claim", "apply", &bare, "-y"], 5);
    assert!(why.contains("held by framework `keeper`"), "{why}");
    let why = scene.says(&["reservation", "remove", &theirs, "-y", "--if-generation", "1"], 5);
    assert!(why.contains("held by framework `keeper`") && why.contains("--force"), "{why}");
    scene.says(&[&remove[..], &[&forced, "--force"]].concat(), 2);
    let document: Value = serde_json::from_slice(&fs::read(&forced).unwrap()).unwrap();
    assert_eq!(
        (&document["claim"], &document["force"]),
        (&theirs.as_str().into(), &true.into()),
        "{document}"
    );
    // What a change takes, and the change itself.
    let part = scene.file("part.json", &[scene.unreserve(30.0)]);
    let plan = scene.line(&["claim", "apply", &part, "--plan", "-o", "json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(plan["apply"]["if_claims"].is_object(), "{plan}");
    assert_eq!(plan["taken_from"].as_array().map(Vec::len), Some(1), "{plan}");
    assert_eq!(plan["taken_from"][0]["holder"], Value::Null, "{plan}");
    // Done as planned: that claim, though the role's looks the same and would give first.
    scene.says(&["reservation", "remove", "--apply", &forced, "-y"], 0);
    let left = scene.claims();
    assert_eq!((left.len(), &left[0]["framework"]), (1, &Value::Null), "{left:?}");
    let why = scene.says(&["reservation", "remove", "--apply", &forced, "-y"], 5);
    assert!(why.contains("the state has moved on"), "{why}");
}

#[test]
fn a_kill_in_between_leaves_all_of_it_or_nothing() {
    for round in 0..6 {
        let mut scene = Scene::new();
        let names: Vec<String> = (0..12).map(|it| format!("data-{it}")).collect();
        let mut all = vec![scene.reserve(240.0)];
        all.extend(names.iter().map(|it| scene.create(it, 20.0)));
        let file = scene.file("all.json", &all);
        let master = scene.cluster.master.address().to_string();
        let mut asking = Command::new(binary())
            .args(["claim", "apply", &file, "--master", &master, "-q"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // At different moments: once so many of the volumes are there.
        let volumes = scene.root.join("holdfast/volumes");
        until("volumes appear", || {
            let ended = asking.try_wait().unwrap().is_some();
            match fs::read_dir(&volumes).map_or(0, Iterator::count) {
                count if ended || 2 * round <= count => Ok(()),
                count => Err(format!("{count} volumes")),
            }
        });
        scene.cluster.agents[0].kill();
        asking.wait().unwrap();
        scene.cluster.agents[0].start();
        scene.cluster.wait_for_agent(0, "well");
        until("the operation is settled", || {
            let call = json!({ "type": "GET_OPERATIONS" });
            let answer = scene.cluster.call(&call).text();
            let rows = scene.claims();
            let whole =
                rows.is_empty() || rows.iter().filter(|it| it["kind"] == "volume").count() == 12;
            match (whole, answer.contains("\"operations\":[{")) {
                (true, false) => Ok(()),
                _ => Err(format!("{} claims; {answer}", rows.len())),
            }
        });
        for row in scene.claims() {
            assert_eq!(row["state"], "ready", "round {round}: {row}");
            if row["kind"] == "volume" {
                assert!(volume_dir(&scene.root, &row).join("data").is_dir(), "round {round}");
            }
        }
    }
}
