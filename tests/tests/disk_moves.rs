//! The move of a disk to another agent is seen while it is under way, and cancelled: real processes over a real file system on a loop device.
//!
//! Relies on the right to mount; where that is missing it is said, and passed. Never measures time.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;

use holdfast_tests::calls::{disk, mount_source};
use holdfast_tests::cluster::{text, volume_dir};
use holdfast_tests::command::{done, holdfast, refused, words};
use holdfast_tests::loop_disk::LoopDisk;
use holdfast_tests::{until, Cluster};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;

fn moves(cluster: &Cluster) -> Vec<Value> {
    serde_json::from_slice(&holdfast(cluster, &["disk", "moves", "-o", "json"]).stdout).unwrap()
}

#[test]
fn a_disk_whose_new_agent_hangs_is_had_back_and_the_hung_one_gets_nothing_of_it_afterwards() {
    let test =
        "a_disk_whose_new_agent_hangs_is_had_back_and_the_hung_one_gets_nothing_of_it_afterwards";
    let mut cluster = Cluster::start();
    cluster.add_agent(&[]);
    let (old, new) = (cluster.path("old"), cluster.path("new"));
    let Some(mut device) = LoopDisk::mounted(test, &cluster.path("image"), &old, 64) else {
        return;
    };
    let path = text(&old);
    done(&cluster, &["disk", "add", "--agent", "agent0", "--path", &path, "--type", "mount"]);
    let (id, free_mb) = until("space of the disk can be claimed", || {
        let row = cluster.list("disks").into_iter().find(|it| it["root"] == path);
        let row = row.unwrap_or_default();
        let free_mb = row["unclaimed_mb"].as_f64().filter(|mb| *mb > 0.0);
        let id = row["id"].as_str().map(str::to_owned);
        id.zip(free_mb).ok_or(row)
    });
    let claim = cluster.claim_volume(0, "v", &disk(free_mb, Some(&mount_source(&path))));
    fs::write(volume_dir(&old, &claim).join("data/file"), "every record").unwrap();
    assert_eq!(moves(&cluster), Vec::<Value>::new());
    let why = refused(&cluster, &["disk", "cancel-move", &id]);
    assert!(
        why.contains("there is no move of a disk") && why.contains("holdfast disk moves"),
        "{why}"
    );

    // The other agent hangs when it is asked.
    device.unmount();
    fs::create_dir(&new).unwrap();
    device.mount(&new);
    cluster.wait_for_claim("v", "missing");
    let agent = cluster.agent_row(0).unwrap();
    assert!(!agent["free"].as_str().unwrap().contains("[v]"), "it is not free: {agent}");
    kill(Pid::from_raw(cluster.agents[1].id().cast_signed()), Signal::SIGSTOP).unwrap();
    let adopt = ["disk", "adopt", &id, "--agent", "agent1", "--path", &text(&new)];
    let asked = holdfast(&cluster, &[&adopt[..], &["--timeout", "1s"]].concat());
    assert_eq!(asked.status.code(), Some(6), "{}", words(&asked));
    let seen = until("the move is seen", || {
        let seen = moves(&cluster);
        seen.first().filter(|it| it["state"] == "taking").cloned().ok_or(format!("{seen:?}"))
    });
    assert_eq!(
        (&seen["id"], &seen["to"]),
        (&Value::from(id.as_str()), &Value::from(cluster.agent_id(1)))
    );

    // It is gone, cannot say whether it has the disk, and is passed over only with a reason.
    cluster.agents[1].kill();
    cluster.wait_for_agent(1, "away");
    let why = refused(&cluster, &["disk", "cancel-move", &id]);
    assert!(why.contains("--force --reason"), "{why}");
    let force =
        ["disk", "cancel-move", &id, "--force", "--reason", "its machine was taken out of service"];
    let plan = holdfast(&cluster, &[&force[..], &["--plan"]].concat());
    assert_eq!(plan.status.code(), Some(2), "{}", words(&plan));
    assert_eq!(moves(&cluster).len(), 1, "a plan changes nothing");
    done(&cluster, &force);
    device.unmount();
    device.mount(&old);
    assert_eq!(cluster.wait_for_claim("v", "ready")["id"], claim["id"], "it is the same claim");
    assert_eq!(
        fs::read_to_string(volume_dir(&old, &claim).join("data/file")).unwrap(),
        "every record"
    );

    // When it is back, it is asked, has not taken it, and that is the end of the move.
    cluster.agents[1].start();
    cluster.wait_for_agent(1, "well");
    until("nothing is left of the move", || match moves(&cluster) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    cluster.wait_for_claim("v", "ready");
    drop(cluster);
}
