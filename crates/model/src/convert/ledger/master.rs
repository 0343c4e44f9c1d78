//! The masters' ledger as records.
//!
//! Trees: `cluster` (one record), `agents`, `frameworks`, `claims`, `ended`, `history` (one record), `pending`, `weights`, `quotas`, `suspects`,
//! `moves`, `recoveries`, `deaths`, `deactivations`, `maintenance` (one
//! record). Relies on [`MasterLedger::apply`] for the fold. Never yields a ledger that lacks a record that was there.

use std::collections::BTreeMap;

use holdfast_proto::holdfast::ledger::v1 as ledger;

use super::key::{one, read_one, read_two, two};
use super::record::{check_key, get, get_message, named, put, put_message, Flaw, RecordError};
use super::Entry;
use crate::convert::codec::{
    Codec, DiskKindWord, Each, FrameworkAndConstraints, Maybe, Millis, MoveStateWord, Name, Needed,
    OperationAndId, Own, Port, PresenceNumber, Same, SomeName, Text,
};
use crate::convert::field::Place;
use crate::convert::own_message::{own_message, OwnMessage};
use crate::deactivation::{Deactivation, Drain};
use crate::ended::EndedClaim;
use crate::id::{AgentId, ClaimId, DiskId, FrameworkId, Instant, NodeId, OperationUuid};
use crate::maintenance::{Machine, MachineId, Schedule, Unavailability, Window};
use crate::master_ledger::{
    AgentRecord, Cluster, DeathCertificate, FrameworkRecord, MasterChange, MasterLedger,
    PendingOperation,
};
use crate::moved_disk::DiskMove;
use crate::quota::Quota;
use crate::recovery::Recovery;
use crate::resources::Quantities;
use crate::role::Role;
use crate::suspect::{Peer, Suspect};
use crate::validate::Invalid;
use crate::value::Scalar;

/// All trees.
pub const TREES: [&str; 15] = [
    CLUSTER,
    AGENTS,
    FRAMEWORKS,
    CLAIMS,
    PENDING,
    WEIGHTS,
    QUOTAS,
    SUSPECTS,
    ENDED,
    HISTORY,
    MOVES,
    RECOVERIES,
    DEATHS,
    DEACTIVATIONS,
    MAINTENANCE,
];

const CLUSTER: &str = "cluster";
const AGENTS: &str = "agents";
const FRAMEWORKS: &str = "frameworks";
const CLAIMS: &str = "claims";
const PENDING: &str = "pending";
const WEIGHTS: &str = "weights";
const QUOTAS: &str = "quotas";
const SUSPECTS: &str = "suspects";
const ENDED: &str = "ended";
const HISTORY: &str = "history";
const MOVES: &str = "moves";
const RECOVERIES: &str = "recoveries";
const DEATHS: &str = "deaths";
const DEACTIVATIONS: &str = "deactivations";
const MAINTENANCE: &str = "maintenance";

/// The key of the only record in its tree.
const SELF: &str = "self";

/// The weight of a role that has none of its own.
const WEIGHT_DEFAULT: Scalar = Scalar::whole(1);

