//! An agent that does not come back is marked gone by an operator: its tasks are lost and its claims given up, the framework places its
//! member anew, and the old machine, should it come back after all, is refused, ends what runs there, and keeps every byte. Its volumes can
//! be taken over from there. Real processes.
//!
//! Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod member;

use std::fs;

use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::leftovers::end_containers;
use holdfast_tests::{until, Cluster};
use member::{cluster, disk, on_disk, runs_on, Scheduler};
use serde_json::Value;

fn gone(cluster: &Cluster) -> Vec<Value> {
    cluster.list("gone-agents")
}

#[test]
fn a_member_of_an_agent_that_is_gone_is_placed_anew_and_the_old_one_is_fenced_with_its_bytes() {
    let mut cluster = cluster();
    let scheduler = Scheduler::start(&cluster);
    let first = runs_on(&cluster, "journal-0-1");
    let agent = first["agent"].as_str().unwrap().to_owned();
    let index = usize::from(cluster.agent_id(0) != agent);
    let why = refused(&cluster, &["agent", "gone", &agent, "-y"]);
    assert!(why.contains("is connected") && why.contains("--force"), "{why}");
    cluster.agents[index].kill();
    cluster.wait_for_agent(index, "away");
    let root = disk(&cluster, index);
    let file = volume_dir(&root, &first).join("data/witness");
    fs::write(&file, b"every acknowledged record").unwrap();
    let plan = words(&holdfast(&cluster, &["agent", "gone", &agent, "--plan"]));
    assert!(
        plan.contains("journal-0-1") && plan.contains("given up; its bytes are not touched"),
        "{plan}"
    );
    assert_eq!(gone(&cluster), Vec::<Value>::new(), "that was a plan");
    done(&cluster, &["agent", "gone", &agent, "-y", "--reason", "the rack burnt down"]);
    let certificates = gone(&cluster);
    assert_eq!(certificates[0]["reason"], "the rack burnt down");
    let second = runs_on(&cluster, "journal-0-2");
    assert_ne!(second["agent"], first["agent"]);
    let history = done(&cluster, &["claim", "history", "journal-0-1"]);
    assert!(history.contains("given up with its agent: the rack burnt down"), "{history}");
    cluster.master.kill(); // What was answered is durable.
    cluster.master.start();
    assert_eq!(gone(&cluster), certificates);
    // It comes back, and is not taken in; the member that still runs there is ended.
    cluster.agents[index].start();
    until("it is refused, and what ran there has ended", || {
        let log = cluster.agents[index].log();
        let has = |it: &str| log.contains(it);
        let is_told = has("was marked gone by operator: the rack burnt down");
        let containers = fs::read_dir(cluster.agent_dir(index).join("containers/containers"));
        let left = containers.map_or(0, |it| it.count());
        if is_told && left == 0 {
            Ok(())
        } else {
            Err(format!("{left} containers; {log}"))
        }
    });
    let expected: Vec<Value> = cluster.list("agents").iter().map(|it| it["id"].clone()).collect();
    assert!(!expected.contains(&first["agent"]), "{expected:?}");
    assert_eq!(fs::read(&file).unwrap(), b"every acknowledged record");
    assert_eq!(runs_on(&cluster, "journal-0-2")["id"], second["id"]);
    drop(scheduler);
    take_over(&mut cluster, index, &first);
    end_containers(cluster.scratch());
}

/// The machine is used again: another agent there, in an empty directory, has the disk and what lies on it.
fn take_over(cluster: &mut Cluster, index: usize, first: &Value) {
    cluster.agents[index].kill();
    let mut fresh = on_disk(cluster, "fresh", "fresh", index);
    fresh.start();
    until("the new agent is well", || {
        let agents = cluster.list("agents");
        let is_it = |it: &&Value| it["hostname"] == "fresh" && it["state"] == "well";
        agents.iter().find(is_it).map(|_| ()).ok_or(format!("{agents:?}; {}", fresh.log()))
    });
    let (agent, root) = (first["agent"].as_str().unwrap(), text(&disk(cluster, index)));
    let disk_id = first["disk"].as_str().unwrap();
    let line =
        ["disk", "adopt", disk_id, "--agent", "fresh", "--from-gone", agent, "--path", &root];
    done(cluster, &line);
    let orphan = until("the volume is an orphan of the new agent", || {
        let disks = cluster.list("disks");
        let orphans = disks.iter().filter_map(|it| it["orphans"].as_array()).flatten();
        let its = orphans.into_iter().find(|it| it["id"] == first["id"]).cloned();
        its.ok_or(format!("{disks:?}; {}", fresh.log()))
    });
    done(cluster, &["volume", "adopt", "--orphan", orphan["id"].as_str().unwrap()]);
    let claim = cluster.wait_for_claim("journal-0-1", "ready");
    assert_eq!(claim["id"], first["id"]);
    let file = volume_dir(&disk(cluster, index), &claim).join("data/witness");
    assert_eq!(fs::read(file).unwrap(), b"every acknowledged record");
    cluster.agents.push(fresh);
}
