//! A real process, killed with -9 in the middle of its commits, many times over the same store.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{Bounds, DurableStore, Entry, Options, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "HOLDFAST_STORE_TEST_DIR";

fn open(dir: &Path) -> DurableStore {
    let bounds = Bounds { segment_bytes: 16 << 10, mirror_behind_records: 20, segments_kept: 1 };
    let (store, report) =
        DurableStore::open(dir, Options::new("agent").create_as([4; 16]).bounds(bounds)).unwrap();
    assert!(report.is_sound(), "kill -9 is no damage: {report}");
    store
}

fn value(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat((number % 60) as usize + 1)
}

#[test]
#[ignore = "the child process of a_killed_writer_loses_nothing: commits until it is killed"]
fn writer() {
    let dir = std::env::var(DIR).expect("set by the parent");
    let mut store = open(Path::new(&dir));
    loop {
        let number = store.sequence().0 + 1;
        store.commit(1, &[Entry::put("t", (number % 40).to_be_bytes(), value(number))]).unwrap();
        let mut out = std::io::stderr();
        if writeln!(out, "acknowledged {number}").is_err() {
            return;
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0u64;
    for round in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let target = acknowledged + 15 + round * 17;
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let numbers = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let mut killed = false;
        for number in numbers {
            // What the writer reported before it died counts, also what was still in the pipe.
            acknowledged = number;
            if number >= target && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "round {round}: the writer ended by itself at {acknowledged}");
        child.wait().unwrap();
        let store = open(dir.path());
        let found = store.sequence().0;
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "round {round}: acknowledged {acknowledged}, found {found}"
        );
        for last in found.saturating_sub(39).max(1)..=found {
            assert_eq!(
                store.value("t", &(last % 40).to_be_bytes()),
                Some(value(last).as_slice()),
                "round {round}, commit {last}"
            );
        }
        acknowledged = found;
    }
    assert!(acknowledged > 300);
}
