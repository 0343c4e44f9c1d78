//! Volumes that are adopted: how they are made, and the space that is theirs already.
//!
//! What an orphan uses is not free, and is nobody's: it is in no total. So its claim may be made of it beside what is unclaimed, as far as the
//! disk's size goes. Relies on the drivers to see whether it uses so much. Never counts the same space for two claims.

use holdfast_model::{
    Action, ClaimAction, Filling, OperationRecord, Resource, Resources, Scalar, Value,
};

use super::records::filling_of;
use super::Record;
use crate::contract::{Adopted, Effect, VolumeLabel};
use crate::parts::{Disks, Volumes};

/// Has a volume of an operation made, or adopted.
pub(crate) fn work_to_make(
    record: &Record,
    volumes: &mut Volumes,
    operation: &OperationRecord,
    label: VolumeLabel,
) -> Effect {
    let Some(filling) = filling_of(operation) else { return Effect::MakeVolume(label) };
    let own_mb = own_mb(record, operation);
    volumes.note_adopting(label.claim, own_mb);
    let (directory, generation) = match filling {
        Filling::Orphan { generation, .. } => (None, *generation),
        Filling::Directory(path) => (Some(path.clone()), 0),
    };
    Effect::AdoptVolume(label, Adopted { directory, generation, own_mb })
}

/// How much of what an operation takes what it adopts has to have already, in megabytes.
pub(crate) fn own_mb(record: &Record, operation: &OperationRecord) -> u64 {
    if filling_of(operation).is_none() {
        return 0;
    }
    let own =
        missing(record, operation).iter().map(|it| it.value.quantity().as_thousandths()).sum();
    u64::try_from(i64::div_euclid(own, 1000) + i64::from(own % 1000 != 0)).unwrap_or(0)
}

/// What an operation takes beyond what is unclaimed.
fn missing(record: &Record, operation: &OperationRecord) -> Vec<Resource> {
    let Action::Claim(action) = &operation.operation.action else { return Vec::new() };
    let total = record.totals().total();
    let beyond = |taken: Resource| {
        let there = total.get(&taken.identity).map_or(Scalar::ZERO, |it| it.value.quantity());
        let beyond = taken.value.quantity().minus(there);
        let is_disk = taken.identity.name == "disk" && !taken.identity.is_exclusive();
        (is_disk && Scalar::ZERO < beyond)
            .then_some(Resource { value: Value::Scalar(beyond), ..taken })
    };
    action.conversion().consumed.iter().filter_map(beyond).collect()
}

/// What the machine has when what is adopted counts as there.
///
/// # Errors
/// What the disk cannot hold beside what is claimed of it.
pub(crate) fn widened(
    record: &Record,
    disks: &Disks,
    operation: &OperationRecord,
) -> Result<Option<Resources>, String> {
    let missing = missing(record, operation);
    let Some(machine) = disks.machine().filter(|_| !missing.is_empty()) else { return Ok(None) };
    let mut base = machine.resources.clone();
    for more in missing {
        let identity = more.identity.base();
        let size = disks.declared().get(&identity).map_or(Scalar::ZERO, |it| it.value.quantity());
        let claimed = record.ledger().claimed_space().find(|(it, _)| **it == identity);
        let claimed = claimed.map_or(Scalar::ZERO, |(_, it)| it.amount);
        let there = base.get(&identity).map_or(Scalar::ZERO, |it| it.value.quantity());
        // What is reserved already is what it is.
        let is_reserved = more.identity != identity;
        if size < there.max(claimed).plus(more.value.quantity()) || is_reserved {
            return Err(no_space(record, &more, size, claimed));
        }
        base.add(&Resource { identity, ..more });
    }
    Ok(Some(base))
}

/// Who has the space.
fn no_space(record: &Record, missing: &Resource, size: Scalar, claimed: Scalar) -> String {
    let base = missing.identity.base();
    let here = record.ledger().claims.values().filter(|it| it.resource.identity.base() == base);
    let holders: Vec<String> = here.take(5).map(|it| it.resource.to_string()).collect();
    let by = match holders.is_empty() {
        true => String::new(),
        false => format!(" by {}", holders.join(", ")),
    };
    format!(
        "{} MB of it are not there: the disk has {size} MB, of which {claimed} MB are claimed{by}; adopt it with a smaller size, or give something up",
        missing.value.quantity()
    )
}

/// The space that an operation takes and a task uses, by name; nobody else may be given that.
pub(crate) fn used_by_tasks(
    record: &Record,
    after: &Resources,
    action: &ClaimAction,
) -> Option<String> {
    for taken in action.conversion().consumed.iter() {
        let (mut used, mut user) = (Scalar::ZERO, None);
        let tasks = record.ledger().tasks.values().filter(|it| !it.state.is_terminal());
        for task in tasks {
            let its = task.info.resources.iter();
            for resource in its.filter(|it| it.identity.is_same_unallocated(&taken.identity)) {
                used = used.plus(resource.value.quantity());
                user = Some(format!("task `{}` of framework {}", task.info.id, task.framework));
            }
        }
        let left = after.get(&taken.identity).map_or(Scalar::ZERO, |it| it.value.quantity());
        if let Some(user) = user.filter(|_| left < used) {
            return Some(format!("{taken} is in use by {user}; end it first"));
        }
    }
    None
}
