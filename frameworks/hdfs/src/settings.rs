//! The settings of the file system: options of the scheduler, which passes on what its members must know.
//!
//! It relies on the command line. It never changes what was given: what makes no sense is refused by name.

use std::path::PathBuf;

use holdfast_sdk::model::Scalar;
use serde::{Deserialize, Serialize};

use crate::config::OWN_KEYS;
use crate::identity::Kind;

/// What a JVM needs beside its heap, in megabytes, and as a part of the heap.
const JVM_MB: u64 = 192;
/// The heap of a failover controller, in megabytes.
pub const CONTROLLER_HEAP_MB: u64 = 64;

/// What members must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSettings {
    /// `host:port,...` of ZooKeeper.
    pub zookeeper: String,
    /// The path in ZooKeeper below which each file system has a place of its own.
    pub zookeeper_path: String,
    /// The copies that a file has where its writer does not say.
    pub replication: u32,
    /// Settings of Hadoop's own, as they are.
    pub set: Vec<(String, String)>,
    /// Where the jars are.
    pub jars: Jars,
    /// The Java to run them with.
    pub java: PathBuf,
    /// The heap of this member's main process, in megabytes.
    pub heap_mb: u64,
    /// Whether it may run as root.
    pub allow_root: bool,
}

/// Where Hadoop is, on each agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Jars {
    /// An unpacked release.
    Distribution(PathBuf),
    /// A directory with all jars.
    Directory(PathBuf),
}

/// The settings, as the command line has them.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// ZooKeeper, as host:port,.../path: there the failover controllers of the name nodes elect the active one. Each file system has
    /// a node of its own below the path.
    #[arg(long, value_name = "HOSTS/PATH", value_parser = zookeeper)]
    pub zk: Zookeeper,
    /// How many data nodes, each on an agent of its own.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub data_nodes: u32,
    /// How many volumes each data node has.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub data_volumes: u32,
    /// The size of each volume of a data node, in megabytes.
    #[arg(long, default_value_t = 10_240)]
    pub data_disk_mb: u64,
    /// The size of a name node's volume, in megabytes.
    #[arg(long, default_value_t = 4_096)]
    pub name_disk_mb: u64,
    /// The size of a journal node's volume, in megabytes.
    #[arg(long, default_value_t = 2_048)]
    pub journal_disk_mb: u64,
    /// The heap of each name node, in megabytes.
    #[arg(long, default_value_t = 1_024)]
    pub name_heap_mb: u64,
    /// The heap of each data node, in megabytes.
    #[arg(long, default_value_t = 512)]
    pub data_heap_mb: u64,
    /// The heap of each journal node, in megabytes.
    #[arg(long, default_value_t = 256)]
    pub journal_heap_mb: u64,
    /// The processors of each member.
    #[arg(long, default_value = "0.5")]
    pub cpus: Scalar,
    /// How many copies a file has where its writer does not say.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub replication: u32,
    /// One more setting of hdfs-site.xml, or of core-site.xml when it begins with fs., ha., hadoop., io. or ipc.; repeatable. What is
    /// worked out here is refused.
    #[arg(long, value_name = "KEY=VALUE", value_parser = line)]
    pub set: Vec<(String, String)>,
    /// Where Hadoop is.
    #[command(flatten)]
    pub source: Source,
    /// The Java to run it with: 17, or another one that this release of Hadoop runs on.
    #[arg(long, default_value = "java", value_name = "PROGRAM")]
    pub java: PathBuf,
    /// Let members run as root. Whoever they run as is the superuser of the file system.
    #[arg(long)]
    pub allow_root: bool,
}

/// Where the program is, on each agent.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// The directory of an unpacked release of Apache Hadoop, on each agent.
    #[arg(long, value_name = "DIR")]
    pub distribution: Option<PathBuf>,
    /// A directory with the jars of hadoop-hdfs and all that they need, as Maven copies them, on each agent.
    #[arg(long, value_name = "DIR")]
    pub jars: Option<PathBuf>,
}

/// Where ZooKeeper is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zookeeper {
    /// `host:port,...`.
    pub hosts: String,
    /// A path that begins with `/`.
    pub path: String,
}

fn zookeeper(text: &str) -> Result<Zookeeper, String> {
    let text = text.strip_prefix("zk://").unwrap_or(text);
    let usage = "write host:port,host:port/path";
    let (hosts, path) = text.split_once('/').ok_or_else(|| format!("it has no path; {usage}"))?;
    let is_host = |it: &str| {
        it.rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if !hosts.split(',').all(is_host) {
        return Err(format!("`{hosts}` is no list of host:port; {usage}"));
    }
    let is_name = |it: &str| {
        !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || "-_.".contains(it))
    };
    if !path.split('/').all(is_name) {
        return Err(format!("`/{path}` is no path; use letters, digits, `-`, `_` and `.`"));
    }
    Ok(Zookeeper { hosts: hosts.to_owned(), path: format!("/{path}") })
}

