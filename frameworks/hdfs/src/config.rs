//! Hadoop's configuration: `core-site.xml` and `hdfs-site.xml` of a member, and of a client.
//!
//! Pure. All addresses are those that members have for life, so a configuration stays right until a member is replaced.

use std::path::Path;

use crate::identity::Kind;
use crate::order::{Order, Peer};
use crate::settings::NodeSettings;
use crate::volumes::storage;

/// Settings that are worked out here, with all that is below them.
pub const OWN_KEYS: [&str; 32] = [
    "dfs.client.failover.proxy.provider",
    "dfs.client.use.datanode.hostname",
    "dfs.datanode.address",
    "dfs.datanode.data.dir",
    "dfs.datanode.hostname",
    "dfs.datanode.http.address",
    "dfs.datanode.ipc.address",
    "dfs.datanode.use.datanode.hostname",
    "dfs.ha.automatic-failover.enabled",
    "dfs.ha.fencing.methods",
    "dfs.ha.namenode.id",
    "dfs.ha.namenodes",
    "dfs.ha.zkfc.port",
    "dfs.hosts.exclude",
    "dfs.internal.nameservices",
    "dfs.journalnode.edits.dir",
    "dfs.journalnode.enable.sync",
    "dfs.journalnode.http-address",
    "dfs.journalnode.rpc-address",
    "dfs.journalnode.rpc-bind-host",
    "dfs.namenode.datanode.registration.ip-hostname-check",
    "dfs.namenode.edits.dir",
    "dfs.namenode.hosts.provider.classname",
    "dfs.namenode.http-address",
    "dfs.namenode.name.dir",
    "dfs.namenode.rpc-address",
    "dfs.namenode.shared.edits.dir",
    "dfs.nameservice.id",
    "dfs.nameservices",
    "fs.defaultFS",
    "ha.zookeeper.parent-znode",
    "ha.zookeeper.quorum",
];
/// What begins the settings of `core-site.xml`.
const CORE: [&str; 5] = ["fs.", "ha.", "hadoop.", "io.", "ipc."];

/// The file in a name node's sandbox that names the data nodes to be emptied.
pub const EXCLUDED: &str = "conf/excluded";

/// How often a journal node asks another one what it has missed, in milliseconds.
const SYNC_INTERVAL: &str = "dfs.journalnode.sync.interval";

/// The two files of a configuration, as names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `core-site.xml`.
    pub core: Vec<(String, String)>,
    /// `hdfs-site.xml`.
    pub hdfs: Vec<(String, String)>,
}

impl Config {
    fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        let is_core = CORE.iter().any(|it| key.starts_with(it));
        let file = if is_core { &mut self.core } else { &mut self.hdfs };
        file.retain(|it| it.0 != key);
        file.push((key, value.into()));
    }
}

/// The name of a name node in the configuration.
pub fn name_node_id(member: u32) -> String {
    format!("nn{member}")
}

/// What a client must know: the nameservice, and where its name nodes are.
pub fn of_client(service: &str, names: &[Peer]) -> Config {
    let mut config = Config::default();
    config.set("fs.defaultFS", format!("hdfs://{service}"));
    config.set("dfs.nameservices", service);
    let ids: Vec<String> = names.iter().map(|it| name_node_id(it.member)).collect();
    config.set(format!("dfs.ha.namenodes.{service}"), ids.join(","));
    for name in names {
        let id = name_node_id(name.member);
        config.set(format!("dfs.namenode.rpc-address.{service}.{id}"), name.address("rpc"));
        config.set(format!("dfs.namenode.http-address.{service}.{id}"), name.address("http"));
    }
    config.set(
        format!("dfs.client.failover.proxy.provider.{service}"),
        "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
    );
    // Data nodes are known by the names of their machines: the address that a name node sees them come from may not be one to reach them at.
    config.set("dfs.client.use.datanode.hostname", "true");
    config
}

