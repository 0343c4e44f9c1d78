//! Runs a service of a spec file, without any code: `holdfast-service check SPEC`, `holdfast-service run SPEC`. The same is
//! `holdfast service check` and `holdfast service run`; this program is for those who deploy a scheduler by itself, and the template
//! for a service that has hooks: copy this folder, and give `run_service` your own in the place of `SpecHooks`.

use holdfast_sdk::net::{block_on, read_spec_file, run_service, Result, ServiceOptions, SpecHooks};
use holdfast_sdk::pods::Lost;
use std::path::PathBuf;

#[derive(clap::Parser)]
#[command(name = "holdfast-service", about = "Runs a service of a spec file, without any code.")]
enum Verb {
    /// Say whether a spec file can be run, and where it is wrong.
    Check {
        /// The spec file.
        spec: PathBuf,
    },
    /// Run the scheduler of a spec file until Ctrl-C; its tasks run on.
    Run(Arguments),
}

#[derive(clap::Args)]
struct Arguments {
    /// The spec file.
    spec: PathBuf,
    /// The masters, as host:port, separated by commas, or zk://host:port,.../path.
    #[arg(long, value_delimiter = ',', env = "HOLDFAST_ADDR", default_value = "127.0.0.1:5050")]
    master: Vec<String>,
    /// Where the scheduler remembers what it was given; must not be lost.
    #[arg(long)]
    ledger: PathBuf,
    /// The address on which it serves its pages; with port 0 any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// HOST:PORT of its pages as others see it, where that is not what it listens on.
    #[arg(long)]
    advertise: Option<String>,
    /// The ledger was lost: take the volumes that bear the service's name as its own.
    #[arg(long, conflicts_with = "new")]
    adopt: bool,
    /// Begin anew, beside the volumes that bear the service's name.
    #[arg(long)]
    new: bool,
}

async fn run(arguments: Arguments) -> Result<()> {
    let spec = read_spec_file(&arguments.spec)?;
    let mut options = ServiceOptions::new(arguments.master, arguments.ledger);
    (options.listen, options.advertise) = (arguments.listen, arguments.advertise);
    let unless_new = if arguments.adopt { Lost::Adopt } else { Lost::Ask };
    options.lost = if arguments.new { Lost::New } else { unless_new };
    run_service(spec, SpecHooks, options).await
}

fn main() -> std::process::ExitCode {
    let done = match <Verb as clap::Parser>::parse() {
        Verb::Check { spec } => read_spec_file(&spec).map(drop).map_err(Into::into),
        Verb::Run(arguments) => block_on(run(arguments)),
    };
    done.map_or_else(|error| (eprintln!("{error:#}"), 1.into()).1, |()| 0.into())
}
