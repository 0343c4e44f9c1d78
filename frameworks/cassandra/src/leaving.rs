//! Whether a node may leave its ring: what remains must hold as many copies as every keyspace wants, in as many racks, on disks with room.
//!
//! Pure.

use std::collections::BTreeSet;

use crate::ring::{Keyspace, Node};
use crate::topology::Census;

/// How full the disks of those that remain may become, in percent: compaction needs the rest.
const FULL_PERCENT: u64 = 70;

/// Why a node is not to leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// It is none of the ring's.
    #[error("host {0} is not in the ring, as its nodes see it")]
    Unknown(String),
    /// There would be fewer nodes than copies.
    #[error("keyspace {keyspace} wants {factor} copies in {dc}, and {left} nodes would remain there; alter the keyspace, or keep the node")]
    Copies {
        /// The keyspace.
        keyspace: String,
        /// How many copies it wants.
        factor: usize,
        /// Where.
        dc: String,
        /// How many nodes there would be.
        left: usize,
    },
    /// There would be fewer racks than copies, where there are enough now.
    #[error("it is the last node of rack {rack}, and keyspace {keyspace} has each of its {factor} copies in a rack of its own; add a node there first")]
    Racks {
        /// The rack.
        rack: String,
        /// The keyspace.
        keyspace: String,
        /// How many copies it wants.
        factor: usize,
    },
    /// The data would not fit.
    #[error("its {load_mb} MB would fill the disks of the others to more than {FULL_PERCENT}% of {disk_mb} MB; add a node, or delete something, first")]
    Space {
        /// How much it has.
        load_mb: u64,
        /// How large their disks are.
        disk_mb: u64,
    },
}

/// Judges whether the node of this host id may leave a ring that is calm.
///
/// # Errors
/// Why not.
pub fn may_leave(census: &Census, host_id: &str, disk_mb: u64) -> Result<(), Stays> {
    let own = census.nodes.iter().find(|it| it.host_id == host_id);
    let own = own.ok_or_else(|| Stays::Unknown(host_id.to_owned()))?;
    let others: Vec<&Node> = census.nodes.iter().filter(|it| it.host_id != host_id).collect();
    let there: Vec<&Node> = others.iter().copied().filter(|it| it.dc == own.dc).collect();
    let racks = |of: &[&Node]| of.iter().map(|it| it.rack.clone()).collect::<BTreeSet<_>>();
    let after = racks(&there);
    let is_last = !after.contains(&own.rack);
    for keyspace in &census.keyspaces {
        let (factor, left, dc) = match factor(keyspace, &own.dc) {
            Factor::None => continue,
            Factor::Anywhere(factor) => (factor, others.len(), "the ring"),
            Factor::There(factor) => (factor, there.len(), own.dc.as_str()),
        };
        let keyspace = keyspace.name.clone();
        if left < factor {
            return Err(Stays::Copies { keyspace, factor, dc: dc.to_owned(), left });
        }
        if is_last && factor == after.len() + 1 {
            return Err(Stays::Racks { rack: own.rack.clone(), keyspace, factor });
        }
    }
    has_room(own, &there, disk_mb)
}

enum Factor {
    None,
    Anywhere(usize),
    There(usize),
}

fn factor(keyspace: &Keyspace, dc: &str) -> Factor {
    // `3/1` are three, one of which is transient.
    let number = |name: &str| {
        let text = keyspace.options.get(name)?;
        text.split('/').next()?.parse::<usize>().ok()
    };
    match keyspace.strategy.as_str() {
        "SimpleStrategy" => number("replication_factor").map_or(Factor::None, Factor::Anywhere),
        "NetworkTopologyStrategy" => number(dc).map_or(Factor::None, Factor::There),
        _ => Factor::None,
    }
}

/// Those that take over are first of all those of its rack, if there are any; each may get an equal part.
fn has_room(own: &Node, there: &[&Node], disk_mb: u64) -> Result<(), Stays> {
    let same: Vec<&&Node> = there.iter().filter(|it| it.rack == own.rack).collect();
    let heirs: Vec<&&Node> = if same.is_empty() { there.iter().collect() } else { same };
    let count = u64::try_from(heirs.len()).unwrap_or(u64::MAX).max(1);
    let most = heirs.iter().map(|it| it.load_bytes).max().unwrap_or(0);
    let mb = |bytes: u64| bytes >> 20;
    match mb(most + own.load_bytes / count) * 100 <= disk_mb * FULL_PERCENT {
        true => Ok(()),
        false => Err(Stays::Space { load_mb: mb(own.load_bytes), disk_mb }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32, rack: &str, load_mb: u64) -> Node {
        Node {
            address: format!("10.0.0.{number}"),
            dc: "dc1".to_owned(),
            rack: rack.to_owned(),
            status: "NORMAL".to_owned(),
            host_id: format!("h{number}"),
            schema: String::new(),
            load_bytes: load_mb << 20,
            generation: 0,
            heartbeat: 0,
        }
    }

    fn keyspace(strategy: &str, option: (&str, &str)) -> Keyspace {
        let options = [(option.0.to_owned(), option.1.to_owned())].into();
        Keyspace { name: "orders".to_owned(), strategy: strategy.to_owned(), options }
    }

    fn judged(racks: &[&str], keyspace: Keyspace, load_mb: u64) -> Result<(), String> {
        let numbered = (1..).zip(racks);
        let nodes = numbered.map(|(number, rack)| node(number, rack, load_mb)).collect();
        let census = Census { nodes, keyspaces: vec![keyspace] };
        may_leave(&census, "h1", 1_000).map_err(|it| it.to_string())
    }

    #[test]
    fn a_node_leaves_when_the_others_hold_as_many_copies_in_as_many_racks() {
        let topology = |factor| keyspace("NetworkTopologyStrategy", ("dc1", factor));
        assert_eq!(judged(&["a", "b", "c", "a"], topology("3"), 0), Ok(()));
        assert_eq!(judged(&["a", "b", "b"], topology("1"), 0), Ok(()));
        assert_eq!(judged(&["a"; 4], topology("3/1"), 0), Ok(()));
        let elsewhere = keyspace("NetworkTopologyStrategy", ("dc2", "9"));
        assert_eq!(judged(&["a", "a"], elsewhere, 0), Ok(()));
        assert_eq!(judged(&["a", "a"], keyspace("LocalStrategy", ("x", "9")), 0), Ok(()));
        for (racks, keyspace, says) in [
            (
                &["a", "a", "a"][..],
                topology("3"),
                "wants 3 copies in dc1, and 2 nodes would remain",
            ),
            (&["a", "b", "c", "c"], topology("3"), "it is the last node of rack a"),
            (&["a", "b"], keyspace("SimpleStrategy", ("replication_factor", "2")), "2 copies"),
        ] {
            let why = judged(racks, keyspace, 0).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        let empty = Census::default();
        assert!(may_leave(&empty, "h1", 1).unwrap_err().to_string().contains("not in the ring"));
    }

    #[test]
    fn the_others_have_room_for_its_data_or_it_stays() {
        let one = || keyspace("NetworkTopologyStrategy", ("dc1", "1"));
        assert_eq!(judged(&["a", "b", "b"], one(), 460), Ok(()), "each gets half of it");
        let why = judged(&["a", "a", "b"], one(), 460).unwrap_err();
        assert!(why.contains("its 460 MB would fill"), "the other of its rack gets all: {why}");
    }
}