/// Writes a change. A weight of 1, and a quota that is none, is the delete of its record.
///
/// # Panics
/// When a framework has no id, which in a ledger cannot be.
pub fn encode(change: &MasterChange) -> Entry {
    let (tree, key) = place(change);
    let value = match change {
        MasterChange::Cluster(it) => put::<ledger::Cluster>(it),
        MasterChange::Agent(it) => put::<ledger::AgentRecord>(it),
        MasterChange::Framework(it) => put::<ledger::FrameworkRecord>(it),
        MasterChange::Claim(agent, claim) => put_message(&ledger::IndexedClaim {
            agent_id: agent.to_string(),
            claim: Some(claim.to_message()),
        }),
        MasterChange::Pending(it) => put::<ledger::PendingOperation>(it),
        MasterChange::Weight(role, weight) if *weight != WEIGHT_DEFAULT => {
            put_message(&ledger::RoleWeight { role: role.to_string(), weight: weight.to_f64() })
        }
        MasterChange::Quota(role, quota) if !quota.is_default() => {
            put_message(&quota_out(role, quota))
        }
        MasterChange::Suspect(it) => put_message(&suspect_out(it)),
        MasterChange::Ended(it) => put::<ledger::EndedClaim>(it),
        MasterChange::Move(it) => put::<ledger::DiskMove>(it),
        MasterChange::Recovery(it) => put::<ledger::Recovery>(it),
        MasterChange::Death(it) => put::<ledger::DeathCertificate>(it),
        MasterChange::Deactivated(it) => put::<ledger::Deactivation>(it),
        MasterChange::Maintenance(it) if !it.is_empty() => put_message(&schedule_out(it)),
        MasterChange::EndedSince(since) => put_message(&ledger::ClaimHistory { since_ms: since.0 }),
        MasterChange::Weight(..)
        | MasterChange::Quota(..)
        | MasterChange::Maintenance(_)
        | MasterChange::SuspectForgotten(_)
        | MasterChange::FrameworkForgotten(_)
        | MasterChange::ClaimGone(..)
        | MasterChange::EndedForgotten(_)
        | MasterChange::MoveEnded(..)
        | MasterChange::RecoveryEnded(_)
        | MasterChange::Reactivated(_)
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
        MasterChange::Ended(it) => (ENDED, number_key(it.number)),
        MasterChange::EndedForgotten(number) => (ENDED, number_key(*number)),
        MasterChange::EndedSince(_) => (HISTORY, one(SELF)),
        MasterChange::Pending(it) => (PENDING, one(&it.uuid.to_string())),
        MasterChange::Settled(uuid) => (PENDING, one(&uuid.to_string())),
        MasterChange::Weight(role, _) => (WEIGHTS, one(role.as_str())),
        MasterChange::Quota(role, _) => (QUOTAS, one(role.as_str())),
        MasterChange::Suspect(it) => (SUSPECTS, peer_key(&it.peer)),
        MasterChange::SuspectForgotten(peer) => (SUSPECTS, peer_key(peer)),
        MasterChange::Move(it) => (MOVES, move_key(it.disk, &it.from)),
        MasterChange::MoveEnded(disk, from) => (MOVES, move_key(*disk, from)),
        MasterChange::Recovery(it) => (RECOVERIES, one(it.agent.as_str())),
        MasterChange::RecoveryEnded(agent) => (RECOVERIES, one(agent.as_str())),
        MasterChange::Death(it) => (DEATHS, one(it.agent.as_str())),
        MasterChange::Deactivated(it) => (DEACTIVATIONS, one(it.agent.as_str())),
        MasterChange::Reactivated(agent) => (DEACTIVATIONS, one(agent.as_str())),
        MasterChange::Maintenance(_) => (MAINTENANCE, one(SELF)),
    }
}

/// Reads a change; the counterpart of [`encode`].
///
/// # Errors
/// [`RecordError`] naming the record (`agents[ID].presence`): an unknown tree, a newer version, a record that is damaged or under another's
/// key; or the delete of a record whose names were too long for a key, which only [`apply`] can carry out.
pub fn decode(tree: &str, key: &[u8], value: Option<&[u8]>) -> Result<MasterChange, RecordError> {
    let change = match value {
        Some(value) => {
            decode_put(tree, value).and_then(|it| check_key(key, &place(&it).1).map(|()| it))
        }
        None => decode_delete(tree, key),
    };
    named(tree, key, change)
}

fn decode_put(tree: &str, value: &[u8]) -> Result<MasterChange, Flaw> {
    Ok(match tree {
        CLUSTER => MasterChange::Cluster(get::<ledger::Cluster, _>(value)?),
        AGENTS => MasterChange::Agent(get::<ledger::AgentRecord, _>(value)?),
        FRAMEWORKS => MasterChange::Framework(get::<ledger::FrameworkRecord, _>(value)?),
        CLAIMS => {
            let record: ledger::IndexedClaim = get_message(value)?;
            let claim = Needed::<Own>::read(&"claim", record.claim)?;
            MasterChange::Claim(AgentId::parse(&record.agent_id)?, claim)
        }
        PENDING => MasterChange::Pending(get::<ledger::PendingOperation, _>(value)?),
        WEIGHTS => weight_in(&get_message(value)?)?,
        QUOTAS => quota_in(get_message(value)?)?,
        SUSPECTS => MasterChange::Suspect(suspect_in(get_message(value)?)?),
        ENDED => MasterChange::Ended(get::<ledger::EndedClaim, _>(value)?),
        MOVES => MasterChange::Move(get::<ledger::DiskMove, _>(value)?),
        RECOVERIES => MasterChange::Recovery(get::<ledger::Recovery, _>(value)?),
        DEATHS => MasterChange::Death(get::<ledger::DeathCertificate, _>(value)?),
        DEACTIVATIONS => MasterChange::Deactivated(get::<ledger::Deactivation, _>(value)?),
        MAINTENANCE => MasterChange::Maintenance(schedule_in(get_message(value)?)?),
        HISTORY => {
            let record: ledger::ClaimHistory = get_message(value)?;
            MasterChange::EndedSince(Instant(record.since_ms))
        }
        _ => return Err(Flaw::UnknownTree("masters'")),
    })
}

