//! Dominant shares: the fraction of the cluster that somebody has of the resource of which they
//! have most.
//!
//! A share is one rounded division of exact whole numbers, so equal fractions compare as equal.
//! Only scalars count; whoever makes the [`ShareBasis`] says which names do. It never knows who has
//! the shares.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Quantities, Role, Scalar};

use crate::input::AllocationInput;

/// The weight of a role that was given none.
pub(crate) const WEIGHT: Scalar = Scalar::whole(1);

/// A dominant share, divided by a weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub f64);

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Share) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Share) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The cluster's totals of the resources that count, against which shares are measured.
#[derive(Clone, Debug)]
pub(crate) struct ShareBasis {
    totals: Vec<(String, i64)>,
}

impl ShareBasis {
    pub fn new(input: &AllocationInput<'_>, uncounted: &BTreeSet<String>) -> ShareBasis {
        let counts = |(name, total): &(&String, &Scalar)| {
            Scalar::ZERO < **total && !uncounted.contains(*name)
        };
        ShareBasis {
            totals: input
                .totals
                .iter()
                .filter(counts)
                .map(|(name, total)| (name.clone(), total.as_thousandths()))
                .collect(),
        }
    }

    /// Amounts (in thousandths) in the order of the basis's names.
    pub fn measure(&self, amounts: &Quantities) -> Vec<i64> {
        self.totals
            .iter()
            .map(|(name, _)| amounts.get(name).map_or(0, |it| it.as_thousandths()))
            .collect()
    }

    /// The dominant share of what `measure` returned.
    pub fn share(&self, measured: &[i64], weight: Scalar) -> Share {
        let weight = weight.as_thousandths().max(1) as f64; // A weight of 0 would divide by zero.
        let ratios = measured
            .iter()
            .zip(&self.totals)
            .map(|(held, (_, total))| (*held as f64 * 1000.0) / (*total as f64 * weight));
        Share(ratios.fold(0.0, f64::max))
    }
}

/// Adds amounts that were measured against the same basis.
pub(crate) fn add(sum: &mut [i64], more: &[i64]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
}

/// The weights by the roles' names.
pub(crate) fn weights<'a>(input: &AllocationInput<'a>) -> BTreeMap<&'a str, Scalar> {
    input.weights.iter().map(|(role, weight)| (role.as_str(), *weight)).collect()
}

/// The unweighted share of `role` together with all roles below it.
pub(crate) fn share_of(input: &AllocationInput<'_>, basis: &ShareBasis, role: &Role) -> f64 {
    let mut held = basis.measure(&Quantities::new());
    for view in input.frameworks.values().flat_map(|it| &it.roles) {
        if view.role == *role || view.role.is_below(role) {
            add(&mut held, &basis.measure(&view.allocated));
        }
    }
    basis.share(&held, WEIGHT).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quantities, Scene};

    #[test]
    fn the_greatest_ratio_counts_and_equal_fractions_are_equal() {
        let totals = quantities(&[("cpus", 10), ("mem", 1000), ("gpus", 0), ("ports", 7)]);
        let scene = Scene { totals, ..Scene::default() };
        let input = scene.input();
        let basis = ShareBasis::new(&input, &BTreeSet::from(["ports".to_owned()]));
        let share = |amounts, weight| {
            basis.share(&basis.measure(&quantities(amounts)), Scalar::whole(weight))
        };
        assert_eq!(share(&[("cpus", 2), ("mem", 500), ("ports", 7), ("gpus", 9)], 1), Share(0.5));
        assert_eq!(share(&[("cpus", 3)], 3), share(&[("cpus", 1)], 1));
        assert_eq!(share(&[("cpus", 7)], 7), share(&[("mem", 100)], 1));
        assert_eq!(share(&[], 1), Share(0.0));
        assert!(share(&[("cpus", 1)], 0).0.is_finite());
    }
}
