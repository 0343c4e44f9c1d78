//! What can be set about an agent. Each flag is also an environment variable; the masters are HOLDFAST_MASTER, or HOLDFAST_ADDR as
//! everywhere.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_model::VolumeLimit;
use holdfast_wire::BrowserPolicy;

use super::durations::{duration_text, parse_duration};
use super::{text_of, without_password, Values};

/// What the helpers of disks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskHelpers {
    /// Processes of this program, so that a disk that hangs holds up nothing of the agent.
    #[default]
    Processes,
    /// Threads of the agent, for tests whose program has no verb to start a helper by.
    Threads,
}

/// Settings of an agent.
#[derive(Clone, Debug, clap::Args)]
pub struct AgentSettings {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "HOLDFAST_IP")]
    pub ip: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(long, default_value_t = 5051, env = "HOLDFAST_PORT")]
    pub port: u16,
    /// Name under which this machine is shown and reached; the address it listens on when not given.
    #[arg(long, env = "HOLDFAST_HOSTNAME")]
    pub hostname: Option<String>,
    /// HOST:PORT of the masters; what was said with --master, which every verb has.
    #[arg(skip)]
    pub master: Vec<String>,
    /// Where its ledger, its containers and their sandboxes are kept; also the ROOT disk.
    #[arg(long, default_value = "/var/lib/holdfast/agent", env = "HOLDFAST_DIR")]
    pub dir: PathBuf,
    /// What the machine offers, as text (`cpus:4;mem:8192;disk:10000;ports:[31000-32000]`) or JSON; what is not named is detected.
    #[arg(long, default_value = "", env = "HOLDFAST_RESOURCES")]
    pub resources: String,
    /// The role of resources that name none.
    #[arg(long, env = "HOLDFAST_DEFAULT_ROLE")]
    pub default_role: Option<String>,
    /// What is special about the machine, such as `rack:r1;ssd:yes`.
    #[arg(long, default_value = "", env = "HOLDFAST_ATTRIBUTES")]
    pub attributes: String,
    /// A disk: `path=/mnt/d1,size-mb=1000` (a directory that is shared) or `mount=/mnt/d2` (a whole file system); `,limit=` as with
    /// --volume-limit. Repeatable.
    #[arg(long, env = "HOLDFAST_DISK", value_delimiter = ' ')]
    pub disk: Vec<String>,
    /// What happens to volumes that use more than their size, on disks that do not say it themselves: `none`, or a soft limit, which is
    /// measured and prevents no write: `soft:report` tells it, `soft:refuse` refuses new tasks that would write, `soft:stop` ends those
    /// that may. `image` gives each new volume of a PATH disk and of the agent's own directory a file system of its own in a file of fixed
    /// size, whose writer finds no space left at its end.
    #[arg(
        long,
        default_value = "soft:report",
        value_name = "LIMIT",
        env = "HOLDFAST_VOLUME_LIMIT"
    )]
    pub volume_limit: VolumeLimit,
    /// How long a disk may take for one step of work on its volumes; after that it has a fault until it answers, and other disks go on.
    #[arg(long, default_value = "5s", value_parser = parse_duration, env = "HOLDFAST_DISK_TIMEOUT")]
    pub disk_timeout: Duration,
    /// How long a destroyed volume stays in the trash of its disk, from where it can be brought back; earlier, oldest first, when the disk
    /// needs the space; 0 removes it at once.
    #[arg(long, default_value = "24h", value_parser = parse_duration, env = "HOLDFAST_TRASH_RETENTION")]
    pub trash_retention: Duration,
    /// One more directory of this machine that no task sees, such as a master's `--dir` or backups of ledgers. Repeatable.
    #[arg(long, value_name = "DIR", env = "HOLDFAST_HIDE", value_delimiter = ' ')]
    pub hide: Vec<PathBuf>,
    /// How long the sandbox of an ended task stays; less when the file system fills up: five minutes when 90 % of it are used.
    #[arg(long, default_value = "7d", value_parser = parse_duration, env = "HOLDFAST_GC_DELAY")]
    pub gc_delay: Duration,
    /// The most that is kept of what a task prints, in MB, for its stdout and its stderr each: the oldest goes first. 0 keeps everything.
    #[arg(long, default_value_t = 50, value_name = "MB", env = "HOLDFAST_TASK_LOG_MAX_MB")]
    pub task_log_max_mb: u64,
    /// The most that is kept of what tasks have fetched with `cache`, in MB; what does not fit is fetched past the cache.
    #[arg(long, default_value_t = 2048, value_name = "MB", env = "HOLDFAST_FETCHER_CACHE_SIZE_MB")]
    pub fetcher_cache_size_mb: u64,
    /// A download that gives less than a byte a second for so long is cut.
    #[arg(long, default_value = "1m", value_parser = parse_duration, env = "HOLDFAST_FETCHER_STALL_TIMEOUT")]
    pub fetcher_stall_timeout: Duration,
    /// Leave tasks of root all capabilities and show them the machine's `/dev`. They can then reach every volume, sandbox and ledger here.
    #[arg(long, env = "HOLDFAST_PRIVILEGED_TASKS")]
    pub privileged_tasks: bool,
    /// What does the work on disks. Only tests ever say.
    #[arg(skip)]
    pub disk_helpers: DiskHelpers,
    /// How long an executor may take to come back after a restart of the agent.
    #[arg(long, default_value = "15s", value_parser = parse_duration, env = "HOLDFAST_EXECUTOR_REREGISTRATION_TIMEOUT")]
    pub executor_reregistration_timeout: Duration,
    /// How long an executor may take to appear after its start.
    #[arg(long, default_value = "1m", value_parser = parse_duration, env = "HOLDFAST_EXECUTOR_REGISTRATION_TIMEOUT")]
    pub executor_registration_timeout: Duration,
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

