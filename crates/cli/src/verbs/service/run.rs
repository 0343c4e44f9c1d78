//! `service run`: the scheduler of a spec file, in this process.
//!
//! Relies on the SDK's shell, which any framework has. Its tasks run on when it ends.

use std::net::SocketAddr;
use std::path::PathBuf;

use holdfast_sdk::net::{read_spec_file, run_service_until, ServiceOptions, SpecHooks};
use holdfast_sdk::pods::Lost;

use super::check::spec_failure;
use crate::verbs::Context;

/// What is run, and how it is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The spec file.
    pub spec: PathBuf,
    /// Where the scheduler remembers what it was given; must not be lost. NAME.ledger in this folder when not given.
    #[arg(long, value_name = "DIR")]
    pub ledger: Option<PathBuf>,
    /// The address on which it serves its pages; with port 0 any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// HOST:PORT of its pages as others see it, where that is not what it listens on.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// The ledger was lost: take the volumes that bear the service's name as its own.
    #[arg(long, conflicts_with = "new")]
    pub adopt: bool,
    /// Begin anew, beside the volumes that bear the service's name.
    #[arg(long)]
    pub new: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the file is no spec, the ledger cannot be opened, or the masters removed the framework.
pub async fn run(context: &Context, args: &RunArgs) -> anyhow::Result<i32> {
    let spec = read_spec_file(&args.spec).map_err(spec_failure)?;
    let ledger = args.ledger.clone().unwrap_or_else(|| format!("{}.ledger", spec.name).into());
    let mut options = ServiceOptions::new(context.master.addresses().to_vec(), ledger);
    options.listen = args.listen;
    options.advertise.clone_from(&args.advertise);
    options.lost = match (args.adopt, args.new) {
        (true, _) => Lost::Adopt,
        (false, true) => Lost::New,
        (false, false) => Lost::Ask,
    };
    let stop = context.stop.clone().cancelled_owned();
    run_service_until(spec, SpecHooks, options, stop).await?;
    Ok(0)
}
