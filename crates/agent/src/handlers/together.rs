//! Changes of claims that are made together or not at all: tried on a copy of the ledger, then written down in one commit.
//!
//! Volumes of it are made before any of it is done. As long as they are, nobody has them and nothing else has changed; once they are made,
//! all is tried again, and done. A crash in between leaves the operation and no claim of it. Relies on `claims` for what may be done. Never
//! waits for what is under way: whoever asked has seen something else, and is told so. Each step obeys the ownership of all.

use holdfast_model::{
    Action, AgentChange, Claim, ClaimAction, ClaimId, ClaimState, Expected, Filling, Operation,
    OperationRecord, OperationState, OperationUuid, Ownership, Resource, Resources, Together,
};

use super::adopt_volume;
use super::operations::pending;
use crate::bookkeeping::claims::{plan, Plan};
use crate::bookkeeping::filling::{own_mb, used_by_tasks, widened, work_to_make};
use crate::bookkeeping::records::{filling_of, label, labels_in_making};
use crate::bookkeeping::telling::tell_operation;
use crate::bookkeeping::{Record, Step};
use crate::contract::Effect;
use crate::flows::settling::settle;
use crate::parts::{Containers, Disks, MasterLink, Waiting};

/// Does an operation of several steps, or begins to make its volumes.
pub(crate) fn apply_together(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    waiting: &Waiting,
    uuid: OperationUuid,
    (together, ownership): (Together, Option<Ownership>),
) {
    if !master.note_operation(uuid) || step.ledger().operations.contains_key(&uuid) {
        return tell_operation(step, master, uuid); // It was done before; it is not done twice.
    }
    let action = ClaimAction::Together(together).map(|it| it.clone().unallocated());
    let operation = pending(uuid, None, Operation { id: None, action: Action::Claim(action) });
    let operation = OperationRecord { ownership, ..operation };
    let adopted = filling_of(&operation).and_then(|it| match it {
        Filling::Orphan { volume, .. } => Some(*volume),
        Filling::Directory(_) => None, // It gets an id of its own.
    });
    if let Some(why) = adopt_volume::obstacle(step, disks, &operation) {
        return settle(step, master, operation, OperationState::Failed, Some(why));
    }
    let operation = OperationRecord { making: adopted.into_iter().collect(), ..operation };
    match rehearse(step, disks, containers, waiting, &operation) {
        Err((state, why)) => settle(step, master, operation, state, Some(why)),
        Ok(outcome) if outcome.new.is_empty() => carry_out(step, disks, master, operation, outcome),
        Ok(outcome) => {
            let making = outcome.new;
            let operation = OperationRecord { claims: making.clone(), making, ..operation };
            let labels = labels_in_making(step.ledger(), &operation);
            step.commit(vec![AgentChange::Operation(operation.clone())]);
            for label in labels {
                disks.volumes_mut().begin_making(label.claim);
                let work = work_to_make(step, disks.volumes_mut(), &operation, label);
                step.push(work);
            }
        }
    }
}

