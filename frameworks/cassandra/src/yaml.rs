//! `cassandra.yaml`, `cassandra-rackdc.properties` and `logback.xml` of one node, made anew at each start.
//!
//! Pure. What a person adds by `--set` stands at the end, and is never one of the settings that are worked out here.

use std::net::IpAddr;
use std::path::Path;

use crate::marker::Frozen;
use crate::settings::{value_name, CommitlogSync, Settings};
use crate::sizes::Sizes;

/// The settings that are worked out here.
pub const OWN_KEYS: [&str; 28] = [
    "cluster_name",
    "num_tokens",
    "partitioner",
    "endpoint_snitch",
    "listen_address",
    "listen_interface",
    "broadcast_address",
    "rpc_address",
    "rpc_interface",
    "broadcast_rpc_address",
    "storage_port",
    "native_transport_port",
    "start_native_transport",
    "seed_provider",
    "data_file_directories",
    "local_system_data_file_directory",
    "commitlog_directory",
    "saved_caches_directory",
    "hints_directory",
    "cdc_raw_directory",
    "commitlog_sync",
    "commitlog_sync_period",
    "commitlog_sync_group_window",
    "commitlog_segment_size",
    "commitlog_total_space",
    "initial_token",
    "auto_bootstrap",
    "authenticator",
];

/// One node, as far as its configuration depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// The settings of the ring.
    pub settings: &'a Settings,
    /// What is frozen.
    pub frozen: &'a Frozen,
    /// Its address.
    pub address: IpAddr,
    /// Whom it asks about the ring.
    pub seeds: &'a [IpAddr],
    /// Where its volume is.
    pub volume: &'a Path,
    /// How its memory and disk are divided.
    pub sizes: &'a Sizes,
    /// In how many racks nodes have joined before it.
    pub ring_racks: usize,
}

