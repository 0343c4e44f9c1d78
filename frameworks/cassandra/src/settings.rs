//! The settings of a ring, under the names that Cassandra's own files have for them: options of the scheduler, which passes them on to
//! each node as they are.
//!
//! It relies on the command line. It never changes what was given: what makes no sense is refused by name.

use std::path::PathBuf;

use clap::builder::RangedI64ValueParser;
use clap::ValueEnum;
use holdfast_sdk::model::Scalar;

use crate::marker::Frozen;
use crate::sizes::{BadSize, Sizes};
use crate::yaml::OWN_KEYS;

/// When a write is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CommitlogSync {
    /// Some seconds after it was acknowledged.
    Periodic,
    /// Before it is acknowledged, together with those of the same ten milliseconds.
    Group,
    /// Before it is acknowledged.
    Batch,
}

/// How keys become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Partitioner {
    /// By a hash: what everybody uses.
    #[value(name = "Murmur3Partitioner")]
    Murmur3,
    /// By MD5, as Cassandra did before 1.2.
    #[value(name = "RandomPartitioner")]
    Random,
    /// By the order of the keys' bytes.
    #[value(name = "ByteOrderedPartitioner")]
    ByteOrdered,
}

/// One more line of `cassandra.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The setting.
    pub key: String,
    /// Its value, as YAML.
    pub value: String,
}

/// The settings of a ring.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Settings {
    /// The name of the Cassandra cluster. It cannot be changed once a node has joined.
    #[arg(long, default_value = "holdfast", value_parser = cluster_name)]
    pub cluster_name: String,
    /// The name of the data centre, frozen like the cluster's.
    #[arg(long, default_value = "dc1", value_parser = place_name)]
    pub dc: String,
    /// The attribute of agents that says in which rack they are; without it all nodes are in `rack1`.
    #[arg(long, value_name = "NAME")]
    pub rack_attribute: Option<String>,
    /// How many tokens each node has, frozen like the cluster's name.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1536))]
    pub num_tokens: u32,
    /// How keys become tokens, frozen like the cluster's name.
    #[arg(long, value_enum, default_value = "Murmur3Partitioner")]
    pub partitioner: Partitioner,
    /// The port at which nodes talk to each other.
    #[arg(long, default_value_t = 7000, value_parser = port())]
    pub storage_port: u16,
    /// The port of CQL.
    #[arg(long, default_value_t = 9042, value_parser = port())]
    pub native_transport_port: u16,
    /// The port of JMX, for nodetool: on the machine's loopback address alone, or on the node's own where that is a loopback address.
    #[arg(long, default_value_t = 7199, value_parser = port())]
    pub jmx_port: u16,
    /// The processors of each node.
    #[arg(long, default_value = "1")]
    pub cpus: Scalar,
    /// The memory of each node, in megabytes.
    #[arg(long, default_value_t = 4096)]
    pub mem_mb: i64,
    /// The size of each node's volume, in megabytes.
    #[arg(long, default_value_t = 10_240)]
    pub disk_mb: i64,
    /// The JVM's heap, in megabytes; without it what cassandra-env.sh would take, or less where the memory is small.
    #[arg(long, value_name = "MB")]
    pub heap_mb: Option<i64>,
    /// When a write is on disk. Cassandra's own default is `periodic`; the others lose no acknowledged write when a machine loses power.
    #[arg(long, value_enum, default_value = "group")]
    pub commitlog_sync: CommitlogSync,
    /// One more setting of cassandra.yaml; repeatable. What has an option of its own here, or is worked out, is refused.
    #[arg(long, value_name = "KEY=VALUE", value_parser = line)]
    pub set: Vec<Line>,
    /// One more option of the JVM, such as `-Dcassandra.ring_delay_ms=2000`; repeatable.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true, value_parser = jvm_option)]
    pub jvm_option: Vec<String>,
    #[command(flatten)]
    /// Where the program is.
    pub source: Source,
    /// The Java to run it with: 17.
    #[arg(long, default_value = "java", value_name = "PROGRAM")]
    pub java: PathBuf,
    /// The path of the volume in the task's sandbox.
    #[arg(long, default_value = "cassandra", value_name = "PATH", value_parser = volume_path)]
    pub volume: String,
    /// How long a node may take to drain when it is stopped, in seconds; then it is killed, and reads its commit log when it comes back.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub drain_timeout_s: u64,
    /// A node that was away for longer than so many days is not started on its old data; 0 for ever. It should be the least
    /// gc_grace_seconds of all tables.
    #[arg(long, default_value_t = 10, value_name = "DAYS")]
    pub gc_grace_days: u64,
    /// The directory on each agent's machine where backups are written; one that all machines share, as of a network's file system.
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// Let nodes run as root. As in Cassandra itself that is refused unless it is said.
    #[arg(long)]
    pub allow_root: bool,
}

