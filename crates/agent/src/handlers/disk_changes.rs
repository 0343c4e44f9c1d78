//! Disks that operators add to the running agent, and take away again.
//!
//! A disk is added in this order: it is looked for beside the others, and only once it was found well it is written down, told and answered.
//! What cannot be opened is refused with the reason, and nothing of it stays; a label that was written on it meanwhile makes it the same
//! disk when it is asked for again. A disk is taken away only when nothing is claimed or used of it; its label and all that lies on it stay as
//! they are. What the settings name is theirs: it cannot be taken away here, since the next start would bring it back.

use std::collections::BTreeMap;

use holdfast_model::{
    AddedDisk, AgentChange, DiskId, DiskRecord, OperationUuid, Resource, ToMaster,
};

use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::records::{fenced_at, lies_on};
use crate::bookkeeping::telling::{tell_master, tell_space_now};
use crate::bookkeeping::Step;
use crate::contract::{DiskFound, Machine};
use crate::flows::fitting::fit_to_space;
use crate::parts::{Alarm, Disks, MasterLink, NewDisk, ReportWish};

/// How many claims or tasks a refusal names.
const NAMED_MAX: usize = 5;

/// What came of adding disks: why each was refused, if it was.
pub(crate) type Outcomes = Vec<(NewDisk, Option<String>)>;

/// An operator wants one more disk.
pub(crate) fn add(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, disk): (OperationUuid, AddedDisk),
    by: String,
) {
    match known(step, disks, &disk) {
        Some(refusal) => tell_answer(step, master, uuid, refusal),
        None => {
            disks.new_disks_mut().look_for((disk, None), by, uuid);
            open_disks(step, disks);
        }
    }
}

/// What can be answered without a look at the disk: that it is there, or why it cannot be added. `None` when it has to be looked for.
fn known(step: &Step<'_>, disks: &Disks, disk: &AddedDisk) -> Option<Option<String>> {
    let root = &disk.root;
    let of_settings = |it: &&DiskFound| it.added.is_none() && it.disk.root == *root;
    if disks.found().iter().any(|it| of_settings(&it)) {
        let why =
            format!("the agent's settings name {root} as a disk already; nothing is to be added");
        return Some(Some(why));
    }
    if disks.new_disks().conflicts_with(disk, None) {
        let why = format!("{root} is just being added with another type or size; try again");
        return Some(Some(why));
    }
    let before = step.ledger().added_disks.get(root)?;
    if before != disk {
        let why = format!("{root} was added with another type or size before; to change that, remove it first with `holdfast disk remove`");
        return Some(Some(why));
    }
    let found = disks.found().iter().find(|it| it.added.as_ref() == Some(root))?;
    let fault = found.fault.as_ref().or_else(|| disks.fault(found.disk.id));
    Some(fault.map(|it| format!("{root} was added before, and cannot be used now: {it}")))
}

/// Takes out of a look what was looked for and cannot be had, and what is looked for no more; the rest is to be judged by [`accept`].
pub(crate) fn drop_unfit(step: &Step<'_>, disks: &mut Disks, machine: &mut Machine) -> Outcomes {
    let (added, new) = (&step.ledger().added_disks, disks.new_disks());
    let is_had =
        |root: &String| added.contains_key(root) && fenced_at(step.ledger(), root).is_none();
    let is_wanted = |root: &String| is_had(root) || new.looks_for(root);
    machine.disks.retain(|it| it.added.as_ref().is_none_or(is_wanted));
    let mut outcomes = Outcomes::new();
    for root in disks.new_disks().roots() {
        let Some(found) = machine.disks.iter().find(|it| is_at(it, &root)) else { continue };
        let is_adopted = disks.new_disks().adopting_roots().contains(&root);
        let Some(why) = unfit(found, &machine.disks, is_adopted) else { continue };
        machine.disks.retain(|it| it.added.as_ref() != Some(&root));
        outcomes.extend(disks.new_disks_mut().take(&root).map(|it| (it, Some(why))));
    }
    outcomes
}

/// Whether a disk was found at this path.
pub(super) fn is_at(found: &DiskFound, root: &str) -> bool {
    found.added.as_ref().unwrap_or(&found.disk.root) == root
}

/// Why a disk cannot be had.
fn unfit(found: &DiskFound, all: &[DiskFound], is_adopted: bool) -> Option<String> {
    let is_copy = |it: &&DiskFound| {
        it.disk.id == found.disk.id && it.disk.root != found.disk.root && it.fault.is_none()
    };
    // Of two disks with one label, whichever the agent has already is the disk.
    let Some(other) = all.iter().find(is_copy) else { return found.fault.clone() };
    if is_adopted {
        let (id, there) = (found.disk.id, &other.disk.root);
        let here = found.fault.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        return Some(format!(
            "disk {id} is well at {there}, where its claims are; unmount it there first{here}"
        ));
    }
    Some(format!(
        "it bears the same label as the disk at {}; one is a copy of the other: take the copy away",
        other.disk.root
    ))
}

