//! `/holdfast/v1/offers`: a row for each offer that nobody has answered.
//!
//! Relies on a published view; never shows one that was rescinded.

use holdfast_master::OfferRecord;

use crate::rows::OfferRow;
use crate::MasterView;

/// Offers that nobody has answered yet.
pub fn offers(view: &MasterView) -> Vec<OfferRow> {
    view.offers().values().map(offer).collect()
}

/// One offer.
pub(super) fn offer(record: &OfferRecord) -> OfferRow {
    OfferRow {
        id: record.offer.id.to_string(),
        framework: record.offer.framework.to_string(),
        role: record.offer.role.to_string(),
        agent: record.offer.agent.to_string(),
        resources: record.offer.resources.unallocated().to_string(),
        made_ms: record.made.0,
    }
}
