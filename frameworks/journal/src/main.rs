//! The smallest stateful framework, and the template to copy: N nodes, each of which appends records to a journal on a volume of its own
//! and finds it again, whole, wherever a node, its executor, its agent, the scheduler or the master was killed.
//! To write your own, copy this folder below `frameworks/`, name it in `Cargo.toml`, and change three files:
//! 1. `node.rs`, `chain.rs`: your program. If it exists already (a database, say), drop them, but not their habits: look at what is on
//!    the volume before you start, and refuse to start on less than you once acknowledged.
//! 2. `executor.rs`: how it is started on an agent, and what it tells the scheduler. Drop it where a command line is all that it needs.
//! 3. `scheduler.rs`: how many members there are, what each needs, how each is run. The rest (offers, reservations, volumes, bringing
//!    each member back to its own volume, the ledger, reconnecting) is the SDK's. Nothing here ever destroys a volume.
//!
//! Try it: `holdfast-journal scheduler --master 127.0.0.1:5050 --ledger /tmp/journal`. Stop it with Ctrl-C, start it again: its nodes run on.

mod chain;
mod executor;
mod node;
mod scheduler;

#[derive(clap::Parser)]
#[command(name = "holdfast-journal", about = "A stateful framework: its nodes append records to volumes, and never lose one.")]
enum Verb {
    /// Run the framework's scheduler, until Ctrl-C.
    Scheduler(scheduler::Arguments),
    /// Run one node's executor; started by an agent.
    Executor(node::Arguments),
    /// Run one node; started by its executor.
    Node(node::Arguments),
    /// Check the journal in a directory and print how many records it has.
    Verify { dir: std::path::PathBuf },
    /// Check the journal in a directory and print the checksum of each record.
    Sums { dir: std::path::PathBuf },
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Scheduler(arguments) => holdfast_sdk::net::block_on(scheduler::run(arguments)),
        Verb::Executor(_) => holdfast_sdk::net::block_on(executor::run()),
        Verb::Node(arguments) => node::run(&arguments),
        Verb::Verify { dir } => node::verify(&dir, false),
        Verb::Sums { dir } => node::verify(&dir, true),
    };
    done.map_or_else(|error| (eprintln!("journal: {error:#}"), 1.into()).1, |()| 0.into())
}