/// Where the program is, on each agent.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// The directory of an unpacked release of Apache Cassandra, on each agent.
    #[arg(long, value_name = "DIR")]
    pub distribution: Option<PathBuf>,
    /// A directory with Cassandra's jars and all that they need, as Maven copies them, on each agent.
    #[arg(long, value_name = "DIR")]
    pub jars: Option<PathBuf>,
}

impl Settings {
    /// What is frozen at the first join, of a node in this rack.
    pub fn frozen(&self, rack: &str) -> Frozen {
        Frozen {
            cluster_name: self.cluster_name.clone(),
            dc: self.dc.clone(),
            rack: rack.to_owned(),
            num_tokens: self.num_tokens,
            partitioner: value_name(self.partitioner),
        }
    }

    /// How a node's memory and disk are divided.
    ///
    /// # Errors
    /// When it is too small.
    pub fn sizes(&self) -> Result<Sizes, BadSize> {
        Sizes::of(self.cpus, self.mem_mb, self.disk_mb, self.heap_mb)
    }

    /// The words that say the same to another process of this program.
    pub fn to_arguments(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut say = |name: &str, value: String| words.push(format!("--{name}={value}"));
        say("cluster-name", self.cluster_name.clone());
        say("dc", self.dc.clone());
        if let Some(name) = &self.rack_attribute {
            say("rack-attribute", name.clone());
        }
        say("num-tokens", self.num_tokens.to_string());
        say("partitioner", value_name(self.partitioner));
        say("storage-port", self.storage_port.to_string());
        say("native-transport-port", self.native_transport_port.to_string());
        say("jmx-port", self.jmx_port.to_string());
        say("cpus", self.cpus.to_string());
        say("mem-mb", self.mem_mb.to_string());
        say("disk-mb", self.disk_mb.to_string());
        if let Some(heap_mb) = self.heap_mb {
            say("heap-mb", heap_mb.to_string());
        }
        say("commitlog-sync", value_name(self.commitlog_sync));
        self.set.iter().for_each(|it| say("set", format!("{}={}", it.key, it.value)));
        self.jvm_option.iter().for_each(|it| say("jvm-option", it.clone()));
        for (name, dir) in
            [("distribution", &self.source.distribution), ("jars", &self.source.jars)]
        {
            dir.iter().for_each(|it| say(name, it.to_string_lossy().into_owned()));
        }
        say("java", self.java.to_string_lossy().into_owned());
        say("volume", self.volume.clone());
        say("drain-timeout-s", self.drain_timeout_s.to_string());
        say("gc-grace-days", self.gc_grace_days.to_string());
        if let Some(dir) = &self.backup_dir {
            say("backup-dir", dir.to_string_lossy().into_owned());
        }
        if self.allow_root {
            words.push("--allow-root".to_owned());
        }
        words
    }
}

/// How a value is written on the command line and in Cassandra's files.
pub fn value_name(value: impl ValueEnum) -> String {
    let possible = value.to_possible_value().expect("no value is hidden");
    possible.get_name().to_owned()
}

fn port() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

fn cluster_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("a name is needed, in one line".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a data centre or rack, as it may stand in `cassandra-rackdc.properties`.
pub fn place_name(text: &str) -> Result<String, String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(format!("`{text}`: use letters, digits, `-`, `_` and `.`"));
    }
    Ok(text.to_owned())
}

fn volume_path(text: &str) -> Result<String, String> {
    let is_inside = |it: &str| !it.is_empty() && it != "." && it != "..";
    if !text.split('/').all(is_inside) {
        return Err("a path within the sandbox is needed, such as `cassandra`".to_owned());
    }
    Ok(text.to_owned())
}