fn line(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as dfs.blocksize=64m")?;
    let key = key.trim();
    if key.is_empty() || key.contains(|it: char| it.is_whitespace() || it.is_control()) {
        return Err(format!("`{key}` is no name of a setting"));
    }
    match OWN_KEYS.iter().find(|own| key == **own || key.starts_with(&format!("{own}."))) {
        Some(own) => {
            Err(format!("`{own}` is worked out from where the members are; it cannot be set"))
        }
        None => Ok((key.to_owned(), value.trim().to_owned())),
    }
}

impl Settings {
    /// How many copies a file has where its writer does not say: Hadoop's own setting, where that is given.
    pub fn copies(&self) -> u32 {
        let own = self.set.iter().rev().find(|it| it.0 == "dfs.replication");
        own.and_then(|it| it.1.parse().ok()).unwrap_or(self.replication)
    }

    /// The heap of a kind's main process.
    pub fn heap_mb(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Journal => self.journal_heap_mb,
            Kind::Name => self.name_heap_mb,
            Kind::Data => self.data_heap_mb,
        }
    }

    /// The memory of a kind's task.
    pub fn mem_mb(&self, kind: Kind) -> u64 {
        let jvm = |heap: u64| heap + heap / 4 + JVM_MB;
        let controller = if kind == Kind::Name { jvm(CONTROLLER_HEAP_MB) } else { 0 };
        jvm(self.heap_mb(kind)) + controller
    }

    /// What a member of a kind must know.
    pub fn of_node(&self, kind: Kind) -> NodeSettings {
        let jars = match (&self.source.distribution, &self.source.jars) {
            (Some(dir), _) => Jars::Distribution(dir.clone()),
            (None, dir) => Jars::Directory(dir.clone().unwrap_or_default()),
        };
        NodeSettings {
            zookeeper: self.zk.hosts.clone(),
            zookeeper_path: self.zk.path.clone(),
            replication: self.replication,
            set: self.set.clone(),
            jars,
            java: self.java.clone(),
            heap_mb: self.heap_mb(kind),
            allow_root: self.allow_root,
        }
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

    /// Settings of a command line beside what must be given.
    pub(crate) fn settings(words: &str) -> Result<Settings, clap::Error> {
        let needed = ["x", "--zk", "z:2181/files", "--jars", "/j"];
        let words = needed.into_iter().chain(words.split_whitespace());
        Words::try_parse_from(words).map(|it| it.settings)
    }

    /// What a name node knows by default.
    pub(crate) fn node_settings() -> NodeSettings {
        settings("").unwrap().of_node(Kind::Name)
    }

    #[test]
    fn members_have_the_memory_that_their_processes_need() {
        let it = settings("--name-heap-mb 400 --data-heap-mb 200 --journal-heap-mb 100").unwrap();
        assert_eq!(it.mem_mb(Kind::Journal), 317);
        assert_eq!(it.mem_mb(Kind::Data), 442);
        assert_eq!(it.mem_mb(Kind::Name), 692 + 272, "its failover controller is beside it");
        assert_eq!(it.of_node(Kind::Data).heap_mb, 200);
        assert_eq!(it.of_node(Kind::Data).jars, Jars::Directory("/j".into()));
    }

    #[test]
    fn wrong_settings_are_named() {
        for (words, says) in [
            ("--set dfs.nameservices=x", "dfs.nameservices"),
            ("--set dfs.namenode.rpc-address.files.nn0=x", "dfs.namenode.rpc-address"),
            ("--set =x", "no name of a setting"),
            ("--set x", "KEY=VALUE"),
            ("--data-nodes 0", "--data-nodes"),
            ("--data-volumes 17", "--data-volumes"),
            ("--distribution /d", "--distribution"),
        ] {
            let error = settings(words).unwrap_err().to_string();
            assert!(error.contains(says), "{words}: {error}");
        }
        let it = settings("--set dfs.blocksize=1m --set a=b=c").unwrap();
        assert_eq!(it.set[1], ("a".to_owned(), "b=c".to_owned()));
    }

    #[test]
    fn zookeeper_has_hosts_and_a_path() {
        let it = zookeeper("zk://a:1,b:2/x/y").unwrap();
        assert_eq!((it.hosts.as_str(), it.path.as_str()), ("a:1,b:2", "/x/y"));
        for wrong in ["a:1", "a/x", ":1/x", "a:1/", "a:1/x//y", "a:1/x y", "a:99999/x"] {
            assert!(zookeeper(wrong).is_err(), "{wrong}");
        }
    }
}
