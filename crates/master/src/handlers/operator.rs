//! What operators ask for, but for claims (see [`super::operator_claim`]). Each is answered once.

use holdfast_model::{
    Event, FrameworkId, Invalid, MasterChange, OfferId, OperatorCall, Role, Scalar, TaskKey,
};

use super::disks::{add_disk, adopt_disk, remove_disk};
use super::give_up::give_up;
use super::kill::kill;
use super::move_disk::move_disk;
use super::operator_claim::{end_claim, operator_claim, Force, Wish};
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
    let answer = match call {
        OperatorCall::Claim { agent, action } => {
            let wish = Wish { action: &action, force: Force::No, claim: None };
            match operator_claim(step, belief, asked, &agent, wish) {
                Ok(()) => return, // Answered when the agent has done it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::Apply { agent, steps, expected, force, claim } => {
            let demand = Demand { steps, expected, force: Force::of(force), claim };
            match apply(step, belief, asked, &agent, demand) {
                Ok(()) => return, // Answered when the agent has done it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::EndClaim { agent, claim, force, if_generation } => {
            let (force, which) = (Force::of(force), (&agent, claim));
            let ended = match if_generation {
                None => end_claim(step, belief, asked, which, force),
                Some(it) => end_claim_if(step, belief, asked, which, (force, it)),
            };
            match ended {
                Ok(()) => return, // Answered when the agent has done it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::GiveUp { agent, claim } => {
            match give_up(step, belief, asked, &agent, claim) {
                Ok(()) => return, // Answered when the agent has done it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::Undelete { agent, claim } => {
            match undelete(step, belief, asked, &agent, claim) {
                Ok(()) => return, // Answered when the agent has done it, or at once.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::PurgeTrash { agent, claim } => {
            match purge(step, belief, asked, &agent, claim) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::AddDisk { agent, disk } => {
            match add_disk(step, belief, asked, &agent, disk) {
                Ok(()) => return, // Answered when the agent has it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::AdoptDisk { agent, adoption } => {
            match adopt_disk(step, belief, asked, &agent, adoption) {
                Ok(()) => return, // Answered when its claims have followed it.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::MoveDisk { from, to, adoption, reason } => {
            let begun = move_disk(step, belief, asked, (from, to), adoption, reason);
            let Err(refusal) = begun else { return }; // Answered when the new agent has its claims.
            Err(refusal)
        }
        OperatorCall::RemoveDisk { agent, root } => {
            match remove_disk(step, belief, asked, &agent, root) {
                Ok(()) => return, // Answered when the agent has it no more.
                Err(refusal) => Err(refusal),
            }
        }
        OperatorCall::Teardown(framework) => tear_down(step, belief, &framework),
        OperatorCall::Kill(framework, task) => kill_task(step, belief, (framework, task)),
        OperatorCall::Weight(role, weight) => weigh(step, belief, role, weight),
    };
    step.out.send(Effect::Answer(asked.0, answer));
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
