//! An agent of an older version passed over an order that it does not know.
//!
//! Nothing was done, and nothing of it is believed done: whoever waits for such an order is refused with the reason, and what an operation was
//! believed to change is found out by having the agent tell everything again. An order that the agent knows is not touched: it is under way.

use holdfast_model::{AgentId, LinkId, Order};

use super::move_disk::moves_passed_over;
use super::recover::recovery_passed_over;
use crate::flows::resync::resync;
use crate::{Belief, Effect, Refusal, Step};

/// What whoever waits for it is told.
pub(super) fn why_passed_over(agent: &AgentId) -> String {
    format!("agent {agent} is of an older version and does not know what it was asked; nothing was done: upgrade that agent, and ask again")
}

/// It knows the kinds of orders up to `newest`.
pub(crate) fn passed_over(step: &mut Step, belief: &mut Belief, link: LinkId, newest: u32) {
    let Some(agent) = step.links.agent_at(link).cloned() else {
        if newest < Order::RECOVER {
            recovery_passed_over(step, belief, link);
        }
        return;
    };
    if belief.agents.at(&agent).link() != Some(link) {
        return; // An older link's last words.
    }
    let why = why_passed_over(&agent);
    step.out.log(why.clone());
    moves_passed_over(step, belief, &agent, (newest, &why));
    for request in belief.operations.take_passed_over(&agent, newest) {
        step.out.send(Effect::Answer(request, Err(Refusal::Conflict(why.clone()))));
    }
    belief.agents.passes_over(&agent);
    resync(step, belief, &agent); // An operation that it passed over is in no report.
}
