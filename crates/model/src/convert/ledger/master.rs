//! The masters' ledger as records.
//!
//! Trees: `cluster` (one record), `agents`, `frameworks`, `claims`, `pending`, `weights`, `suspects`. Relies on [`MasterLedger::apply`] for the
//! fold. Never yields a ledger that lacks a record that was there.

use holdfast_proto::holdfast::ledger::v1 as ledger;

use super::key::{one, read_one, read_two, two};
use super::record::{check_key, named, read, unknown_tree, value};
use super::{claim_in, claim_out, Entry};
use crate::convert::field::{needed, some, Place};
use crate::convert::resource::Format;
use crate::convert::{framework, operation};
use crate::id::{AgentId, ClaimId, ClusterId, FrameworkId, Instant, NodeId, OperationUuid};
use crate::master_ledger::{
    AgentRecord, Cluster, FrameworkRecord, MasterChange, MasterLedger, PendingOperation, Presence,
};
use crate::role::Role;
use crate::suspect::{Peer, Suspect};
use crate::validate::Invalid;
use crate::value::Scalar;

/// All trees.
pub const TREES: [&str; 7] = [CLUSTER, AGENTS, FRAMEWORKS, CLAIMS, PENDING, WEIGHTS, SUSPECTS];

const CLUSTER: &str = "cluster";
const AGENTS: &str = "agents";
const FRAMEWORKS: &str = "frameworks";
const CLAIMS: &str = "claims";
const PENDING: &str = "pending";
const WEIGHTS: &str = "weights";
const SUSPECTS: &str = "suspects";

/// The key of the only record in its tree.
const SELF: &str = "self";

/// The weight of a role that has none of its own.
const WEIGHT_DEFAULT: Scalar = Scalar::whole(1);

/// Writes a change. A weight of 1 is the delete of its record.
///
/// # Panics
/// When a framework has no id, which in a ledger cannot be.
pub fn encode(change: &MasterChange) -> Entry {
    let (tree, key) = place(change);
    let value = match change {
        MasterChange::Cluster(it) => value(&cluster_out(it)),
        MasterChange::Agent(it) => value(&agent_out(it)),
        MasterChange::Framework(it) => value(&framework_out(it)),
        MasterChange::Claim(agent, claim) => value(&ledger::IndexedClaim {
            agent_id: agent.to_string(),
            claim: Some(claim_out(claim)),
        }),
        MasterChange::Pending(it) => value(&pending_out(it)),
        MasterChange::Weight(role, weight) if *weight != WEIGHT_DEFAULT => {
            value(&ledger::RoleWeight { role: role.to_string(), weight: weight.to_f64() })
        }
        MasterChange::Suspect(it) => value(&suspect_out(it)),
        MasterChange::Weight(..)
        | MasterChange::SuspectForgotten(_)
        | MasterChange::FrameworkForgotten(_)
        | MasterChange::ClaimGone(..)
        | MasterChange::Settled(_) => {
            return Entry { tree, key, value: None };
        }
    };
    Entry { tree, key, value: Some(value) }
}

/// Tree and key of the record that a change puts or deletes.
fn place(change: &MasterChange) -> (&'static str, Vec<u8>) {
    match change {
        MasterChange::Cluster(_) => (CLUSTER, one(SELF)),
        MasterChange::Agent(it) => (AGENTS, one(it.id.as_str())),
        MasterChange::Framework(it) => {
            let id = it.info.id.as_ref().expect("a framework in the ledger has its id");
            (FRAMEWORKS, one(id.as_str()))
        }
        MasterChange::FrameworkForgotten(id) => (FRAMEWORKS, one(id.as_str())),
        MasterChange::Claim(agent, claim) => (CLAIMS, claim_key(agent, claim.id)),
        MasterChange::ClaimGone(agent, id) => (CLAIMS, claim_key(agent, *id)),
        MasterChange::Pending(it) => (PENDING, one(&it.uuid.to_string())),
        MasterChange::Settled(uuid) => (PENDING, one(&uuid.to_string())),
        MasterChange::Weight(role, _) => (WEIGHTS, one(role.as_str())),
        MasterChange::Suspect(it) => (SUSPECTS, peer_key(&it.peer)),
        MasterChange::SuspectForgotten(peer) => (SUSPECTS, peer_key(peer)),
    }
}

/// Reads a change; the counterpart of [`encode`].
///
/// # Errors
/// [`Invalid`] naming the record (`agents[ID].presence`): an unknown tree, a newer version, a record that is damaged or under another's
/// key; or the delete of a record whose names were too long for a key, which only [`apply`] can carry out.
pub fn decode(tree: &str, key: &[u8], value: Option<&[u8]>) -> Result<MasterChange, Invalid> {
    let change = match value {
        Some(value) => {
            decode_put(tree, value).and_then(|it| check_key(key, &place(&it).1).map(|()| it))
        }
        None => decode_delete(tree, key),
    };
    named(tree, key, change)
}

