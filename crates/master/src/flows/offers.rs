//! Offers end: answered, taken back, or given up with their framework. What an offer held is free again, however it ended.

use holdfast_model::{
    AgentId, Event, Filters, FrameworkId, Instant, Offer, OfferId, Resources, Role,
};

use super::bookkeeping::release_offered;
use super::telling::tell;
use crate::parts::allocator_input::AllocatorInput;
use crate::parts::offers::{OfferRecord, Offers};
use crate::parts::timers::Timer;
use crate::{Belief, Config, Step};

/// How many offers are given back in one step at most.
const GIVEN_BACK_MAX: usize = 48;
/// The longest time that something is declined for: 365 days, in milliseconds.
const DECLINED_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

/// Ends an offer; returns it, and its resources without allocations. Those who answer one may name what is no offer any more.
pub(crate) fn take_offer(
    config: &Config,
    belief: &mut Belief,
    id: &OfferId,
) -> Option<(Offer, Resources)> {
    let OfferRecord { offer, resources, made } = belief.offers.take(id)?;
    if let Some(ms) = config.offer_timeout_ms {
        belief.timers.clear(made.plus_ms(ms), Timer::Offer(id.clone()));
    }
    release_offered(belief.counted(), &offer, &resources);
    Some((offer, resources))
}

/// Takes an offer back and says so.
pub(crate) fn rescind(step: &mut Step, belief: &mut Belief, id: &OfferId) {
    let (offer, _) = take_offer(step.config, belief, id).expect("only what stands is rescinded");
    tell(step, &belief.frameworks, &offer.framework, Event::Rescind(offer.id));
}

pub(crate) fn rescind_each(
    step: &mut Step,
    belief: &mut Belief,
    ids: impl IntoIterator<Item = OfferId>,
) {
    ids.into_iter().for_each(|id| rescind(step, belief, &id));
}

pub(crate) fn rescind_all_of(step: &mut Step, belief: &mut Belief, agent: &AgentId) {
    let ids: Vec<OfferId> = belief.offers.of_agent(agent).map(|it| it.id.clone()).collect();
    rescind_each(step, belief, ids);
}

/// Takes back a framework's offers without a word: it is not there to hear it, or does not care.
pub(crate) fn discard_offers(offers: &mut Offers, framework: &FrameworkId) {
    let ids: Vec<OfferId> = offers.of_framework(framework).map(|it| it.id.clone()).collect();
    ids.into_iter().for_each(|id| offers.give_back(id, None));
}

/// Offers that were answered with nothing, or that nobody can answer, are given back: so many that the step is not long.
pub(crate) fn give_back(config: &Config, now: Instant, belief: &mut Belief) {
    for _ in 0..GIVEN_BACK_MAX {
        let Some((id, answer)) = belief.offers.next_given_back() else { break };
        let taken = take_offer(config, belief, &id);
        let (offer, declined) = taken.expect("only what stands is to be given back");
        if let Some((when, filters)) = answer {
            let Offer { framework, role, agent, .. } = &offer;
            let allocator = &mut belief.allocator;
            decline((config, when), allocator, framework, role, agent, declined, filters);
        }
    }
    belief.offers.end_step(now);
}

/// Notes that a role of a framework does not want `declined` (without allocations) for a while.
pub(crate) fn decline(
    (config, now): (&Config, Instant),
    allocator: &mut AllocatorInput,
    framework: &FrameworkId,
    role: &Role,
    agent: &AgentId,
    declined: Resources,
    filters: Filters,
) {
    if declined.is_empty() {
        return;
    }
    // Even "no filter" waits a moment, or master and framework would answer each other for ever.
    let ms = filters.refuse_ms.clamp(config.reoffer_min_ms, DECLINED_MS_MAX);
    allocator.decline(framework, role, agent, declined, now.plus_ms(ms));
}