fn line(text: &str) -> Result<Line, String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() || !key.chars().all(|it| it.is_ascii_lowercase() || it == '_') {
        return Err(format!("`{key}` is no setting of cassandra.yaml; these are words with `_`"));
    }
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(format!("{key}: a value is needed, in one line"));
    }
    if OWN_KEYS.contains(&key) {
        return Err(format!(
            "{key} is worked out here, from the options of this program, the member's agent and its volume; see --help"
        ));
    }
    Ok(Line { key: key.to_owned(), value: value.to_owned() })
}

fn jvm_option(text: &str) -> Result<String, String> {
    let ours =
        ["-Xmx", "-Xms", "-XX:MaxDirectMemorySize", "-Dcassandra.config", "-Dcassandra.storagedir"];
    if !text.starts_with('-') || text.chars().any(char::is_control) {
        return Err(format!("`{text}` is no option; one begins with `-`"));
    }
    match ours.into_iter().find(|it| text.starts_with(it)) {
        Some(ours) => Err(format!("{ours} is worked out here; see --heap-mb and --volume")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        settings: Settings,
    }

    pub(crate) fn settings(words: &[&str]) -> Result<Settings, clap::Error> {
        let words = ["x", "--jars", "/j"].iter().chain(words);
        Words::try_parse_from(words).map(|it| it.settings)
    }

    #[test]
    fn what_is_passed_on_says_the_same() {
        let others = [
            "--cluster-name",
            "it's ours",
            "--dc",
            "east",
            "--rack-attribute",
            "rack",
            "--num-tokens",
            "4",
            "--partitioner",
            "RandomPartitioner",
            "--storage-port",
            "1",
            "--native-transport-port",
            "2",
            "--jmx-port",
            "3",
            "--cpus",
            "0.5",
            "--mem-mb",
            "900",
            "--disk-mb",
            "700",
            "--heap-mb",
            "200",
            "--commitlog-sync",
            "batch",
            "--set",
            "concurrent_reads=4",
            "--set",
            "hinted_handoff_enabled=a=b",
            "--jvm-option",
            "-Dx=y",
            "--jvm-option",
            "-verbose",
            "--java",
            "/java",
            "--volume",
            "a/b",
            "--drain-timeout-s",
            "9",
            "--gc-grace-days",
            "0",
            "--backup-dir",
            "/backups",
            "--allow-root",
        ];
        for words in [&[][..], &others] {
            let given = settings(words).unwrap();
            let passed = std::iter::once("x".to_owned()).chain(given.to_arguments());
            assert_eq!(Words::try_parse_from(passed).unwrap().settings, given);
        }
        let release = Words::try_parse_from(["x", "--distribution", "/d"]).unwrap().settings;
        let passed = std::iter::once("x".to_owned()).chain(release.to_arguments());
        assert_eq!(Words::try_parse_from(passed).unwrap().settings, release);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (words, says) in [
            (&["--cluster-name", "a\nb"][..], "in one line"),
            (&["--dc", "a b"], "use letters"),
            (&["--num-tokens", "0"], "--num-tokens"),
            (&["--native-transport-port", "0"], "--native-transport-port"),
            (&["--set", "num_tokens=4"], "num_tokens is worked out here"),
            (&["--set", "Concurrent"], "write KEY=VALUE"),
            (&["--set", "a b=4"], "no setting of cassandra.yaml"),
            (&["--set", "a= "], "a value is needed"),
            (&["--jvm-option", "-Xmx1g"], "see --heap-mb"),
            (&["--jvm-option", "x"], "is no option"),
            (&["--volume", "../x"], "within the sandbox"),
            (&["--volume", "/x"], "within the sandbox"),
            (&["--distribution", "/d"], "cannot be used with"),
            (&["--commitlog-sync", "never"], "periodic, group, batch"),
        ] {
            let error = settings(words).err().unwrap().to_string();
            assert!(error.contains(says), "{words:?}: {error}");
        }
        let error = Words::try_parse_from(["x"]).err().unwrap().to_string();
        assert!(error.contains("--jars") && error.contains("--distribution"), "{error}");
    }
}
