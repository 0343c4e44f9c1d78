//! An operator gives a running agent one more disk, takes one away that was added, or has one taken over that is at another path now.
//! Answered once the agent has written it down.
//!
//! The agent, which has the disks, decides; here it is only passed on. All of it can be asked for again without harm, so nothing of it is
//! written down: when an answer is lost with the link or the leader, the operator is told that it is not known, and looks at the disks.

use holdfast_model::{AddedDisk, AgentId, DiskAdoption, OperationUuid, Order};

use super::move_disk::move_answered;
use super::operator_claim::check_health;
use crate::flows::telling::order;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// Has a disk added.
///
/// # Errors
/// [`Refusal`] when the agent is not there.
pub(super) fn add_disk(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    agent: &AgentId,
    disk: AddedDisk,
) -> Result<(), Refusal> {
    pass_on(step, belief, asked, agent, |uuid, by| Order::AddDisk { uuid, disk, by })
}

/// Has a disk taken over at another path of its agent.
///
/// # Errors
/// [`Refusal`] when the agent is not there, or has no such disk.
pub(super) fn adopt_disk(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    agent: &AgentId,
    adoption: DiskAdoption,
) -> Result<(), Refusal> {
    let state = belief.agents.get(agent);
    let has_it = |it: &crate::parts::agents::AgentState| {
        it.disks().iter().any(|it| it.disk.id == adoption.disk)
    };
    if state.is_some_and(|it| !has_it(it)) {
        let why = format!("agent {agent} has no disk {}; see its disks", adoption.disk);
        return Err(Refusal::NotFound(why));
    }
    pass_on(step, belief, asked, agent, |uuid, by| Order::AdoptDisk { uuid, adoption, by })
}

/// Has a disk taken away.
///
/// # Errors
/// [`Refusal`] when the agent is not there, or has no such disk.
pub(super) fn remove_disk(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    agent: &AgentId,
    root: String,
) -> Result<(), Refusal> {
    let state = belief.agents.get(agent);
    let is_there =
        |it: &crate::parts::agents::AgentState| it.disks().iter().any(|it| it.disk.root == root);
    if state.is_some_and(|it| !is_there(it)) {
        let why = format!("agent {agent} has no disk at {root}; see its disks");
        return Err(Refusal::NotFound(why));
    }
    pass_on(step, belief, asked, agent, |uuid, by| Order::RemoveDisk { uuid, root, by })
}

fn pass_on(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    make: impl FnOnce(OperationUuid, String) -> Order,
) -> Result<(), Refusal> {
    let state = belief.agents.get(agent);
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    check_health((agent, state))?;
    let uuid = OperationUuid(step.ids.fresh());
    let made = make(uuid, principal.unwrap_or("operator").to_owned());
    belief.operations.await_disk((uuid, made.kind()), agent.clone(), request);
    order(step, &mut belief.agents, agent, made);
    Ok(())
}

/// An agent says what came of it.
pub(super) fn disk_answered(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    uuid: OperationUuid,
    refusal: Option<String>,
) {
    if move_answered(step, belief, agent, uuid, refusal.as_deref()) {
        return; // Whoever waits goes on waiting, for another agent.
    }
    if let Some(request) = belief.operations.take_disk(agent, uuid) {
        let answer = refusal.map_or(Ok(()), |why| Err(Refusal::Conflict(why)));
        step.out.send(Effect::Answer(request, answer));
    }
}
