//! Machines go down and come back: what runs on their agents ends, and what is claimed there stays with their records.
//!
//! Relies on the schedule in the ledger, so a new leader refuses the agents of a machine that is down as the former one did.

use holdfast_model::{AgentId, Machine, MasterLedger, Reason, StatusSource, TaskState, TaskStatus};

use super::agents::{agent_lost, agent_unreachable};
use super::bookkeeping::forget_holdings;
use super::gone::send_away;
use super::tasks::{end_for_agent, keys_of_agent};
use crate::parts::agents::AgentHealth;
use crate::{Belief, Step};

/// Why nothing that runs on that host is taken in, if its machine is down.
pub(crate) fn why_down(ledger: &MasterLedger, hostname: &str) -> Option<String> {
    let (Machine { id, .. }, _) = ledger.maintenance.of_host(hostname).filter(|it| it.0.is_down)?;
    Some(format!(
        "machine {id} is down for maintenance: what ran here is ended, what is claimed here is kept, and the agent is taken in again when the machine is up (`holdfast maintenance stop {id}`)"
    ))
}

/// The machine of an agent goes down. Of a connected agent the tasks are gone, since it is told to end them; of one that is away they may
/// still run until it is back, and are unreachable as those of any other.
pub(crate) fn agent_down(step: &mut Step, belief: &mut Belief, id: &AgentId, why: &str) {
    if let Some(link) = belief.agents.get(id).and_then(|it| it.link()) {
        agent_lost(step, belief, link);
        send_away(step, link, id, why);
        forget_holdings(belief, id);
        for key in keys_of_agent(&belief.tasks, id) {
            if belief.tasks.get(&key).is_some_and(|it| it.state.is_terminal()) {
                continue; // Its framework has yet to acknowledge how it ended.
            }
            let why = "its machine is down for maintenance; what is claimed there is kept";
            let status = TaskStatus::new(key.1.clone(), TaskState::Gone, step.now)
                .at_agent(id)
                .because(StatusSource::Master, Reason::AgentRemoved, why);
            end_for_agent(step, belief, &key, status);
        }
        belief.tasks.take_kills(id); // They are ended with all else.
    }
    agent_unreachable(step, belief, id);
    if belief.agents.get(id).is_some() {
        belief.agents.at_mut(id).set_health(AgentHealth::Fenced(why.to_owned()));
    }
    belief.allocator.touch(id);
}
