//! GET_ROLES, GET_WEIGHTS and GET_QUOTA: roles that are used, weights that are not 1, and quota.
//!
//! Relies on a published view; never scans all tasks for each role.

use std::collections::BTreeMap;

use holdfast_model::convert::quota::{config_to_proto, info_to_proto};
use holdfast_model::{FrameworkId, Resources, Role};
use holdfast_proto::mesos::v1::master::response::{GetRoles, GetWeights};
use holdfast_proto::mesos::v1::quota::QuotaStatus;
use holdfast_proto::mesos::v1::{self, WeightInfo};

use super::{framework_id, list};
use crate::groups::live_tasks;
use crate::MasterView;

/// Roles that frameworks have, that something is reserved for, or that have a weight or quota.
pub fn roles(view: &MasterView) -> GetRoles {
    let used = used_for_roles(view);
    let mut roles: BTreeMap<Role, v1::Role> = BTreeMap::new();
    for id in view.frameworks().keys() {
        for held in view.roles_of(id) {
            let role = entry(&mut roles, &held.role);
            role.frameworks.push(framework_id(id));
            let used = used.get(&(id, held.role.clone()));
            role.resources.extend(used.map(list).unwrap_or_default());
        }
    }
    for claim in view.ledger().claims.values() {
        entry(&mut roles, &claim.resource.identity.role());
    }
    for (role, weight) in view.ledger().weights.iter() {
        entry(&mut roles, role).weight = weight.to_f64();
    }
    for role in view.ledger().quotas.keys() {
        entry(&mut roles, role);
    }
    GetRoles { roles: roles.into_values().collect() }
}

fn entry<'a>(roles: &'a mut BTreeMap<Role, v1::Role>, role: &Role) -> &'a mut v1::Role {
    roles.entry(role.clone()).or_insert_with(|| v1::Role {
        name: role.to_string(),
        weight: 1.0,
        ..Default::default()
    })
}

/// What live tasks use, by framework and the role that it is allocated to.
fn used_for_roles(view: &MasterView) -> BTreeMap<(&FrameworkId, Role), Resources> {
    let mut used: BTreeMap<(&FrameworkId, Role), Resources> = BTreeMap::new();
    for task in live_tasks(view) {
        for resource in task.resources.iter() {
            if let Some(role) = resource.identity.allocation.clone() {
                used.entry((&task.framework, role)).or_default().add(&resource);
            }
        }
    }
    used
}

/// Weights that are not 1.
pub fn weights(view: &MasterView) -> GetWeights {
    let info = |(role, weight): (&Role, &holdfast_model::Scalar)| WeightInfo {
        role: Some(role.to_string()),
        weight: weight.to_f64(),
    };
    GetWeights { weight_infos: view.ledger().weights.iter().map(info).collect() }
}

/// The roles that have quota, in both forms.
#[allow(deprecated, reason = "`infos` is what older tools read")]
pub fn quota(view: &MasterView) -> QuotaStatus {
    let quotas = || view.ledger().quotas.iter();
    let guaranteed = quotas().filter(|(_, it)| !it.guarantees.is_empty());
    QuotaStatus {
        infos: guaranteed.map(|(role, it)| info_to_proto(role, it)).collect(),
        configs: quotas().map(|(role, it)| config_to_proto(role, it)).collect(),
    }
}
