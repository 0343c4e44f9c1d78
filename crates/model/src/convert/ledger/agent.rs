//! The agent's ledger as records.
//!
//! Trees: `identity` (one record), `disks`, `claims`, `frameworks`, `executors`, `tasks`, `operations`, `trash`, `added_disks`,
//! `left_places`, `points`. Relies on [`AgentLedger::apply`] for the fold. Never yields a ledger that lacks a record that was there.

use holdfast_proto::holdfast::ledger::v1 as ledger;

use super::key::{one, read_one, read_two, two};
use super::record::{check_key, get, named, put, Flaw, RecordError};
use super::Entry;
use crate::agent_ledger::{AgentChange, AgentIdentity, AgentLedger, LedgerPoint};
use crate::convert::codec::{Name, Same, SomeName, TermNumber};
use crate::convert::own_message::own_message;
use crate::id::{ClaimId, DiskId, ExecutorId, FrameworkId, OperationUuid, TaskId};
use crate::validate::Invalid;

/// All trees.
pub const TREES: [&str; 11] = [
    IDENTITY,
    DISKS,
    CLAIMS,
    FRAMEWORKS,
    EXECUTORS,
    TASKS,
    OPERATIONS,
    TRASH,
    ADDED_DISKS,
    LEFT_PLACES,
    POINTS,
];

const IDENTITY: &str = "identity";
const DISKS: &str = "disks";
const CLAIMS: &str = "claims";
const FRAMEWORKS: &str = "frameworks";
const EXECUTORS: &str = "executors";
const TASKS: &str = "tasks";
const OPERATIONS: &str = "operations";
const TRASH: &str = "trash";
const ADDED_DISKS: &str = "added_disks";
const LEFT_PLACES: &str = "left_places";
const POINTS: &str = "points";

/// The key of the only record in its tree.
const SELF: &str = "self";

/// Writes a change.
///
/// # Panics
/// When a framework has no id, which on an agent cannot be.
pub fn encode(change: &AgentChange) -> Entry {
    let (tree, key) = place(change);
    let value = match change {
        AgentChange::Identity(it) => put::<ledger::AgentIdentity>(it),
        AgentChange::Disk(it) => put::<ledger::Disk>(it),
        AgentChange::Claim(it) => put::<ledger::Claim>(it),
        AgentChange::Framework(it) => put::<ledger::AgentFramework>(it),
        AgentChange::Executor(it) => put::<ledger::Executor>(it),
        AgentChange::Task(it) => put::<ledger::Task>(it),
        AgentChange::Operation(it) => put::<ledger::Operation>(it),
        AgentChange::Trashed(it) => put::<ledger::TrashedVolume>(it),
        AgentChange::DiskAdded(it) => put::<ledger::AddedDisk>(it),
        AgentChange::PlaceLeft(it) => put::<ledger::LeftPlace>(it),
        AgentChange::Point(it) => put::<ledger::LedgerPoint>(it),
        AgentChange::DiskGone(_)
        | AgentChange::ClaimGone(_)
        | AgentChange::FrameworkGone(_)
        | AgentChange::ExecutorGone(_)
        | AgentChange::TaskGone(_)
        | AgentChange::OperationGone(_)
        | AgentChange::TrashGone(_)
        | AgentChange::DiskRemoved(_)
        | AgentChange::PlaceFreed(_)
        | AgentChange::PointGone(_) => return Entry { tree, key, value: None },
    };
    Entry { tree, key, value: Some(value) }
}

