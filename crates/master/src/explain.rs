//! Why is it pending? The same eyes that allocate say why they did not.

use holdfast_allocator::policy::Place;
use holdfast_allocator::{why_not_after, Allocation, WhyNot};
use holdfast_model::{FrameworkId, Instant, OfferId, Resources};

use crate::Master;

/// How a framework stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Offers that it holds and has not answered, with what is in them.
    pub offers: Vec<(OfferId, Resources)>,
    /// For each of its roles and each agent that it is not offered, or not enough: why.
    pub reasons: Vec<WhyNot>,
    /// The order in which roles are served now: role, weight, dominant share.
    pub order: Vec<Place>,
}

impl Master {
    /// Why `framework` has not been offered `wanted` (or anything at all). Offers that nobody has answered are part of the answer: its
    /// own, which may not be enough, and those of others, who came first.
    pub fn explain(
        &self,
        now: Instant,
        framework: &FrameworkId,
        wanted: Option<&Resources>,
    ) -> Explanation {
        let belief = &self.belief;
        let (mut agents, mut open) = (belief.allocator.agents().clone(), Vec::new());
        for offer in belief.offers.open().values().map(|it| &it.offer) {
            let resources = offer.resources.unallocated();
            if let Some(view) = agents.get_mut(&offer.agent) {
                view.free.add_all(&resources);
            }
            let (framework, role, agent) =
                (offer.framework.clone(), offer.role.clone(), offer.agent.clone());
            open.push(Allocation { framework, role, agent, resources });
        }
        let (ledger, totals) = (self.outbox.ledger(), belief.agents.totals());
        let least = &self.config.min_allocatable;
        let input = belief.allocator.input(&agents, ledger, totals, least, now);
        let offers = belief.offers.of_framework(framework);
        Explanation {
            offers: offers.map(|it| (it.id.clone(), it.resources.clone())).collect(),
            reasons: why_not_after(&input, &open, framework, wanted),
            order: self.policy.order(&input),
        }
    }
}
