//! `/roles`: the roles as Mesos's page shows them, with all that they hold.
//!
//! Relies on a published view; never leaves out a role that something is reserved for, and never scans all tasks for each role.

use std::collections::BTreeMap;

use holdfast_model::{Quantities, Quota, Resources, Role, ValueKind};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::amounts::{numbers, Amounts};
use crate::groups::live_tasks;
use crate::{v1 as mesos, MasterView};

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleEntry {
    allocated: BTreeMap<String, f64>,
    frameworks: Vec<String>,
    name: String,
    offered: BTreeMap<String, f64>,
    quota: QuotaEntry,
    reserved: BTreeMap<String, f64>,
    resources: Amounts,
    weight: f64,
}

/// What a role is guaranteed and limited to, and has of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct QuotaEntry {
    consumed: BTreeMap<String, f64>,
    guarantee: BTreeMap<String, f64>,
    limit: BTreeMap<String, f64>,
    role: String,
}

/// What one role holds.
#[derive(Default)]
struct Held {
    allocated: Resources,
    offered: Resources,
    reserved: Resources,
}

/// Roles that frameworks have, that something is reserved for, or that have a weight or quota.
pub fn roles(view: &MasterView) -> Vec<RoleEntry> {
    let held = held(view);
    let (none, nothing) = (Held::default(), Quantities::new());
    let entry = |role: v1::Role| {
        let own = held.get(&role.name).unwrap_or(&none);
        let mut both = own.allocated.clone();
        both.add_all(&own.offered);
        let name = Role::parse(&role.name).ok();
        let quota = name.and_then(|it| view.ledger().quotas.get(&it));
        let of_quota =
            |amounts: fn(&Quota) -> &Quantities| numbers(quota.map_or(&nothing, amounts));
        RoleEntry {
            allocated: numbers(&own.allocated.quantities()),
            frameworks: role.frameworks.into_iter().map(|it| it.value).collect(),
            offered: numbers(&own.offered.quantities()),
            quota: QuotaEntry {
                consumed: numbers(&consumed(&held, &role.name)),
                guarantee: of_quota(|it| &it.guarantees),
                limit: of_quota(|it| &it.limits),
                role: role.name.clone(),
            },
            reserved: numbers(&own.reserved.quantities()),
            resources: Amounts::of(&both),
            weight: role.weight,
            name: role.name,
        }
    };
    mesos::roles(view).roles.into_iter().map(entry).collect()
}

fn held(view: &MasterView) -> BTreeMap<String, Held> {
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    let executors = view.agents().values().flat_map(|it| it.executors().values());
    let used = live_tasks(view).map(|it| &it.resources).chain(executors.map(|it| &it.resources));
    for resource in used.flat_map(Resources::iter) {
        if let Some(role) = &resource.identity.allocation {
            held.entry(role.to_string()).or_default().allocated.add(&resource);
        }
    }
    for record in view.offers().values() {
        let role = record.offer.role.to_string();
        held.entry(role).or_default().offered.add_all(&record.offer.resources);
    }
    for agent in view.agents().values() {
        for resource in agent.total().reserved().iter() {
            let role = resource.identity.role().to_string();
            held.entry(role).or_default().reserved.add(&resource);
        }
    }
    held
}

/// What counts against the quota of a role and of the roles below it: all that is reserved, and what is used or offered without being
/// reserved.
fn consumed(held: &BTreeMap<String, Held>, role: &str) -> Quantities {
    let mut sum = Resources::new();
    let below = format!("{role}/");
    let of_it = held.iter().filter(|(name, _)| *name == role || name.starts_with(&below));
    for (_, it) in of_it {
        sum.add_all(&it.reserved);
        sum.add_all(&it.allocated.unreserved());
        sum.add_all(&it.offered.unreserved());
    }
    sum.filter(|it| it.kind == ValueKind::Scalar && !it.revocable).quantities()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{amount, reservation, role};

    #[test]
    fn what_is_below_a_role_counts_against_it() {
        let of = |name: &str, cpus: i64| {
            let reserved = amount("cpus", cpus)
                .reserved(holdfast_model::Reservation { role: role(name), ..reservation() });
            (name.to_owned(), Held { reserved: [reserved].iter().collect(), ..Held::default() })
        };
        let held = BTreeMap::from([of("db", 1000), of("db/a", 500), of("dbx", 4000)]);
        assert_eq!(consumed(&held, "db")["cpus"].to_f64(), 1.5);
        assert_eq!(consumed(&held, "db/a")["cpus"].to_f64(), 0.5);
    }
}
