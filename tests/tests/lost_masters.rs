//! All copies of the masters' ledger are lost, or an older one is put back: the agents come back with all that they own, and obey. Real
//! processes.
//!
//! Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod member;

use std::fs;

use holdfast_tests::cluster::text;
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::leftovers::end_containers;
use holdfast_tests::Cluster;
use member::{cluster, runs_on, Scheduler};
use serde_json::Value;

fn task(cluster: &Cluster) -> Value {
    let tasks = cluster.list("tasks");
    tasks.iter().find(|it| it["state"] == "TASK_RUNNING").unwrap()["id"].clone()
}

/// The master is killed, and its ledger is gone.
fn lose(cluster: &mut Cluster) -> String {
    cluster.master.kill();
    let dir = cluster.path("master");
    fs::rename(&dir, cluster.path("lost")).unwrap();
    text(&dir)
}

fn all_are_well(cluster: &Cluster) {
    (0..2).for_each(|it| drop(cluster.wait_for_agent(it, "well")));
}

#[test]
fn masters_that_lost_everything_learn_it_from_the_agents() {
    let mut cluster = cluster();
    let scheduler = Scheduler::start(&cluster);
    let (claim, running) = (runs_on(&cluster, "journal-0-1"), task(&cluster));
    let ids = [cluster.agent_id(0), cluster.agent_id(1)];
    let agents = [&cluster.agents[0], &cluster.agents[1]].map(|it| it.address().to_string());
    let (dir, agents) = (text(&cluster.path("master")), agents.join(","));
    let recover = ["master", "recover", "--dir", &dir, "--agents", &agents];
    let why = refused(&cluster, &[&recover[..], &["-y"]].concat());
    assert!(why.contains("a master leads with the ledger in"), "{why}");
    lose(&mut cluster);
    let plan = holdfast(&cluster, &[&recover[..], &["--plan"]].concat());
    let told = words(&plan);
    assert_eq!(plan.status.code(), Some(2), "{told}");
    assert_eq!(told.matches("comes back").count(), 2, "{told}");
    assert!(told.contains("quota and weights"), "{told}");
    assert!(!cluster.path("master").exists(), "that was a plan");
    done(&cluster, &[&recover[..], &["-y"]].concat());
    let why = refused(&cluster, &[&recover[..], &["-y"]].concat());
    assert!(why.contains("it is not lost, and nothing was written"), "{why}");
    cluster.master.start();
    all_are_well(&cluster);
    assert_eq!([cluster.agent_id(0), cluster.agent_id(1)], ids);
    assert_eq!(runs_on(&cluster, "journal-0-1")["id"], claim["id"]);
    assert_eq!(task(&cluster), running, "it ran on all the time");
    drop(scheduler);
    end_containers(cluster.scratch());
}

#[test]
fn an_older_copy_of_the_masters_ledger_leads_above_what_agents_have_obeyed() {
    let mut cluster = cluster();
    let (from, export) = (text(&cluster.path("master")), text(&cluster.path("old")));
    done(&cluster, &["ledger", "export", "--dir", &from, "--to", &export]);
    for _ in 0..3 {
        cluster.master.kill();
        cluster.master.start();
    }
    let scheduler = Scheduler::start(&cluster);
    let (claim, running) = (runs_on(&cluster, "journal-0-1"), task(&cluster));
    let dir = lose(&mut cluster);
    let said = words(&holdfast(&cluster, &["ledger", "import", "--dir", &dir, "--from", &export]));
    assert!(said.contains("no name that they may have given out is given again"), "{said}");
    cluster.master.start();
    all_are_well(&cluster);
    assert!(cluster.master.log().contains("leads anew"), "{}", cluster.master.log());
    assert_eq!(runs_on(&cluster, "journal-0-1")["id"], claim["id"]);
    assert_eq!(task(&cluster), running);
    // It is obeyed, and not only believed.
    done(&cluster, &["task", "kill", running.as_str().unwrap(), "-y"]);
    holdfast_tests::until("the member is started anew", || {
        let tasks = cluster.list("tasks");
        let is_new = |it: &&Value| it["state"] == "TASK_RUNNING" && it["id"] != running;
        tasks.iter().find(is_new).map(|_| ()).ok_or(format!("{tasks:?}"))
    });
    assert_eq!(runs_on(&cluster, "journal-0-1")["id"], claim["id"]);
    drop(scheduler);
    end_containers(cluster.scratch());
}
