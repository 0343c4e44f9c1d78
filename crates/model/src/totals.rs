//! Sums over many, kept by difference. Exact beyond what a [`Scalar`] holds, so that what one lying agent adds can be taken away again.
//!
//! Relies on its owner to take away what was added, and asserts that it is no more. It never knows what is summed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::resource::Identity;
use crate::resources::{Amount, Quantities, Resources};
use crate::role::Role;
use crate::shared_map::SharedMap;
use crate::value::{Scalar, ValueKind};

/// Sums by resource name.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// In thousandths.
    sums: BTreeMap<String, i128>,
    /// The same, at most what a scalar holds.
    quantities: Quantities,
    /// Changes since everything was added up anew.
    unchecked: usize,
}

impl Totals {
    /// Adds so much of each.
    pub fn add(&mut self, quantities: &Quantities) {
        quantities
            .iter()
            .for_each(|(name, amount)| self.change(name, amount.as_thousandths().into()));
    }

    /// Takes away so much of each.
    ///
    /// # Panics
    /// When that is more than was added.
    pub fn subtract(&mut self, quantities: &Quantities) {
        let less = |amount: &Scalar| -i128::from(amount.as_thousandths());
        quantities.iter().for_each(|(name, amount)| self.change(name, less(amount)));
    }

    /// Adds so much of a name, in thousandths.
    ///
    /// # Panics
    /// When that is less than nothing, and more than was added.
    pub fn change(&mut self, name: &str, by: i128) {
        self.unchecked += 1;
        if by == 0 {
            return;
        }
        let sum = self.sums.get(name).copied().unwrap_or(0) + by;
        assert!(0 <= sum, "no more of {name} is taken away than was added");
        if sum == 0 {
            self.sums.remove(name);
            self.quantities.remove(name);
            return;
        }
        let amount = Scalar::thousandths(i64::try_from(sum).unwrap_or(i64::MAX));
        match (self.sums.get_mut(name), self.quantities.get_mut(name)) {
            (Some(kept), Some(shown)) => (*kept, *shown) = (sum, amount),
            _ => {
                self.sums.insert(name.to_owned(), sum);
                self.quantities.insert(name.to_owned(), amount);
            }
        }
    }

    /// The sums, each at most what a scalar holds.
    pub fn quantities(&self) -> &Quantities {
        &self.quantities
    }

    /// Whether there were many more changes than there are `members` since this was last true.
    pub fn is_check_due(&mut self, members: usize) -> bool {
        let is_due = 64 * (members + 1) < self.unchecked;
        if is_due {
            self.unchecked = 0;
        }
        is_due
    }
}

/// Sums by resource name, of which there are few.
type Sums = Vec<(Arc<str>, i128)>;

/// Sums by top-level role and resource name, as quota counts it, and of all roles. A clone shares nearly everything. What has become
/// nothing is kept until the role is forgotten, since it mostly comes again.
#[derive(Clone, Debug, Default)]
pub struct RoleTotals {
    by_role: SharedMap<Role, Sums>,
    /// It has each name that was ever said, so that a name is kept once.
    all: Sums,
}

impl RoleTotals {
    /// Adds so much of a name for a top-level role, in thousandths.
    ///
    /// # Panics
    /// When that is less than nothing, and more than was added.
    pub fn change(&mut self, role: &Role, name: &str, by: i128) {
        let name = change_exactly(&mut self.all, name, by, || Arc::from(name));
        let sums = match self.by_role.get_mut(role) {
            Some(sums) => sums,
            None => self.by_role.get_or_insert_with(role.clone(), Vec::new),
        };
        change_exactly(sums, &name, by, || name.clone());
    }

    /// A name as it is kept here, if anything was ever said of it.
    pub fn kept_name(&self, name: &str) -> Option<&Arc<str>> {
        self.all.iter().map(|it| &it.0).find(|it| ***it == *name)
    }

    /// Forgets a role for which there is nothing any more.
    pub fn forget_empty(&mut self, role: &Role) {
        if self.by_role.get(role).is_some_and(|it| it.iter().all(|(_, sum)| *sum == 0)) {
            self.by_role.remove(role);
        }
    }

    /// What there is of this name for a top-level role.
    pub fn of(&self, role: &Role, name: &str) -> Scalar {
        self.by_role.get(role).map_or(Scalar::ZERO, |it| sum_of(it, name))
    }

    /// What there is of this name for all roles.
    pub fn of_all(&self, name: &str) -> Scalar {
        sum_of(&self.all, name)
    }

    /// All that there is for a top-level role.
    pub fn all_of(&self, role: &Role) -> Quantities {
        let sums = self.by_role.get(role).into_iter().flatten().filter(|it| it.1 != 0);
        sums.map(|(name, sum)| (name.to_string(), at_most_a_scalar(*sum))).collect()
    }

