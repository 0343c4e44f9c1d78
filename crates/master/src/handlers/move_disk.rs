//! A disk is moved from one agent to another, with all that is claimed of it.
//!
//! The move is written down before anybody is ordered anything, and says who has to do the next thing; so a failover, a lost order or an
//! agent's crash is made good by ordering it again when the agent is back. First the former agent writes down that it does not use the disk
//! any more; then the new one takes it, with its claims; and only what the new agent reports to have moves in the ledger, in one commit.
//! From then on nothing is believed of these claims at the former agent, which is told to end them until it has. If the new agent refuses,
//! the former one is told to use the disk again. One that is away can be passed over by force: it is not welcome while the new agent has
//! yet to decide. Never has claims at both agents, and never ends any.

use holdfast_model::{
    AgentId, Claim, DiskAdoption, DiskKind, DiskMove, EndedClaim, LeaveStage, MasterChange,
    MasterLedger, MoveState, OperationUpdate, OperationUuid, Order, Report, Resources, SourceKind,
    SpaceNews,
};

use super::cancel_move::{not_taken, recall, take_again};
use super::ledger_history::acknowledging;
use super::operator_claim::check_health;
use crate::flows::resync::resync;
use crate::flows::telling::order;
use crate::parts::agents::AgentHealth;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// Has a disk of one agent taken over by another.
///
/// # Errors
/// [`Refusal`] when an agent is not there, has no such claims, or another move of the disk is under way.
pub(super) fn move_disk(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    (from, to): (AgentId, AgentId),
    adoption: DiskAdoption,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let known = step.out.ledger().moves.get(&(adoption.disk, from.clone())).cloned();
    if known.as_ref().is_some_and(|it| it.state == MoveState::Moved && it.to == to) {
        step.out.send(Effect::Answer(request, Ok(())));
        return Ok(()); // It was done before.
    }
    check_moves(step.out.ledger(), (&from, &to), &adoption)?;
    let state = belief.agents.get(&to);
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {to}")))?;
    check_health((&to, state))?;
    let order = OperationUuid(step.ids.fresh());
    let begun = match known.filter(|it| it.state == MoveState::Taking) {
        Some(taking) => DiskMove { order, ..taking },
        None => {
            let (disk, root) = (adoption.disk, adoption.root.clone());
            let is_away = is_away(step, belief, &from, reason.is_some())?;
            let (kind, from_root, claims) = claims_of(step.out.ledger(), (&from, &to), &adoption)?;
            DiskMove {
                disk,
                from,
                to,
                kind,
                from_root,
                root,
                size_mb: adoption.size_mb,
                claims,
                order,
                by: principal.unwrap_or("operator").to_owned(),
                reason: reason.filter(|_| is_away),
                since: step.now,
                cancelled_by: None,
                cancel_reason: None,
                state: if is_away { MoveState::Taking } else { MoveState::Fencing },
            }
        }
    };
    let (asked, asks) = next(&begun);
    belief.operations.await_disk((order, asks.kind()), asked.clone(), request);
    step.out.commit(vec![MasterChange::Move(begun.clone())]);
    drive(step, belief, &begun);
    Ok(())
}

/// Whether another move of the disk is in the way.
fn check_moves(
    ledger: &MasterLedger,
    (from, to): (&AgentId, &AgentId),
    adoption: &DiskAdoption,
) -> Result<(), Refusal> {
    let disk = adoption.disk;
    for it in ledger.moves.values().filter(|it| it.disk == disk) {
        let is_same = it.from == *from && it.to == *to && it.root == adoption.root;
        let why = match it.state {
            MoveState::Moved if it.from == *from => {
                format!("the claims of disk {disk} are agent {}'s now", it.to)
            }
            MoveState::Moved if it.from == *to => format!(
                "agent {to}, which had disk {disk} before, has yet to end its claims of then; try again"
            ),
            MoveState::Recalling if it.from == *to => format!(
                "disk {disk} was to be agent {to}'s before, which was cancelled by force, and that agent has yet to say that it has not taken it; bring it back, and try again"
            ),
            MoveState::Cancelling => format!(
                "that disk {disk} is moved from agent {} to {} is just being cancelled; see `holdfast disk moves`",
                it.from, it.to
            ),
            MoveState::Fencing | MoveState::Taking if !is_same => format!(
                "disk {disk} is just being moved from agent {} to {} on agent {}; wait for the end of that, or cancel it: `holdfast disk cancel-move`",
                it.from, it.root, it.to
            ),
            _ => continue,
        };
        return Err(Refusal::Conflict(why));
    }
    Ok(())
}

