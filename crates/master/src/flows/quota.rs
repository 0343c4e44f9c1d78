//! What quota counts: the sums that agents and frameworks keep, as the allocator and readers see them.
//!
//! Relies on those parts for the sums. It never decides what anybody may have: the allocator does.

use holdfast_allocator::QuotaInput;
use holdfast_model::totals::each_counted_by_quota;
use holdfast_model::{
    AgentId, FrameworkId, MasterLedger, OfferId, Quantities, Resources, Role, RoleTotals,
    SharedMap, Totals,
};

use crate::parts::agents::{AgentState, Agents};
use crate::parts::frameworks::Frameworks;
use crate::parts::held_sums::counted_beside_reservations;
use crate::parts::offers::OfferRecord;
use crate::parts::tasks::TaskRows;

/// What the allocator must know to keep to quota.
pub(crate) fn quota_input<'a>(
    ledger: &'a MasterLedger,
    agents: &'a Agents,
    frameworks: &'a Frameworks,
) -> QuotaInput<'a> {
    QuotaInput {
        quotas: &ledger.quotas,
        reserved: agents.reserved(),
        unreserved: agents.unreserved(),
        held: frameworks.held().by_role(),
        is_known: agents.are_nearly_all_heard(),
    }
}

/// The same sums for readers, as they were at one moment; nothing where no role has quota, since hardly anybody asks then: who does adds
/// them up.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuotaSums {
    reserved: RoleTotals,
    held: RoleTotals,
    unreserved: Quantities,
    is_known: bool,
}

impl QuotaSums {
    /// The sums as they are now.
    pub(crate) fn new(input: QuotaInput<'_>) -> QuotaSums {
        if input.quotas.is_empty() {
            return QuotaSums::default();
        }
        QuotaSums {
            reserved: input.reserved.clone(),
            held: input.held.clone(),
            unreserved: input.unreserved.clone(),
            is_known: input.is_known,
        }
    }

    /// The sums of these agents, and of what frameworks hold (allocated).
    pub(crate) fn added_up<'a>(
        agents: impl Iterator<Item = &'a Resources>,
        held: impl Iterator<Item = &'a Resources>,
        is_known: bool,
    ) -> QuotaSums {
        let (mut reserved, mut unreserved) = (RoleTotals::default(), Totals::default());
        for total in agents {
            each_counted_by_quota(total, |role, name, sum| match role {
                Some(role) => reserved.change(&role.top(), name, sum),
                None => unreserved.change(name, sum),
            });
        }
        let mut by_role = RoleTotals::default();
        for (identity, amount) in held.flat_map(Resources::entries) {
            if let Some(counted) = counted_beside_reservations(identity, amount) {
                let role = identity.allocation.as_ref().map_or_else(Role::any, Role::top);
                by_role.change(&role, &identity.name, counted.as_thousandths().into());
            }
        }
        let unreserved = unreserved.quantities().clone();
        QuotaSums { reserved, held: by_role, unreserved, is_known }
    }

    /// As [`quota_input`].
    pub(crate) fn input<'a>(&'a self, ledger: &'a MasterLedger) -> QuotaInput<'a> {
        QuotaInput {
            quotas: &ledger.quotas,
            reserved: &self.reserved,
            unreserved: &self.unreserved,
            held: &self.held,
            is_known: self.is_known,
        }
    }
}

/// What each framework holds with its tasks, executors and offers (allocated).
pub(crate) fn holdings<'a>(
    agents: &'a SharedMap<AgentId, AgentState>,
    tasks: &'a TaskRows,
    offers: &'a SharedMap<OfferId, OfferRecord>,
) -> impl Iterator<Item = (&'a FrameworkId, &'a Resources)> {
    let tasks = tasks.known().values().filter(|it| it.holds());
    let executors = agents.values().flat_map(|it| it.executors().iter());
    let offers = offers.values().map(|it| (&it.offer.framework, &it.offer.resources));
    tasks
        .map(|it| (&it.framework, &it.resources))
        .chain(executors.map(|((framework, _), it)| (framework, &it.resources)))
        .chain(offers)
}
