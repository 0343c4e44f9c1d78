//! GET_FRAMEWORKS: frameworks with what they hold, removed ones too.
//!
//! Relies on a published view; never scans all tasks for each of them.

use std::collections::BTreeMap;

use holdfast_master::{FrameworkState, OfferRecord};
use holdfast_model::convert::{framework, offer, offer_constraints, Format};
use holdfast_model::{FrameworkId, InverseOffer, Resources};
use holdfast_proto::mesos::v1::master::response::{get_frameworks, GetFrameworks};

use super::{list, time};
use crate::groups::{offers_to_frameworks, used_by_frameworks};
use crate::MasterView;

/// Frameworks, removed ones too.
pub fn frameworks(view: &MasterView) -> GetFrameworks {
    let (used, offers) = (used_by_frameworks(view), offers_to_frameworks(view));
    let mut inverse: BTreeMap<&FrameworkId, Vec<&InverseOffer>> = BTreeMap::new();
    for offer in view.inverse_offers().values() {
        inverse.entry(&offer.framework).or_default().push(offer);
    }
    let nothing = Resources::new();
    let present = view.frameworks().iter().map(|(id, state)| {
        let offers = offers.get(id).map(Vec::as_slice).unwrap_or_default();
        let inverse = inverse.get(id).map(Vec::as_slice).unwrap_or_default();
        self::framework(view, (id, state), (offers, inverse), used.get(id).unwrap_or(&nothing))
    });
    let removed = view.ledger().frameworks.values().filter(|it| it.removed);
    let completed = removed.map(|record| get_frameworks::Framework {
        framework_info: framework::to_proto(&record.info),
        active: false,
        connected: false,
        recovered: false,
        registered_time: Some(time(record.registered)),
        offer_constraints: offer_constraints::to_proto(&record.info.constraints),
        ..Default::default()
    });
    GetFrameworks {
        frameworks: present.collect(),
        completed_frameworks: completed.collect(),
        ..Default::default()
    }
}

fn framework(
    view: &MasterView,
    (id, state): (&FrameworkId, &FrameworkState),
    (offers, inverse): (&[&OfferRecord], &[&InverseOffer]),
    used: &Resources,
) -> get_frameworks::Framework {
    let mut offered = Resources::new();
    offers.iter().for_each(|it| offered.add_all(&it.offer.resources));
    let registered =
        view.ledger().frameworks.get(id).map_or(state.subscribed(), |it| it.registered);
    get_frameworks::Framework {
        framework_info: framework::to_proto(state.info()),
        active: state.link().is_some(),
        connected: state.link().is_some(),
        recovered: state.link().is_none() && state.subscribed() != registered,
        registered_time: Some(time(registered)),
        reregistered_time: Some(time(state.subscribed())),
        offers: offers.iter().map(|it| offer::to_proto(&it.offer, Format::ENDPOINT)).collect(),
        inverse_offers: inverse.iter().map(|it| offer::inverse_to_proto(it)).collect(),
        allocated_resources: list(used),
        offered_resources: list(&offered),
        offer_constraints: offer_constraints::to_proto(&state.info().constraints),
        ..Default::default()
    }
}