/// Whether the former agent is away, and passed over.
fn is_away(step: &Step, belief: &Belief, from: &AgentId, is_forced: bool) -> Result<bool, Refusal> {
    if !step.out.ledger().agents.contains_key(from) {
        return Err(Refusal::NotFound(format!("there is no agent {from}")));
    }
    let Some(state) = belief.agents.get(from) else { return Ok(true) };
    match state.health() {
        AgentHealth::Well => Ok(false),
        AgentHealth::Resyncing | AgentHealth::Joining => check_health((from, state)).map(|()| false),
        AgentHealth::Away(_) | AgentHealth::Fenced(_) if is_forced => Ok(true),
        AgentHealth::Away(_) | AgentHealth::Fenced(_) => Err(Refusal::Conflict(format!(
            "agent {from}, which has the claims of the disk, is not connected, and cannot say that nothing of it uses the disk any more; start it, or, if nothing of it does, pass it over: --force --reason TEXT"
        ))),
    }
}

/// What is claimed of the disk at the agent that has it, and where.
fn claims_of(
    ledger: &MasterLedger,
    (from, to): (&AgentId, &AgentId),
    adoption: &DiskAdoption,
) -> Result<(DiskKind, String, Vec<Claim>), Refusal> {
    let disk = adoption.disk;
    let volume = ledger.claims_of(from).find(|it| it.disk == Some(disk));
    // All claims of an agent that is gone have ended: its disk comes without any, and its volumes are orphans.
    let had = |it: &&EndedClaim| it.agent == *from && it.claim.disk == Some(disk);
    let ended =
        || Some(&ledger.ended.iter().filter(|_| ledger.deaths.contains_key(from)).find(had)?.claim);
    let Some(volume) = volume.or_else(ended) else {
        let is_there = ledger.claims_of(to).any(|it| it.disk == Some(disk));
        return Err(Refusal::NotFound(match is_there {
            true => format!("the volumes of disk {disk} are agent {to}'s already; see `holdfast disk list`"),
            false => format!("agent {from} has no volume on disk {disk}; what carries no volume is added at the other agent with `holdfast disk add`"),
        }));
    };
    let source = volume.resource.identity.source.as_ref();
    let place = source.and_then(|it| {
        let kind = match it.kind {
            SourceKind::Path => DiskKind::Path,
            SourceKind::Mount => DiskKind::Mount,
            _ => return None,
        };
        Some((kind, it.root.clone()?))
    });
    let (kind, root) = place.ok_or_else(|| {
        Refusal::Conflict(format!(
            "disk {disk} is the own file system of agent {from}, which cannot be moved; start that agent where its directory is"
        ))
    })?;
    let former = holdfast_model::DiskRecord { id: disk, kind, root, size_mb: 0 };
    let lies_there = |it: &&Claim| {
        it.disk.map_or_else(|| former.carries(&it.resource.identity), |its| its == disk)
    };
    let claims = ledger.claims_of(from).filter(lies_there).cloned().collect();
    Ok((kind, former.root, claims))
}

/// The next thing that has to be done, and by whom.
pub(super) fn next(it: &DiskMove) -> (&AgentId, Order) {
    let by = it.cancelled_by.as_ref().unwrap_or(&it.by).clone();
    let stage = match it.state {
        MoveState::Fencing => LeaveStage::Fence,
        MoveState::Lifting => LeaveStage::Lift,
        MoveState::Moved => LeaveStage::End,
        MoveState::Taking => {
            let taking = Box::new(it.taking());
            return (&it.to, Order::TakeDisk { uuid: it.order, taking, by });
        }
        MoveState::Cancelling | MoveState::Recalling => {
            let claims = it.claims.iter().map(|claim| claim.id).collect();
            let cancel = Order::CancelTake { uuid: it.order, disk: it.disk, claims, by };
            return (it.asked(), cancel);
        }
    };
    let (uuid, disk, to) = (it.order, it.disk, it.to.clone());
    let reason = it.cancel_reason.clone().filter(|_| it.state == MoveState::Lifting);
    (&it.from, Order::LeaveDisk { uuid, disk, to, stage, by, reason })
}

/// Orders the next thing, if whoever has to do it is connected.
pub(super) fn drive(step: &mut Step, belief: &mut Belief, it: &DiskMove) {
    let (agent, next) = next(it);
    order(step, &mut belief.agents, agent, next);
}

