//! Whom a node asks about the ring when it starts.
//!
//! A node that is its own seed does not ask for data when it joins: it takes its part of the ring, and answers that there is nothing in
//! it. So nobody is who has not joined, except the very first node of a cluster that is new. Pure.

use std::net::IpAddr;

/// A member of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub member: u32,
    /// The address under which the others reach it.
    pub address: IpAddr,
    /// Its rack.
    pub rack: String,
}

/// The seeds of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// The cluster is new, and this is its first node: itself alone.
    First,
    /// These, which have joined.
    Of(Vec<IpAddr>),
    /// Nobody can be asked: the ring exists, and none of it is known to have joined but this node's own predecessor.
    Nobody,
}

/// The seeds of a member. `joined` are the members that have joined, each once. A member that has joined itself may be its own seed;
/// one that is about to join, or to replace one that is lost, never is.
pub fn seeds(joined: &[Peer], member: u32, has_joined: bool) -> Seeds {
    if joined.is_empty() {
        return if member == 0 { Seeds::First } else { Seeds::Nobody };
    }
    let mut peers: Vec<&Peer> =
        joined.iter().filter(|it| it.member != member || has_joined).collect();
    peers.sort_by_key(|it| it.member);
    let mut found: Vec<&Peer> = Vec::new();
    for peer in &peers {
        if found.iter().all(|it| it.rack != peer.rack) {
            found.push(peer);
        }
    }
    // One alone may be down. Cassandra wants few, but more than one.
    for peer in peers {
        if found.len() < 2 && !found.contains(&peer) {
            found.push(peer);
        }
    }
    if found.is_empty() {
        return Seeds::Nobody;
    }
    found.sort_by_key(|it| it.member);
    Seeds::Of(found.into_iter().map(|it| it.address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(member: u32, rack: &str) -> Peer {
        Peer { member, address: address(member), rack: rack.to_owned() }
    }

    fn address(member: u32) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(member).unwrap()])
    }

    fn of(members: &[u32]) -> Seeds {
        Seeds::Of(members.iter().map(|it| address(*it)).collect())
    }

    #[test]
    fn only_the_first_node_of_a_new_cluster_is_its_own_seed_before_it_joined() {
        assert_eq!(seeds(&[], 0, false), Seeds::First);
        assert_eq!(seeds(&[], 1, false), Seeds::Nobody);
        assert_eq!(seeds(&[peer(0, "a")], 1, false), of(&[0]));
    }

    #[test]
    fn a_node_that_is_replaced_is_never_in_its_own_list() {
        let ring = [peer(0, "a"), peer(1, "a"), peer(2, "a")];
        for member in 0..3 {
            let Seeds::Of(found) = seeds(&ring, member, false) else { panic!("no seeds") };
            assert!(!found.contains(&address(member)), "member {member}: {found:?}");
            assert_eq!(found.len(), 2);
        }
        assert_eq!(seeds(&[peer(0, "a")], 0, false), Seeds::Nobody, "its data would be gone");
    }

    #[test]
    fn a_node_that_has_joined_comes_back_even_alone() {
        assert_eq!(seeds(&[peer(0, "a")], 0, true), of(&[0]));
        assert_eq!(seeds(&[peer(0, "a"), peer(1, "a"), peer(2, "a")], 2, true), of(&[0, 1]));
    }

    #[test]
    fn each_rack_has_one() {
        let ring = [peer(4, "b"), peer(0, "a"), peer(1, "a"), peer(2, "b"), peer(3, "c")];
        assert_eq!(seeds(&ring, 5, false), of(&[0, 2, 3]));
        assert_eq!(seeds(&ring, 0, false), of(&[1, 2, 3]), "another of its rack stands in for it");
        assert_eq!(seeds(&ring, 3, false), of(&[0, 2]), "its rack has none but itself");
    }
}
