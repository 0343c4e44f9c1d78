//! What operators ask for, but for claims (see [`super::operator_claim`]). Each is answered once.

use holdfast_model::{
    Event, FrameworkId, Invalid, MasterChange, OfferId, OperatorCall, Role, Scalar, TaskKey,
};

use super::adopt_volume::{adopt_volume, remove_orphan};
use super::cancel_move::cancel_move;
use super::disks::{add_disk, adopt_disk, remove_disk};
use super::drain_agent::{deactivate_agent, drain_agent, reactivate_agent};
use super::give_up::give_up;
use super::kill::kill;
use super::maintain::{machines_down, machines_up, plan_downtime};
use super::mark_gone::mark_gone;
use super::move_disk::move_disk;
use super::operator_claim::{end_claim, operator_claim, Force, Wish};
use super::recover::recover;
use super::set_quota::set_quota;
use super::together::{apply, end_claim_if, Demand};
use super::trash::{purge, undelete};
use crate::flows::frameworks::remove_framework;
use crate::flows::offers::rescind_each;
use crate::flows::telling::tell;
use crate::parts::frameworks::FrameworkState;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// An operator asks.
pub(crate) fn operator_asks(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    call: OperatorCall,
) {
    let done = match call {
        OperatorCall::Teardown(framework) => tear_down(step, belief, &framework),
        OperatorCall::Kill(framework, task) => kill_task(step, belief, (framework, task)),
        OperatorCall::Weight(role, weight) => weigh(step, belief, role, weight),
        OperatorCall::Quota { quotas, force } => set_quota(step, belief, quotas, force),
        OperatorCall::DeactivateAgent(agent) => deactivate_agent(step, belief, asked.1, &agent),
        OperatorCall::ReactivateAgent { agent, cancel_drain } => {
            reactivate_agent(step, belief, &agent, cancel_drain)
        }
        OperatorCall::DrainAgent { agent, max_grace_ms, mark_gone } => {
            drain_agent(step, belief, asked.1, &agent, (max_grace_ms, mark_gone))
        }
        OperatorCall::Schedule(windows) => plan_downtime(step, belief, windows),
        OperatorCall::MachinesDown(ids) => machines_down(step, belief, &ids),
        OperatorCall::MachinesUp(ids) => machines_up(step, belief, &ids),
        OperatorCall::MarkAgentGone { agent, reason } => {
            mark_gone(step, belief, asked.1, &agent, reason)
        }
        call => match begin(step, belief, asked, call) {
            Ok(()) => return, // Answered when the agent has done it.
            Err(refusal) => Err(refusal),
        },
    };
    step.out.send(Effect::Answer(asked.0, done));
}

/// What an agent has to do first.
fn begin(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    call: OperatorCall,
) -> Result<(), Refusal> {
    match call {
        OperatorCall::Claim { agent, action } => {
            let wish = Wish { action: &action, force: Force::No, claim: None };
            operator_claim(step, belief, asked, &agent, wish)
        }
        OperatorCall::Apply { agent, steps, expected, force, claim } => {
            let demand = Demand { steps, expected, force: Force::of(force), claim };
            apply(step, belief, asked, &agent, demand)
        }
        OperatorCall::EndClaim { agent, claim, force, if_generation } => {
            let (force, which) = (Force::of(force), (&agent, claim));
            match if_generation {
                None => end_claim(step, belief, asked, which, force),
                Some(it) => end_claim_if(step, belief, asked, which, (force, it)),
            }
        }
        OperatorCall::GiveUp { agent, claim } => give_up(step, belief, asked, &agent, claim),
        OperatorCall::Undelete { agent, claim } => undelete(step, belief, asked, &agent, claim),
        OperatorCall::PurgeTrash { agent, claim } => purge(step, belief, asked, &agent, claim),
        OperatorCall::AddDisk { agent, disk } => add_disk(step, belief, asked, &agent, disk),
        OperatorCall::AdoptDisk { agent, adoption } => {
            adopt_disk(step, belief, asked, &agent, adoption)
        }
        OperatorCall::MoveDisk { from, to, adoption, reason } => {
            move_disk(step, belief, asked, (from, to), adoption, reason)
        }
        OperatorCall::CancelMove { disk, from, reason } => {
            cancel_move(step, belief, asked, (disk, from), reason)
        }
        OperatorCall::AdoptVolume { agent, adoption } => {
            adopt_volume(step, belief, asked, &agent, &adoption)
        }
        OperatorCall::RemoveOrphan { agent, orphan } => {
            remove_orphan(step, belief, asked, &agent, orphan)
        }
        OperatorCall::RecoverAgent { agent, node, plan } => {
            recover(step, belief, asked, (agent, node), &plan)
        }
        OperatorCall::RemoveDisk { agent, root } => remove_disk(step, belief, asked, &agent, root),
        OperatorCall::Teardown(_)
        | OperatorCall::Kill(..)
        | OperatorCall::Weight(..)
        | OperatorCall::DeactivateAgent(_)
        | OperatorCall::ReactivateAgent { .. }
        | OperatorCall::DrainAgent { .. }
        | OperatorCall::MarkAgentGone { .. }
        | OperatorCall::Schedule(_)
        | OperatorCall::MachinesDown(_)
        | OperatorCall::MachinesUp(_)
        | OperatorCall::Quota { .. } => {
            unreachable!("no agent has to do anything first")
        }
    }
}

fn kill_task(step: &mut Step, belief: &mut Belief, key: TaskKey) -> Result<(), Refusal> {
    if belief.tasks.get(&key).is_none_or(|it| it.state.is_terminal()) {
        let why = format!("framework {} has no live task `{}`", key.0, key.1);
        return Err(Refusal::NotFound(why));
    }
    kill(step, belief, key, None, None);
    Ok(())
}

/// What is offered already was divided by other weights; it is divided anew.
fn weigh(step: &mut Step, belief: &mut Belief, role: Role, weight: Scalar) -> Result<(), Refusal> {
    if weight.as_thousandths() <= 0 {
        let why = format!("{weight} for `{role}`: a weight must be greater than 0");
        return Err(Refusal::Invalid(Invalid::new("weight", why)));
    }
    let former = step.out.ledger().weights.get(&role).copied();
    if former.unwrap_or(Scalar::whole(1)) == weight {
        return Ok(());
    }
    let concerned = |it: &Role| *it == role || it.is_below(&role);
    let uses = |it: &FrameworkState| it.info().roles.iter().any(concerned);
    let is_used = belief.frameworks.states().values().any(uses);
    step.out.commit(vec![MasterChange::Weight(role, weight)]);
    if is_used {
        let offers: Vec<OfferId> = belief.offers.open().keys().cloned().collect();
        rescind_each(step, belief, offers);
    }
    belief.allocator.touch_weights();
    Ok(())
}

fn tear_down(step: &mut Step, belief: &mut Belief, framework: &FrameworkId) -> Result<(), Refusal> {
    match step.out.ledger().frameworks.get(framework) {
        Some(it) if !it.removed => {
            let why = "Framework has been removed by an operator".to_owned();
            tell(step, &belief.frameworks, framework, Event::Error(why));
            remove_framework(step, belief, framework);
            Ok(())
        }
        Some(_) => Err(Refusal::NotFound(format!("framework {framework} was removed before"))),
        None => Err(Refusal::NotFound(format!("there is no framework {framework}"))),
    }
}
