//! The scheduler: the spec and the hooks of the service, run by the shell of the SDK.

use std::net::SocketAddr;
use std::path::PathBuf;

use holdfast_sdk::net::{bail, run_service, Result, ServiceOptions};
use holdfast_sdk::pods::Lost;

use crate::service::Hdfs;
use crate::settings::Settings;
use crate::spec::{spec, Owner};

/// The service, as the command line describes it.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The masters, as host:port, separated by commas, or zk://host:port,.../path.
    #[arg(long, value_delimiter = ',', env = "HOLDFAST_ADDR", default_value = "127.0.0.1:5050")]
    pub master: Vec<String>,
    /// Where the scheduler remembers what it was given; must not be lost.
    #[arg(long)]
    pub ledger: PathBuf,
    /// Whose service it is.
    #[command(flatten)]
    pub owner: Owner,
    /// This program, where the agents find it.
    #[arg(long, default_value_os_t = std::env::current_exe().unwrap_or_default())]
    pub program: PathBuf,
    /// The address on which the service serves its pages; with port 0 any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// HOST:PORT of its pages as others see it, where that is not what it listens on.
    #[arg(long)]
    pub advertise: Option<String>,
    /// The ledger was lost: take the volumes that bear the service's name as its own.
    #[arg(long, conflicts_with = "new")]
    pub adopt: bool,
    /// Begin anew, beside the volumes that bear the service's name.
    #[arg(long)]
    pub new: bool,
    /// The settings of the file system.
    #[command(flatten)]
    pub settings: Settings,
}

/// Runs the service until it is told to stop.
///
/// # Errors
/// When a setting makes no sense, or as [`run_service`].
pub async fn run(arguments: Arguments) -> Result<()> {
    let program = arguments.program.to_string_lossy();
    let spec = spec(&arguments.owner, &arguments.settings, &program);
    if let Err(wrong) = spec.check() {
        let all: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        bail!("{}", all.join("\n"));
    }
    let mut options = ServiceOptions::new(arguments.master, arguments.ledger);
    (options.listen, options.advertise) = (arguments.listen, arguments.advertise);
    let unless_new = if arguments.adopt { Lost::Adopt } else { Lost::Ask };
    options.lost = if arguments.new { Lost::New } else { unless_new };
    run_service(spec, Hdfs::new(arguments.settings), options).await
}
