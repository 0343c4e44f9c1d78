//! `/holdfast/v1/roles`: the roles in the order in which they are served.
//!
//! Relies on the allocator for that order; never computes a share itself.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_master::Place;
use holdfast_model::{FrameworkId, Instant, Resources, Role};

use crate::groups::counts;
use crate::rows::RoleRow;
use crate::MasterView;

/// Roles in the order in which they are served.
pub fn roles(view: &MasterView, now: Instant) -> Vec<RoleRow> {
    let mut reserved: BTreeMap<Role, Resources> = BTreeMap::new();
    for claim in view.ledger().claims.values() {
        reserved.entry(claim.resource.identity.role()).or_default().add(&claim.resource);
    }
    let distinct = |roles: &'_ [Role]| roles.iter().cloned().collect::<BTreeSet<Role>>();
    let frameworks = counts(view.frameworks().values().flat_map(|it| distinct(&it.info().roles)));
    let nothing = Resources::new();
    let nobody = FrameworkId::made(String::new());
    let row = |place: Place| RoleRow {
        weight: place.weight.to_f64(),
        share: place.share,
        reserved: reserved.get(&place.role).unwrap_or(&nothing).to_string(),
        frameworks: frameworks.get(&place.role).copied().unwrap_or(0),
        role: place.role.to_string(),
    };
    view.explain(now, &nobody, None).order.into_iter().map(row).collect()
}
