//! Why is it pending? The same eyes that allocate say why they did not.

use holdfast_allocator::policy::Place;
use holdfast_allocator::{why_not_after, Allocation, WhyNot};
use holdfast_model::{FrameworkId, Instant, OfferId, Resources};

use crate::parts::offers::OfferRecord;
use crate::MasterView;

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

impl MasterView {
    /// Why `framework` has not been offered `wanted` (or anything at all). Offers that nobody has answered are part of the answer: its
    /// own, which may not be enough, and those of others, who came first.
    pub fn explain(
        &self,
        now: Instant,
        framework: &FrameworkId,
        wanted: Option<&Resources>,
    ) -> Explanation {
        let open = |OfferRecord { offer, resources, .. }: &OfferRecord| Allocation {
            framework: offer.framework.clone(),
            role: offer.role.clone(),
            agent: offer.agent.clone(),
            resources: resources.clone(),
        };
        let open: Vec<Allocation> = self.offers().values().map(open).collect();
        let mut allocator = self.allocator.clone();
        allocator.with_free(open.iter().map(|it| (&it.agent, &it.resources)));
        let (ledger, least) = (self.ledger(), &self.config.min_allocatable);
        let sums = (self.totals(), self.quota.input(ledger));
        let input = allocator.input(ledger, sums, least, now);
        let offers = self.offers_of_framework(framework);
        Explanation {
            offers: offers.map(|it| (it.id.clone(), it.resources.clone())).collect(),
            reasons: why_not_after(&input, &open, framework, wanted),
            order: self.policy.order(&input),
        }
    }
}
