//! What the scheduler tells a member's process at each start: who it is, where everybody is, and what the ledger remembers.
//!
//! It travels as JSON in a variable. Plain values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::{Identity, Kind, Who};
use crate::marker::Note;
use crate::settings::NodeSettings;

/// The variable that holds it.
pub const ORDER_VARIABLE: &str = "HOLDFAST_HDFS_ORDER";

/// A member of the service and where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number.
    pub member: u32,
    /// The name of its machine.
    pub host: String,
    /// Its ports by name.
    pub ports: BTreeMap<String, u16>,
}

impl Peer {
    /// `host:port` of one of its ports; with port 0 when it has none of that name.
    pub fn address(&self, port: &str) -> String {
        format!("{}:{}", self.host, self.ports.get(port).copied().unwrap_or_default())
    }
}

/// A volume of the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name in the cluster.
    pub id: String,
    /// Its path in the sandbox.
    pub path: String,
}

/// The order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who the member is.
    pub who: Who,
    /// Where it is.
    pub here: Peer,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// The journal nodes, by number.
    pub journals: Vec<Peer>,
    /// The name nodes, by number.
    pub names: Vec<Peer>,
    /// What the ledger knows.
    pub known: Known,
    /// The settings.
    pub settings: NodeSettings,
}

/// What the ledger knows when a member starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The file system, once there is one.
    pub identity: Option<Identity>,
    /// What is noted of the member.
    pub note: Option<Note>,
    /// Whether nothing is known of any file system, and this is the one to format it.
    pub may_format: bool,
    /// With what the journal of a journal node begins that was given a new volume.
    #[serde(default)]
    pub fill: Option<Fill>,
    /// The data nodes that are being emptied, by host and port; for name nodes.
    #[serde(default)]
    pub leaving: Vec<String>,
}

/// What the journal of a journal node begins with that takes the place of a lost one: what the others have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Hadoop's file `VERSION`.
    pub version: String,
    /// The number of the last writer that the others have promised to listen to.
    pub promised: u64,
}

/// Where a process knows the others to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The journal nodes, as `host:port`.
    pub journals: Vec<String>,
    /// The name nodes.
    pub names: Vec<String>,
}

impl Told {
    /// These members.
    pub fn of(journals: &[Peer], names: &[Peer]) -> Told {
        let all = |of: &[Peer]| of.iter().map(|it| it.address("rpc")).collect();
        Told { journals: all(journals), names: all(names) }
    }
}

/// What the scheduler tells a name node that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The data nodes to be emptied, by host and port; all others are wanted.
    pub leaving: Vec<String>,
}

impl Order {
    /// As it travels.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are always written")
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn read(text: &str) -> Result<Order, String> {
        serde_json::from_str(text)
            .map_err(|error| format!("{ORDER_VARIABLE} cannot be read: {error}; this is started by a scheduler, not by hand"))
    }

    /// The names of its volumes in the cluster.
    pub fn volume_ids(&self) -> Vec<String> {
        self.volumes.iter().map(|it| it.id.clone()).collect()
    }

    /// The other name node.
    pub fn other_name(&self) -> Option<&Peer> {
        self.names.iter().find(|it| self.who.kind != Kind::Name || it.member != self.who.member)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::marker::tests::who;
    use crate::settings::tests::node_settings;

    /// A member on the machine `h`, with three journal nodes and two name nodes beside.
    pub(crate) fn order(kind: Kind, member: u32) -> Order {
        let peer = |member: u32, names: &[&str]| Peer {
            member,
            host: format!("h{member}"),
            ports: names
                .iter()
                .zip(8_000..)
                .map(|(name, port)| ((*name).to_owned(), port))
                .collect(),
        };
        let names = match kind {
            Kind::Journal => &["rpc", "http"][..],
            Kind::Name => &["rpc", "http", "zkfc"],
            Kind::Data => &["transfer", "http", "ipc"],
        };
        Order {
            who: who(kind, member),
            here: peer(member, names),
            volumes: vec![Volume { id: "v-0".to_owned(), path: kind.name().to_owned() }],
            journals: (0..3).map(|it| peer(it, &["rpc", "http"])).collect(),
            names: (0..2).map(|it| peer(it, &["rpc", "http", "zkfc"])).collect(),
            known: Known::default(),
            settings: node_settings(),
        }
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let mut order = order(Kind::Name, 1);
        assert_eq!(Order::read(&order.to_text()), Ok(order.clone()));
        assert_eq!(order.other_name().unwrap().member, 0);
        assert_eq!(order.here.address("rpc"), "h1:8000");
        order.who.kind = Kind::Data;
        assert_eq!(order.other_name().unwrap().member, 0);
        assert!(Order::read("{").unwrap_err().contains("by hand"));
    }
}
