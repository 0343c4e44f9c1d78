//! Leadership between real processes: the leader is killed with -9 and a standby takes over with a
//! higher term.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_quorum::{Leadership, LocalLeadership};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIR: &str = "HOLDFAST_QUORUM_TEST_DIR";

#[test]
#[ignore = "the child process of the other test: leads until it is killed"]
fn leader() {
    let dir = std::env::var(DIR).expect("set by the parent");
    let mut lease = LocalLeadership::new(Path::new(&dir)).unwrap().campaign().unwrap();
    lease.announce(&format!("127.0.0.1:{}", std::process::id())).unwrap();
    let mut out = std::io::stderr();
    writeln!(out, "leading {}", lease.term()).unwrap();
    // Holds the lease until the parent kills this process, or goes away itself.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leader", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the process leads, and returns its term.
fn term_of(child: &mut Child) -> u64 {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut terms =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("leading ")?.parse().ok());
    terms.next().expect("the child leads sooner or later")
}

#[test]
fn a_killed_leader_is_followed_by_the_standby() {
    let dir = tempfile::tempdir().unwrap();
    let place = LocalLeadership::new(dir.path()).unwrap();
    let mut leader = spawn(dir.path());
    let mut last = term_of(&mut leader);
    assert_eq!(last, 1);
    for _ in 0..6 {
        let mut standby = spawn(dir.path());
        assert!(place.try_campaign().unwrap().is_none(), "a living leader is not deposed");
        let announced = place.leader().unwrap().expect("the leader has announced itself");
        assert_eq!(
            (announced.term, announced.address),
            (last, format!("127.0.0.1:{}", leader.id()))
        );
        leader.kill().unwrap();
        leader.wait().unwrap();
        let term = term_of(&mut standby);
        assert_eq!(term, last + 1);
        assert_eq!(place.leader().unwrap().map(|leader| leader.term), Some(term));
        (leader, last) = (standby, term);
    }
    leader.kill().unwrap();
    leader.wait().unwrap();
    let lease = place.campaign().unwrap();
    assert_eq!(lease.term(), last + 1);
    lease.resign().unwrap();
}