fn decode_delete(tree: &str, key: &[u8]) -> Result<MasterChange, Flaw> {
    Ok(match tree {
        FRAMEWORKS => MasterChange::FrameworkForgotten(FrameworkId::parse(read_one(key)?)?),
        CLAIMS => {
            let (agent, claim) = read_two(key)?;
            MasterChange::ClaimGone(AgentId::parse(agent)?, ClaimId::parse(claim)?)
        }
        PENDING => MasterChange::Settled(OperationUuid::parse(read_one(key)?)?),
        WEIGHTS => MasterChange::Weight(Role::parse(read_one(key)?)?, WEIGHT_DEFAULT),
        QUOTAS => MasterChange::Quota(Role::parse(read_one(key)?)?, Quota::default()),
        SUSPECTS => MasterChange::SuspectForgotten(match read_two(key)? {
            (NODE, node) => Peer::Agent(NodeId::parse(node)?),
            (_, framework) => Peer::Framework(FrameworkId::parse(framework)?),
        }),
        ENDED => MasterChange::EndedForgotten(read_number(read_one(key)?)?),
        MOVES => {
            let (disk, from) = read_two(key)?;
            MasterChange::MoveEnded(DiskId::parse(disk)?, AgentId::parse(from)?)
        }
        RECOVERIES => MasterChange::RecoveryEnded(AgentId::parse(read_one(key)?)?),
        DEACTIVATIONS => MasterChange::Reactivated(AgentId::parse(read_one(key)?)?),
        MAINTENANCE => MasterChange::Maintenance(Schedule::default()),
        CLUSTER | AGENTS | HISTORY | DEATHS => {
            return Err(Invalid::new("", "is never deleted").into())
        }
        _ => return Err(Flaw::UnknownTree("masters'")),
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
) -> Result<(), RecordError> {
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
    if value.is_none() && tree == MOVES && key.starts_with(b"#") {
        let moved = ledger.moves.keys().find(|(disk, from)| move_key(*disk, from) == key);
        if let Some((disk, from)) = moved.cloned() {
            ledger.apply(&MasterChange::MoveEnded(disk, from));
            return Ok(());
        }
    }
    ledger.apply(&decode(tree, key, value)?);
    Ok(())
}

/// Folds stored records (tree, key, value) into a ledger; the empty one when there are none.
///
/// # Errors
/// [`RecordError`] naming the record that cannot be read.
pub fn fold<'a>(
    records: impl IntoIterator<Item = (&'a str, &'a [u8], &'a [u8])>,
) -> Result<MasterLedger, RecordError> {
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
    changes.extend(ledger.ended.iter().cloned().map(MasterChange::Ended));
    changes.extend(ledger.ended.since().map(MasterChange::EndedSince));
    changes.extend(ledger.pending.values().cloned().map(MasterChange::Pending));
    changes.extend(
        ledger.weights.iter().map(|(role, weight)| MasterChange::Weight(role.clone(), *weight)),
    );
    let quota = |(role, quota): (&Role, &Quota)| MasterChange::Quota(role.clone(), quota.clone());
    changes.extend(ledger.quotas.iter().map(quota));
    changes.extend(ledger.suspects.values().cloned().map(MasterChange::Suspect));
    changes.extend(ledger.moves.values().cloned().map(MasterChange::Move));
    changes.extend(ledger.recoveries.values().cloned().map(MasterChange::Recovery));
    changes.extend(ledger.deaths.values().cloned().map(MasterChange::Death));
    changes.extend(ledger.deactivations.values().cloned().map(MasterChange::Deactivated));
    let planned = Some(&ledger.maintenance).filter(|it| !it.is_empty());
    changes.extend(planned.cloned().map(MasterChange::Maintenance));
    changes.iter().map(encode).collect()
}

fn claim_key(agent: &AgentId, claim: ClaimId) -> Vec<u8> {
    two(agent.as_str(), &claim.to_string())
}

fn move_key(disk: DiskId, from: &AgentId) -> Vec<u8> {
    two(&disk.to_string(), from.as_str())
}

/// The key of an ended claim, in the order of the numbers.
fn number_key(number: u64) -> Vec<u8> {
    one(&format!("{number:020}"))
}

fn read_number(key: &str) -> Result<u64, Invalid> {
    key.parse().map_err(|_| Invalid::new("key", format!("`{key}` is no number")))
}

/// The first name in the key of a suspect that is an agent.
const NODE: &str = "node";

fn peer_key(peer: &Peer) -> Vec<u8> {
    match peer {
        Peer::Agent(node) => two(NODE, &node.to_string()),
        Peer::Framework(id) => two("framework", id.as_str()),
    }
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

fn weight_in(wire: &ledger::RoleWeight) -> Result<MasterChange, Invalid> {
    let weight = Scalar::from_f64(wire.weight);
    let weight =
        weight.ok_or_else(|| Invalid::new("weight", format!("{} is no weight", wire.weight)))?;
    Ok(MasterChange::Weight(Role::parse(&wire.role)?, weight))
}

fn quota_out(role: &Role, quota: &Quota) -> ledger::RoleQuota {
    let amounts = |all: &Quantities| {
        all.iter().map(|(name, amount)| (name.clone(), amount.to_f64())).collect()
    };
    ledger::RoleQuota {
        role: role.to_string(),
        guarantees: amounts(&quota.guarantees),
        limits: amounts(&quota.limits),
    }
}

fn quota_in(wire: ledger::RoleQuota) -> Result<MasterChange, Invalid> {
    let amount = |field: &str, (name, amount): (String, f64)| {
        let read = Scalar::from_f64(amount);
        let read =
            read.ok_or_else(|| Invalid::new(field, format!("{amount} of {name} is no amount")));
        read.map(|it| (name, it))
    };
    let read = |field: &str, all: BTreeMap<String, f64>| {
        all.into_iter().map(|it| amount(field, it)).collect::<Result<Quantities, Invalid>>()
    };
    let (guarantees, limits) = (read("guarantees", wire.guarantees)?, read("limits", wire.limits)?);
    Ok(MasterChange::Quota(Role::parse(&wire.role)?, Quota { guarantees, limits }))
}

fn schedule_out(it: &Schedule) -> ledger::MaintenanceSchedule {
    ledger::MaintenanceSchedule {
        windows: it.windows().iter().map(OwnMessage::to_message).collect(),
    }
}

fn schedule_in(wire: ledger::MaintenanceSchedule) -> Result<Schedule, Invalid> {
    Each::<Own>::read(&"windows", wire.windows).map(Schedule::new)
}

own_message! {
    Window as { Window { machines, unavailability: Unavailability { start_ns, duration_ns } } } = ledger::MaintenanceWindow {
        machines = machines: Each<Own>,
        start_ns = start_ns: Same,
        duration_ns = duration_ns: Same,
    }
}

own_message! {
    Machine as { Machine { id: MachineId { hostname, ip }, is_down } } = ledger::MaintenanceMachine {
        hostname = hostname: Same,
        ip = ip: Same,
        is_down = is_down: Same,
    }
}

own_message! {
    Cluster = ledger::Cluster {
        id = uuid: Name,
        next_agent = next_agent: Same,
        next_framework = next_framework: Same,
        created = created_ms: Millis,
        lost = lost_ms: Maybe<Millis>,
    }
}

own_message! {
    AgentRecord = ledger::AgentRecord {
        id = agent_id: Name,
        node = node_uuid: Name,
        hostname = hostname: Same,
        port = port: Port,
        presence = presence: PresenceNumber,
        since = since_ms: Millis,
        ledger_version = ledger_version: Same,
        ledger_checksum = ledger_checksum: Same,
    }
}

own_message! {
    DeathCertificate = ledger::DeathCertificate {
        agent = agent_id: Name,
        at = at_ms: Millis,
        by = by: Same,
        reason = reason: Text,
    }
}

own_message! {
    FrameworkRecord = ledger::FrameworkRecord {
        info = info + offer_constraints: FrameworkAndConstraints,
        removed = removed: Same,
        deadline = deadline_ms: Maybe<Millis>,
        registered = registered_ms: Millis,
    }
}

own_message! {
    PendingOperation = ledger::PendingOperation {
        uuid = uuid: Name,
        operation = info + operation_id + together: OperationAndId,
        framework = framework_id: SomeName,
        agent = agent_id: Name,
    }
}

own_message! {
    EndedClaim = ledger::EndedClaim {
        number = number: Same,
        agent = agent_id: Name,
        claim = claim: Needed<Own>,
        noticed = noticed_ms: Millis,
        told = told: Same,
    }
}

own_message! {
    DiskMove = ledger::DiskMove {
        disk = disk_uuid: Name,
        from = from_agent_id: Name,
        to = to_agent_id: Name,
        kind = kind: DiskKindWord,
        from_root = from_root: Same,
        root = root: Same,
        size_mb = size_mb: Same,
        claims = claims: Each<Own>,
        order = order_uuid: Name,
        by = by: Same,
        reason = reason: Text,
        state = state: MoveStateWord,
        since = since_ms: Millis,
        cancelled_by = cancelled_by: Text,
        cancel_reason = cancel_reason: Text,
    }
}

own_message! {
    Recovery = ledger::Recovery {
        agent = agent_id: Name,
        node = node_uuid: Name,
        lineage = lineage_uuid: Name,
        order = order_uuid: Name,
        by = by: Same,
        since = since_ms: Millis,
    }
}

own_message! {
    Deactivation = ledger::Deactivation {
        agent = agent_id: Name,
        since = since_ms: Millis,
        by = by: Same,
        drain = drain: Maybe<Own>,
    }
}

own_message! {
    Drain = ledger::Drain {
        since = since_ms: Millis,
        max_grace_ms = max_grace_ms: Same,
        mark_gone = mark_gone: Same,
        is_drained = is_drained: Same,
    }
}