/// `cassandra.yaml`.
pub fn cassandra_yaml(node: &Node) -> String {
    let Node { settings, frozen, address, sizes, .. } = node;
    let seeds: Vec<String> = node.seeds.iter().map(ToString::to_string).collect();
    let place = |name: &str| quoted(&node.volume.join(name).to_string_lossy());
    let mut lines = vec![
        "# Made anew at each start: changes here are lost. Use the options of the scheduler, or its --set.".to_owned(),
        format!("cluster_name: {}", quoted(&frozen.cluster_name)),
        format!("num_tokens: {}", frozen.num_tokens),
        format!("partitioner: org.apache.cassandra.dht.{}", frozen.partitioner),
        "endpoint_snitch: GossipingPropertyFileSnitch".to_owned(),
        format!("listen_address: {}", quoted(&address.to_string())),
        format!("rpc_address: {}", quoted(&address.to_string())),
        format!("storage_port: {}", settings.storage_port),
        "start_native_transport: true".to_owned(),
        format!("native_transport_port: {}", settings.native_transport_port),
        format!("data_file_directories: [{}]", place("data")),
        format!("commitlog_directory: {}", place("commitlog")),
        format!("saved_caches_directory: {}", place("saved_caches")),
        format!("hints_directory: {}", place("hints")),
        format!("cdc_raw_directory: {}", place("cdc_raw")),
        format!("commitlog_sync: {}", value_name(settings.commitlog_sync)),
        format!("commitlog_segment_size: {}MiB", sizes.commitlog_segment_mb),
        format!("commitlog_total_space: {}MiB", sizes.commitlog_total_mb),
        format!(
            "seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: {}}}]}}]",
            quoted(&seeds.join(","))
        ),
    ];
    match settings.commitlog_sync {
        CommitlogSync::Periodic => lines.push("commitlog_sync_period: 10000ms".to_owned()),
        CommitlogSync::Group => lines.push("commitlog_sync_group_window: 10ms".to_owned()),
        CommitlogSync::Batch => {}
    }
    let replicas = ("allocate_tokens_for_local_replication_factor", allocated(node.ring_racks));
    for (key, value) in usual(sizes).into_iter().chain([replicas]) {
        if settings.set.iter().all(|it| it.key != key) {
            lines.push(format!("{key}: {value}"));
        }
    }
    lines.extend(settings.set.iter().map(|it| format!("{}: {}", it.key, it.value)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// For how many replicas tokens are chosen when a node joins; without it they are random, and small rings lopsided. Cassandra refuses to
/// choose for more replicas than there are racks, unless all nodes are in one.
fn allocated(ring_racks: usize) -> String {
    let replicas = if ring_racks < 2 { 3 } else { ring_racks.min(3) };
    replicas.to_string()
}

/// What a small node does with less, unless somebody says otherwise.
fn usual(sizes: &Sizes) -> Vec<(&'static str, String)> {
    if !sizes.is_small() {
        return Vec::new();
    }
    vec![
        ("concurrent_reads", "8".to_owned()),
        ("concurrent_writes", "8".to_owned()),
        ("concurrent_counter_writes", "8".to_owned()),
        ("concurrent_compactors", "1".to_owned()),
        ("file_cache_size", format!("{}MiB", (sizes.direct_mb / 4).max(16))),
        ("networking_cache_size", format!("{}MiB", (sizes.direct_mb / 8).max(8))),
    ]
}

/// `cassandra-rackdc.properties`.
pub fn rackdc_properties(frozen: &Frozen) -> String {
    format!("dc={}\nrack={}\n", frozen.dc, frozen.rack)
}

/// `logback.xml`: everything goes to the task's standard output, whose size the agent limits.
pub fn logback_xml() -> &'static str {
    "<configuration>\n  <appender name=\"STDOUT\" class=\"ch.qos.logback.core.ConsoleAppender\">\n    \
     <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>\n  </appender>\n  \
     <root level=\"INFO\"><appender-ref ref=\"STDOUT\"/></root>\n</configuration>\n"
}

/// A text as YAML takes it literally.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn yaml(words: &[&str]) -> String {
        let settings = settings(words).unwrap();
        let seeds = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        cassandra_yaml(&Node {
            settings: &settings,
            frozen: &settings.frozen("r1"),
            address: IpAddr::from([10, 0, 0, 3]),
            seeds: &seeds,
            volume: Path::new("/box/cassandra"),
            sizes: &settings.sizes().unwrap(),
            ring_racks: 2,
        })
    }

    #[test]
    fn tokens_are_chosen_for_no_more_replicas_than_there_are_racks() {
        assert_eq!([0, 1, 2, 3, 9].map(allocated), ["3", "3", "2", "3", "3"]);
        let key = "allocate_tokens_for_local_replication_factor";
        assert!(yaml(&[]).contains(&format!("{key}: 2\n")));
        let set = yaml(&["--set", &format!("{key}=5")]);
        assert!(set.contains(&format!("{key}: 5\n")) && set.matches(key).count() == 1, "{set}");
    }

    #[test]
    fn a_node_is_described_by_what_it_was_given() {
        let yaml = yaml(&["--cluster-name", "it's: ours", "--num-tokens", "4"]);
        for line in [
            "cluster_name: 'it''s: ours'",
            "num_tokens: 4",
            "partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
            "listen_address: '10.0.0.3'",
            "native_transport_port: 9042",
            "data_file_directories: ['/box/cassandra/data']",
            "commitlog_sync: group",
            "commitlog_sync_group_window: 10ms",
            "commitlog_total_space: 1280MiB",
        ] {
            assert!(yaml.lines().any(|it| it == line), "no `{line}` in\n{yaml}");
        }
        assert!(yaml.contains("seeds: '10.0.0.1,10.0.0.2'"), "{yaml}");
        assert!(!yaml.contains("concurrent_reads"), "a large node has Cassandra's own defaults");
    }

    #[test]
    fn each_key_is_there_once_and_what_a_person_says_wins() {
        let yaml = yaml(&[
            "--mem-mb",
            "640",
            "--set",
            "concurrent_reads=3",
            "--set",
            "hinted_handoff_enabled=false",
        ]);
        let mut keys: Vec<&str> = yaml
            .lines()
            .filter(|it| !it.starts_with('#'))
            .map(|it| it.split_once(':').unwrap().0)
            .collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{yaml}");
        assert!(yaml.contains("concurrent_reads: 3\n") && yaml.contains("concurrent_writes: 8\n"));
        assert!(yaml.ends_with("hinted_handoff_enabled: false\n"));
    }

    #[test]
    fn what_is_rendered_cannot_be_set() {
        let yaml = yaml(&[]);
        for line in yaml.lines().filter(|it| !it.starts_with('#')) {
            let key = line.split_once(':').unwrap().0;
            let may_be_set = key == "allocate_tokens_for_local_replication_factor";
            assert!(may_be_set || OWN_KEYS.contains(&key), "{key}");
        }
    }

    #[test]
    fn the_place_of_a_node_is_a_file_of_its_own() {
        let frozen = settings(&["--dc", "east"]).unwrap().frozen("r7");
        assert_eq!(rackdc_properties(&frozen), "dc=east\nrack=r7\n");
    }
}
