//! The smallest stateful framework, and the template to copy: N nodes, each of which appends records to a journal on a volume of its own
//! and finds it again, whole, wherever a node, its executor, its agent, the scheduler or the master was killed.
//!
//! **To write your own**, copy this folder below `frameworks/`, give it a name in `Cargo.toml`, and change three files:
//! 1. `node.rs`, `chain.rs`: your program; neither, if it exists already (a database, say). Keep their two good habits: look at what is on
//!    the volume before you start, and refuse to start on less than you once acknowledged.
//! 2. `executor.rs`: how the program is started on an agent, and what it tells the scheduler. Leave it out, and say `executor: false` in
//!    `scheduler.rs`, when a command line is all it needs.
//! 3. `scheduler.rs`: how many members there are, what each needs, how each is run. Everything else (offers, reservations, volumes,
//!    bringing each member back to its own volume, the ledger, reconnecting) is the SDK's.
//!
//! Try it: `journal scheduler --master 127.0.0.1:5050 --nodes 3 --ledger /tmp/journal`. Stop it with Ctrl-C: its nodes run on. Start it
//! again, with the same ledger, and it goes on. It relies on the SDK alone, and never destroys a volume.

mod chain;
mod executor;
mod node;
mod scheduler;

use clap::Parser;
use holdfast_sdk::net::block_on;

#[derive(Parser)]
#[command(name = "journal", about = "A stateful framework: its nodes append records to volumes, and never lose one.")]
enum Verb {
    /// Run the framework's scheduler, until Ctrl-C.
    Scheduler(scheduler::Arguments),
    /// Run one node's executor; started by an agent.
    Executor(node::Arguments),
    /// Run one node; started by its executor.
    Node(node::Arguments),
    /// Check the journal in a directory and print how many records it has.
    Verify { dir: std::path::PathBuf },
}

fn main() -> std::process::ExitCode {
    let done = match Verb::parse() {
        Verb::Scheduler(arguments) => block_on(scheduler::run(arguments)),
        Verb::Executor(_) => block_on(executor::run()),
        Verb::Node(arguments) => node::run(&arguments),
        Verb::Verify { dir } => node::verify(&dir),
    };
    done.map_or_else(|error| (eprintln!("journal: {error:#}"), 1.into()).1, |()| 0.into())
}
