//! `holdfast dev` and `holdfast demo` as a person starts and interrupts them: however they end, nothing that they started is left running.
//!
//! Relies on each process of theirs naming the scratch directory. Never leaves a process behind itself.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use holdfast_tests::daemon::binary;
use holdfast_tests::deadline::until_within;
use holdfast_tests::leftovers::{end_containers, everything_of};
use holdfast_tests::until;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long a demonstration may take on a busy machine.
const DEMO: Duration = Duration::from_secs(180);

/// A `dev` or `demo` in a directory of its own.
struct Started {
    child: Child,
    scratch: TempDir,
}

/// The binary, with settings from this test alone.
fn holdfast(words: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for name in std::env::vars().map(|(name, _)| name).filter(|it| it.starts_with("HOLDFAST_")) {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

impl Started {
    fn new(words: &[&str]) -> Started {
        let scratch = tempfile::Builder::new().prefix("holdfast-").tempdir().unwrap();
        let file = |name: &str| File::create(scratch.path().join(name)).unwrap();
        let (out, err) = (file("out"), file("err"));
        let child = holdfast(words)
            .arg("--dir")
            .arg(scratch.path().join("cluster"))
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        Started { child, scratch }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    fn said(&self, stream: &str) -> String {
        fs::read_to_string(self.path().join(stream)).unwrap()
    }

    /// Waits until it has said something.
    fn until_it_says(&self, stream: &str, what: &str) {
        until(&format!("it says `{what}`"), || match self.said(stream) {
            said if said.contains(what) => Ok(()),
            said => Err(said),
        });
    }

    /// Waits until one of its processes has such a command.
    fn until_there_is(&self, what: &str) {
        until(what, || {
            let all = everything_of(self.path());
            if all.iter().any(|(_, command)| command.contains(what)) {
                Ok(())
            } else {
                Err(format!("{all:?}\n{}{}", self.said("out"), self.said("err")))
            }
        });
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended(&mut self, limit: Duration) -> ExitStatus {
        until_within("its end", limit, || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(format!(
                "it runs: {:?}\n{}{}",
                everything_of(self.scratch.path()),
                self.said("out"),
                self.said("err")
            )),
        })
    }

    fn assert_nothing_runs(&self) {
        let left = everything_of(self.path());
        assert!(
            left.is_empty(),
            "left running: {left:?}\n{}{}",
            self.said("out"),
            self.said("err")
        );
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for (id, _) in everything_of(self.scratch.path()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

#[test]
fn interrupted_again_and_again_a_cluster_leaves_nothing_running() {
    let mut dev = Started::new(&["dev", "--agents", "1", "--disks", "0", "--port", "0"]);
    dev.until_it_says("out", "stop     Ctrl-C");
    let said = dev.said("out");
    let master = said.lines().find_map(|it| it.strip_prefix("master   http://")).unwrap();
    // Its process follows.
    let master = master.split(' ').next().unwrap();
    let mut run = holdfast(&["run", "--master", master, "--", "sleep", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    dev.until_there_is("sleep 600");
    dev.signal(Signal::SIGINT);
    dev.until_it_says("err", "stopping");
    for again in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        dev.signal(again);
    }
    let status = dev.ended(Duration::from_secs(30));
    // Its end was not asked for.
    let _ = run.kill();
    run.wait().unwrap();
    dev.assert_nothing_runs();
    assert!(status.success(), "{status}: {}", dev.said("err"));
}

#[test]
fn interrupted_while_it_starts_a_cluster_leaves_nothing_running() {
    for first in ["master", "agent-0"] {
        let mut dev = Started::new(&["dev", "--agents", "3", "--disks", "0", "--port", "0"]);
        dev.until_there_is(&format!("cluster/{first} "));
        dev.signal(Signal::SIGINT);
        dev.signal(Signal::SIGTERM);
        let status = dev.ended(Duration::from_secs(30));
        dev.assert_nothing_runs();
        assert!(status.success(), "{first}: {status}: {}", dev.said("err"));
    }
}

#[test]
fn killed_with_9_a_cluster_ends() {
    let mut dev = Started::new(&["dev", "--agents", "2", "--disks", "0", "--port", "0"]);
    dev.until_it_says("out", "stop     Ctrl-C");
    // An agent's child has its parent's name until it is a program of its own.
    until("dev, a master, two agents", || match everything_of(dev.path()) {
        all if all.len() == 4 => Ok(()),
        all => Err(format!("{all:#?}")),
    });
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    until("the end of what it started", || match everything_of(dev.path()) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

#[test]
fn killed_with_9_a_demonstration_ends_but_for_its_containers() {
    let mut demo = Started::new(&["demo", "--agents", "1"]);
    demo.until_it_says("out", "has volume");
    demo.until_there_is("holdfast-journal scheduler");
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    until("the end of what it started", || {
        let mut left = everything_of(demo.path());
        left.retain(|(_, command)| {
            ["holdfast master", "holdfast agent", "holdfast-journal scheduler"]
                .iter()
                .any(|it| command.contains(it))
        });
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    end_containers(demo.path());
}

#[test]
fn interrupted_a_demonstration_leaves_nothing_running() {
    let mut demo = Started::new(&["demo", "--agents", "1"]);
    demo.until_it_says("out", "kill -9 a task");
    demo.signal(Signal::SIGINT);
    demo.signal(Signal::SIGTERM);
    let status = demo.ended(Duration::from_secs(60));
    demo.assert_nothing_runs();
    let said = demo.said("err");
    assert!(
        status.code() == Some(130) && said.contains("nothing was left running"),
        "{status}: {said}"
    );
}

/// All five kills, and then a journal is taken away: that must be noticed. The plain demonstration is run by the README's test.
#[test]
fn a_sabotaged_demonstration_fails_and_says_why() {
    let mut demo = Started::new(&["demo", "--agents", "2", "--sabotage"]);
    let status = demo.ended(DEMO);
    demo.assert_nothing_runs();
    let said = demo.said("out");
    assert_eq!(status.code(), Some(1), "{said}");
    for words in [
        "everything runs again",
        "sabotage: ",
        "member 0 refuses to start: ",
        "the story broke off: ",
        "no process is left running",
        "verdict: FAILED",
    ] {
        assert!(said.contains(words), "`{words}` was not said:\n{said}");
    }
    let kills: Vec<&str> =
        said.lines().filter(|it| it.contains("the same") && it.ends_with(" 0")).collect();
    assert_eq!(kills.len(), 5, "the kills before did no harm:\n{said}");
}

/// What a drill reports as JSON.
fn report(drill: &Started) -> serde_json::Value {
    serde_json::from_str(&drill.said("out")).unwrap()
}

#[test]
fn each_fault_of_each_target_is_recovered_from_and_nothing_is_lost() {
    let words = ["drill", "--fault", "kill,pause", "--kills", "10", "--seed", "3"];
    let more = ["--pause-for", "1s", "--goal", "80s", "-o", "json"];
    let mut drill = Started::new(&[&words[..], &more].concat());
    let status = drill.ended(DEMO);
    drill.assert_nothing_runs();
    assert!(status.success(), "{status}: {}{}", drill.said("err"), drill.said("out"));
    let report = report(&drill);
    assert_eq!(report["verdict"], "resilient", "{report:#}");
    assert_eq!(report["recovery"].as_array().unwrap().len(), 10, "{report:#}");
    assert_eq!(report["records"]["lost"], 0, "{report:#}");
    assert_eq!(report["records"]["acknowledged"], report["records"]["read_back"], "{report:#}");
    assert!(0 < report["records"]["acknowledged"].as_u64().unwrap(), "{report:#}");
    assert_eq!(report["claims"], serde_json::json!({ "before": 3, "after": 3 }));
    assert_eq!(report["doubled_tasks"], 0, "{report:#}");
}

#[test]
fn an_interrupted_drill_lets_go_on_whom_it_paused_and_counts() {
    let words = ["drill", "--fault", "pause", "--target", "agent", "--agents", "1", "--kills", "1"];
    let mut drill = Started::new(&[&words[..], &["--pause-for", "1h", "-o", "json"]].concat());
    drill.until_it_says("err", "pause agent-0");
    drill.signal(Signal::SIGINT);
    let status = drill.ended(DEMO);
    drill.assert_nothing_runs();
    assert_eq!(status.code(), Some(130), "{}", drill.said("err"));
    let report = report(&drill);
    assert_eq!(report["verdict"], "degraded", "{report:#}");
    assert_eq!(report["complete"], false, "{report:#}");
    assert_eq!(report["records"]["lost"], 0, "{report:#}");
    assert_eq!(report["claims"], serde_json::json!({ "before": 1, "after": 1 }));
    assert!(!drill.said("err").contains("not whole"), "it was healed: {}", drill.said("err"));
}

#[test]
fn a_cluster_that_runs_is_struck_and_goes_on() {
    let words = ["dev", "--masters", "3", "--agents", "1", "--disks", "1", "--port", "0"];
    let mut dev = Started::new(&[&words[..], &["--keep-alive"]].concat());
    dev.until_it_says("out", "stop     Ctrl-C");
    let cluster = dev.path().join("cluster");
    let drill = |more: &[&str]| {
        let words =
            ["drill", "-o", "json", "--kills", "3", "--target", "leader,agent", "--cluster"];
        let output = holdfast(&words).arg(&cluster).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said + &String::from_utf8_lossy(&output.stderr))
    };
    let (code, said) = drill(&["--goal", "80s"]);
    assert_eq!(code, Some(0), "{said}{}", dev.said("err"));
    dev.until_it_says("err", "agent-0 had ended, and was started again");
    let (code, said) = drill(&["--blast-radius", "2"]);
    assert_eq!(code, Some(5), "two of three masters are no minority: {said}");
    dev.signal(Signal::SIGINT);
    assert!(dev.ended(Duration::from_secs(30)).success(), "{}", dev.said("err"));
    dev.assert_nothing_runs();
    let (code, said) = drill(&[]);
    assert_eq!(code, Some(3), "it runs no more: {said}");
}