    /// Whether the same is summed in both, what is nothing aside.
    pub fn is_equal(&self, other: &RoleTotals) -> bool {
        let roles = || self.by_role.keys().chain(other.by_role.keys());
        roles().all(|role| self.all_of(role) == other.all_of(role))
    }
}

/// Changes the sum of a name, which is put into the list if it is not there; returns the name as it is kept.
fn change_exactly(
    sums: &mut Sums,
    name: &str,
    by: i128,
    kept: impl FnOnce() -> Arc<str>,
) -> Arc<str> {
    let at = sums.iter().position(|it| *it.0 == *name).unwrap_or_else(|| {
        sums.push((kept(), 0));
        sums.len() - 1
    });
    let (name, sum) = &mut sums[at];
    *sum += by;
    assert!(0 <= *sum, "no more of {name} is taken away than was added");
    name.clone()
}

fn sum_of(sums: &Sums, name: &str) -> Scalar {
    let sum = sums.iter().find(|it| *it.0 == *name);
    sum.map_or(Scalar::ZERO, |(_, sum)| at_most_a_scalar(*sum))
}

fn at_most_a_scalar(sum: i128) -> Scalar {
    Scalar::thousandths(i64::try_from(sum).unwrap_or(i64::MAX))
}

/// How much of something quota counts: scalars that are not revocable; a shared volume once.
pub fn counted_by_quota(identity: &Identity, amount: &Amount) -> Option<Scalar> {
    if identity.kind != ValueKind::Scalar || identity.revocable {
        return None;
    }
    let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
    Some(Scalar::thousandths(amount.value.quantity().as_thousandths().saturating_mul(copies)))
}

/// Says what quota counts of resources, in thousandths: for which role it is reserved, if it is, and its name. Once for each run of
/// equal neighbours, which is nearly once for each role and name.
pub fn each_counted_by_quota<'r>(
    resources: &'r Resources,
    mut say: impl FnMut(Option<&'r Role>, &'r str, i128),
) {
    let mut run: Option<(Option<&Role>, &str, i128)> = None;
    for (identity, amount) in resources.entries() {
        let Some(counted) = counted_by_quota(identity, amount) else { continue };
        let role = identity.reservations.last().map(|it| &it.role);
        let counted = i128::from(counted.as_thousandths());
        match &mut run {
            Some((of, name, sum)) if *of == role && *name == identity.name => *sum += counted,
            _ => {
                if let Some((of, name, sum)) = run.replace((role, &identity.name, counted)) {
                    say(of, name, sum);
                }
            }
        }
    }
    if let Some((of, name, sum)) = run {
        say(of, name, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_can_be_taken_away_again() {
        let one = |count| Quantities::from([("cpus".to_owned(), Scalar::thousandths(count))]);
        let mut totals = Totals::default();
        totals.add(&one(5));
        totals.add(&one(i64::MAX));
        totals.add(&one(i64::MAX));
        assert_eq!(totals.quantities(), &one(i64::MAX));
        totals.subtract(&one(i64::MAX));
        totals.subtract(&one(i64::MAX));
        assert_eq!(totals.quantities(), &one(5));
        totals.subtract(&one(5));
        assert!(totals.quantities().is_empty());
    }

    #[test]
    fn what_is_reserved_is_counted_for_the_top_of_its_role() {
        let role = |name| Role::parse(name).unwrap();
        let cpus = |count| crate::Resource::scalar("cpus", Scalar::whole(count));
        let reservation = |name| crate::Reservation {
            kind: crate::ReservationKind::Dynamic,
            role: role(name),
            principal: None,
            labels: crate::Labels::default(),
        };
        let all: Resources = [
            cpus(1),
            cpus(2).reserved(reservation("a")),
            cpus(4).reserved(reservation("b")),
            cpus(8).reserved(reservation("a")).reserved(reservation("a/c")),
        ]
        .into_iter()
        .collect();
        let (mut totals, mut rest) = (RoleTotals::default(), Totals::default());
        each_counted_by_quota(&all, |role, name, sum| match role {
            Some(role) => totals.change(&role.top(), name, sum),
            None => rest.change(name, sum),
        });
        assert_eq!(
            [totals.of(&role("a"), "cpus"), totals.of(&role("b"), "cpus")],
            [10, 4].map(Scalar::whole)
        );
        assert_eq!(rest.quantities()["cpus"], Scalar::whole(1));
        totals.change(&role("a"), "cpus", -10_000);
        totals.forget_empty(&role("a"));
        totals.forget_empty(&role("b"));
        let left = (totals.of(&role("a"), "cpus"), totals.all_of(&role("b"))["cpus"]);
        assert_eq!(
            (left, totals.of_all("cpus")),
            ((Scalar::ZERO, Scalar::whole(4)), Scalar::whole(4))
        );
    }
}