/// What a member must know. `cluster` is the `clusterID`, which makes its place in ZooKeeper its own.
pub fn of_member(order: &Order, cluster: Option<&str>, sandbox: &Path) -> Config {
    let service = &order.who.service;
    let mut config = of_client(service, &order.names);
    config.set("dfs.replication", order.settings.replication.to_string());
    config.set("hadoop.tmp.dir", sandbox.join("tmp").to_string_lossy());
    // A file that was closed is on disk: without this a machine that loses its power may lose it.
    config.set("dfs.datanode.synconclose", "true");
    for (key, value) in &order.settings.set {
        config.set(key, value);
    }
    let journals: Vec<String> = order.journals.iter().map(|it| it.address("rpc")).collect();
    config.set(
        "dfs.namenode.shared.edits.dir",
        format!("qjournal://{}/{service}", journals.join(";")),
    );
    config.set("dfs.datanode.use.datanode.hostname", "true");
    match order.who.kind {
        Kind::Journal => journal(&mut config, order, sandbox),
        Kind::Name => name(&mut config, order, cluster, sandbox),
        Kind::Data => data(&mut config, order, sandbox),
    }
    config
}

/// Hadoop's directories on the member's volumes.
fn directories(order: &Order, sandbox: &Path) -> Vec<String> {
    let each = order.volumes.iter().map(|it| storage(&order.who, &sandbox.join(&it.path)));
    each.map(|it| it.to_string_lossy().into_owned()).collect()
}

fn journal(config: &mut Config, order: &Order, sandbox: &Path) {
    config.set("dfs.journalnode.edits.dir", directories(order, sandbox).join(","));
    config.set("dfs.journalnode.rpc-address", order.here.address("rpc"));
    config.set("dfs.journalnode.rpc-bind-host", order.here.host.clone());
    config.set("dfs.journalnode.http-address", order.here.address("http"));
    // What one has missed it copies from the others by itself.
    config.set("dfs.journalnode.enable.sync", "true");
    let is_set = config.hdfs.iter().any(|it| it.0 == SYNC_INTERVAL);
    if !is_set {
        config.set(SYNC_INTERVAL, "10000");
    }
}

fn name(config: &mut Config, order: &Order, cluster: Option<&str>, sandbox: &Path) {
    let NodeSettings { zookeeper, zookeeper_path, .. } = &order.settings;
    let service = &order.who.service;
    let of_files = directories(order, sandbox).into_iter().map(|it| format!("file://{it}"));
    config.set("dfs.namenode.name.dir", of_files.collect::<Vec<_>>().join(","));
    config.set("dfs.ha.namenode.id", name_node_id(order.who.member));
    config.set("dfs.ha.automatic-failover.enabled", "true");
    // The journal nodes fence: they take edits of the last writer alone. The configuration wants a method beside.
    config.set("dfs.ha.fencing.methods", "shell(/bin/true)");
    config.set("dfs.namenode.datanode.registration.ip-hostname-check", "false");
    config.set("dfs.hosts.exclude", sandbox.join(EXCLUDED).to_string_lossy());
    config.set("ha.zookeeper.quorum", zookeeper.clone());
    config.set(
        "ha.zookeeper.parent-znode",
        format!("{zookeeper_path}/{}", cluster.unwrap_or("none")),
    );
    for it in &order.names {
        let port = it.ports.get("zkfc").copied().unwrap_or_default();
        let id = name_node_id(it.member);
        config.set(format!("dfs.ha.zkfc.port.{service}.{id}"), port.to_string());
    }
}

fn data(config: &mut Config, order: &Order, sandbox: &Path) {
    let of_files = directories(order, sandbox).into_iter().map(|it| format!("file://{it}"));
    config.set("dfs.datanode.data.dir", of_files.collect::<Vec<_>>().join(","));
    config.set("dfs.datanode.hostname", order.here.host.clone());
    config.set("dfs.datanode.address", order.here.address("transfer"));
    config.set("dfs.datanode.http.address", order.here.address("http"));
    config.set("dfs.datanode.ipc.address", order.here.address("ipc"));
}