/// Tree and key of the record that a change puts or deletes.
fn place(change: &AgentChange) -> (&'static str, Vec<u8>) {
    match change {
        AgentChange::Identity(_) => (IDENTITY, one(SELF)),
        AgentChange::Disk(it) => (DISKS, one(&it.id.to_string())),
        AgentChange::DiskGone(id) => (DISKS, one(&id.to_string())),
        AgentChange::Claim(it) => (CLAIMS, one(&it.id.to_string())),
        AgentChange::ClaimGone(id) => (CLAIMS, one(&id.to_string())),
        AgentChange::Framework(it) => {
            let id = it.id.as_ref().expect("a framework on an agent has its id");
            (FRAMEWORKS, one(id.as_str()))
        }
        AgentChange::FrameworkGone(id) => (FRAMEWORKS, one(id.as_str())),
        AgentChange::Executor(it) => (EXECUTORS, two(it.framework.as_str(), it.info.id.as_str())),
        AgentChange::ExecutorGone((framework, id)) => {
            (EXECUTORS, two(framework.as_str(), id.as_str()))
        }
        AgentChange::Task(it) => (TASKS, two(it.framework.as_str(), it.info.id.as_str())),
        AgentChange::TaskGone((framework, id)) => (TASKS, two(framework.as_str(), id.as_str())),
        AgentChange::Operation(it) => (OPERATIONS, one(&it.uuid.to_string())),
        AgentChange::OperationGone(uuid) => (OPERATIONS, one(&uuid.to_string())),
        AgentChange::Trashed(it) => (TRASH, one(&it.claim.id.to_string())),
        AgentChange::TrashGone(id) => (TRASH, one(&id.to_string())),
        AgentChange::DiskAdded(it) => (ADDED_DISKS, one(&it.root)),
        AgentChange::DiskRemoved(root) => (ADDED_DISKS, one(root)),
        AgentChange::PlaceLeft(it) => (LEFT_PLACES, one(&it.root)),
        AgentChange::PlaceFreed(root) => (LEFT_PLACES, one(root)),
        AgentChange::Point(it) => (POINTS, one(&it.version.to_string())),
        AgentChange::PointGone(version) => (POINTS, one(&version.to_string())),
    }
}

/// Reads a change; the counterpart of [`encode`].
///
/// # Errors
/// [`RecordError`] naming the record (`claims[UUID].state`): an unknown tree, a newer version, a record that is damaged or under another's
/// key; or the delete of a record whose names were too long for a key, which only [`apply`] can carry out.
pub fn decode(tree: &str, key: &[u8], value: Option<&[u8]>) -> Result<AgentChange, RecordError> {
    let change = match value {
        Some(value) => {
            decode_put(tree, value).and_then(|it| check_key(key, &place(&it).1).map(|()| it))
        }
        None => decode_delete(tree, key),
    };
    named(tree, key, change)
}

fn decode_put(tree: &str, value: &[u8]) -> Result<AgentChange, Flaw> {
    Ok(match tree {
        IDENTITY => AgentChange::Identity(get::<ledger::AgentIdentity, _>(value)?),
        DISKS => AgentChange::Disk(get::<ledger::Disk, _>(value)?),
        CLAIMS => AgentChange::Claim(get::<ledger::Claim, _>(value)?),
        FRAMEWORKS => AgentChange::Framework(get::<ledger::AgentFramework, _>(value)?),
        EXECUTORS => AgentChange::Executor(get::<ledger::Executor, _>(value)?),
        TASKS => AgentChange::Task(get::<ledger::Task, _>(value)?),
        OPERATIONS => AgentChange::Operation(get::<ledger::Operation, _>(value)?),
        TRASH => AgentChange::Trashed(get::<ledger::TrashedVolume, _>(value)?),
        ADDED_DISKS => AgentChange::DiskAdded(get::<ledger::AddedDisk, _>(value)?),
        LEFT_PLACES => AgentChange::PlaceLeft(get::<ledger::LeftPlace, _>(value)?),
        POINTS => AgentChange::Point(get::<ledger::LedgerPoint, _>(value)?),
        _ => return Err(Flaw::UnknownTree("agent's")),
    })
}

fn decode_delete(tree: &str, key: &[u8]) -> Result<AgentChange, Flaw> {
    Ok(match tree {
        DISKS => AgentChange::DiskGone(DiskId::parse(read_one(key)?)?),
        CLAIMS => AgentChange::ClaimGone(ClaimId::parse(read_one(key)?)?),
        FRAMEWORKS => AgentChange::FrameworkGone(FrameworkId::parse(read_one(key)?)?),
        OPERATIONS => AgentChange::OperationGone(OperationUuid::parse(read_one(key)?)?),
        TRASH => AgentChange::TrashGone(ClaimId::parse(read_one(key)?)?),
        ADDED_DISKS => AgentChange::DiskRemoved(read_one(key)?.to_owned()),
        LEFT_PLACES => AgentChange::PlaceFreed(read_one(key)?.to_owned()),
        POINTS => AgentChange::PointGone(version_of(read_one(key)?)?),
        EXECUTORS => {
            let (framework, executor) = read_two(key)?;
            AgentChange::ExecutorGone((
                FrameworkId::parse(framework)?,
                ExecutorId::parse(executor)?,
            ))
        }
        TASKS => {
            let (framework, task) = read_two(key)?;
            AgentChange::TaskGone((FrameworkId::parse(framework)?, TaskId::parse(task)?))
        }
        IDENTITY => return Err(Invalid::new("", "an agent's identity is never deleted").into()),
        _ => return Err(Flaw::UnknownTree("agent's")),
    })
}

