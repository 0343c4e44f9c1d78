//! An agent is drained: what runs there ends, also when the master is killed on the way, the member waits for its volume and it is said why,
//! and comes back to it once the agent is reactivated. Real processes.
//!
//! Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod member;

use std::fs;

use holdfast_tests::cluster::volume_dir;
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::leftovers::end_containers;
use holdfast_tests::{until, Cluster};
use member::{cluster, disk, runs_on, Scheduler};
use serde_json::{json, Value};

/// As soon as the master knows it; a leader that has just begun may not.
fn row(cluster: &Cluster, agent: &str) -> Value {
    until("the agent is known", || {
        let agents = cluster.list("agents");
        agents.iter().find(|it| it["id"] == agent).cloned().ok_or(format!("{agents:?}"))
    })
}

fn is(cluster: &Cluster, agent: &str, state: &str) -> Value {
    until(&format!("the agent is {state}"), || {
        let row = row(cluster, agent);
        if row["state"] == state {
            Ok(row)
        } else {
            Err(row.to_string())
        }
    })
}

/// What the operator API of Mesos says of an agent.
fn in_mesos(cluster: &Cluster, agent: &str) -> Value {
    let answer = cluster.call(&json!({ "type": "GET_AGENTS" })).expect(200, "GET_AGENTS").json();
    let agents = answer["get_agents"]["agents"].as_array().unwrap().clone();
    agents.into_iter().find(|it| it["agent_info"]["id"]["value"] == agent).unwrap()
}

#[test]
fn a_drained_agent_keeps_its_volume_for_the_member_that_waits_for_it() {
    let mut cluster = cluster();
    let scheduler = Scheduler::start(&cluster);
    let first = runs_on(&cluster, "journal-0-1");
    let agent = first["agent"].as_str().unwrap().to_owned();
    let index = usize::from(cluster.agent_id(0) != agent);
    let file = volume_dir(&disk(&cluster, index), &first).join("data/witness");
    fs::write(&file, b"every acknowledged record").unwrap();

    let plan = words(&holdfast(&cluster, &["agent", "drain", &agent, "--plan"]));
    for part in [
        "which has",
        "volume journal-0-1 waits here for it to come back",
        "kept, and offered again",
    ] {
        assert!(plan.contains(part), "{part} is not in {plan}");
    }
    is(&cluster, &agent, "well");
    // The agent is away while it is asked for, and the master is killed in between: what was not killed is killed by the next leader.
    cluster.agents[index].kill();
    cluster.wait_for_agent(index, "away");
    done(&cluster, &["agent", "drain", &agent, "-y", "--max-grace", "2s"]);
    cluster.master.kill();
    cluster.master.start();
    assert_eq!(row(&cluster, &agent)["deactivated"]["drain"]["max_grace_ms"], 2000);
    cluster.agents[index].start();
    let drained = is(&cluster, &agent, "drained");
    assert!(drained["why"].as_str().unwrap().contains("it was drained by operator"), "{drained}");
    done(&cluster, &["agent", "drain", &agent, "-y", "--wait", "--timeout", "60s"]);

    let shown = in_mesos(&cluster, &agent);
    assert_eq!((&shown["deactivated"], &shown["active"]), (&json!(true), &json!(false)), "{shown}");
    assert_eq!(shown["drain_info"]["state"], "DRAINED", "{shown}");
    assert!(shown["estimated_drain_start_time"]["nanoseconds"].is_number(), "{shown}");
    until("the member waits", || match scheduler.log() {
        log if log.contains("waits for its volume journal-0-1") => Ok(()),
        log => Err(log),
    });
    assert_eq!(cluster.find_claim("journal-0-2"), None, "it is not placed anew");
    let why = done(&cluster, &["explain", "journal"]);
    assert!(why.contains("it was drained by operator"), "{why}");
    let place = done(&cluster, &["claim", "where", "journal-0-1"]);
    assert!(place.contains("(drained)") && place.contains("it was drained by operator"), "{place}");

    done(&cluster, &["agent", "reactivate", &agent]);
    assert_eq!(runs_on(&cluster, "journal-0-1")["id"], first["id"]);
    assert_eq!(fs::read(&file).unwrap(), b"every acknowledged record");
    is(&cluster, &agent, "well");
    drop(scheduler);
    end_containers(cluster.scratch());
}

#[test]
fn a_deactivated_agent_goes_on_and_one_that_is_to_be_gone_is_once_it_is_drained() {
    let cluster = cluster();
    let scheduler = Scheduler::start(&cluster);
    let first = runs_on(&cluster, "journal-0-1");
    let agent = first["agent"].as_str().unwrap().to_owned();
    done(&cluster, &["agent", "deactivate", &agent]);
    is(&cluster, &agent, "deactivated");
    assert_eq!(runs_on(&cluster, "journal-0-1")["id"], first["id"], "its task goes on");
    let why = refused(&cluster, &["agent", "drain", &agent, "--cancel"]);
    assert!(why.contains("is not being drained"), "{why}");
    done(&cluster, &["agent", "drain", &agent, "-y", "--mark-gone", "--wait"]);
    until("it is gone", || {
        let gone = cluster.list("gone-agents");
        if gone.iter().any(|it| it["id"] == agent.as_str()) {
            Ok(())
        } else {
            Err(format!("{gone:?}"))
        }
    });
    let second = runs_on(&cluster, "journal-0-2");
    assert_ne!(second["agent"], first["agent"]);
    let index = usize::from(first["hostname"] == "agent1");
    assert!(
        volume_dir(&disk(&cluster, index), &first).join("data").is_dir(),
        "its bytes are there"
    );
    drop(scheduler);
    end_containers(cluster.scratch());
}
