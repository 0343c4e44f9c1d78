//! An agent whose ledger is erased, or rolled back to an older copy, is fenced until an operator recovers it, and then has its very claims
//! and their data. Real processes.
//!
//! Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use holdfast_tests::calls::{disk, path_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::daemon::binary;
use holdfast_tests::{until, Cluster};
use serde_json::Value;

/// What a test keeps in a volume.
const BYTES: &[u8] = b"every acknowledged record";

/// A cluster whose agent has a volume on its own file system and one on each of two disks, with bytes in each.
struct Bed {
    cluster: Cluster,
    disks: [PathBuf; 2],
    claims: Vec<Value>,
}

impl Bed {
    fn new() -> Bed {
        let mut cluster = Cluster::without_agents();
        let disks = [cluster.path("disk1"), cluster.path("disk2")];
        disks.iter().for_each(|it| fs::create_dir(it).unwrap());
        let settings = disks.each_ref().map(|it| format!("path={},size-mb=200", text(it)));
        cluster.add_agent(&settings.each_ref().map(String::as_str));
        let mut claims = vec![cluster.claim_volume(0, "own", &disk(10.0, None))];
        for (root, name) in disks.iter().zip(["a", "b"]) {
            let piece = disk(20.0, Some(&path_source(&text(root))));
            claims.push(cluster.claim_volume(0, name, &piece));
        }
        let bed = Bed { cluster, disks, claims };
        for claim in &bed.claims {
            fs::write(bed.file(claim), BYTES).unwrap();
        }
        bed
    }

    fn root(&self, claim: &Value) -> PathBuf {
        match claim["disk_root"].as_str() {
            Some(root) if self.disks.iter().any(|it| it == Path::new(root)) => PathBuf::from(root),
            _ => self.cluster.agent_dir(0),
        }
    }

    fn file(&self, claim: &Value) -> PathBuf {
        volume_dir(&self.root(claim), claim).join("data/file")
    }

    fn agent(&self) -> String {
        self.claims[0]["agent"].as_str().unwrap().to_owned()
    }

    fn rows(&self) -> Vec<Value> {
        self.cluster.list("claims")
    }

    /// The agent is fenced, and says what can be done; its claims are known all the same.
    fn is_fenced(&self) {
        let agent = self.agent();
        until("the agent is fenced", || {
            let agents = self.cluster.list("agents");
            let why = agents.iter().find(|it| it["id"] == agent.as_str()).unwrap();
            let is_told =
                why["why"].as_str().is_some_and(|it| it.contains("holdfast agent recover"));
            (why["state"] == "fenced" && is_told)
                .then_some(())
                .ok_or_else(|| format!("{why}; {}", self.cluster.agents[0].log()))
        });
        assert_eq!(self.cluster.list("agents").len(), 1, "nobody is taken for a new agent");
    }

    fn plan(&self) -> Value {
        let agent = self.agent();
        let output = until("there is a plan", || {
            let output =
                holdfast(&self.cluster, &["agent", "recover", &agent, "--plan", "-o", "json"]);
            (output.status.code() == Some(2))
                .then(|| output.stdout.clone())
                .ok_or_else(|| words(&output))
        });
        serde_json::from_slice(&output).unwrap()
    }

    /// What the plan says of a claim.
    fn found(plan: &Value, claim: &Value) -> String {
        let rows = plan["claims"].as_array().unwrap();
        let row = rows.iter().find(|it| it["claim"] == claim["id"]).unwrap();
        row["state"].as_str().unwrap().to_owned()
    }

    /// The agent is itself again, with the very claims and their bytes.
    fn is_whole(&self, missing: &[&str]) {
        self.cluster.wait_for_agent(0, "well");
        for claim in &self.claims {
            let name = claim["volume"].as_str().unwrap();
            if missing.contains(&name) {
                self.cluster.wait_for_claim(name, "missing");
                continue;
            }
            let now = self.cluster.wait_for_claim(name, "ready");
            assert_eq!((&now["id"], &now["agent"]), (&claim["id"], &claim["agent"]));
            assert_eq!(fs::read(self.file(claim)).unwrap(), BYTES);
        }
        assert_eq!(self.cluster.list("agents").len(), 1);
        let history = done(&self.cluster, &["claim", "history", "a"]);
        assert!(history.contains("recovered"), "{history}");
    }
}

