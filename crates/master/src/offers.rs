//! Offers are made, answered, taken back and forgotten. Making them is driven by events: whenever
//! something about an agent changed, what is free of it is divided at once.

use std::collections::BTreeMap;

use holdfast_allocator::{Allocation, AllocationInput};
use holdfast_model::{
    AgentId, Event, Filters, FrameworkId, Instant, MasterLedger, Offer, OfferId, Resources, Role,
};

use crate::state::{OfferRecord, Timer};
use crate::Master;

/// The longest refusal: 365 days, in milliseconds.
const REFUSE_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

impl Master {
    /// Divides what is free on the agents that were touched.
    pub(crate) fn allocate(&mut self, now: Instant) {
        if self.term.is_none() || self.dirty.is_empty() {
            return;
        }
        self.show_agents();
        let dirty = std::mem::take(&mut self.dirty);
        let input = AllocationInput {
            agents: &self.agent_views,
            frameworks: &self.framework_views,
            filters: &self.filters,
            weights: &self.ledger.weights,
            totals: &self.totals,
            min_allocatable: &self.config.min_allocatable,
            now,
        };
        let allocations = self.policy.allocate(&input, &dirty);
        let mut offers: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        for allocation in allocations {
            self.check_allocation(&allocation);
            let framework = allocation.framework.clone();
            offers.entry(framework).or_default().push(self.make_offer(now, allocation));
        }
        for (framework, offers) in offers {
            self.tell(&framework, Event::Offers(offers));
        }
        self.show_agents(); // The picture shows what is left, for whoever asks why.
        self.dirty.clear();
    }

    /// The rules that no policy may break.
    fn check_allocation(&self, allocation: &Allocation) {
        let view = self
            .agent_views
            .get(&allocation.agent)
            .expect("an allocation names an agent of the picture");
        assert!(view.fault.is_none(), "an allocation names an agent that is well");
        let free = self.agents.get(&allocation.agent).map(|it| it.free()).unwrap_or_default();
        assert!(free.contains(&allocation.resources), "an allocation gives only what is free");
        let fits = allocation
            .resources
            .entries()
            .all(|(identity, _)| identity.is_allocatable_to(&allocation.role));
        assert!(fits, "what is reserved goes only to its role");
    }

    fn make_offer(&mut self, now: Instant, allocation: Allocation) -> Offer {
        let Allocation { framework, role, agent, resources } = allocation;
        let term = self.term.map(|it| it.0).unwrap_or_default();
        let cluster = self.ledger.cluster.as_ref().expect("a leader's ledger has its cluster").id;
        let id = OfferId::made(format!("{cluster}-T{term}-O{}", self.next_offer));
        self.next_offer += 1;
        let state = self.agents.get(&agent).expect("it was just checked");
        let offer = Offer {
            id: id.clone(),
            framework: framework.clone(),
            role: role.clone(),
            claims: claims_behind(&self.ledger, &agent, &resources),
            resources: resources.allocated_to(&role),
            executors: state
                .executors
                .keys()
                .filter(|key| key.0 == framework)
                .map(|key| key.1.clone())
                .collect(),
            hostname: state.machine.hostname.clone(),
            machine: state.machine.payload.clone(),
            agent: agent.clone(),
        };
        self.hold(&agent, &framework, &offer.resources);
        self.offers.insert(id.clone(), OfferRecord { offer: offer.clone(), made: now });
        self.agents.get_mut(&agent).expect("it was just checked").offers.insert(id.clone());
        if let Some(state) = self.frameworks.get_mut(&framework) {
            state.offers.insert(id.clone());
        }
        if let Some(ms) = self.config.offer_timeout_ms {
            self.set_timer(now.plus_ms(ms), Timer::Offer(id));
        }
        offer
    }

    /// Ends an offer, however it ended; what it held is free again.
    pub(crate) fn take_offer(&mut self, id: &OfferId) -> Option<Offer> {
        let OfferRecord { offer, made } = self.offers.remove(id)?;
        if let Some(ms) = self.config.offer_timeout_ms {
            self.clear_timer(made.plus_ms(ms), Timer::Offer(id.clone()));
        }
        if let Some(state) = self.agents.get_mut(&offer.agent) {
            state.offers.remove(id);
        }
        if let Some(state) = self.frameworks.get_mut(&offer.framework) {
            state.offers.remove(id);
        }
        self.release(&offer.agent, &offer.framework, &offer.resources);
        Some(offer)
    }

    /// Takes an offer back and says so.
    pub(crate) fn rescind(&mut self, id: &OfferId) {
        if let Some(offer) = self.take_offer(id) {
            self.tell(&offer.framework, Event::Rescind(offer.id));
        }
    }

    pub(crate) fn rescind_all_of(&mut self, agent: &AgentId) {
        let offers: Vec<OfferId> = self
            .agents
            .get(agent)
            .map(|it| it.offers.iter().cloned().collect())
            .unwrap_or_default();
        offers.iter().for_each(|offer| self.rescind(offer));
    }

    pub(crate) fn decline(
        &mut self,
        now: Instant,
        framework: &FrameworkId,
        offers: &[OfferId],
        filters: Filters,
    ) {
        for id in offers {
            if self.offers.get(id).is_none_or(|it| it.offer.framework != *framework) {
                continue; // Rescinded, answered twice, or somebody else's.
            }
            if let Some(offer) = self.take_offer(id) {
                self.refuse(
                    now,
                    &offer.framework,
                    &offer.role,
                    &offer.agent,
                    &offer.resources.unallocated(),
                    filters,
                );
            }
        }
    }

    /// Notes that a role of a framework does not want `refused` for a while.
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        refused: &Resources,
        filters: Filters,
    ) {
        if refused.is_empty() {
            return;
        }
        // Even "no filter" waits a moment, or two minds would answer each other for ever.
        let ms = filters.refuse_ms.clamp(self.config.reoffer_min_ms, REFUSE_MS_MAX);
        self.filters.insert(framework, role, agent, refused.clone(), now.plus_ms(ms));
    }
}

fn claims_behind(
    ledger: &MasterLedger,
    agent: &AgentId,
    resources: &Resources,
) -> Vec<holdfast_model::ClaimId> {
    ledger
        .claims_of(agent)
        .filter(|claim| resources.get(&claim.resource.identity).is_some())
        .map(|claim| claim.id)
        .collect()
}
