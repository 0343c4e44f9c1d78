//! Sums over agents, kept by difference. Exact beyond what a [`Scalar`] holds, so that what one lying agent adds can be taken away again.

use std::collections::BTreeMap;

use holdfast_model::{Quantities, Scalar};

/// What agents have together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// In thousandths.
    sums: BTreeMap<String, i128>,
    /// The same, at most what a scalar holds.
    quantities: Quantities,
    /// Changes since everything was added up anew.
    unchecked: usize,
}

impl Totals {
    pub(super) fn add(&mut self, quantities: &Quantities) {
        quantities
            .iter()
            .for_each(|(name, amount)| self.change(name, amount.as_thousandths().into()));
    }

    pub(super) fn subtract(&mut self, quantities: &Quantities) {
        let less = |amount: &Scalar| -i128::from(amount.as_thousandths());
        quantities.iter().for_each(|(name, amount)| self.change(name, less(amount)));
    }

    fn change(&mut self, name: &str, by: i128) {
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

    pub(super) fn quantities(&self) -> &Quantities {
        &self.quantities
    }

    /// Whether there were many more changes than there are `members` since this was last true.
    pub(super) fn is_check_due(&mut self, members: usize) -> bool {
        let is_due = 64 * (members + 1) < self.unchecked;
        if is_due {
            self.unchecked = 0;
        }
        is_due
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
}
