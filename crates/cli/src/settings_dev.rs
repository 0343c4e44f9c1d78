//! What can be set about a cluster on one machine.

use std::path::PathBuf;

/// Settings of a cluster on one machine.
#[derive(Clone, Debug, clap::Args)]
pub struct DevSettings {
    /// How many agents.
    #[arg(long, default_value_t = 3)]
    pub agents: u32,
    /// How many disks each agent has beside its own file system.
    #[arg(long, default_value_t = 2)]
    pub disks: u32,
    /// The master's port; 0 takes any free one.
    #[arg(long, default_value_t = 5050)]
    pub port: u16,
    /// Where state is kept; a temporary directory when not given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave the temporary directory there.
    #[arg(long)]
    pub keep: bool,
}
