//! Why is it pending? The same eyes that allocate say why they did not.

use holdfast_allocator::{why_not, Picture, WhyNot};
use holdfast_model::{FrameworkId, Instant, OfferId, Resources};

use crate::Master;

/// How a framework stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Offers that it holds and has not answered, with what is in them.
    pub offers: Vec<(OfferId, Resources)>,
    /// For each of its roles and each agent that it is not offered: why.
    pub reasons: Vec<WhyNot>,
    /// The order in which roles are served now: role, weight, dominant share.
    pub order: Vec<holdfast_allocator::policy::Place>,
}

impl Master {
    /// Why `framework` has not been offered `wanted` (or anything at all).
    pub fn explain(&self, now: Instant, framework: &FrameworkId, wanted: Option<&Resources>) -> Explanation {
        let picture = Picture {
            agents: &self.agent_views,
            frameworks: &self.framework_views,
            filters: &self.filters,
            weights: &self.ledger.weights,
            totals: &self.totals,
            min_allocatable: &self.config.min_allocatable,
            now,
        };
        let offers = self.frameworks.get(framework).map(|it| it.offers.iter()).into_iter().flatten();
        let offers = offers.filter_map(|id| Some((id.clone(), self.offers.get(id)?.offer.resources.clone()))).collect();
        Explanation { offers, reasons: why_not(&picture, framework, wanted), order: self.policy.order(&picture) }
    }
}
