//! `/holdfast/v1/roles`: the roles in the order in which they are served.
//!
//! Relies on the allocator for that order; never computes a share itself.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_master::Place;
use holdfast_model::{Resources, Role, Scalar};

use crate::groups::counts;
use crate::rows::RoleRow;
use crate::MasterView;

/// Roles in the order in which they are served; after them those of which no framework is here now, which
/// hold something or have a weight.
pub fn roles(view: &MasterView) -> Vec<RoleRow> {
    let mut reserved: BTreeMap<Role, Resources> = BTreeMap::new();
    for claim in view.ledger().claims.values() {
        reserved.entry(claim.resource.identity.role()).or_default().add(&claim.resource);
    }
    let distinct = |roles: &'_ [Role]| roles.iter().cloned().collect::<BTreeSet<Role>>();
    let frameworks = counts(view.frameworks().values().flat_map(|it| distinct(&it.info().roles)));
    let nothing = Resources::new();
    let row = |role: &Role, weight: Scalar, share: f64| RoleRow {
        weight: weight.to_f64(),
        share,
        reserved: reserved.get(role).unwrap_or(&nothing).to_string(),
        frameworks: frameworks.get(role).copied().unwrap_or(0),
        role: role.to_string(),
    };
    let served = view.served();
    let weights = &view.ledger().weights;
    let mut others: BTreeSet<&Role> =
        reserved.keys().chain(weights.iter().map(|it| it.0)).collect();
    for place in &served {
        others.remove(&place.role);
    }
    let others = others.into_iter().map(|role| {
        let weight = weights.get(role).copied().unwrap_or(Scalar::whole(1));
        row(role, weight, 0.0)
    });
    served.iter().map(|it: &Place| row(&it.role, it.weight, it.share)).chain(others).collect()
}
