//! What can be set about a drill.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_node::settings::durations::parse_duration;

use crate::drill::plan::{Fault, Target};

use crate::settings_scratch::ScratchSettings;

/// Settings of a drill.
#[derive(Clone, Debug, clap::Args)]
pub struct DrillSettings {
    /// What is done to them; several are separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "kill")]
    pub fault: Vec<Fault>,
    /// To whom; several are separated by commas.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "leader,standby,agent,executor,framework"
    )]
    pub target: Vec<Target>,
    /// How many faults.
    #[arg(long, default_value_t = 10, conflicts_with = "minutes")]
    pub kills: usize,
    /// Go on for so many minutes instead.
    #[arg(long)]
    pub minutes: Option<u64>,
    /// What the order of the faults follows from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many of a kind are struck at once. Masters are never more than a minority.
    #[arg(long, default_value_t = 1)]
    pub blast_radius: usize,
    /// How long somebody who is paused hangs.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub pause_for: Duration,
    /// Recovery that takes longer is degraded; a pause comes on top of it.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub goal: Duration,
    /// How long recovery is waited for; after that the drill has failed.
    #[arg(long, default_value = "90s", value_parser = parse_duration)]
    pub patience: Duration,
    /// Say what would be done, and to whom, and do nothing.
    #[arg(long)]
    pub plan: bool,
    /// Also write the report as JUnit into this file.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Strike the cluster that `holdfast dev --keep-alive` runs in this directory, and start none.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["masters", "zk", "agents", "dir", "keep"])]
    pub cluster: Option<PathBuf>,
    /// How many masters to start.
    #[arg(long, default_value_t = 3)]
    pub masters: u16,
    /// The ensemble in which they meet: zk://[USER:PASSWORD@]HOST:PORT,.../PATH, at a path that nobody has used. Without it they share one directory.
    #[arg(long, value_name = "ZK")]
    pub zk: Option<String>,
    /// How many agents to start, and members of the workload.
    #[arg(long, default_value_t = 3)]
    pub agents: u32,
    /// The journal framework's program; beside this one when not given.
    #[arg(long)]
    pub journal: Option<PathBuf>,
    /// Where it lies.
    #[command(flatten)]
    pub scratch: ScratchSettings,
}