/// A file of names and values as Hadoop reads it.
pub fn xml(values: &[(String, String)]) -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
    for (key, value) in values {
        let (key, value) = (escaped(key), escaped(value));
        text.push_str(&format!(
            "  <property><name>{key}</name><value>{value}</value></property>\n"
        ));
    }
    text.push_str("</configuration>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::tests::order;

    fn value<'a>(of: &'a [(String, String)], key: &str) -> &'a str {
        let found: Vec<&str> = of.iter().filter(|it| it.0 == key).map(|it| it.1.as_str()).collect();
        assert_eq!(found.len(), 1, "{key}");
        found[0]
    }

    #[test]
    fn a_name_node_knows_both_and_its_place_in_zookeeper() {
        let config = of_member(&order(Kind::Name, 1), Some("CID-x"), Path::new("/box"));
        assert_eq!(value(&config.core, "fs.defaultFS"), "hdfs://files");
        assert_eq!(value(&config.core, "ha.zookeeper.parent-znode"), "/files/CID-x");
        assert_eq!(value(&config.hdfs, "dfs.ha.namenode.id"), "nn1");
        assert_eq!(value(&config.hdfs, "dfs.namenode.name.dir"), "file:///box/name/name");
        assert_eq!(value(&config.hdfs, "dfs.ha.namenodes.files"), "nn0,nn1");
        assert_eq!(value(&config.hdfs, "dfs.namenode.rpc-address.files.nn0"), "h0:8000");
        assert_eq!(value(&config.hdfs, "dfs.ha.zkfc.port.files.nn1"), "8002");
        assert_eq!(
            value(&config.hdfs, "dfs.namenode.shared.edits.dir"),
            "qjournal://h0:8000;h1:8000;h2:8000/files"
        );
    }

    #[test]
    fn a_data_node_has_all_of_its_volumes_and_is_known_by_its_machine() {
        let mut order = order(Kind::Data, 2);
        order.volumes.push(crate::order::Volume { id: "v-1".into(), path: "data-1".into() });
        let config = of_member(&order, None, Path::new("/box"));
        assert_eq!(
            value(&config.hdfs, "dfs.datanode.data.dir"),
            "file:///box/data/data,file:///box/data-1/data"
        );
        assert_eq!(value(&config.hdfs, "dfs.datanode.hostname"), "h2");
        assert_eq!(value(&config.hdfs, "dfs.datanode.address"), "h2:8000");
        assert!(config.hdfs.iter().all(|it| !it.0.starts_with("dfs.journalnode")));
    }

    #[test]
    fn what_a_person_sets_goes_into_its_file_and_what_is_worked_out_stays() {
        let mut order = order(Kind::Journal, 0);
        let set = |key: &str| (key.to_owned(), "7".to_owned());
        order.settings.set = vec![
            set("ipc.x"),
            set("dfs.replication"),
            set("dfs.y"),
            set("dfs.journalnode.rpc-address"),
        ];
        let config = of_member(&order, None, Path::new("/box"));
        assert_eq!(value(&config.core, "ipc.x"), "7");
        assert_eq!(value(&config.hdfs, "dfs.replication"), "7");
        assert_eq!(value(&config.hdfs, "dfs.y"), "7");
        assert_eq!(value(&config.hdfs, "dfs.journalnode.rpc-address"), "h0:8000");
        assert_eq!(value(&config.hdfs, "dfs.journalnode.edits.dir"), "/box/journal/journal");
    }

    #[test]
    fn whatever_is_worked_out_cannot_be_set() {
        for kind in [Kind::Journal, Kind::Name, Kind::Data] {
            let config = of_member(&order(kind, 0), Some("c"), Path::new("/box"));
            let free =
                ["dfs.replication", "hadoop.tmp.dir", "dfs.datanode.synconclose", SYNC_INTERVAL];
            for (key, _) in config.core.iter().chain(&config.hdfs) {
                let is_own =
                    OWN_KEYS.iter().any(|own| key == own || key.starts_with(&format!("{own}.")));
                assert!(is_own || free.contains(&key.as_str()), "{key}");
            }
        }
    }

    #[test]
    fn a_file_is_escaped() {
        let text = xml(&[("a".into(), "<&>".into())]);
        assert!(text.contains("<property><name>a</name><value>&lt;&amp;&gt;</value></property>"));
    }
}
