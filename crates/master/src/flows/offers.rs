//! Offers end: answered, taken back, or given up with their framework. What an offer held is free again, however it ended.

use holdfast_model::{
    AgentId, Event, Filters, FrameworkId, Instant, Offer, OfferId, Resources, Role,
};

use super::bookkeeping::release_offered;
use super::telling::tell;
use crate::parts::allocator_input::AllocatorInput;
use crate::parts::offers::OfferRecord;
use crate::parts::timers::Timer;
use crate::{Belief, Config, Step};

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
pub(crate) fn discard_offers(config: &Config, belief: &mut Belief, framework: &FrameworkId) {
    let offers = belief.offers.of_framework(framework);
    let ids: Vec<OfferId> = offers.map(|it| it.id.clone()).collect();
    ids.iter().for_each(|id| drop(take_offer(config, belief, id)));
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