#[test]
fn an_agent_whose_ledger_is_erased_is_fenced_until_it_is_recovered_and_has_its_volumes_with_their_data(
) {
    let mut bed = Bed::new();
    let agent = bed.agent();
    let why = refused(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    assert!(why.contains("nothing to recover"), "{why}");
    done(&bed.cluster, &["reservation", "create", "cpus:1", "--agent", &agent, "--role", "db"]);
    let before = bed.rows().len();
    bed.cluster.agents[0].kill();
    let why = refused(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    assert!(why.contains("nobody has reported") || why.contains("is connected"), "{why}");
    fs::remove_dir_all(bed.cluster.agent_dir(0).join("ledger")).unwrap();
    bed.cluster.agents[0].start();
    bed.is_fenced();
    assert_eq!(bed.rows().len(), before, "the masters remember");
    let plan = bed.plan();
    for claim in &bed.claims {
        assert_eq!(Bed::found(&plan, claim), "found", "{plan:#}");
    }
    let table = words(&holdfast(&bed.cluster, &["agent", "recover", &agent, "--plan"]));
    assert!(
        table.contains("found: volume `a`") && table.contains("reserved: reservation"),
        "{table}"
    );
    let why = refused(&bed.cluster, &["agent", "recover", &agent, "--apply", "0123"]);
    assert!(why.contains("has changed since"), "{why}");
    let name = plan["plan"].as_str().unwrap().to_owned();
    done(&bed.cluster, &["agent", "recover", &agent, "--apply", &name]);
    bed.is_whole(&[]);
    assert_eq!(bed.rows().len(), before);
    // It is so after crashes of both.
    bed.cluster.agents[0].kill();
    bed.cluster.master.kill();
    bed.cluster.master.start();
    bed.cluster.agents[0].start();
    bed.is_whole(&[]);
    let why = refused(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    assert!(why.contains("nothing to recover"), "{why}");
}

#[test]
fn a_directory_that_is_erased_whole_gives_back_what_lies_on_other_disks_and_calls_the_rest_missing()
{
    let mut bed = Bed::new();
    let agent = bed.agent();
    bed.cluster.agents[0].kill();
    fs::remove_dir_all(bed.cluster.agent_dir(0)).unwrap();
    // One of the disks is not there either; the empty directory in its place gets no label.
    let away = bed.cluster.path("away");
    fs::rename(&bed.disks[1], &away).unwrap();
    fs::create_dir(&bed.disks[1]).unwrap();
    bed.cluster.agents[0].start();
    bed.is_fenced();
    let plan = bed.plan();
    let found =
        |name| Bed::found(&plan, bed.claims.iter().find(|it| it["volume"] == name).unwrap());
    assert_eq!(
        (found("a"), found("b"), found("own")),
        ("found".into(), "disk missing".into(), "disk missing".into()),
        "{plan:#}"
    );
    assert_eq!(fs::read_dir(&bed.disks[1]).unwrap().count(), 0);
    done(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    bed.is_whole(&["b", "own"]);
    assert_eq!(fs::read_dir(&bed.disks[1]).unwrap().count(), 0, "nothing is made in its place");
    // The disk is back, and so is what lies on it.
    fs::remove_dir(&bed.disks[1]).unwrap();
    fs::rename(&away, &bed.disks[1]).unwrap();
    bed.is_whole(&["own"]);
}

#[test]
fn a_ledger_that_is_rolled_back_is_recovered_and_neither_copy_of_before_is_believed_again() {
    let mut bed = Bed::new();
    let agent = bed.agent();
    let (ledger, old, new) =
        (bed.cluster.agent_dir(0).join("ledger"), bed.cluster.path("old"), bed.cluster.path("new"));
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    bed.cluster.agents[0].kill();
    copy(&ledger, &old);
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    // Since the copy one volume was made, and one destroyed.
    let piece = disk(5.0, Some(&path_source(&text(&bed.disks[0]))));
    let late = bed.cluster.claim_volume(0, "late", &piece);
    fs::write(bed.file(&late), BYTES).unwrap();
    bed.claims.push(late);
    done(&bed.cluster, &["volume", "destroy", "b", "-y", "--force"]);
    until("it is destroyed", || {
        bed.cluster.find_claim("b").map_or(Ok(()), |it| Err(it.to_string()))
    });
    bed.claims.retain(|it| it["volume"] != "b");
    bed.cluster.agents[0].kill();
    copy(&ledger, &new);
    fs::remove_dir_all(&ledger).unwrap();
    copy(&old, &ledger);
    bed.cluster.agents[0].start();
    bed.is_fenced();
    let plan = bed.plan();
    assert_eq!(plan["over"].as_array().unwrap().len(), 1, "{plan:#}");
    done(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    bed.is_whole(&[]);
    assert_eq!(bed.cluster.find_claim("b"), None, "what was destroyed is not back");
    // Neither the older ledger nor the one that was whole is this agent any more.
    for former in [&old, &new] {
        bed.cluster.agents[0].kill();
        let now = bed.cluster.path("now");
        fs::rename(&ledger, &now).unwrap();
        copy(former, &ledger);
        bed.cluster.agents[0].start();
        bed.is_fenced();
        assert!(bed.cluster.find_claim("late").is_some(), "nothing has ended");
        bed.cluster.agents[0].kill();
        fs::remove_dir_all(&ledger).unwrap();
        fs::rename(&now, &ledger).unwrap();
        bed.cluster.agents[0].start();
        bed.is_whole(&[]);
    }
}

/// A task that runs until this file is there.
fn waiting_task(cluster: &Cluster, go: &Path) -> Child {
    let line = format!("while [ ! -e {} ]; do sleep 0.1; done", text(go));
    let master = cluster.master.address().to_string();
    let mut run = Command::new(binary());
    run.args([
        "run", "--master", &master, "--cpus", "0.1", "--mem", "16MB", "--shell", "--", &line,
    ]);
    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn an_older_ledger_that_goes_on_by_itself_past_the_acknowledged_version_stays_fenced() {
    let mut bed = Bed::new();
    let (ledger, old, go) =
        (bed.cluster.agent_dir(0).join("ledger"), bed.cluster.path("old"), bed.cluster.path("go"));
    let runs: Vec<Child> = (0..5).map(|_| waiting_task(&bed.cluster, &go)).collect();
    until("all tasks run", || {
        let tasks = bed.cluster.list("tasks");
        let running = tasks.iter().filter(|it| it["state"] == "TASK_RUNNING").count();
        (running == runs.len()).then_some(()).ok_or_else(|| format!("{tasks:?}"))
    });
    bed.cluster.agents[0].kill();
    assert!(Command::new("cp").arg("-a").args([&ledger, &old]).status().unwrap().success());
    bed.cluster.agents[0].start();
    bed.cluster.wait_for_agent(0, "well");
    let piece = disk(5.0, Some(&path_source(&text(&bed.disks[0]))));
    let late = bed.cluster.claim_volume(0, "late", &piece);
    bed.cluster.agents[0].kill();
    fs::remove_dir_all(&ledger).unwrap();
    fs::rename(&old, &ledger).unwrap();
    bed.cluster.agents[0].start();
    bed.is_fenced();
    // Its tasks end, which it writes down: as many commits as it lacks, and more.
    fs::write(&go, "").unwrap();
    let agent = bed.agent();
    until("its version is past the acknowledged one", || {
        let agents = bed.cluster.list("agents");
        let it = agents.iter().find(|it| it["id"] == agent.as_str()).unwrap();
        let why = it["why"].as_str().unwrap_or_default();
        assert!(it["state"] != "well", "it is believed: {it}");
        why.contains("has gone on from there").then_some(()).ok_or_else(|| it.to_string())
    });
    assert_eq!(bed.cluster.find_claim("late").unwrap()["id"], late["id"], "nothing has ended");
    done(&bed.cluster, &["agent", "recover", &agent, "-y"]);
    bed.claims.push(late);
    bed.cluster.wait_for_agent(0, "well");
    assert_eq!(bed.cluster.wait_for_claim("late", "ready")["id"], bed.claims[3]["id"]);
    for mut run in runs {
        let _ = run.kill();
        run.wait().unwrap();
    }
}