/// A volume that such an operation needs is made, or cannot be. Says whether it is of one.
pub(crate) fn volume_made(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &Containers,
    master: &mut MasterLink,
    waiting: &Waiting,
    (id, outcome): (ClaimId, &Result<(), String>),
) -> bool {
    if let Some(label) = disks.volumes_mut().take_unwanted(id) {
        disks.volumes_mut().end_making(id);
        step.extend(outcome.is_ok().then_some(Effect::TrashVolume(label)));
        return true;
    }
    let is_making = |it: &&OperationRecord| it.making.contains(&id);
    let Some(operation) = step.ledger().operations_on(id).find(is_making).cloned() else {
        return false;
    };
    let volumes = disks.volumes_mut();
    volumes.end_making(id);
    if let Err(why) = outcome {
        let volume = volume_of(&operation, id);
        let why = match filling_of(&operation) {
            Some(Filling::Directory(path)) => format!(
                "{volume} could not be made: {why}; the data are at {path}, or, if they were moved before, in volume {id}, which `holdfast disk show` names then"
            ),
            _ => format!("{volume} could not be made: {why}; nothing was changed"),
        };
        give_back(step, disks, master, operation, (OperationState::Failed, why));
        return true;
    }
    if volumes.take_adopting(id) < own_mb(step, &operation) {
        // Others have taken some of what was free; whether it has that itself was not looked for.
        if let Some(Filling::Directory(_)) = filling_of(&operation) {
            let why = "others have claimed the space meanwhile".to_owned();
            let why = adopt_volume::note_left(step, disks, &operation, why);
            give_back(step, disks, master, operation, (OperationState::Failed, why));
            return true;
        }
        for label in labels_in_making(step.ledger(), &operation) {
            volumes.begin_making(label.claim);
            let work = work_to_make(step, volumes, &operation, label);
            step.push(work);
        }
        return true;
    }
    volumes.note_made(id);
    if operation.making.iter().any(|it| !volumes.is_made(*it)) {
        return true;
    }
    match rehearse(step, disks, containers, waiting, &operation) {
        Ok(outcome) => {
            operation.making.iter().for_each(|it| disks.volumes_mut().forget_made(*it));
            let (made, is_adopted) = (operation.making.clone(), filling_of(&operation).is_some());
            carry_out(step, disks, master, operation, outcome);
            match is_adopted {
                true => adopt_volume::adopted(step, disks, master, &made),
                false => made.iter().for_each(|it| disks.note_made(step.ledger(), *it)),
            }
        }
        Err((state, why)) => {
            let why = adopt_volume::note_left(step, disks, &operation, why);
            give_back(step, disks, master, operation, (state, why));
        }
    }
    true
}

fn volume_of(operation: &OperationRecord, id: ClaimId) -> String {
    let at = operation.making.iter().position(|it| *it == id);
    let volume = at.and_then(|it| created(&operation.operation.action).nth(it));
    volume.map(ToString::to_string).unwrap_or_default()
}

/// Nothing is done. What was made for it is nobody's, and empty: it goes to the trash.
fn give_back(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    operation: OperationRecord,
    (state, why): (OperationState, String),
) {
    let volumes = disks.volumes_mut();
    let mut made = labels_in_making(step.ledger(), &operation);
    for label in &made {
        if volumes.is_in_making(label.claim) {
            volumes.note_unwanted(label.clone());
        }
    }
    // What was there before stays what it was: an orphan.
    let is_new = filling_of(&operation).is_none();
    made.retain(|it| is_new && volumes.is_made(it.claim));
    operation.making.iter().for_each(|it| volumes.forget_made(*it));
    let operation = OperationRecord { claims: Vec::new(), making: Vec::new(), ..operation };
    settle(step, master, operation, state, Some(why));
    step.extend(made.into_iter().map(Effect::TrashVolume));
}

/// What an operation comes to.
#[derive(Default)]
struct Outcome {
    batch: Vec<AgentChange>,
    /// The claims that were there before and are changed, those that are new and stay, and those that end.
    touched: Vec<ClaimId>,
    /// Those that end, as they were.
    ended: Vec<Claim>,
    /// The volumes that it makes, in order.
    new: Vec<ClaimId>,
    /// What the machine has when the space of what is adopted counts as there, if it has to.
    base: Option<Resources>,
}

