//! An operator wants a disk not to be moved to another agent after all.
//!
//! As long as the new agent was not asked, the former one uses the disk again. One that was asked is asked whether it has taken it: if so, the
//! move is complete and stands; if not, it has forgotten the order, and the former one uses the disk again. One that was asked and is away can
//! be passed over by force: the claims stay the former agent's, and it is remembered that what the other one may have taken ends there when it
//! is back, before anything that it says of these claims is believed. Never has claims at both agents, and never ends any of the former one.

use holdfast_model::{AgentId, DiskId, DiskMove, MasterChange, MoveState, OperationUuid};

use super::move_disk::{drive, next};
use crate::parts::agents::AgentHealth;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// Cancels a move. The answer comes when it is known that the new agent has not taken the disk over.
///
/// # Errors
/// [`Refusal`] when there is no such move, it is complete, or the agent that has to be asked is away.
pub(super) fn cancel_move(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    (disk, from): (DiskId, AgentId),
    reason: Option<String>,
) -> Result<(), Refusal> {
    let it = open_move(step, disk, &from)?;
    let by = principal.unwrap_or("operator").to_owned();
    let order = OperationUuid(step.ids.fresh());
    let cancelled = DiskMove { order, cancelled_by: Some(by.clone()), ..it.clone() };
    if it.state == MoveState::Fencing {
        answer_former(step, belief, &it, &by);
        lift(step, belief, DiskMove { cancel_reason: reason, ..cancelled }, Vec::new());
        step.out.send(Effect::Answer(request, Ok(())));
        return Ok(());
    }
    if is_reachable(belief, &it.to, reason.is_some())? {
        answer_former(step, belief, &it, &by);
        let cancelling =
            DiskMove { state: MoveState::Cancelling, cancel_reason: reason, ..cancelled };
        belief.operations.await_disk((order, next(&cancelling).1.kind()), it.to.clone(), request);
        step.out.commit(vec![MasterChange::Move(cancelling.clone())]);
        drive(step, belief, &cancelling);
        return Ok(());
    }
    step.out.log(format!(
        "that disk {disk} is moved from agent {from} to {} is cancelled by {by}, and that agent passed over: {}",
        it.to,
        reason.as_deref().unwrap_or_default()
    ));
    answer_former(step, belief, &it, &by);
    let cancelled = DiskMove { cancel_reason: reason, ..cancelled };
    let recalled = cancelled.recalled(OperationUuid(step.ids.fresh()), step.now);
    lift(step, belief, cancelled, vec![MasterChange::Move(recalled)]);
    step.out.send(Effect::Answer(request, Ok(())));
    Ok(())
}

fn open_move(step: &Step, disk: DiskId, from: &AgentId) -> Result<DiskMove, Refusal> {
    let it = step.out.ledger().moves.get(&(disk, from.clone())).cloned();
    let why = match it {
        None => {
            return Err(Refusal::NotFound(format!(
                "disk {disk} is not being moved from agent {from}; see `holdfast disk moves`"
            )))
        }
        Some(it) => match it.state {
            MoveState::Fencing | MoveState::Taking | MoveState::Cancelling => return Ok(it),
            MoveState::Lifting => format!(
                "that disk {disk} is moved to agent {} is off already; agent {from} has yet to be told",
                it.to
            ),
            MoveState::Moved => format!(
                "disk {disk} has been taken over by agent {}, and its claims are there; to have them back, move the disk: `holdfast disk adopt`",
                it.to
            ),
            MoveState::Recalling => format!(
                "that disk {disk} is moved to agent {from} was cancelled; that agent has yet to say that it has not taken it"
            ),
        },
    };
    Err(Refusal::Conflict(why))
}

/// Whether the agent that was to take the disk over can be asked, or else is passed over.
fn is_reachable(belief: &Belief, to: &AgentId, is_forced: bool) -> Result<bool, Refusal> {
    match belief.agents.get(to).map(|it| it.health()) {
        Some(AgentHealth::Well | AgentHealth::Resyncing) => Ok(true),
        _ if is_forced => Ok(false),
        _ => Err(Refusal::Conflict(format!(
            "agent {to}, which was asked to take the disk over, is not connected, and cannot say whether it has; start it, or, if nothing of it uses the disk, pass it over: --force --reason TEXT"
        ))),
    }
}

/// Whoever waits for the move is told that it is cancelled.
fn answer_former(step: &mut Step, belief: &mut Belief, it: &DiskMove, by: &str) {
    let agent = next(it).0;
    if let Some(request) = belief.operations.take_disk(agent, it.order) {
        let why = format!("{by} cancels it; what comes of that: `holdfast disk moves`");
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why))));
    }
}

/// The former agent is to use the disk again.
fn lift(step: &mut Step, belief: &mut Belief, it: DiskMove, beside: Vec<MasterChange>) {
    let lifting = DiskMove { state: MoveState::Lifting, ..it };
    let changes = [MasterChange::Move(lifting.clone())].into_iter().chain(beside);
    step.out.commit(changes.collect());
    drive(step, belief, &lifting);
}

/// The new agent has not taken the disk over, and will not.
pub(super) fn not_taken(step: &mut Step, belief: &mut Belief, it: DiskMove) {
    step.out.log(format!("disk {} stays agent {}'s: the move is cancelled", it.disk, it.from));
    let order = OperationUuid(step.ids.fresh());
    lift(step, belief, DiskMove { order, ..it }, Vec::new());
}

/// It has taken the disk over although that was cancelled by force meanwhile: that ends there.
pub(super) fn recall(step: &mut Step, belief: &mut Belief, it: DiskMove) {
    step.out.log(format!(
        "agent {} had taken disk {} over before that was cancelled; the claims are agent {}'s, and end at that one",
        it.from, it.disk, it.to
    ));
    let order = OperationUuid(step.ids.fresh());
    let ending = DiskMove { order, state: MoveState::Moved, ..it };
    step.out.commit(vec![MasterChange::Move(ending.clone())]);
    drive(step, belief, &ending);
}

/// The new agent does not know that it can be asked to give a disk up that it was to take: the move goes on.
pub(super) fn take_again(step: &mut Step, belief: &mut Belief, order: OperationUuid) {
    let is_it = |it: &&DiskMove| it.order == order && it.state == MoveState::Cancelling;
    let Some(it) = step.out.ledger().moves.values().find(is_it).cloned() else { return };
    let order = OperationUuid(step.ids.fresh());
    let taking =
        DiskMove { order, state: MoveState::Taking, cancelled_by: None, cancel_reason: None, ..it };
    step.out.commit(vec![MasterChange::Move(taking.clone())]);
    drive(step, belief, &taking);
}