/// What was looked for and found well is the agent's from now on: what is to be written down.
pub(crate) fn accept(
    step: &mut Step<'_>,
    disks: &mut Disks,
    machine: &mut Machine,
    faults: &BTreeMap<DiskId, String>,
    outcomes: &mut Outcomes,
) -> Vec<AgentChange> {
    let mut changes = Vec::new();
    for root in disks.new_disks().roots() {
        let Some(found) = machine.disks.iter().find(|it| is_at(it, &root)) else { continue };
        let of_settings = found.added.is_none();
        let (id, fault) = (found.disk.id, faults.get(&found.disk.id).cloned());
        let Some(new) = disks.new_disks_mut().take(&root) else { continue };
        match &fault {
            Some(_) => machine.disks.retain(|it| it.added.as_ref() != Some(&root)),
            None => {
                step.log(format!("disk {id} at {root} was added by {}", new.by));
                if step.ledger().left_places.contains_key(&root) {
                    changes.push(AgentChange::PlaceFreed(root.clone()));
                }
                if !of_settings {
                    changes.push(AgentChange::DiskAdded(new.disk.clone()));
                }
            }
        }
        outcomes.push((new, fault));
    }
    changes
}

/// Answers those who wait for disks, once all that came of it is written down and the master has heard of the disks.
pub(crate) fn tell_outcomes(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    outcomes: Outcomes,
) {
    if outcomes.is_empty() {
        return;
    }
    tell_space_now(step, disks, master);
    // What was refused is let go of, and so is the place that a disk has left.
    let is_any_let_go = outcomes.iter().any(|(new, refusal)| refusal.is_some() || is_followed(new));
    for (new, refusal) in outcomes {
        if let Some(why) = &refusal {
            step.log(format!("disk {} is not added for {}: {why}", new.disk.root, new.by));
        } else if is_followed(&new) {
            answer_later(disks, master, &new);
            continue;
        }
        for uuid in new.orders {
            tell_answer(step, master, uuid, refusal.clone());
        }
    }
    if is_any_let_go {
        open_disks(step, disks);
    }
}

/// Whether claims have followed the disk.
fn is_followed(new: &NewDisk) -> bool {
    new.adopts.is_some() || new.takes.is_some()
}

/// An operator does not want a disk any more that was added.
pub(crate) fn remove(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    (uuid, root): (OperationUuid, &str),
    by: &str,
) {
    let found = disks.found().iter().find(|it| it.disk.root == root);
    let name = found.and_then(|it| it.added.clone()).unwrap_or_else(|| root.to_owned());
    let of_settings = found.is_some_and(|it| it.added.is_none());
    if of_settings {
        let why = format!("the agent's settings name {root} (--disk or --resources), and would bring it back with the next start; take it out of them and restart the agent, whose tasks run on through that");
        return tell_answer(step, master, uuid, Some(why));
    }
    if !step.ledger().added_disks.contains_key(&name) {
        return tell_answer(step, master, uuid, None); // It was taken away before.
    }
    let found_id = found.map(|it| it.disk.id);
    let is_it = |it: &&DiskRecord| found_id.map_or(it.root == root, |id| it.id == id);
    let disk = step.ledger().disks.values().find(is_it).cloned();
    if let Some(to) = fenced_at(step.ledger(), root) {
        let why = format!("the disk at {root} is just being moved to agent {to}");
        return tell_answer(step, master, uuid, Some(why));
    }
    if let Some(why) = disk.as_ref().and_then(|it| in_use(step, it)) {
        return tell_answer(step, master, uuid, Some(why));
    }
    step.log(format!("disk {root} was taken away by {by}; nothing on it is touched"));
    let mut changes = vec![AgentChange::DiskRemoved(name.clone())];
    changes.extend(disk.map(|it| AgentChange::DiskGone(it.id)));
    step.commit(changes);
    disks.drop_found(&name);
    fit_to_space(step, disks, master);
    tell_space_now(step, disks, master);
    tell_answer(step, master, uuid, None);
    open_disks(step, disks);
}

/// What is claimed or used of a disk, and what to do about it.
fn in_use(step: &Step<'_>, disk: &DiskRecord) -> Option<String> {
    let claims = step.ledger().claims.values().filter(|it| lies_on(it, disk));
    let claims: Vec<String> =
        claims.map(|it| format!("{} ({})", what(&it.resource), it.id)).collect();
    let (id, root) = (disk.id, &disk.root);
    if !claims.is_empty() {
        return Some(format!(
            "{} of disk {id} at {root} are claimed: {}; destroy the volumes and remove the reservations first (`holdfast claim list`), or give up what is on a dead disk: `holdfast claim give-up --disk {id}`",
            count(claims.len(), "part"),
            few(&claims)
        ));
    }
    let users = users_of(step, disk);
    let why = || {
        format!(
            "disk {id} at {root} is in use by {}; end that first: `holdfast task kill`",
            few(&users)
        )
    };
    (!users.is_empty()).then(why)
}

