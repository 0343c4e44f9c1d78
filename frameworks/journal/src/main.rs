//! The smallest stateful framework, and the template to copy: N nodes, each of which appends
//! records to a journal on a volume of its own and finds it again, whole, wherever a node, its
//! executor, its agent, the scheduler or the master was killed. To write your own, copy this folder
//! below `frameworks/`, and change `scheduler.rs`: how many members there are, what each needs, how
//! each is run. Put your program in the place of `node.rs` and `chain.rs`, and keep their habit:
//! look at what is on the volume, and refuse to start on less than you once acknowledged. Drop
//! `executor.rs` where a command line is all that it needs. Nothing here ever destroys a volume.

mod chain;
mod executor;
mod node;
mod scheduler;

#[derive(clap::Parser)]
#[command(
    name = "holdfast-journal",
    about = "A stateful framework: its nodes append records to volumes, and never lose one."
)]
enum Verb {
    /// Run the framework's scheduler, until Ctrl-C.
    Scheduler(scheduler::Arguments),
    /// Run one node's executor; started by an agent.
    Executor(node::Arguments),
    /// Run one node; started by its executor.
    Node(node::Arguments),
    /// Check the journal in a directory; print how many records it has, or each one's checksum.
    Verify {
        dir: std::path::PathBuf,
        #[arg(long)]
        sums: bool,
    },
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Scheduler(arguments) => holdfast_sdk::net::block_on(scheduler::run(arguments)),
        Verb::Executor(_) => holdfast_sdk::net::block_on(executor::run()),
        Verb::Node(arguments) => node::run(&arguments),
        Verb::Verify { dir, sums } => node::verify(&dir, sums),
    };
    done.map_or_else(|error| (eprintln!("journal: {error:#}"), 1.into()).1, |()| 0.into())
}