fn decode_put(tree: &str, value: &[u8]) -> Result<MasterChange, Invalid> {
    Ok(match tree {
        CLUSTER => MasterChange::Cluster(cluster_in(&read(value)?)?),
        AGENTS => MasterChange::Agent(agent_in(read(value)?)?),
        FRAMEWORKS => MasterChange::Framework(framework_in(read(value)?)?),
        CLAIMS => {
            let record: ledger::IndexedClaim = read(value)?;
            let claim = needed("claim", record.claim).and_then(|it| claim_in(it).under("claim"))?;
            MasterChange::Claim(AgentId::parse(&record.agent_id)?, claim)
        }
        PENDING => MasterChange::Pending(pending_in(read(value)?)?),
        WEIGHTS => weight_in(&read(value)?)?,
        SUSPECTS => MasterChange::Suspect(suspect_in(read(value)?)?),
        other => return Err(unknown_tree("masters'", other)),
    })
}

fn decode_delete(tree: &str, key: &[u8]) -> Result<MasterChange, Invalid> {
    Ok(match tree {
        FRAMEWORKS => MasterChange::FrameworkForgotten(FrameworkId::parse(read_one(key)?)?),
        CLAIMS => {
            let (agent, claim) = read_two(key)?;
            MasterChange::ClaimGone(AgentId::parse(agent)?, ClaimId::parse(claim)?)
        }
        PENDING => MasterChange::Settled(OperationUuid::parse(read_one(key)?)?),
        WEIGHTS => MasterChange::Weight(Role::parse(read_one(key)?)?, WEIGHT_DEFAULT),
        SUSPECTS => MasterChange::SuspectForgotten(match read_two(key)? {
            (NODE, node) => Peer::Agent(NodeId::parse(node)?),
            (_, framework) => Peer::Framework(FrameworkId::parse(framework)?),
        }),
        CLUSTER | AGENTS => return Err(Invalid::new("", "is never deleted")),
        other => return Err(unknown_tree("masters'", other)),
    })
}

/// Folds one entry into a ledger, deletes with a digest as key too.
///
/// # Errors
/// As [`decode`]; the ledger is then as before.
pub fn apply(
    ledger: &mut MasterLedger,
    tree: &str,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), Invalid> {
    if value.is_none() && tree == CLAIMS && key.starts_with(b"#") {
        let claim = ledger.claims.keys().find(|(agent, id)| claim_key(agent, *id) == key);
        if let Some((agent, id)) = claim.cloned() {
            ledger.apply(&MasterChange::ClaimGone(agent, id));
            return Ok(());
        }
    }
    if value.is_none() && tree == SUSPECTS && key.starts_with(b"#") {
        let peer = ledger.suspects.keys().find(|peer| peer_key(peer) == key);
        if let Some(peer) = peer.cloned() {
            ledger.apply(&MasterChange::SuspectForgotten(peer));
            return Ok(());
        }
    }
    ledger.apply(&decode(tree, key, value)?);
    Ok(())
}

/// Folds stored records (tree, key, value) into a ledger; the empty one when there are none.
///
/// # Errors
/// [`Invalid`] naming the record that cannot be read.
pub fn fold<'a>(
    records: impl IntoIterator<Item = (&'a str, &'a [u8], &'a [u8])>,
) -> Result<MasterLedger, Invalid> {
    let mut ledger = MasterLedger::default();
    for (tree, key, value) in records {
        ledger.apply(&decode(tree, key, Some(value))?);
    }
    Ok(ledger)
}

/// Writes a whole ledger: the entries that [`fold`] makes it from again.
pub fn snapshot(ledger: &MasterLedger) -> Vec<Entry> {
    let mut changes: Vec<MasterChange> =
        ledger.cluster.iter().cloned().map(MasterChange::Cluster).collect();
    changes.extend(ledger.agents.values().cloned().map(MasterChange::Agent));
    changes.extend(ledger.frameworks.values().cloned().map(MasterChange::Framework));
    changes.extend(
        ledger
            .claims
            .iter()
            .map(|((agent, _), claim)| MasterChange::Claim(agent.clone(), claim.clone())),
    );
    changes.extend(ledger.pending.values().cloned().map(MasterChange::Pending));
    changes.extend(
        ledger.weights.iter().map(|(role, weight)| MasterChange::Weight(role.clone(), *weight)),
    );
    changes.extend(ledger.suspects.values().cloned().map(MasterChange::Suspect));
    changes.iter().map(encode).collect()
}

fn claim_key(agent: &AgentId, claim: ClaimId) -> Vec<u8> {
    two(agent.as_str(), &claim.to_string())
}

/// The first name in the key of a suspect that is an agent.
const NODE: &str = "node";

fn peer_key(peer: &Peer) -> Vec<u8> {
    match peer {
        Peer::Agent(node) => two(NODE, &node.to_string()),
        Peer::Framework(id) => two("framework", id.as_str()),
    }
}

fn cluster_out(it: &Cluster) -> ledger::Cluster {
    ledger::Cluster {
        uuid: it.id.to_string(),
        next_agent: it.next_agent,
        next_framework: it.next_framework,
        created_ms: it.created.0,
    }
}