/// Does all steps on a copy. The volumes get the ids that they were made with, if they were.
fn rehearse(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &Containers,
    waiting: &Waiting,
    operation: &OperationRecord,
) -> Result<Outcome, (OperationState, String)> {
    let Action::Claim(ClaimAction::Together(together)) = &operation.operation.action else {
        panic!("operation {} is none of several steps", operation.uuid)
    };
    let moved = why_moved(step, &together.expected);
    if let Some(why) = moved.or_else(|| adopt_volume::conflict(step, &operation.making)) {
        return Err((OperationState::Failed, why));
    }
    let mut scratch: Record = step.scratch();
    let base = match filling_of(operation) {
        None => None,
        Some(_) => widened(step, disks, operation).map_err(|it| (OperationState::Failed, it))?,
    };
    if let Some(base) = &base {
        scratch.set_base(base);
    }
    let mut copy = step.on(&mut scratch);
    let mut outcome = Outcome::default();
    let mut one = OperationRecord { making: Vec::new(), ..operation.clone() };
    for (index, action) in together.steps.iter().enumerate() {
        let at_step = |why: String| match together.steps.len() {
            1 => why,
            _ => format!("step {} ({}): {why}; nothing was changed", index + 1, action.name()),
        };
        one.operation.action = Action::Claim(action.clone());
        match plan(&copy, disks, containers, waiting, &one) {
            Plan::Do => {}
            Plan::Refuse(state, why) => return Err((state, at_step(why))),
            Plan::Wait => {
                let why = "what it needs is still under way (the space of a destroyed volume is there once its data are in the trash); try again";
                return Err((OperationState::Failed, at_step(why.to_owned())));
            }
        }
        do_step(&mut copy, action, &together.by, operation, &mut outcome);
    }
    if together.filling.is_some() {
        let whole = ClaimAction::Together(together.clone());
        if let Some(why) = used_by_tasks(&scratch, scratch.totals().total(), &whole) {
            return Err((OperationState::Failed, why));
        }
    }
    outcome.base = base;
    let (before, after) = (&step.ledger().claims, &scratch.ledger().claims);
    let is_whole = |it: &ClaimId| after.get(it).is_some_and(|it| it.state == ClaimState::Ready);
    if !outcome.new.iter().all(is_whole) {
        let why = "it destroys a volume that it makes itself; leave both out".to_owned();
        return Err((OperationState::Error, why));
    }
    // What one step makes and another one uses up is nobody's business.
    let is_known = |it: &ClaimId| before.contains_key(it) || after.contains_key(it);
    outcome.ended.retain(|it| is_known(&it.id));
    outcome.touched.retain(is_known);
    outcome.batch.retain(|it| match it {
        AgentChange::Claim(claim) => is_known(&claim.id),
        AgentChange::ClaimGone(id) => is_known(id),
        _ => true,
    });
    Ok(outcome)
}

/// Does one step on the copy.
fn do_step(
    copy: &mut Step<'_>,
    action: &ClaimAction,
    by: &str,
    operation: &OperationRecord,
    outcome: &mut Outcome,
) {
    let ownership = operation.ownership.clone().unwrap_or_else(Ownership::unsaid);
    let changes = copy.claim_changes(action, (operation.uuid, None), &ownership, by);
    let mut changes = changes.expect("what is done was found to apply");
    if let ClaimAction::Create(volumes) = action {
        for volume in volumes {
            let is_it = |it: &&mut Claim| {
                it.state == ClaimState::Making && it.resource.identity == volume.identity
            };
            let Some(claim) = changes.kept.iter_mut().find(is_it) else { continue };
            claim.id = operation.making.get(outcome.new.len()).copied().unwrap_or(claim.id);
            claim.state = ClaimState::Ready; // It is made before this is written down.
            if let Some(filling) = filling_of(operation) {
                adopt_volume::tell_history(claim, filling);
            }
            outcome.new.push(claim.id);
        }
    }
    for id in changes.kept.iter().chain(&changes.ended).map(|it| it.id) {
        if !outcome.touched.contains(&id) {
            outcome.touched.push(id);
        }
    }
    let mut batch: Vec<AgentChange> = changes.kept.into_iter().map(AgentChange::Claim).collect();
    batch.extend(changes.ended.iter().map(|it| AgentChange::ClaimGone(it.id)));
    outcome.ended.extend(changes.ended);
    copy.commit(batch.clone());
    outcome.batch.extend(batch);
}

/// Why the claims are not as whoever asked has seen them.
fn why_moved(step: &Step<'_>, expected: &Expected) -> Option<String> {
    let ledger = step.ledger();
    let moved = expected.moved(ledger.identity.claims_generation, |it| ledger.claims.get(&it));
    (!moved.is_empty())
        .then(|| format!("the state has moved on: {}; nothing was changed", moved.join("; ")))
}

