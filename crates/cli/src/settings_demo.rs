//! What can be set about the demonstration.

use std::path::PathBuf;

use crate::settings_scratch::ScratchSettings;

/// Settings of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoSettings {
    /// How many agents, and members of the service.
    #[arg(long, default_value_t = 3)]
    pub agents: u32,
    /// The journal framework's program; beside this one when not given.
    #[arg(long)]
    pub journal: Option<PathBuf>,
    /// Where it lies.
    #[command(flatten)]
    pub scratch: ScratchSettings,
    /// After the kills, take a volume's data away behind the agent's back: the verdict must then be a failure.
    #[arg(long)]
    pub sabotage: bool,
}
