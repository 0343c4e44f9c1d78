//! Whether a ring is calm: the condition for each change of who is in it. One change at a time, while every node serves, all agree on who
//! they are and on the schema, and no data moves between them.
//!
//! The judgement is pure. Whether a node is up is asked of the node itself: what others believe of it is late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ring::{Keyspace, Node, Session};

/// The ring as one of its nodes sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The nodes of the ring.
    pub nodes: Vec<Node>,
    /// What it moves from or to others now, for people.
    pub streams: Vec<String>,
}

/// A ring that is calm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The nodes that are in it.
    pub nodes: Vec<Node>,
    /// The keyspaces.
    pub keyspaces: Vec<Keyspace>,
}

/// Why a ring is not to be changed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCalm {
    /// Nobody answers.
    #[error("none of its seeds answers ({0})")]
    Nobody(String),
    /// A node does not answer.
    #[error("node {address}: {why}")]
    Silent {
        /// The node.
        address: String,
        /// What was seen of it.
        why: String,
    },
    /// A node is on its way in or out.
    #[error("node {address} is {status}, as node {by} sees it")]
    Changing {
        /// The node.
        address: String,
        /// Its state.
        status: String,
        /// Who sees it so.
        by: String,
    },
    /// A node is not heard by another one.
    #[error("node {by} has not heard of node {address} for a while, or not since its last start")]
    Unheard {
        /// The node.
        address: String,
        /// Who does not hear it.
        by: String,
    },
    /// Two nodes see different rings.
    #[error("nodes {0} and {1} do not see the same nodes in the ring")]
    Disagreement(String, String),
    /// There are several schemas.
    #[error(
        "the nodes have {0} schemas; they agree by themselves, or see `nodetool describecluster`"
    )]
    Schemas(usize),
    /// Data moves.
    #[error("node {address} moves data: {stream}")]
    Streaming {
        /// The node.
        address: String,
        /// What it moves.
        stream: String,
    },
}

/// How far a node may be behind in what it heard of another one. They count up once a second, and with each change.
const HEARTBEATS_MAX: i64 = 60;
/// States in which a node is not in the ring any more; it is remembered for a while.
const LEFT: [&str; 5] = ["LEFT", "removed", "REMOVED_TOKEN", "REMOVING_TOKEN", ""];

/// The nodes that are in the ring, or about to be, in one's eyes.
fn present(view: &View) -> impl Iterator<Item = &Node> {
    view.nodes.iter().filter(|it| !LEFT.contains(&it.status.as_str()))
}

/// Judges by what each node of a ring says, or why it says nothing.
///
/// # Errors
/// Why the ring is not calm.
pub fn judge(views: &BTreeMap<String, Result<View, String>>) -> Result<(), NotCalm> {
    let mut first: Option<(&String, BTreeSet<&str>)> = None;
    let mut schemas = BTreeSet::new();
    for (address, view) in views {
        let view = view
            .as_ref()
            .map_err(|why| NotCalm::Silent { address: address.clone(), why: why.clone() })?;
        if let Some(it) = present(view).find(|it| it.status != "NORMAL") {
            let (address, by) = (it.address.clone(), address.clone());
            return Err(NotCalm::Changing { address, status: it.status.clone(), by });
        }
        let hosts: BTreeSet<&str> = present(view).map(|it| it.host_id.as_str()).collect();
        match &first {
            Some((other, seen)) if *seen != hosts => {
                return Err(NotCalm::Disagreement((*other).clone(), address.clone()))
            }
            Some(_) => {}
            None => first = Some((address, hosts)),
        }
        schemas.extend(present(view).map(|it| it.schema.as_str()));
        if let Some(stream) = view.streams.first() {
            return Err(NotCalm::Streaming { address: address.clone(), stream: stream.clone() });
        }
    }
    match schemas.len() {
        0 | 1 => heard(views),
        count => Err(NotCalm::Schemas(count)),
    }
}

/// Whether each node hears each other one: it knows of its last start, and of what it counted up lately.
fn heard(views: &BTreeMap<String, Result<View, String>>) -> Result<(), NotCalm> {
    let own = |address: &String| {
        let view = views.get(address)?.as_ref().ok()?;
        view.nodes.iter().find(|it| it.address == *address)
    };
    for (by, view) in views.iter().filter_map(|(by, view)| Some((by, view.as_ref().ok()?))) {
        let late = present(view).find(|it| {
            own(&it.address).is_some_and(|own| {
                own.generation != it.generation || it.heartbeat + HEARTBEATS_MAX < own.heartbeat
            })
        });
        if let Some(it) = late {
            return Err(NotCalm::Unheard { address: it.address.clone(), by: by.clone() });
        }
    }
    Ok(())
}

