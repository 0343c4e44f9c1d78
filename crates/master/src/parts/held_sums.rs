//! What tasks, executors and offers of all frameworks hold beside reservations, as quota counts it: by top-level role, and of all roles.
//!
//! Relies on [`super::frameworks`] to say each change. It never knows what it is held with.

use std::collections::BTreeMap;

use holdfast_model::resources::Amount;
use holdfast_model::totals::counted_by_quota;
use holdfast_model::{FrameworkId, Identity, Quantities, Role, RoleTotals, Scalar};

/// What one role of one framework holds.
#[derive(Debug)]
struct Held {
    /// The top of the role.
    top: Role,
    sums: Quantities,
}

/// Sums over frameworks.
#[derive(Debug, Default)]
pub(crate) struct HeldSums {
    /// What each role of each framework holds; the others are the sums of these.
    each: BTreeMap<FrameworkId, BTreeMap<Role, Held>>,
    by_role: RoleTotals,
}

impl HeldSums {
    /// A role of a framework holds more, or less.
    pub(crate) fn change(
        &mut self,
        (framework, role): (&FrameworkId, &Role),
        name: &str,
        change: impl Fn(Scalar) -> Scalar,
    ) {
        let roles = match self.each.get_mut(framework) {
            Some(roles) => roles,
            None => self.each.entry(framework.clone()).or_default(),
        };
        let held = match roles.get_mut(role) {
            Some(held) => held,
            None => roles
                .entry(role.clone())
                .or_insert_with(|| Held { top: role.top(), sums: Quantities::new() }),
        };
        let by = change_one(&mut held.sums, name, change);
        self.by_role.change(&held.top, name, by);
    }

    /// A framework holds nothing any more.
    pub(crate) fn forget(&mut self, framework: &FrameworkId) {
        for Held { top, sums } in
            self.each.remove(framework).into_iter().flat_map(BTreeMap::into_values)
        {
            for (name, amount) in sums {
                self.by_role.change(&top, &name, -i128::from(amount.as_thousandths()));
            }
            self.by_role.forget_empty(&top);
        }
    }

    pub(crate) fn by_role(&self) -> &RoleTotals {
        &self.by_role
    }
}

/// Changes one sum, which is never less than nothing; returns by how much, in thousandths.
fn change_one(sums: &mut Quantities, name: &str, change: impl Fn(Scalar) -> Scalar) -> i128 {
    let known = match sums.get_mut(name) {
        Some(known) => known,
        None => sums.entry(name.to_owned()).or_default(),
    };
    let before = *known;
    let sum = change(before).max(Scalar::ZERO);
    *known = sum;
    i128::from(sum.as_thousandths()) - i128::from(before.as_thousandths())
}

/// How much quota counts of what is held, unless it is reserved: that was counted when it was reserved.
pub(crate) fn counted_beside_reservations(identity: &Identity, amount: &Amount) -> Option<Scalar> {
    if identity.is_reserved() {
        return None;
    }
    counted_by_quota(identity, amount)
}
