//! An agent whose own file system is filled by tasks: it lives, takes nothing new and says why, and is whole again by itself.
//!
//! Relies on root for a small file system, and says so where there is none.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast_tests::calls::{self, mem};
use holdfast_tests::cluster::text;
use holdfast_tests::daemon::binary;
use holdfast_tests::{left_out, until, Cluster};

/// A file system of 32 MB, unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Small> {
        fs::create_dir(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m,mode=755", "small", &text(at)])
            .output();
        if mount.is_ok_and(|it| it.status.success()) {
            return Some(Small(at.to_owned()));
        }
        left_out("a full file system", "nothing can be mounted");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn run(cluster: &Cluster, line: &str) -> Output {
    let master = cluster.master.address().to_string();
    Command::new(binary())
        .args([
            "run",
            "--master",
            &master,
            "--user",
            "root",
            "--timeout",
            "60s",
            "--shell",
            "--",
            line,
        ])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_file_system_does_not_end_the_agent_which_says_what_is_wrong_and_is_whole_again_by_itself()
{
    let mut cluster = Cluster::without_agents();
    let dir = cluster.path("agent0");
    let Some(_small) = Small::mount(&dir) else { return };
    cluster.add_agent(&[]);
    // What a task prints does not fill it, however much that is.
    let chatty = run(&cluster, "head -c 200000000 /dev/zero");
    assert!(chatty.status.success(), "{}", said(&chatty));
    assert!(run(&cluster, "true").status.success(), "there is room for the next one");
    // A file outside of every sandbox does, and nobody but us removes it.
    let big = dir.join("big");
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k", &format!("of={}", text(&big))])
        .output()
        .unwrap();
    assert!(!filled.status.success(), "it is full");
    until("the agent has noticed", || match cluster.agents[0].log() {
        log if log.contains("is nearly full") => Ok(()),
        log => Err(log),
    });
    let refused = run(&cluster, "true");
    let why = said(&refused);
    assert!(!refused.status.success());
    assert!(
        why.contains("nearly full") && why.contains(&text(&dir)) && why.contains("remove"),
        "{why}"
    );
    let agent = cluster.agent_id(0);
    let answer = cluster.call(&calls::reserve(&agent, &[calls::reserved(&mem(32.0))]));
    println!("a claim on a full agent: {} {}", answer.status, answer.text());
    assert!(cluster.list("claims").is_empty(), "nothing new is claimed");
    assert!(cluster.agents[0].runs(), "{}", cluster.agents[0].log());
    fs::remove_file(&big).unwrap();
    until("there is room again", || match cluster.agents[0].log() {
        log if log.contains("there is room again") => Ok(()),
        log => Err(log),
    });
    assert!(run(&cluster, "true").status.success());
    let claimed = cluster.call(&calls::reserve(&agent, &[calls::reserved(&mem(32.0))]));
    claimed.expect(202, "a claim once there is room");
    until("the reserve is set aside again", || {
        let reserve = dir.join("reserve");
        reserve.exists().then_some(()).ok_or("it is not there")
    });
}