fn cluster_in(wire: &ledger::Cluster) -> Result<Cluster, Invalid> {
    Ok(Cluster {
        id: ClusterId::parse(&wire.uuid).at("uuid")?,
        next_agent: wire.next_agent,
        next_framework: wire.next_framework,
        created: Instant(wire.created_ms),
    })
}

fn agent_out(it: &AgentRecord) -> ledger::AgentRecord {
    let presence = match it.presence {
        Presence::Admitted => ledger::Presence::Admitted,
        Presence::Unreachable => ledger::Presence::Unreachable,
        Presence::Gone => ledger::Presence::Gone,
    };
    ledger::AgentRecord {
        agent_id: it.id.to_string(),
        node_uuid: it.node.to_string(),
        hostname: it.hostname.clone(),
        port: u32::from(it.port),
        presence: presence.into(),
        since_ms: it.since.0,
        ledger_version: it.ledger_version,
    }
}

fn agent_in(wire: ledger::AgentRecord) -> Result<AgentRecord, Invalid> {
    let presence = match ledger::Presence::try_from(wire.presence) {
        Ok(ledger::Presence::Admitted) => Presence::Admitted,
        Ok(ledger::Presence::Unreachable) => Presence::Unreachable,
        Ok(ledger::Presence::Gone) => Presence::Gone,
        _ => {
            return Err(Invalid::new(
                "presence",
                format!("there is no presence {} here; use the newer program", wire.presence),
            ))
        }
    };
    Ok(AgentRecord {
        id: AgentId::parse(&wire.agent_id)?,
        node: NodeId::parse(&wire.node_uuid).at("node_uuid")?,
        hostname: wire.hostname,
        port: u16::try_from(wire.port)
            .map_err(|_| Invalid::new("port", format!("{} is no port", wire.port)))?,
        presence,
        since: Instant(wire.since_ms),
        ledger_version: wire.ledger_version,
    })
}

fn framework_out(it: &FrameworkRecord) -> ledger::FrameworkRecord {
    ledger::FrameworkRecord {
        info: Some(framework::to_proto(&it.info)),
        removed: it.removed,
        deadline_ms: it.deadline.map(|it| it.0),
        registered_ms: it.registered.0,
    }
}

fn framework_in(wire: ledger::FrameworkRecord) -> Result<FrameworkRecord, Invalid> {
    let info = needed("info", wire.info).and_then(|it| framework::from_proto(it).under("info"))?;
    needed("info.id", info.id.as_ref())?;
    Ok(FrameworkRecord {
        info,
        removed: wire.removed,
        deadline: wire.deadline_ms.map(Instant),
        registered: Instant(wire.registered_ms),
    })
}

fn pending_out(it: &PendingOperation) -> ledger::PendingOperation {
    ledger::PendingOperation {
        uuid: it.uuid.to_string(),
        operation_id: it.operation.id.clone().unwrap_or_default(),
        framework_id: it.framework.as_ref().map(ToString::to_string).unwrap_or_default(),
        agent_id: it.agent.to_string(),
        info: Some(operation::to_proto(&it.operation, Format::WHOLE)),
    }
}

fn pending_in(wire: ledger::PendingOperation) -> Result<PendingOperation, Invalid> {
    Ok(PendingOperation {
        uuid: OperationUuid::parse(&wire.uuid).at("uuid")?,
        framework: some("framework_id", &wire.framework_id, FrameworkId::parse)?,
        agent: AgentId::parse(&wire.agent_id)?,
        operation: needed("info", wire.info)
            .and_then(|it| operation::from_proto(it).under("info"))?,
    })
}

fn weight_in(wire: &ledger::RoleWeight) -> Result<MasterChange, Invalid> {
    let weight = Scalar::from_f64(wire.weight);
    let weight =
        weight.ok_or_else(|| Invalid::new("weight", format!("{} is no weight", wire.weight)))?;
    Ok(MasterChange::Weight(Role::parse(&wire.role)?, weight))
}

fn suspect_out(it: &Suspect) -> ledger::Suspect {
    let (node, framework) = match &it.peer {
        Peer::Agent(node) => (node.to_string(), String::new()),
        Peer::Framework(id) => (String::new(), id.to_string()),
    };
    ledger::Suspect {
        node_uuid: node,
        framework_id: framework,
        what: it.what.clone(),
        at_ms: it.at.0,
        times: it.times,
    }
}

fn suspect_in(wire: ledger::Suspect) -> Result<Suspect, Invalid> {
    let peer = match (wire.node_uuid.as_str(), wire.framework_id.as_str()) {
        (node, "") => Peer::Agent(NodeId::parse(node).at("node_uuid")?),
        ("", id) => Peer::Framework(FrameworkId::parse(id)?),
        _ => return Err(Invalid::new("node_uuid", "is set beside `framework_id`; it is one peer")),
    };
    Ok(Suspect { peer, what: wire.what, at: Instant(wire.at_ms), times: wire.times })
}
