//! Where a cluster that is for a while keeps its state: what `dev`, `demo` and `drill` have in common.

use std::path::PathBuf;

/// Where state is kept, and for how long.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScratchSettings {
    /// Where state is kept; a temporary directory when not given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave the temporary directory there.
    #[arg(long)]
    pub keep: bool,
}
