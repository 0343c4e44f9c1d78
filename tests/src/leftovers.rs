//! What an agent leaves running on purpose: containers outlive it, but must not outlive a test.
//!
//! Relies on /proc. Never touches a process that does not name the test's own scratch directory, as its command's argument (the keeper of
//! a container) or in its environment (what runs in one).

use std::fs;
use std::path::Path;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::deadline::until;

/// Who belongs to the containers of agents under `scratch`: process ids.
pub fn processes_of(scratch: &Path) -> Vec<i32> {
    let mark = scratch.as_os_str().as_encoded_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| belongs(*id, mark)).collect()
}

fn belongs(id: i32, mark: &[u8]) -> bool {
    let holds = |bytes: &[u8], what: &[u8]| {
        !what.is_empty() && bytes.windows(what.len()).any(|window| window == what)
    };
    let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
    let command = read("cmdline");
    if holds(&command, b"container-shim") && holds(&command, mark) {
        return true;
    }
    let environment = read("environ");
    holds(&environment, b"HOLDFAST_CONTAINER_ID=") && holds(&environment, mark)
}

/// Whatever runs and names `scratch` in its command or environment: process ids and commands. A process that has ended has neither.
pub fn everything_of(scratch: &Path) -> Vec<(i32, String)> {
    let mark = scratch.as_os_str().as_encoded_bytes();
    let holds = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let found = ids.filter_map(|id| {
        let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let command = read("cmdline");
        let is_it = holds(&command) || holds(&read("environ"));
        is_it.then(|| (id, String::from_utf8_lossy(&command).replace('\0', " ")))
    });
    found.collect()
}

/// Ends all that belongs to containers of agents under `scratch`, and waits until it is gone.
pub fn end_containers(scratch: &Path) {
    until("the end of the test's containers", || {
        let left = processes_of(scratch);
        for id in &left {
            // It may end by itself in between.
            let _ = kill(Pid::from_raw(*id), Signal::SIGKILL);
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("processes {left:?} still run"))
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_what_names_the_scratch_directory_is_ended() {
        let (ours, others) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let start = |dir: &Path| {
            Command::new("sleep")
                .arg("600")
                .env("HOLDFAST_CONTAINER_ID", "c")
                .env("MESOS_SANDBOX", dir)
                .spawn()
                .expect("sleep runs")
        };
        let (mut inside, mut outside) = (start(ours.path()), start(others.path()));
        until("the processes", || match processes_of(ours.path()).len() {
            1 => Ok(()),
            other => Err(other),
        });
        let ender = std::thread::spawn({
            let path = ours.path().to_owned();
            move || end_containers(&path)
        });
        inside.wait().expect("it is ended");
        ender.join().expect("all are gone");
        assert!(
            outside.try_wait().expect("it is ours").is_none(),
            "somebody else's process was ended"
        );
        outside.kill().and_then(|()| outside.wait()).expect("it is ours");
    }
}
