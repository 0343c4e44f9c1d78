//! Frameworks are asked whether they can do without what they have on an agent whose machine will be down. Nothing follows from their
//! answers but that operators see them.
//!
//! Driven by events: whoever touches an agent of the schedule has it looked at once, in this step or a later one.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, Event, Filters, FrameworkId, InverseOffer, OfferId, Unavailability};

use super::telling::tell;
use crate::parts::agents::AgentHealth;
use crate::parts::inverse_offers::InverseStatus;
use crate::parts::timers::Timer;
use crate::{Belief, Step};

/// How many agents are looked at in one step at most.
const LOOKED_AT_MAX: usize = 64;
/// The longest time that nobody is asked again: 365 days, in milliseconds.
const QUIET_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

/// Asks those who have something on agents that were touched.
pub(crate) fn ask(step: &mut Step, belief: &mut Belief) {
    let mut asked: BTreeMap<FrameworkId, Vec<InverseOffer>> = BTreeMap::new();
    for _ in 0..LOOKED_AT_MAX {
        let Some(agent) = belief.offers.inverse.next_touched() else { break };
        for offer in look_at(step, belief, &agent) {
            asked.entry(offer.framework.clone()).or_default().push(offer);
        }
    }
    belief.offers.inverse.end_step(step.now);
    for (framework, offers) in asked {
        tell(step, &belief.frameworks, &framework, Event::InverseOffers(offers));
    }
}

/// Who has what on an agent has changed; it is looked at if its machine has planned downtime.
pub(crate) fn use_changed(step: &Step, belief: &mut Belief, agent: &AgentId) {
    if step.out.ledger().planned_for(agent).is_some() {
        belief.offers.inverse.touch(agent);
    }
}

/// The inverse offers that are to be made about an agent now.
fn look_at(step: &mut Step, belief: &mut Belief, agent: &AgentId) -> Vec<InverseOffer> {
    let Some((machine, unavailability)) = step.out.ledger().planned_for(agent) else {
        return Vec::new();
    };
    let is_well = belief.agents.get(agent).is_some_and(|it| *it.health() == AgentHealth::Well);
    if machine.is_down || !is_well {
        return Vec::new();
    }
    let mut offers = Vec::new();
    for framework in holders(belief, agent) {
        if !belief.offers.inverse.may_ask(agent, &framework, step.now) {
            continue;
        }
        if belief.frameworks.get(&framework).is_none_or(|it| it.link().is_none()) {
            belief.offers.inverse.miss(agent, &framework);
            continue;
        }
        offers.push(make(step, belief, agent, framework, unavailability));
    }
    offers
}

/// Who has tasks or executors on an agent.
fn holders(belief: &Belief, agent: &AgentId) -> BTreeSet<FrameworkId> {
    let tasks = belief.tasks.of_agent(agent).filter(|it| it.holds()).map(|it| &it.framework);
    let executors = belief.agents.at(agent).executors().keys().map(|it| &it.0);
    tasks.chain(executors).cloned().collect()
}

fn make(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    framework: FrameworkId,
    unavailability: Unavailability,
) -> InverseOffer {
    let (ledger, term) = (step.out.ledger(), step.out.term_led());
    let cluster = ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
    let id = belief.offers.name(cluster, term);
    let offer = InverseOffer { id, framework, agent: agent.clone(), unavailability };
    belief.offers.inverse.put(offer.clone(), step.now);
    if let Some(ms) = step.config.offer_timeout_ms {
        belief.timers.set(step.now.plus_ms(ms), Timer::InverseOffer(offer.id.clone()));
    }
    offer
}

/// A framework answers; those that it names may have been rescinded or answered before, or be somebody else's.
pub(crate) fn answered(
    step: &Step,
    belief: &mut Belief,
    framework: &FrameworkId,
    offers: Vec<OfferId>,
    (accepts, filters): (bool, Filters),
) {
    for id in offers {
        if belief.offers.inverse.get(&id).is_none_or(|it| it.framework != *framework) {
            continue;
        }
        let offer = belief.offers.inverse.take(&id).expect("it was just found");
        let status = if accepts { InverseStatus::Accepted } else { InverseStatus::Declined };
        // Even "no filter" waits a moment, or master and framework would answer each other for ever.
        let ms = filters.refuse_ms.clamp(step.config.reoffer_min_ms, QUIET_MS_MAX);
        let until = step.now.plus_ms(ms);
        belief.offers.inverse.answered(&offer, (status, step.now), until);
        belief.timers.set(until, Timer::AskAgain(offer.agent));
    }
}

/// Takes back whatever was asked about an agent.
pub(crate) fn rescind_inverse_of(step: &mut Step, belief: &mut Belief, agent: &AgentId) {
    for id in belief.offers.inverse.of_agent(agent) {
        rescind_inverse(step, belief, &id);
    }
}

/// An inverse offer was not answered in time; whoever did not answer is asked again.
pub(crate) fn inverse_offer_due(step: &mut Step, belief: &mut Belief, id: &OfferId) {
    let Some(agent) = belief.offers.inverse.get(id).map(|it| it.agent.clone()) else { return };
    rescind_inverse(step, belief, id);
    belief.offers.inverse.touch(&agent);
}

fn rescind_inverse(step: &mut Step, belief: &mut Belief, id: &OfferId) {
    let offer = belief.offers.inverse.take(id).expect("only what stands is rescinded");
    tell(step, &belief.frameworks, &offer.framework, Event::RescindInverse(offer.id));
}
