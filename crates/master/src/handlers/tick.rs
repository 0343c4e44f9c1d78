//! Time has passed: what is due happens. What fires for something that has changed since is passed over.

use holdfast_model::{AgentId, FrameworkId, LinkId, OfferId, Order};

use crate::flows::agents::{agent_lost, agent_unreachable};
use crate::flows::frameworks::remove_framework;
use crate::flows::inverse_offers::inverse_offer_due;
use crate::flows::offers::rescind;
use crate::flows::telling::order;
use crate::parts::timers::Timer;
use crate::{Belief, Effect, Step};

/// How many timers fire in one step at most.
const FIRED_MAX: usize = 64;

/// What is due now: so much of it that the step is not long. The rest is due at once.
pub(crate) fn tick(step: &mut Step, belief: &mut Belief) {
    belief.allocator.expire(step.now);
    for _ in 0..FIRED_MAX {
        let Some(timer) = belief.timers.pop_due(step.now) else { break };
        match timer {
            Timer::Offer(offer) => offer_due(step, belief, &offer),
            Timer::InverseOffer(offer) => inverse_offer_due(step, belief, &offer),
            Timer::AskAgain(agent) => belief.offers.inverse.touch(&agent),
            Timer::Framework(framework) => framework_due(step, belief, &framework),
            Timer::Agent(agent) => {
                if is_overdue(step, belief, &agent) {
                    agent_unreachable(step, belief, &agent);
                }
            }
            Timer::Ping(agent, link) => ping(step, belief, &agent, link),
        }
    }
}

fn offer_due(step: &mut Step, belief: &mut Belief, offer: &OfferId) {
    let timeout_ms = step.config.offer_timeout_ms;
    let made = belief.offers.open().get(offer).map(|it| it.made);
    let due = made.zip(timeout_ms).is_some_and(|(made, ms)| made.plus_ms(ms) <= step.now);
    if due {
        rescind(step, belief, offer);
    }
}

fn framework_due(step: &mut Step, belief: &mut Belief, framework: &FrameworkId) {
    let record = step.out.ledger().frameworks.get(framework);
    let due = record
        .is_some_and(|it| !it.removed && it.deadline.is_some_and(|deadline| deadline <= step.now));
    if due {
        step.out.log(format!(
            "framework {framework} did not come back in time; it is removed, its claims stay"
        ));
        remove_framework(step, belief, framework);
    }
}

/// Whether an agent that is away has been so for too long.
fn is_overdue(step: &Step, belief: &Belief, id: &AgentId) -> bool {
    let Some(state) = belief.agents.get(id) else { return false }; // It is gone.
    let patience_ms = if state.heard() {
        step.config.agent_timeout_ms
    } else {
        step.config.reregister_timeout_ms
    };
    state.link().is_none() && state.away_since().plus_ms(patience_ms) <= step.now
}

/// Asks an agent whether it hears us; one that did not answer for long is hung up on.
fn ping(step: &mut Step, belief: &mut Belief, id: &AgentId, link: LinkId) {
    let missed_max = step.config.pings_missed_max;
    if belief.agents.get(id).and_then(|it| it.link()) != Some(link) {
        return; // That link is over; a newer one has a timer of its own. Or the agent is gone.
    }
    if missed_max <= belief.agents.pings_missed(id) {
        step.out.log(format!("agent {id} left {missed_max} pings unanswered; its link is closed"));
        step.out.send(Effect::CloseAgent(link));
        return agent_lost(step, belief, link);
    }
    let number = belief.agents.next_ping(id);
    let acknowledged = step.out.ledger().agents.get(id).map_or(0, |it| it.ledger_version);
    order(step, &mut belief.agents, id, Order::Ping { number, acknowledged });
    let next = step.now.plus_ms(step.config.ping_interval_ms);
    belief.timers.set(next, Timer::Ping(id.clone(), link));
}
