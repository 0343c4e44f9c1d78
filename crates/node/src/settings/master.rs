//! What can be set about a master. Each flag is also an environment variable.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::durations::{duration_text, parse_duration};
use super::{text_of, Values};

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

impl MasterSettings {
    /// What is set, under the names that its flags have in Mesos's pages: with `_` for `-`. Where Mesos has the same setting under another
    /// name, it is there under both.
    pub fn flags(&self) -> BTreeMap<String, String> {
        super::named(self.values())
    }

    /// Each setting by its name; `None` for one that is not set.
    fn values(&self) -> Values {
        vec![
            ("address_file", text_of(self.address_file.as_deref())),
            ("advertise", self.advertise.clone()),
            ("agent_ping_timeout", Some(duration_text(self.agent_ping_timeout))),
            ("agent_timeout", Some(duration_text(self.agent_timeout))),
            ("allocation_policy", Some(self.allocation_policy.clone())),
            ("dir", text_of(Some(&self.dir))),
            ("ended_claims_max", Some(self.ended_claims_max.to_string())),
            ("ip", Some(self.ip.to_string())),
            ("mesos_ownership", Some(self.mesos_ownership.to_string())),
            ("min_allocatable", Some(self.min_allocatable.clone())),
            ("min_allocatable_resources", Some(self.min_allocatable.clone())),
            ("offer_timeout", Some(duration_text(self.offer_timeout))),
            ("port", Some(self.port.to_string())),
            ("work_dir", text_of(Some(&self.dir))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_among_the_flags() {
        super::super::check_values(MasterSettings::values);
    }
}