/// Tasks and executors that use space of a disk.
pub(super) fn users_of(step: &Step<'_>, disk: &DiskRecord) -> Vec<String> {
    let uses = |it: &Resource| disk.carries(&it.identity);
    let tasks = step.ledger().tasks.values();
    let tasks = tasks.filter(|it| !it.state.is_terminal() && it.info.resources.iter().any(uses));
    let executors = step.ledger().executors.values();
    let executors = executors.filter(|it| it.info.resources.iter().any(uses));
    let tasks = tasks.map(|it| format!("task `{}` of framework {}", it.info.id, it.framework));
    let executors = executors.map(|it| {
        format!("the container of executor `{}` of framework {}", it.info.id, it.framework)
    });
    tasks.chain(executors).collect()
}

pub(super) fn what(resource: &Resource) -> String {
    match &resource.identity.persistence {
        Some(volume) => format!("volume `{}` of role {}", volume, resource.identity.role()),
        None => format!("a reservation of role {}", resource.identity.role()),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}")
}

/// The first few, and how many more there are.
pub(super) fn few(all: &[String]) -> String {
    let named = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match all.len() {
        ..=NAMED_MAX => named,
        many => format!("{named} and {} more", many - NAMED_MAX),
    }
}

/// Answers those whose disks were taken over, once the master has heard of the claims.
pub(crate) fn answer_adopted(step: &mut Step<'_>, disks: &mut Disks, master: &mut MasterLink) {
    if master.is_report_wanted() || step.alarms().at(&Alarm::News).is_some() {
        return;
    }
    for (uuid, refusal) in disks.new_disks_mut().take_answers() {
        tell_answer(step, master, uuid, refusal);
    }
}

/// Those who wait are answered after the report that names the claims.
fn answer_later(disks: &mut Disks, master: &mut MasterLink, new: &NewDisk) {
    master.want_report(ReportWish::News);
    disks.new_disks_mut().answer_later(new.orders.iter().map(|it| (*it, None)));
}