/// An agent passed over orders; it knows the kinds up to `newest`. What it was asked to do first about disks that move, it has refused so;
/// what it has yet to end or undo stays to be done by a newer version of it.
pub(super) fn moves_passed_over(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    (newest, why): (u32, &str),
) {
    let is_its = |it: &&DiskMove| {
        let is_asked =
            matches!(it.state, MoveState::Fencing | MoveState::Taking | MoveState::Cancelling);
        let (asked, order) = next(it);
        is_asked && asked == agent && newest < order.kind()
    };
    let moves = step.out.ledger().moves.values().filter(is_its);
    let orders: Vec<OperationUuid> = moves.map(|it| it.order).collect();
    for order in orders {
        move_answered(step, belief, agent, order, Some(why));
        take_again(step, belief, order);
    }
}

/// An agent is connected anew: what it has yet to do about disks that move is ordered again.
pub(super) fn drive_all(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let moves = step.out.ledger().moves.values().filter(|it| it.asked() == id);
    let moves: Vec<DiskMove> = moves.cloned().collect();
    moves.iter().for_each(|it| drive(step, belief, it));
}

/// Why an agent that was passed over is not welcome yet: whose the claims are is just being decided.
pub(super) fn why_not_welcome(ledger: &MasterLedger, id: &AgentId) -> Option<String> {
    let is_undecided = |it: &&DiskMove| {
        let is_open = matches!(it.state, MoveState::Taking | MoveState::Cancelling);
        it.from == *id && is_open && it.reason.is_some()
    };
    let it = ledger.moves.values().find(is_undecided)?;
    Some(format!(
        "disk {} of this agent is just being taken over by agent {}; this agent is welcome again as soon as that one has done so, or refused",
        it.disk, it.to
    ))
}

/// An agent says what came of an order; says whether it was one about a disk that moves, and is done with.
pub(super) fn move_answered(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    uuid: OperationUuid,
    refusal: Option<&str>,
) -> bool {
    let is_it = |it: &&DiskMove| it.order == uuid && it.asked() == agent;
    let Some(it) = step.out.ledger().moves.values().find(is_it).cloned() else { return false };
    match (it.state, refusal) {
        (MoveState::Fencing, None) => {
            take(step, belief, it);
            true
        }
        (MoveState::Taking, Some(why)) => {
            step.out.log(format!("agent {} does not take disk {} over: {why}", it.to, it.disk));
            drop_move(step, belief, it);
            false
        }
        (MoveState::Taking, None) if it.claims.is_empty() => {
            step.out.commit(vec![MasterChange::MoveEnded(it.disk, it.from)]);
            false
        }
        (MoveState::Taking, None) => {
            resync(step, belief, agent); // Its report says whether it has the claims.
            false
        }
        (MoveState::Cancelling, None) => {
            not_taken(step, belief, it);
            false
        }
        (MoveState::Cancelling, Some(_)) => {
            resync(step, belief, agent); // Its report has the claims, and then they are its own.
            false
        }
        (MoveState::Recalling, Some(_)) => {
            recall(step, belief, it);
            false
        }
        (MoveState::Fencing, Some(_)) | (MoveState::Lifting, _) | (MoveState::Recalling, None) => {
            step.out.commit(vec![MasterChange::MoveEnded(it.disk, it.from)]);
            false
        }
        (MoveState::Moved, _) => false, // Its report says whether it has ended them.
    }
}

/// The agent that was to take a disk over will not come back: the former one is to use it again.
pub(super) fn drop_move(step: &mut Step, belief: &mut Belief, it: DiskMove) {
    let order = OperationUuid(step.ids.fresh());
    let lifting = DiskMove { order, state: MoveState::Lifting, ..it };
    step.out.commit(vec![MasterChange::Move(lifting.clone())]);
    drive(step, belief, &lifting);
}

/// The former agent does not use the disk any more: the new one is to take it over, with the claims as they are now.
fn take(step: &mut Step, belief: &mut Belief, it: DiskMove) {
    let order = OperationUuid(step.ids.fresh());
    let claims = step.out.ledger().claims_of(&it.from).filter(|claim| it.concerns(claim));
    let claims = claims.cloned().collect();
    let request = belief.operations.take_disk(&it.from, it.order);
    let taking = DiskMove { order, claims, state: MoveState::Taking, ..it };
    if let Some(request) = request {
        let kind = next(&taking).1.kind();
        belief.operations.await_disk((order, kind), taking.to.clone(), request);
    }
    step.out.commit(vec![MasterChange::Move(taking.clone())]);
    drive(step, belief, &taking);
}

