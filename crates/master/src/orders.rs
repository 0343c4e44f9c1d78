//! Orders to agents, and the question "tell me everything again".
//!
//! Relies on agents counting the orders they have seen: a report is believed only when its agent had seen all that was sent. While such an
//! answer is awaited, orders are held back, so that a busy link cannot keep an agent from ever being believed.

use holdfast_model::{AgentId, Order, ToAgent};

use crate::state::{AgentHealth, AgentState};
use crate::{Effect, Master};

/// How many orders are held back for one agent.
const HELD_BACK_MAX: usize = 4096;
/// How many of them may be messages, which are large and promised to nobody.
const MESSAGES_MAX: usize = 16;

impl Master {
    /// Orders an agent, if it is connected; says whether it was. While it is asked to tell everything again, the order waits.
    pub(crate) fn order(&mut self, agent: &AgentId, order: Order) -> bool {
        let (Some(term), Some(state)) = (self.term, self.agents.get_mut(agent)) else {
            return false;
        };
        let Some(link) = state.link else { return false };
        if !matches!(order, Order::Ping(_)) {
            if state.asked.is_some() {
                return state.hold_back(order);
            }
            state.orders_sent += 1;
        }
        self.effects.push(Effect::ToAgent(link, ToAgent { term, order }));
        true
    }

    /// Asks an agent to tell everything again. Until then nobody may use it: what was offered of it may not be there.
    pub(crate) fn resync(&mut self, id: &AgentId) {
        let Some(state) = self.agents.get_mut(id).filter(|it| it.link.is_some()) else { return };
        state.health = AgentHealth::Resyncing;
        let is_asked = state.asked.is_some();
        self.rescind_all_of(id);
        self.touch(id);
        if !is_asked && self.order(id, Order::Resync) {
            if let Some(state) = self.agents.get_mut(id) {
                state.asked = Some(state.orders_sent);
            }
        }
    }

    /// The answer came: what was held back is sent.
    pub(crate) fn send_held_back(&mut self, id: &AgentId) {
        let orders =
            self.agents.get_mut(id).map(|it| std::mem::take(&mut it.held_back)).unwrap_or_default();
        for order in orders {
            self.order(id, order);
        }
    }

    /// The answer will not come on this link. Kills are done when the agent is back; the rest is asked for again by whoever needs it.
    pub(crate) fn drop_held_back(&mut self, id: &AgentId) {
        let Some(state) = self.agents.get_mut(id) else { return };
        state.asked = None;
        state.forgotten.clear();
        for order in std::mem::take(&mut state.held_back) {
            if let Order::Kill { framework, task, grace_ms } = order {
                let key = (framework, task);
                if self.tasks.contains_key(&key) {
                    self.kills.insert(key, grace_ms);
                }
            }
        }
    }
}

impl AgentState {
    fn hold_back(&mut self, order: Order) -> bool {
        let is_message = |it: &Order| matches!(it, Order::ExecutorMessage(..));
        let many_messages = is_message(&order)
            && MESSAGES_MAX <= self.held_back.iter().filter(|it| is_message(it)).count();
        if many_messages || HELD_BACK_MAX <= self.held_back.len() {
            return false;
        }
        self.held_back.push(order);
        true
    }
}
