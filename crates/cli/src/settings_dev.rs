//! What can be set about a cluster on one machine.

use crate::settings_scratch::ScratchSettings;

/// Settings of a cluster on one machine.
#[derive(Clone, Debug, clap::Args)]
pub struct DevSettings {
    /// How many masters; one leads, and the others stand by.
    #[arg(long, default_value_t = 1)]
    pub masters: u16,
    /// The ensemble in which the masters meet: zk://[USER:PASSWORD@]HOST:PORT,.../PATH, at a path of their own. Without it they share one directory.
    #[arg(long, value_name = "ZK")]
    pub zk: Option<String>,
    /// How many agents.
    #[arg(long, default_value_t = 3)]
    pub agents: u32,
    /// How many disks each agent has beside its own file system.
    #[arg(long, default_value_t = 2)]
    pub disks: u32,
    /// The first master's port, those of the others follow; 0 takes any free ones.
    #[arg(long, default_value_t = 5050)]
    pub port: u16,
    /// Start again what ends by itself, or was killed; without it the whole cluster ends then.
    #[arg(long)]
    pub keep_alive: bool,
    /// Where it lies.
    #[command(flatten)]
    pub scratch: ScratchSettings,
}
