//! Why is it pending? The same eyes that allocate say why they did not.

use std::collections::BTreeSet;

use holdfast_allocator::policy::Place;
use holdfast_allocator::{
    outlook, why_not_after, Allocation, AllocationInput, FrameworkView, Outlook, RoleView, WhyNot,
};
use holdfast_model::{Capability, FrameworkId, Instant, OfferId, Resources, Role};

use crate::parts::allocator_input::AllocatorView;
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
        let (reasons, order) = self.with_input(now, |input, open| {
            (why_not_after(input, open, framework, wanted), self.policy.order(input))
        });
        let offers = self.offers_of_framework(framework);
        Explanation {
            offers: offers.map(|it| (it.id.clone(), it.resources.clone())).collect(),
            reasons,
            order,
        }
    }

    /// The order in which roles are served now: role, weight, dominant share.
    pub fn served(&self) -> Vec<Place> {
        // It follows from what roles have, whatever is free, and whatever the time.
        self.policy.order(&self.input(&self.allocator, Instant::default()))
    }

    /// What a framework of this role that is not there yet could be offered of each agent now, or why nothing. It is taken to understand
    /// what the SDK does.
    pub fn outlook(&self, now: Instant, role: &Role) -> Vec<Outlook> {
        let role = RoleView {
            role: role.clone(),
            suppressed: false,
            allocated: Default::default(),
            min_allocatable: None,
            constraints: None,
        };
        let capabilities: BTreeSet<Capability> =
            [Capability::PartitionAware, Capability::MultiRole, Capability::ReservationRefinement]
                .into();
        let id = FrameworkId::made("not-there-yet".to_owned());
        let newcomer = FrameworkView { id, roles: vec![role], active: true, capabilities };
        self.with_input(now, |input, open| outlook(input, open, &newcomer))
    }

    /// What the allocator would see now, with the offers that nobody has answered.
    fn with_input<T>(
        &self,
        now: Instant,
        ask: impl FnOnce(&AllocationInput<'_>, &[Allocation]) -> T,
    ) -> T {
        let open = |OfferRecord { offer, resources, .. }: &OfferRecord| Allocation {
            framework: offer.framework.clone(),
            role: offer.role.clone(),
            agent: offer.agent.clone(),
            resources: resources.clone(),
        };
        let open: Vec<Allocation> = self.offers().values().map(open).collect();
        let mut allocator = self.allocator.clone();
        allocator.with_free(open.iter().map(|it| (&it.agent, &it.resources)));
        ask(&self.input(&allocator, now), &open)
    }

    fn input<'a>(&'a self, allocator: &'a AllocatorView, now: Instant) -> AllocationInput<'a> {
        let (ledger, least) = (self.ledger(), &self.config.min_allocatable);
        let sums = (self.totals(), self.quota.input(ledger));
        allocator.input(ledger, sums, least, now)
    }
}