/// Writes all of it down, in one commit with the operation.
fn carry_out(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    operation: OperationRecord,
    outcome: Outcome,
) {
    let Outcome { batch, touched, ended, new, base } = outcome;
    if let Some(base) = base {
        disks.set_usable(&base);
        step.set_base(&base);
    }
    let before: Vec<Option<Resource>> = touched
        .iter()
        .map(|it| step.ledger().claims.get(it).map(|it| it.resource.clone()))
        .collect();
    step.commit(batch);
    let (mut resized, mut trashed) = (Vec::new(), Vec::new());
    for (id, before) in touched.iter().zip(before) {
        let Some(claim) = step.ledger().claims.get(id).filter(|it| it.is_volume()) else {
            continue;
        };
        let is_resized = match before {
            Some(before) => before.value != claim.resource.value,
            None => 1 < claim.history.len() || filling_of(&operation).is_some(), // Its label says how it was made.
        };
        match claim.state {
            ClaimState::Destroying => trashed.extend(label(claim).map(Effect::TrashVolume)),
            _ if is_resized => resized.extend(label(claim).map(Effect::ResizeVolume)),
            _ => {}
        }
    }
    let operation =
        OperationRecord { claims: touched, endings: ended, making: Vec::new(), ..operation };
    if trashed.is_empty() {
        settle(step, master, operation, OperationState::Finished, None);
    } else {
        step.commit(vec![AgentChange::Operation(operation)]); // Told once the bytes are in the trash.
    }
    step.extend(resized.into_iter().chain(trashed));
    new.iter().for_each(|it| disks.volumes_mut().forget_fault(*it));
}