pub(super) fn tell_answer(
    step: &mut Step<'_>,
    master: &mut MasterLink,
    uuid: OperationUuid,
    refusal: Option<String>,
) {
    // Whoever does not hear it is told by his master that it is not known what came of it; to ask again does no harm.
    tell_master(step, master, ToMaster::DiskAnswer { uuid, refusal });
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{AddedDisk, DiskId, OperationUuid, Order, ToMaster};
    use uuid::Uuid;

    const ROOT: &str = "/mnt/new disk, the third";

    fn disk(size_mb: Option<u64>) -> AddedDisk {
        let size = size_mb.map(|it| it.to_string());
        AddedDisk::parse("path", ROOT, size.as_deref()).unwrap()
    }

    /// The machine has one more disk, of this fault, once it is looked for.
    fn plug(bed: &mut Bed, fault: Option<&str>) {
        bed.machine.disks.retain(|it| it.added.is_none());
        let mut found = bed.machine.disks[1].clone();
        found.disk.id = DiskId(Uuid::from_u128(0xadd));
        found.disk.root = ROOT.to_owned();
        (found.added, found.fault) = (Some(ROOT.to_owned()), fault.map(str::to_owned));
        bed.machine.disks.push(found);
        let of_it = crate::testbed::amount("disk", 1000).on(holdfast_model::Source::path(ROOT));
        bed.machine.info.resources = bed.machine.info.resources.iter().chain([of_it]).collect();
    }

    fn ask(bed: &mut Bed, number: u128, order: impl FnOnce(OperationUuid) -> Order) {
        bed.order(order(OperationUuid(Uuid::from_u128(number))));
        bed.settle();
    }

    fn add(bed: &mut Bed, number: u128, disk: AddedDisk) -> Option<Option<String>> {
        ask(bed, number, |uuid| Order::AddDisk { uuid, disk, by: "ops".to_owned() });
        answer(bed, number)
    }

    fn remove(bed: &mut Bed, number: u128, root: &str) -> Option<Option<String>> {
        let root = root.to_owned();
        ask(bed, number, |uuid| Order::RemoveDisk { uuid, root, by: "ops".to_owned() });
        answer(bed, number)
    }

    /// What an order was answered, if it was.
    fn answer(bed: &Bed, number: u128) -> Option<Option<String>> {
        bed.seen.iter().find_map(|it| match it {
            Effect::ToMaster(_, ToMaster::DiskAnswer { uuid, refusal })
                if uuid.0.as_u128() == number =>
            {
                Some(refusal.clone())
            }
            _ => None,
        })
    }

    #[test]
    fn a_disk_is_added_once_it_was_found_well_and_the_answer_comes_last() {
        let mut bed = Bed::registered();
        plug(&mut bed, None);
        assert_eq!(add(&mut bed, 1, disk(None)), Some(None));
        assert!(bed.durable.added_disks.contains_key(ROOT));
        let at = |is_it: &dyn Fn(&Effect) -> bool| bed.seen.iter().position(is_it).unwrap();
        let written = at(&|it| {
            matches!(it, Effect::Commit { changes, .. }
                if changes.iter().any(|it| matches!(it, holdfast_model::AgentChange::DiskAdded(_))))
        });
        let told = at(&|it| {
            matches!(it, Effect::ToMaster(_, ToMaster::SpaceNews(news))
                if news.disks.iter().any(|it| it.added && it.fault.is_none()))
        });
        let answered = at(&|it| matches!(it, Effect::ToMaster(_, ToMaster::DiskAnswer { .. })));
        assert!(written < told && told < answered);
        assert_eq!(add(&mut bed, 2, disk(None)), Some(None), "twice is once");
        let other = add(&mut bed, 3, disk(Some(5))).unwrap().unwrap();
        assert!(other.contains("another type or size"), "{other}");
        bed.crash();
        bed.settle();
        let asked = bed.seen.iter().rev().find_map(|it| match it {
            Effect::OpenDisks(_, _, added) => Some(added.clone()),
            _ => None,
        });
        assert_eq!(asked, Some(vec![disk(None)]), "it is looked for after a restart");
    }

    #[test]
    fn what_is_not_well_is_refused_and_nothing_of_it_stays() {
        let mut bed = Bed::registered();
        let before = bed.agent.ledger().clone();
        plug(&mut bed, Some("not mounted"));
        assert_eq!(add(&mut bed, 1, disk(None)), Some(Some("not mounted".to_owned())));
        assert_eq!(
            (&bed.agent.ledger().disks, &bed.agent.ledger().added_disks),
            (&before.disks, &before.added_disks)
        );
        assert!(!bed.agent.total().iter().any(|it| it.to_string().contains(ROOT)));
        let last = bed.seen.iter().rev().find_map(|it| match it {
            Effect::OpenDisks(_, _, added) => Some(added.len()),
            _ => None,
        });
        assert_eq!(last, Some(0), "it is let go of");
    }

    #[test]
    fn a_copy_of_a_disk_is_refused_and_the_disk_stays_well() {
        let mut bed = Bed::registered();
        plug(&mut bed, None);
        let original = bed.machine.disks[1].disk.id;
        bed.machine.disks.last_mut().unwrap().disk.id = original;
        let why = add(&mut bed, 1, disk(None)).unwrap().unwrap();
        assert!(why.contains("the same label as the disk at /d1"), "{why}");
        assert!(bed.agent.disks.fault(original).is_none());
    }

    #[test]
    fn a_disk_with_claims_and_one_of_the_settings_are_not_taken_away() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let why = remove(&mut bed, 1, "/d1").unwrap().unwrap();
        assert!(why.contains("settings"), "{why}");
        // The same disk, as if it had been added.
        let mut found = bed.machine.disks[1].clone();
        found.added = Some("/d1".to_owned());
        bed.machine.disks[1] = found;
        bed.durable.apply(&holdfast_model::AgentChange::DiskAdded(
            AddedDisk::parse("path", "/d1", None).unwrap(),
        ));
        bed.crash();
        bed.settle();
        let why = remove(&mut bed, 2, "/d1").unwrap().unwrap();
        assert!(why.contains(DB_VOLUME) && why.contains("give-up"), "{why}");
        assert!(bed.agent.ledger().added_disks.contains_key("/d1"));
    }

    #[test]
    fn a_disk_that_is_taken_away_is_in_no_total_and_is_not_looked_for_any_more() {
        let mut bed = Bed::registered();
        let before = bed.agent.total().clone();
        plug(&mut bed, None);
        add(&mut bed, 1, disk(None));
        assert_ne!(bed.agent.total(), &before);
        bed.machine.disks.pop();
        let added = bed
            .machine
            .info
            .resources
            .filter(|it| it.source.as_ref().is_none_or(|it| it.root.as_deref() != Some(ROOT)));
        bed.machine.info.resources = added;
        assert_eq!(remove(&mut bed, 2, ROOT), Some(None));
        assert_eq!(bed.agent.total(), &before);
        assert!(bed.durable.added_disks.is_empty());
        assert_eq!(bed.durable.disks.len(), 3);
        assert_eq!(remove(&mut bed, 3, ROOT), Some(None), "twice is once");
        bed.input(Input::Tick);
    }
}
