//! A cluster of real processes for tests: started, killed, started again, asked over its port as strangers would ask.
//!
//! Relies on the built `holdfast` binary (`$HOLDFAST_BIN`, else the one beside the tests in `target/debug`), and on nothing else of ours:
//! what these tests say is written by hand, so that they also notice when a name on the wire changes. Everything in here panics with what
//! was seen when something is not as it must be. Never leaves a process behind.

pub mod calls;
pub mod cluster;
pub mod command;
pub mod daemon;
pub mod deadline;
pub mod http;
pub mod leftovers;
pub mod loop_disk;
pub mod scheduler;
pub mod small_disk;
pub mod syscalls;

pub use cluster::Cluster;
pub use daemon::Daemon;
pub use deadline::until;
pub use http::{ask, Answer};
pub use scheduler::Scheduler;

/// Says that a test, or a part of it, was left out and why, so that `cargo xtask test` counts and names it.
pub fn left_out(what: &str, why: &str) {
    use std::io::Write as _;
    // Not by a macro: the test runner keeps what those print of tests that pass.
    let _ = writeln!(std::io::stdout(), "left out: {what}: {why}");
}