impl AgentSettings {
    /// What web browsers may do.
    pub fn browsers(&self) -> BrowserPolicy {
        super::browsers(&self.allow_origin, self.hostname.as_deref(), self.strict_host)
    }

    /// What is set, under the names that its flags have in Mesos's pages: with `_` for `-`. Where Mesos has the same setting under another
    /// name, it is there under both.
    pub fn flags(&self) -> BTreeMap<String, String> {
        super::named(self.values())
    }

    /// Each setting by its name; `None` for one that is not set.
    fn values(&self) -> Values {
        let masters: Vec<String> = self.master.iter().map(|it| without_password(it)).collect();
        let masters = Some(masters.join(",")).filter(|it| !it.is_empty());
        let hidden = self.hide.iter().map(|it| it.to_string_lossy().into_owned());
        let hidden = Some(hidden.collect::<Vec<_>>().join(" ")).filter(|it| !it.is_empty());
        let seconds = |it: Duration| Some(duration_text(it));
        vec![
            ("allow_origin", Some(self.allow_origin.join(" ")).filter(|it| !it.is_empty())),
            ("strict_host", Some(self.strict_host.to_string())),
            ("address_file", text_of(self.address_file.as_deref())),
            ("attributes", Some(self.attributes.clone()).filter(|it| !it.is_empty())),
            ("default_role", self.default_role.clone()),
            ("dir", text_of(Some(&self.dir))),
            ("disk", Some(self.disk.join(" ")).filter(|it| !it.is_empty())),
            ("disk_timeout", seconds(self.disk_timeout)),
            ("executor_registration_timeout", seconds(self.executor_registration_timeout)),
            ("executor_reregistration_timeout", seconds(self.executor_reregistration_timeout)),
            ("fetcher_cache_size", Some(format!("{}MB", self.fetcher_cache_size_mb))),
            ("fetcher_cache_size_mb", Some(self.fetcher_cache_size_mb.to_string())),
            ("fetcher_stall_timeout", seconds(self.fetcher_stall_timeout)),
            ("gc_delay", seconds(self.gc_delay)),
            ("hide", hidden),
            ("hostname", self.hostname.clone()),
            ("ip", Some(self.ip.to_string())),
            ("master", masters),
            ("port", Some(self.port.to_string())),
            ("privileged_tasks", Some(self.privileged_tasks.to_string())),
            ("resources", Some(self.resources.clone()).filter(|it| !it.is_empty())),
            ("task_log_max_mb", Some(self.task_log_max_mb.to_string())),
            ("trash_retention", seconds(self.trash_retention)),
            ("volume_limit", Some(self.volume_limit.to_string())),
            ("work_dir", text_of(Some(&self.dir))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_among_the_flags() {
        super::super::check_values(AgentSettings::values);
    }
}
