//! What can be set about a master. Each flag is also an environment variable.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{ensure, Context as _};
use holdfast_quorum::ZooKeeperAddress;
use holdfast_wire::BrowserPolicy;

use super::durations::{duration_text, parse_duration};
use super::{text_of, without_password, Values};

/// The least that an ensemble is given to answer.
const ZK_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The shortest silence that tells a leader which hangs from one whose machine is busy.
const ZK_DEPOSE_AFTER_MIN: Duration = Duration::from_millis(500);

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
    /// Where its ledger is kept. A second master with the same directory stands by. With --zk the ledger is in the ensemble.
    #[arg(long, default_value = "/var/lib/holdfast/master", env = "HOLDFAST_DIR")]
    pub dir: PathBuf,
    /// Masters on several machines meet here: zk://[USER:PASSWORD@]HOST:PORT,.../PATH, or a file (file:///FILE) that holds such an address.
    #[arg(long, env = "HOLDFAST_ZK", hide_env_values = true)]
    pub zk: Option<String>,
    /// How long the ensemble waits for a master that is not heard of before another one leads.
    #[arg(long, default_value = "10s", value_parser = parse_duration, env = "HOLDFAST_ZK_SESSION_TIMEOUT")]
    pub zk_session_timeout: Duration,
    /// How long a leader goes on that the ensemble does not answer.
    #[arg(long, default_value = "2s", value_parser = parse_duration, env = "HOLDFAST_ZK_COMMIT_TIMEOUT")]
    pub zk_commit_timeout: Duration,
    /// How long a leader may be silent, to standbys and in the ensemble, before a standby takes its place; 0 = for as long as its session lasts.
    #[arg(long, default_value = "2s", value_parser = parse_duration, env = "HOLDFAST_ZK_DEPOSE_AFTER")]
    pub zk_depose_after: Duration,
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
    /// The origin of another web site, such as `https://console.example.net`, whose pages may use this process in the name of whoever looks
    /// at them. Repeatable.
    #[arg(long, value_name = "ORIGIN", env = "HOLDFAST_ALLOW_ORIGIN", value_delimiter = ' ')]
    pub allow_origin: Vec<String>,
    /// Take requests only under an address of this machine, `localhost` or the advertised name; browsers are always held to that.
    #[arg(long, env = "HOLDFAST_STRICT_HOST")]
    pub strict_host: bool,
    /// Write the process's address into this file once it serves.
    #[arg(long, hide = true)]
    pub address_file: Option<PathBuf>,
}

impl MasterSettings {
    /// What web browsers may do.
    pub fn browsers(&self) -> BrowserPolicy {
        super::browsers(&self.allow_origin, self.advertise.as_deref(), self.strict_host)
    }

    /// What is set, under the names that its flags have in Mesos's pages: with `_` for `-`. Where Mesos has the same setting under another
    /// name, it is there under both.
    pub fn flags(&self) -> BTreeMap<String, String> {
        super::named(self.values())
    }

    /// Each setting by its name; `None` for one that is not set.
    fn values(&self) -> Values {
        vec![
            ("allow_origin", Some(self.allow_origin.join(" ")).filter(|it| !it.is_empty())),
            ("strict_host", Some(self.strict_host.to_string())),
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
            ("zk", self.zk.as_deref().map(without_password)),
            ("zk_commit_timeout", Some(duration_text(self.zk_commit_timeout))),
            ("zk_depose_after", Some(duration_text(self.zk_depose_after))),
            ("zk_session_timeout", Some(duration_text(self.zk_session_timeout))),
        ]
    }

    /// The ensemble in which this master meets others, if it does.
    ///
    /// # Errors
    /// When the address is none, or the file that holds it cannot be read.
    pub fn ensemble(&self) -> anyhow::Result<Option<ZooKeeperAddress>> {
        let Some(given) = self.zk.as_deref() else { return Ok(None) };
        let read = |file: &str| {
            std::fs::read_to_string(file).with_context(|| format!("--zk: cannot read {file}"))
        };
        let text = match given.strip_prefix("file://") {
            Some(file) => read(file)?,
            None if given.starts_with('/') => read(given)?,
            None => given.to_owned(),
        };
        for (flag, time) in [
            ("--zk-session-timeout", self.zk_session_timeout),
            ("--zk-commit-timeout", self.zk_commit_timeout),
        ] {
            ensure!(ZK_TIMEOUT_MIN <= time, "{flag} must be at least {ZK_TIMEOUT_MIN:?}: in less nobody answers, and no master would lead for long");
        }
        let deposes = self.zk_depose_after.is_zero() || ZK_DEPOSE_AFTER_MIN <= self.zk_depose_after;
        ensure!(deposes, "--zk-depose-after must be at least {ZK_DEPOSE_AFTER_MIN:?}, or 0: a leader that lives would be deposed again and again");
        text.trim().parse().context("--zk").map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_among_the_flags() {
        super::super::check_values(MasterSettings::values);
    }

    fn given(words: &[&str]) -> anyhow::Result<Option<ZooKeeperAddress>> {
        use clap::{Args as _, FromArgMatches as _};
        let command = MasterSettings::augment_args(clap::Command::new("test"));
        let matches = command.get_matches_from(["test"].iter().chain(words));
        MasterSettings::from_arg_matches(&matches).unwrap().ensemble()
    }

    #[test]
    fn the_ensemble_is_named_or_its_address_lies_in_a_file() {
        assert_eq!(given(&[]).unwrap(), None);
        given(&["--zk", "zk://a:1/m", "--zk-depose-after", "0"]).unwrap();
        let named = given(&["--zk", "zk://a:1,b:2/m"]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zk");
        std::fs::write(&file, "zk://a:1,b:2/m\n").unwrap();
        for text in [format!("file://{}", file.display()), file.display().to_string()] {
            assert_eq!(given(&["--zk", &text]).unwrap(), named);
        }
        for (words, says) in [
            (["--zk", "a:1/m", "--port", "0"], "begins with zk://"),
            (["--zk", "file:///no/such", "--port", "0"], "cannot read /no/such"),
            (["--zk", "zk://a:1/m", "--zk-commit-timeout", "0s"], "--zk-commit-timeout must be"),
            (["--zk", "zk://a:1/m", "--zk-depose-after", "9ms"], "--zk-depose-after must be"),
        ] {
            let why = format!("{:#}", given(&words).unwrap_err());
            assert!(why.contains(says), "{why}");
        }
    }
}
