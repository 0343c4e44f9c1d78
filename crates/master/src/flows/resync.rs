//! The question "tell me everything again", for when only the agent knows how things are.

use holdfast_model::{AgentId, Order};

use super::offers::rescind_all_of;
use super::telling::order;
use crate::parts::agents::{AgentHealth, Agents};
use crate::parts::tasks::Tasks;
use crate::{Belief, Step};

/// Asks an agent to tell everything again. Until then nobody may use it: what was offered of it may not be there.
pub(crate) fn resync(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let state = belief.agents.at_mut(id);
    if state.link().is_none() {
        return; // It tells everything when it comes back.
    }
    state.set_health(AgentHealth::Resyncing);
    let is_asked = state.asked().is_some();
    rescind_all_of(step, belief, id);
    belief.allocator.touch(id);
    if !is_asked && order(step, &mut belief.agents, id, Order::Resync) {
        belief.agents.at_mut(id).ask();
    }
}

/// The answer came: what was queued until then is sent.
pub(crate) fn send_queued(step: &mut Step, agents: &mut Agents, id: &AgentId) {
    for queued in agents.at_mut(id).take_queued() {
        order(step, agents, id, queued);
    }
}

/// The answer will not come on this link. Kills are done when the agent is back; the rest is asked for again by whoever needs it.
pub(crate) fn drop_queued(agents: &mut Agents, tasks: &mut Tasks, id: &AgentId) {
    for queued in agents.at_mut(id).abandon_queued() {
        if let Order::Kill { framework, task, grace_ms } = queued {
            tasks.kill_later((framework, task), grace_ms);
        }
    }
}
