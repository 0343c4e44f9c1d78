//! What may be said with every verb.

use std::time::Duration;

use holdfast_node::settings::durations::parse_duration;

use holdfast_quorum::Masters;

use crate::output::Format;

/// The master that is asked when nobody says which.
pub const MASTER_DEFAULT: &str = "127.0.0.1:5050";
/// How long an answer may take when nobody says.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What may be said with every verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Globals {
    /// HOST:PORT of the masters, separated by commas; any of them leads to the leader. Or zk://HOST:PORT,.../PATH, where they meet. 127.0.0.1:5050 when not given.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        env = "HOLDFAST_ADDR",
        value_name = "HOST:PORT",
        help_heading = "Everywhere"
    )]
    pub master: Vec<String>,
    /// How data are written.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        env = "HOLDFAST_FORMAT",
        help_heading = "Everywhere"
    )]
    pub output: Format,
    /// How long to wait: for an answer (30s when not given); with `run` and --watch, for all of it (for ever when not given).
    #[arg(long, global = true, value_parser = parse_duration, value_name = "TIME", help_heading = "Everywhere")]
    pub timeout: Option<Duration>,
    /// Only ids, one a line; no remarks.
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Write the log of this process as JSON.
    #[arg(long, global = true, env = "HOLDFAST_LOG_JSON", help_heading = "Everywhere")]
    pub log_json: bool,
}

impl Globals {
    /// The masters to ask.
    pub fn masters(&self) -> Vec<String> {
        let given = Masters::join(self.master.iter().map(String::as_str));
        if given.is_empty() {
            vec![MASTER_DEFAULT.to_owned()]
        } else {
            given
        }
    }

    /// The masters that an agent serves: those that were named, else HOLDFAST_MASTER, else the default.
    pub fn masters_of_agent(&self) -> Vec<String> {
        match std::env::var("HOLDFAST_MASTER") {
            Ok(given) if self.master.is_empty() => {
                Globals { master: given.split(',').map(str::to_owned).collect(), ..self.clone() }
                    .masters()
            }
            _ => self.masters(),
        }
    }

    /// How long an answer may take; at least a moment.
    pub fn answer_timeout(&self) -> Duration {
        self.timeout
            .unwrap_or(ANSWER_TIMEOUT)
            .clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
    }
}