/// The volumes that an operation makes, in order.
fn created(action: &Action) -> impl Iterator<Item = &Resource> {
    let steps = match action {
        Action::Claim(action) => action.steps(),
        _ => &[],
    };
    let creates = steps.iter().filter(|it| matches!(it, ClaimAction::Create(_)));
    creates.flat_map(ClaimAction::resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{amount, reservation, reserved_disk, volume_named, Bed, DB_VOLUME};
    use holdfast_model::{ExpectedClaim, Order};
    use uuid::Uuid;
    use OperationState::{Failed, Finished};

    const UUID: OperationUuid = OperationUuid(Uuid::from_u128(4711));

    fn action(action: Action) -> ClaimAction {
        match action {
            Action::Claim(action) => action,
            other => panic!("{other:?}"),
        }
    }

    fn order(bed: &mut Bed, steps: Vec<Action>, expected: Expected) {
        let steps = steps.into_iter().map(action).collect();
        let together = Together { by: "ops".to_owned(), steps, expected, filling: None };
        let ownership = insists();
        bed.order(Order::ApplyTogether { uuid: UUID, together, ownership });
    }

    /// What a master says of an operator who takes anybody's.
    fn insists() -> Option<Ownership> {
        Some(Ownership { anybody: true, ..Ownership::default() })
    }

    fn order_as(
        bed: &mut Bed,
        number: u128,
        steps: &[Action],
        ownership: Option<Ownership>,
    ) -> (Option<OperationState>, String) {
        let uuid = OperationUuid(Uuid::from_u128(number));
        let steps = steps.iter().cloned().map(action).collect();
        let together =
            Together { by: "ops".to_owned(), steps, expected: Expected::default(), filling: None };
        bed.order(Order::ApplyTogether { uuid, together, ownership });
        bed.settle();
        (bed.outcome(uuid), bed.why(uuid))
    }

    fn unreserve(mb: i64) -> Action {
        Action::Claim(ClaimAction::Unreserve(vec![reserved_disk(mb)]))
    }

    /// RESERVE, CREATE and GROW of what was not there, and the end of what was.
    fn steps(bed: &Bed) -> Vec<Action> {
        vec![
            Bed::reserve(reserved_disk(100)),
            Bed::create(&[volume_named("new", 50)]),
            Bed::grow(bed.volume(), 10),
            Bed::reserve(amount("cpus", 1).reserved(reservation())),
        ]
    }

    fn claims(bed: &Bed) -> Vec<(Resource, u64)> {
        let claims = bed.agent.ledger().claims.values();
        claims.map(|it| (it.resource.clone(), it.generation)).collect()
    }

    fn ready() -> Bed {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed
    }

    #[test]
    fn all_steps_are_one_operation_and_one_commit_and_told_after_it() {
        let mut bed = ready();
        let before = claims(&bed);
        let asked = steps(&bed);
        bed.seen.clear();
        order(&mut bed, asked, Expected::default());
        assert_eq!((bed.outcome(UUID), claims(&bed)), (None, before), "the volume is made first");
        let record = bed.agent.ledger().operations[&UUID].clone();
        assert_eq!((record.making.len(), record.state), (1, OperationState::Pending));
        bed.settle();
        assert_eq!(bed.outcome(UUID), Some(Finished), "{}", bed.why(UUID));
        let new = bed.claim("new");
        assert_eq!((new.state, new.id), (ClaimState::Ready, record.making[0]));
        assert!(bed.volumes.contains(&new.id), "what was made is what is claimed");
        assert_eq!(bed.claim(DB_VOLUME).resource, volume_named(DB_VOLUME, 70));
        let is_claim =
            |it: &AgentChange| matches!(it, AgentChange::Claim(_) | AgentChange::ClaimGone(_));
        let commits = bed.seen.iter().filter(
            |it| matches!(it, Effect::Commit { changes, .. } if changes.iter().any(is_claim)),
        );
        assert_eq!(commits.count(), 1);
        let update = bed.operations.iter().rfind(|it| it.uuid == UUID).unwrap();
        assert_eq!(update.claims_generation, bed.agent.ledger().identity.claims_generation);
        assert!(update.claims.contains(&new));
    }

    #[test]
    fn a_step_that_cannot_be_done_is_named_and_nothing_is() {
        let mut bed = ready();
        let before = claims(&bed);
        let mut asked = steps(&bed);
        asked.push(Bed::destroy(&[volume_named("none", 5)]));
        order(&mut bed, asked, Expected::default());
        bed.settle();
        assert_eq!((bed.outcome(UUID), claims(&bed)), (Some(Failed), before));
        assert!(bed.why(UUID).starts_with("step 5 (DESTROY): "), "{}", bed.why(UUID));
        assert!(!bed.find_claim("new").is_some_and(|it| bed.volumes.contains(&it.id)));
    }

    #[test]
    fn a_volume_that_cannot_be_made_leaves_nothing_of_it() {
        let mut bed = ready();
        let (before, total) = (claims(&bed), bed.agent.total().clone());
        bed.failures = 1;
        let mut asked = steps(&bed);
        asked.push(Bed::create(&[volume_named("other", 10)]));
        order(&mut bed, asked, Expected::default());
        bed.settle();
        assert_eq!((bed.outcome(UUID), claims(&bed)), (Some(Failed), before));
        assert!(bed.why(UUID).contains("no space left"), "{}", bed.why(UUID));
        assert_eq!(bed.agent.total(), &total);
        assert_eq!(bed.volumes.len(), 1, "what was made for it goes to the trash");
    }

    #[test]
    fn what_has_changed_while_volumes_were_made_is_looked_at_again() {
        let mut bed = ready();
        let asked = steps(&bed);
        order(&mut bed, asked, Expected::default());
        let late = std::mem::take(&mut bed.answers);
        bed.apply(vec![Bed::shrink(bed.volume(), 10)]);
        let before = claims(&bed);
        bed.answers = late;
        bed.settle();
        assert_eq!((bed.outcome(UUID), claims(&bed)), (Some(Failed), before));
        assert!(bed.why(UUID).contains("has 50 MB now, not 60 MB"), "{}", bed.why(UUID));
    }

    #[test]
    fn a_crash_anywhere_leaves_all_of_it_or_nothing() {
        let (mut all, mut none) = (0, 0);
        for crash_in in 0..14 {
            let mut bed = ready();
            let before = claims(&bed);
            let mut asked = steps(&bed);
            asked.push(Bed::create(&[volume_named("other", 10)]));
            bed.crash_in = Some(crash_in);
            order(&mut bed, asked, Expected::default());
            let durable = bed.agent.ledger().claims.len();
            assert!(durable == before.len() || durable == before.len() + 3, "crash {crash_in}");
            bed.settle();
            bed.crash_in = None;
            bed.crash();
            bed.settle();
            match bed.find_claim("new") {
                Some(_) => {
                    all += 1;
                    assert_eq!(bed.outcome(UUID), Some(Finished), "crash {crash_in}");
                    assert!(bed.find_claim("other").is_some());
                    assert_eq!(bed.claim(DB_VOLUME).resource, volume_named(DB_VOLUME, 70));
                }
                None => {
                    none += 1;
                    assert_eq!(claims(&bed), before, "crash {crash_in}");
                }
            }
            let ledger = bed.agent.ledger();
            assert!(ledger.operations.values().all(|it| it.state.is_terminal()));
        }
        assert!(0 < all && 0 < none, "{all} {none}");
    }

    #[test]
    fn what_is_destroyed_with_others_is_told_once_its_bytes_are_in_the_trash() {
        let mut bed = ready();
        let volume = bed.claim(DB_VOLUME);
        let asked = vec![
            Bed::destroy(&[bed.volume()]),
            Bed::reserve(amount("cpus", 1).reserved(reservation())),
        ];
        order(&mut bed, asked, Expected::default());
        assert_eq!((bed.outcome(UUID), bed.claim(DB_VOLUME).state), (None, ClaimState::Destroying));
        bed.settle();
        assert_eq!(bed.outcome(UUID), Some(Finished));
        assert!(bed.trash.contains(&volume.id) && bed.find_claim(DB_VOLUME).is_none());
        let asked = vec![Bed::create(&[bed.volume()]), Bed::destroy(&[bed.volume()])];
        let uuid = OperationUuid(Uuid::from_u128(4712));
        let together = Together {
            by: "ops".to_owned(),
            steps: asked.into_iter().map(action).collect(),
            expected: Expected::default(),
            filling: None,
        };
        let ownership = Some(Ownership::default());
        bed.order(Order::ApplyTogether { uuid, together, ownership });
        bed.settle();
        assert!(bed.why(uuid).contains("that it makes itself"), "{}", bed.why(uuid));
    }

    #[test]
    fn claims_that_have_moved_on_are_named_and_nothing_is_done() {
        let mut bed = ready();
        let claim = bed.claim(DB_VOLUME);
        let generation = bed.agent.ledger().identity.claims_generation;
        let of = |generation| Expected {
            agent: None,
            claims: vec![ExpectedClaim { claim: claim.id, generation }],
        };
        bed.apply(vec![Bed::grow(bed.volume(), 10)]);
        let before = claims(&bed);
        let grow = || vec![Bed::grow(volume_named(DB_VOLUME, 70), 5)];
        order(&mut bed, grow(), of(claim.generation));
        assert_eq!((bed.outcome(UUID), claims(&bed)), (Some(Failed), before));
        let why = bed.why(UUID);
        assert!(why.starts_with("the state has moved on: claim "), "{why}");
        assert!(why.contains("is at generation 2, not 1: grown by tester"), "{why}");
        let again = |bed: &mut Bed, number: u128, expected| {
            let uuid = OperationUuid(Uuid::from_u128(number));
            let together = Together {
                by: "ops".to_owned(),
                steps: grow().into_iter().map(action).collect(),
                expected,
                filling: None,
            };
            bed.order(Order::ApplyTogether { uuid, together, ownership: insists() });
            (bed.outcome(uuid), bed.why(uuid))
        };
        let whole = |agent| Expected { agent: Some(agent), claims: Vec::new() };
        let (outcome, why) = again(&mut bed, 1, whole(generation));
        assert!(outcome == Some(Failed) && why.contains("the agent's claims are at generation"));
        let now = bed.agent.ledger().identity.claims_generation;
        assert!(generation < now, "it has grown with the volume and its reservation");
        bed.crash();
        bed.settle();
        let (outcome, why) = again(&mut bed, 2, whole(now));
        assert_eq!(outcome, Some(Finished), "it is the same after a restart: {why}");
    }

    #[test]
    fn what_a_framework_holds_is_not_taken_by_any_step_unless_the_master_says_so() {
        let mut bed = ready();
        let theirs = crate::testbed::framework().id;
        let held = |bed: &Bed| {
            let claims = bed.agent.ledger().claims.values();
            let disk = claims.filter(|it| it.resource.identity == reserved_disk(1).identity);
            let mut held: Vec<_> =
                disk.map(|it| (it.framework.clone(), it.resource.clone())).collect();
            held.sort_by_key(|(framework, _)| framework.clone());
            held
        };
        assert_eq!(held(&bed), [(theirs.clone(), reserved_disk(40))]);
        let ours = || Some(Ownership::default());
        let mut number = 0;
        let mut refused = |bed: &mut Bed, steps: &[Action]| {
            let before = claims(bed);
            number += 1;
            let (outcome, why) = order_as(bed, number, steps, ours());
            assert_eq!((outcome, claims(bed)), (Some(Failed), before), "{why}");
            assert!(why.starts_with("step 2 (") && why.contains("is held by framework"), "{why}");
        };
        let more = || Bed::reserve(reserved_disk(10));
        refused(&mut bed, &[more(), unreserve(11)]);
        let destroy = Bed::destroy(&[bed.volume()]);
        refused(&mut bed, &[more(), destroy]);
        // What a volume of theirs gives back is theirs.
        let shrunk = Bed::shrink(bed.volume(), 20);
        refused(&mut bed, &[shrunk, unreserve(20)]);

        let (outcome, why) = order_as(&mut bed, 10, &[more(), unreserve(4)], ours());
        assert_eq!(outcome, Some(Finished), "{why}");
        assert_eq!(held(&bed), [(None, reserved_disk(6)), (theirs.clone(), reserved_disk(40))]);
        let made_by = bed.agent.ledger().claims.values().find(|it| it.framework.is_none());
        assert_eq!(made_by.unwrap().operation, Some(OperationUuid(Uuid::from_u128(10))));

        let meant =
            bed.agent.ledger().claims.values().find(|it| {
                it.framework == theirs && it.resource.identity == reserved_disk(1).identity
            });
        let claim = Some(meant.unwrap().id);
        let that_one = Some(Ownership { anybody: true, claim, ..Ownership::default() });
        assert_eq!(order_as(&mut bed, 11, &[unreserve(10)], that_one.clone()).0, Some(Finished));
        assert_eq!(held(&bed), [(None, reserved_disk(6)), (theirs.clone(), reserved_disk(30))]);
        let (outcome, why) = order_as(&mut bed, 12, &[unreserve(31)], that_one);
        assert!(outcome == Some(Failed) && why.contains("changed in the meantime"), "{why}");

        let removed =
            Some(Ownership { removed: theirs.iter().cloned().collect(), ..Ownership::default() });
        assert_eq!(order_as(&mut bed, 13, &[unreserve(8)], removed).0, Some(Finished));
        assert_eq!(order_as(&mut bed, 14, &[unreserve(8)], insists()).0, Some(Finished));
        let (outcome, why) = order_as(&mut bed, 15, &[unreserve(8)], None);
        assert_eq!(outcome, Some(Finished), "an older master does not say: {why}");
    }

    #[test]
    fn whose_claims_it_may_take_is_remembered_while_its_volumes_are_made() {
        let mut bed = ready();
        let create = || Bed::create(&[volume_named("new", 20)]);
        let before = claims(&bed);
        let steps = [create(), unreserve(10)];
        let (outcome, why) = order_as(&mut bed, 1, &steps, Some(Ownership::default()));
        assert_eq!((outcome, claims(&bed)), (Some(Failed), before), "{why}");
        assert!(why.starts_with("step 2 (UNRESERVE): "), "{why}");
        let (outcome, why) = order_as(&mut bed, 2, &steps, insists());
        assert_eq!(outcome, Some(Finished), "{why}");
        let new = bed.claim("new");
        assert_eq!(new.framework, None);
        assert_eq!(new.shares[0].framework, crate::testbed::framework().id, "it goes back to them");
    }
}
