//! `/roles`: the roles as Mesos's page shows them.
//!
//! Relies on a published view; never leaves out a role that something is reserved for.

use holdfast_proto::mesos::v1;
use serde::Serialize;

use crate::{v1 as mesos, MasterView};

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleEntry {
    frameworks: Vec<String>,
    name: String,
    weight: f64,
}

/// Roles that frameworks have, that something is reserved for, or that have a weight.
pub fn roles(view: &MasterView) -> Vec<RoleEntry> {
    let entry = |role: v1::Role| RoleEntry {
        frameworks: role.frameworks.into_iter().map(|it| it.value).collect(),
        name: role.name,
        weight: role.weight,
    };
    mesos::roles(view).roles.into_iter().map(entry).collect()
}
