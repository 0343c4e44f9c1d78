//! The command line of the HDFS framework.

use std::path::PathBuf;

use holdfast_hdfs::{client, node, scheduler};
use holdfast_sdk::net::block_on;

#[derive(clap::Parser)]
#[command(
    name = "holdfast-hdfs",
    about = "Apache HDFS on claimed disks: a file system that is formatted once, and comes back to its data or says why not."
)]
enum Verb {
    /// Run the service's scheduler, until Ctrl-C; its members run on.
    Scheduler(Box<scheduler::Arguments>),
    /// Run one member; started by an agent.
    Node,
    /// Print core-site.xml and hdfs-site.xml for clients of a service.
    ClientConfig {
        /// HOST:PORT of the service's pages, as its scheduler and `holdfast framework list -o wide` tell it.
        service: String,
        /// Write the two files into this folder instead.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Scheduler(arguments) => block_on(scheduler::run(*arguments)),
        Verb::Node => block_on(node::run()),
        Verb::ClientConfig { service, folder } => {
            client::client_config(&service, folder.as_deref())
        }
    };
    done.map_or_else(|error| (eprintln!("hdfs: {error:#}"), 1.into()).1, |()| 0.into())
}
