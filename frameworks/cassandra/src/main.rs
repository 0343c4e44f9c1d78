//! The command line of the Cassandra framework.

use std::net::IpAddr;
use std::path::PathBuf;

use holdfast_cassandra::{node, prepare, scheduler, shown};
use holdfast_sdk::net::block_on;

#[derive(clap::Parser)]
#[command(
    name = "holdfast-cassandra",
    about = "Apache Cassandra on claimed disks: nodes come back to their own data, or say why not."
)]
enum Verb {
    /// Run the framework's scheduler, until Ctrl-C.
    Scheduler(Box<scheduler::Arguments>),
    /// Run one node; started by an agent.
    Node(Box<prepare::Arguments>),
    /// Show the nodes of a ring as one of them sees it, by CQL.
    Status {
        /// The address of a node.
        address: IpAddr,
        /// Its port of CQL.
        #[arg(long, default_value_t = 9042)]
        port: u16,
        /// How to print: `table` or `json`.
        #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
        output: String,
    },
    /// Print what is marked on a node's volume: its ring, host id, tokens and rack.
    Inspect {
        /// The directory of the volume.
        dir: PathBuf,
    },
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Scheduler(arguments) => block_on(scheduler::run(*arguments)),
        Verb::Node(arguments) => block_on(node::run(*arguments)),
        Verb::Status { address, port, output } => shown::status(address, port, &output),
        Verb::Inspect { dir } => shown::inspect(&dir),
    };
    done.map_or_else(|error| (eprintln!("cassandra: {error:#}"), 1.into()).1, |()| 0.into())
}