/// Folds one entry into a ledger, deletes with a digest as key too.
///
/// # Errors
/// As [`decode`]; the ledger is then as before.
pub fn apply(
    ledger: &mut AgentLedger,
    tree: &str,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), RecordError> {
    if value.is_none() && key.starts_with(b"#") {
        let task = ledger
            .tasks
            .keys()
            .find(|(framework, id)| tree == TASKS && two(framework.as_str(), id.as_str()) == key);
        if let Some(gone) = task.cloned() {
            ledger.apply(&AgentChange::TaskGone(gone));
            return Ok(());
        }
        let executor = ledger.executors.keys().find(|(framework, id)| {
            tree == EXECUTORS && two(framework.as_str(), id.as_str()) == key
        });
        if let Some(gone) = executor.cloned() {
            ledger.apply(&AgentChange::ExecutorGone(gone));
            return Ok(());
        }
    }
    ledger.apply(&decode(tree, key, value)?);
    Ok(())
}

/// Folds stored records (tree, key, value) into a ledger; `None` when there are none at all, as on a new machine.
///
/// # Errors
/// [`RecordError`] naming the record that cannot be read, or the identity that is missing among records that are there.
pub fn fold<'a>(
    records: impl IntoIterator<Item = (&'a str, &'a [u8], &'a [u8])>,
) -> Result<Option<AgentLedger>, RecordError> {
    let mut changes = Vec::new();
    for (tree, key, value) in records {
        changes.push(decode(tree, key, Some(value))?);
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let identity = changes.iter().find_map(|it| match it {
        AgentChange::Identity(identity) => Some(identity),
        _ => None,
    });
    let Some(identity) = identity else {
        return Err(RecordError::Unreadable(Invalid::new(
            "identity[self]",
            "is missing although other records are there; restore it, do not start without it",
        )));
    };
    let mut ledger = AgentLedger::new(identity.node);
    changes.iter().for_each(|it| ledger.apply(it));
    Ok(Some(ledger))
}

/// Writes a whole ledger: the entries that [`fold`] makes it from again.
pub fn snapshot(ledger: &AgentLedger) -> Vec<Entry> {
    let mut changes = vec![AgentChange::Identity(ledger.identity.clone())];
    changes.extend(ledger.disks.values().cloned().map(AgentChange::Disk));
    changes.extend(ledger.claims.values().cloned().map(AgentChange::Claim));
    changes.extend(ledger.frameworks.values().cloned().map(AgentChange::Framework));
    changes.extend(ledger.executors.values().cloned().map(AgentChange::Executor));
    changes.extend(ledger.tasks.values().cloned().map(AgentChange::Task));
    changes.extend(ledger.operations.values().cloned().map(AgentChange::Operation));
    changes.extend(ledger.trash.values().cloned().map(AgentChange::Trashed));
    changes.extend(ledger.added_disks.values().cloned().map(AgentChange::DiskAdded));
    changes.extend(ledger.left_places.values().cloned().map(AgentChange::PlaceLeft));
    let points = ledger.points.iter();
    changes.extend(
        points.map(|(&version, &checksum)| AgentChange::Point(LedgerPoint { version, checksum })),
    );
    changes.iter().map(encode).collect()
}

/// The number that is the key of a point.
fn version_of(text: &str) -> Result<u64, Invalid> {
    let number = text.parse::<u64>().ok().filter(|it| it.to_string() == text);
    number.ok_or_else(|| Invalid::new("", format!("`{text}` is no version of a ledger")))
}

own_message! {
    AgentIdentity = ledger::AgentIdentity {
        node = node_uuid: Name,
        agent = agent_id: SomeName,
        cluster = cluster_uuid: SomeName,
        term = term: TermNumber,
        version = version: Same,
        claims_generation = claims_generation: Same,
        checksum = checksum: Same,
    }
}

own_message! {
    LedgerPoint = ledger::LedgerPoint {
        version = version: Same,
        checksum = checksum: Same,
    }
}