/// What a report says of disks that move: claims that the new agent has are its own from now on, and what the former one says of them is
/// passed over.
pub(super) fn learn_moves(step: &mut Step, belief: &mut Belief, id: &AgentId, report: &mut Report) {
    let is_its = |it: &&DiskMove| it.from == *id || it.to == *id;
    let moves: Vec<DiskMove> = step.out.ledger().moves.values().filter(is_its).cloned().collect();
    if !moves.is_empty() {
        witness(step, id, report);
    }
    for it in moves {
        if it.to == *id && may_have_taken(step.out.ledger(), &it) {
            let named = |claim: &&Claim| it.claims.iter().any(|its| its.id == claim.id);
            let taken: Vec<Claim> = report.claims.iter().filter(named).cloned().collect();
            if !taken.is_empty() {
                claims_moved(step, belief, it, taken);
            }
        } else if it.from == *id && it.state == MoveState::Moved && !pass_over(&it, report) {
            step.out.commit(vec![MasterChange::MoveEnded(it.disk, it.from)]);
        } else if it.from == *id && it.state == MoveState::Recalling && took(&it, report) {
            pass_over(&it, report);
            recall(step, belief, it);
        }
    }
}

/// Remembers the version of a ledger that has its part of a move. One that is rolled back behind that is fenced: else it would end claims that
/// it took by saying nothing of them, or have again what it left.
fn witness(step: &mut Step, id: &AgentId, report: &Report) {
    let record = step.out.ledger().agents.get(id);
    let behind = record.filter(|it| it.ledger_version < report.ledger_version);
    let seen = behind.map(|it| MasterChange::Agent(acknowledging(it, report)));
    step.out.commit(seen.into_iter().collect());
}

/// The claims are the new agent's from now on, all of them in one commit.
fn claims_moved(step: &mut Step, belief: &mut Belief, it: DiskMove, taken: Vec<Claim>) {
    step.out.log(format!(
        "disk {} has moved from agent {} to {}, with all that is claimed of it ({})",
        it.disk,
        it.from,
        it.to,
        taken.len()
    ));
    let gone = taken.iter().map(|claim| MasterChange::ClaimGone(it.from.clone(), claim.id));
    let mut changes: Vec<MasterChange> = gone.collect();
    changes.extend(taken.into_iter().map(|claim| MasterChange::Claim(it.to.clone(), claim)));
    let moved = DiskMove { state: MoveState::Moved, cancelled_by: None, cancel_reason: None, ..it };
    changes.push(MasterChange::Move(moved.clone()));
    step.out.commit(changes);
    belief.allocator.touch(&moved.from);
    drive(step, belief, &moved);
}

/// Whether the new agent of an open move may have taken the disk over. One that was passed over by force may not have.
fn may_have_taken(ledger: &MasterLedger, it: &DiskMove) -> bool {
    matches!(it.state, MoveState::Taking | MoveState::Cancelling | MoveState::Lifting)
        && !ledger.moves.contains_key(&(it.disk, it.to.clone()))
}

/// Whether a report has claims that were to be taken over.
fn took(it: &DiskMove, report: &Report) -> bool {
    let named = |claim: &Claim| it.claims.iter().any(|its| its.id == claim.id);
    report.claims.iter().any(named)
}

/// Takes out of a report what its agent says of a disk that is another's; says whether it had claims of it.
fn pass_over(it: &DiskMove, report: &mut Report) -> bool {
    let before = report.claims.len();
    let gone: Vec<_> = report.claims.extract_if(.., |claim| it.concerns(claim)).collect();
    if report.claims.len() == before {
        return false;
    }
    report.faults.retain(|(id, _)| gone.iter().all(|claim| claim.id != *id));
    report.disks.retain(|disk| disk.disk.id != it.disk);
    let resources = &report.machine.resources;
    report.machine.resources = without(it, resources);
    true
}

fn without(it: &DiskMove, resources: &Resources) -> Resources {
    let former = it.former();
    resources.filter(|identity| !former.carries(identity))
}

fn moved_from<'a>(step: &'a Step, id: &'a AgentId) -> impl Iterator<Item = &'a DiskMove> {
    let moves = step.out.ledger().moves.values();
    moves.filter(move |it| it.from == *id && it.state == MoveState::Moved)
}

/// The same with news of the space on disks.
pub(super) fn pass_over_space(step: &Step, id: &AgentId, news: &mut SpaceNews) {
    for it in moved_from(step, id) {
        let former = it.former();
        news.resources.retain(|resource| !former.carries(&resource.identity));
        news.disks.retain(|disk| disk.disk.id != it.disk);
    }
}

/// The same with the outcome of an operation.
pub(super) fn pass_over_claims(step: &Step, id: &AgentId, update: &mut OperationUpdate) {
    for it in moved_from(step, id) {
        update.claims.retain(|claim| !it.concerns(claim));
    }
}
