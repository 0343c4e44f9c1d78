//! What tasks, executors and offers of all frameworks hold beside reservations, as quota counts it: by top-level role, and of all roles.
//!
//! Relies on [`super::frameworks`] to say each change, and on whoever lets them be kept to say what is held then. It never knows what it is
//! held with.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::resources::Amount;
use holdfast_model::totals::counted_by_quota;
use holdfast_model::{FrameworkId, Identity, Role, RoleTotals, Scalar};

/// What one role of one framework holds.
#[derive(Debug)]
struct Held {
    role: Role,
    /// The top of the role.
    top: Role,
    /// By resource name, of which there are few.
    sums: Vec<(Arc<str>, Scalar)>,
}

/// Sums over frameworks, kept only while some role has quota: they cost nothing where nobody asks for them.
#[derive(Debug, Default)]
pub(crate) struct HeldSums {
    is_kept: bool,
    /// What each framework holds for its roles, of which there are few; the others are the sums of these.
    each: BTreeMap<FrameworkId, Vec<Held>>,
    by_role: RoleTotals,
}

impl HeldSums {
    /// Begins to keep the sums; what is held now is said next.
    pub(crate) fn keep(&mut self) {
        *self = HeldSums { is_kept: true, ..HeldSums::default() };
    }

    /// Keeps them no more.
    pub(crate) fn end(&mut self) {
        *self = HeldSums::default();
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// A role of a framework holds more, or less.
    pub(crate) fn change(
        &mut self,
        (framework, role): (&FrameworkId, &Role),
        name: &str,
        change: impl Fn(Scalar) -> Scalar,
    ) {
        if !self.is_kept {
            return;
        }
        let roles = match self.each.get_mut(framework) {
            Some(roles) => roles,
            None => self.each.entry(framework.clone()).or_default(),
        };
        let at = roles.iter().position(|it| it.role == *role).unwrap_or_else(|| {
            roles.push(Held { role: role.clone(), top: role.top(), sums: Vec::new() });
            roles.len() - 1
        });
        let Held { top, sums, .. } = &mut roles[at];
        let place = sums.iter().position(|it| *it.0 == *name);
        let before = place.map(|at| sums[at].1).unwrap_or_default();
        let sum = change(before).max(Scalar::ZERO);
        let by = i128::from(sum.as_thousandths()) - i128::from(before.as_thousandths());
        self.by_role.change(top, name, by);
        match place {
            Some(at) => sums[at].1 = sum,
            None => {
                let name = self.by_role.kept_name(name).expect("it was just named");
                sums.push((name.clone(), sum));
            }
        }
    }

    /// A framework holds nothing any more.
    pub(crate) fn forget(&mut self, framework: &FrameworkId) {
        for Held { top, sums, .. } in self.each.remove(framework).into_iter().flatten() {
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

/// How much quota counts of what is held, unless it is reserved: that was counted when it was reserved.
pub(crate) fn counted_beside_reservations(identity: &Identity, amount: &Amount) -> Option<Scalar> {
    if identity.is_reserved() {
        return None;
    }
    counted_by_quota(identity, amount)
}