/// Asks a ring, beginning with the first of `seeds` that answers, whether it is calm but for the nodes at `but`, which are those that change.
///
/// # Errors
/// Why not.
pub fn is_calm(seeds: &[IpAddr], port: u16, but: &[IpAddr]) -> Result<Census, NotCalm> {
    let mut silence = String::new();
    for seed in seeds {
        match view(*seed, port, but) {
            Ok((seen, keyspaces)) => {
                let nodes: Vec<Node> = present(&seen).cloned().collect();
                let others: BTreeSet<String> = nodes
                    .iter()
                    .map(|it| it.address.clone())
                    .filter(|it| *it != seed.to_string())
                    .collect();
                let mut views = BTreeMap::from([(seed.to_string(), Ok(seen))]);
                for address in others {
                    let parsed =
                        address.parse().map_err(|_| "its address makes no sense".to_owned());
                    let seen = parsed.and_then(|it| view(it, port, but)).map(|it| it.0);
                    views.insert(address, seen);
                }
                return judge(&views).map(|()| Census { nodes, keyspaces });
            }
            Err(why) => silence = format!("{seed}: {why}"),
        }
    }
    Err(NotCalm::Nobody(silence))
}

fn view(address: IpAddr, port: u16, but: &[IpAddr]) -> Result<(View, Vec<Keyspace>), String> {
    let look = || {
        let mut session = Session::connect(address, port)?;
        let mut nodes = session.nodes()?;
        // A join that broke off is remembered for a while, and who is replaced is down.
        nodes.retain(|it| but.iter().all(|but| it.address != but.to_string()));
        let keyspaces = session.keyspaces()?;
        Ok((View { nodes, streams: session.streams()? }, keyspaces))
    };
    look().map_err(|error: holdfast_sdk::net::Error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8, status: &str) -> Node {
        Node {
            address: format!("10.0.0.{number}"),
            dc: "dc1".to_owned(),
            rack: "r1".to_owned(),
            status: status.to_owned(),
            host_id: format!("host-{number}"),
            schema: "s".to_owned(),
            load_bytes: 0,
            generation: 1,
            heartbeat: 900,
        }
    }

    /// A calm ring of three, one of which was replaced long ago.
    fn ring() -> BTreeMap<String, Result<View, String>> {
        let nodes: Vec<Node> =
            [1, 2, 3].map(|it| node(it, "NORMAL")).into_iter().chain([node(9, "LEFT")]).collect();
        let view = View { nodes, streams: Vec::new() };
        [1, 2, 3].map(|it| (format!("10.0.0.{it}"), Ok(view.clone()))).into()
    }

    fn refused(change: impl FnOnce(&mut BTreeMap<String, Result<View, String>>), says: &str) {
        let mut ring = ring();
        change(&mut ring);
        let why = judge(&ring).unwrap_err().to_string();
        assert!(why.contains(says), "`{why}` does not say `{says}`");
    }

    fn view(ring: &mut BTreeMap<String, Result<View, String>>) -> &mut View {
        ring.get_mut("10.0.0.2").unwrap().as_mut().unwrap()
    }

    #[test]
    fn a_calm_ring_may_be_changed_and_no_other() {
        assert_eq!(judge(&ring()), Ok(()));
        refused(
            |it| drop(it.insert("10.0.0.3".to_owned(), Err("it does not listen".to_owned()))),
            "node 10.0.0.3: it does not listen",
        );
        for status in ["BOOT", "LEAVING", "MOVING", "shutdown"] {
            refused(
                |it| view(it).nodes[0].status = status.to_owned(),
                &format!("node 10.0.0.1 is {status}, as node 10.0.0.2 sees it"),
            );
        }
        refused(
            |it| drop(view(it).nodes.remove(0)),
            "nodes 10.0.0.1 and 10.0.0.2 do not see the same",
        );
        refused(|it| view(it).nodes[2].schema = "other".to_owned(), "have 2 schemas");
        refused(|it| view(it).nodes[0].generation = 0, "10.0.0.2 has not heard of node 10.0.0.1");
        refused(|it| view(it).nodes[2].heartbeat = 9, "10.0.0.2 has not heard of node 10.0.0.3");
        refused(
            |it| view(it).streams.push("bootstrap".to_owned()),
            "10.0.0.2 moves data: bootstrap",
        );
    }

    #[test]
    fn nobody_who_answers_is_no_calm_ring() {
        // An address of its own, so that nobody else is given the port that is let go of.
        let listener = std::net::TcpListener::bind("127.41.42.43:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let own = IpAddr::from([127, 0, 0, 9]);
        let why = is_calm(&[address.ip()], address.port(), &[own]).unwrap_err();
        assert!(
            why.to_string().contains("none of its seeds answers (127.41.42.43: it does not listen"),
            "{why}"
        );
        assert_eq!(is_calm(&[], 1, &[own]), Err(NotCalm::Nobody(String::new())));
    }
}
