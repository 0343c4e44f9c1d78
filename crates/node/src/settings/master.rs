//! What can be set about a master. Each flag is also an environment variable.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::durations::parse_duration;

/// Settings of a master.
#[derive(Clone, Debug, clap::Args)]
pub struct MasterSettings {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "HOLDFAST_IP")]
    pub ip: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(long, default_value_t = 5050, env = "HOLDFAST_PORT")]
    pub port: u16,
    /// HOST:PORT under which clients and agents reach this master, when it differs.
    #[arg(long, env = "HOLDFAST_ADVERTISE")]
    pub advertise: Option<String>,
    /// Where its ledger is kept. A second master with the same directory stands by.
    #[arg(long, default_value = "/var/lib/holdfast/master", env = "HOLDFAST_DIR")]
    pub dir: PathBuf,
    /// How free resources are divided: `drf` (fair share) or `priority` (strictly by role weight).
    #[arg(long, default_value = "drf", env = "HOLDFAST_ALLOCATION_POLICY")]
    pub allocation_policy: String,
    /// How long an offer may stay unanswered; 0 = for ever.
    #[arg(long, default_value = "5m", value_parser = parse_duration, env = "HOLDFAST_OFFER_TIMEOUT")]
    pub offer_timeout: Duration,
    /// Smallest offers, such as `cpus:0.01|mem:32`; reservations and volumes are always offered.
    #[arg(long, default_value = "cpus:0.01|mem:32", env = "HOLDFAST_MIN_ALLOCATABLE")]
    pub min_allocatable: String,
    /// How often an agent is asked whether it hears.
    #[arg(long, default_value = "15s", value_parser = parse_duration, env = "HOLDFAST_AGENT_PING_TIMEOUT")]
    pub agent_ping_timeout: Duration,
    /// How long an agent may be away before its tasks are called unreachable.
    #[arg(long, default_value = "75s", value_parser = parse_duration, env = "HOLDFAST_AGENT_TIMEOUT")]
    pub agent_timeout: Duration,
    /// How many claims that have ended are remembered, the newest of them.
    #[arg(long, default_value_t = 10_000, env = "HOLDFAST_ENDED_CLAIMS_MAX")]
    pub ended_claims_max: usize,
    /// Let any framework of a role give up what another one of it reserved or made, as in Mesos.
    #[arg(long, env = "HOLDFAST_MESOS_OWNERSHIP")]
    pub mesos_ownership: bool,
    /// Write the process's address into this file once it serves.
    #[arg(long, hide = true)]
    pub address_file: Option<PathBuf>,
}
