//! A cluster of real processes for tests: started, killed, started again, asked over its port as strangers would ask.
//!
//! Relies on the built `holdfast` binary (`$HOLDFAST_BIN`, else the one beside the tests in `target/debug`), and on nothing else of ours:
//! what these tests say is written by hand, so that they also notice when a name on the wire changes. Everything in here panics with what
//! was seen when something is not as it must be. Never leaves a process behind.

pub mod calls;
pub mod cluster;
pub mod daemon;
pub mod deadline;
pub mod http;
pub mod leftovers;
pub mod scheduler;
pub mod syscalls;

pub use cluster::Cluster;
pub use daemon::Daemon;
pub use deadline::until;
pub use http::{ask, Answer};
pub use scheduler::Scheduler;
