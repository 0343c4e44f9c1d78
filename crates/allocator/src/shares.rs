//! Dominant shares: the fraction of the cluster that somebody has of the resource of which they
//! have most.
//!
//! A share is one rounded division of exact whole numbers, so equal fractions compare as equal.
//! Only scalars count; whoever makes the [`ShareBasis`] says which names do. It never knows who has
//! the shares.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use holdfast_model::{Quantities, Scalar};

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

/// Amounts in thousandths, in the order of a basis's names. Sums of what everybody has cannot
/// overflow.
pub(crate) type Measured = Vec<i128>;

/// The cluster's totals of the resources that count, against which shares are measured.
#[derive(Clone, Debug)]
pub(crate) struct ShareBasis {
    totals: Vec<(String, i64)>,
}

impl ShareBasis {
    pub fn new(input: &AllocationInput<'_>, uncounted: &BTreeSet<String>) -> ShareBasis {
        let counted = counted(input, uncounted);
        ShareBasis { totals: counted.map(|(name, total)| (name.clone(), total)).collect() }
    }

    /// Whether it is still the one that [`ShareBasis::new`] would make.
    pub fn is_of(&self, input: &AllocationInput<'_>, uncounted: &BTreeSet<String>) -> bool {
        self.totals.iter().map(|(name, total)| (name, *total)).eq(counted(input, uncounted))
    }

    /// Whether amounts that were measured against `other` are measured against this one, too.
    pub fn has_names_of(&self, other: &ShareBasis) -> bool {
        let names = other.totals.iter().map(|(name, _)| name);
        self.totals.iter().map(|(name, _)| name).eq(names)
    }

    /// Measures no amount at all.
    pub fn nothing(&self) -> Measured {
        vec![0; self.totals.len()]
    }

    pub fn measure(&self, amounts: &Quantities) -> Measured {
        let amount = |name: &String| amounts.get(name).map_or(0, |it| it.as_thousandths().into());
        self.totals.iter().map(|(name, _)| amount(name)).collect()
    }

    /// As [`ShareBasis::measure`], of amounts that may come several times under one name.
    pub fn measure_each(&self, amounts: &[(&str, Scalar)]) -> Measured {
        let amount = |name: &String| {
            let named = amounts.iter().filter(|(it, _)| it == name);
            named.map(|(_, amount)| i128::from(amount.as_thousandths())).sum()
        };
        self.totals.iter().map(|(name, _)| amount(name)).collect()
    }

    /// The dominant share of what was measured.
    pub fn share(&self, measured: &[i128], weight: Scalar) -> Share {
        let weight = weight.as_thousandths().max(1) as f64; // A weight of 0 would divide by zero.
        let ratios = measured
            .iter()
            .zip(&self.totals)
            .map(|(held, (_, total))| (float(*held) * 1000.0) / (*total as f64 * weight));
        Share(ratios.fold(0.0, f64::max))
    }
}

/// The nearest number. Nearly all fit a register, which converts far faster.
fn float(amount: i128) -> f64 {
    i64::try_from(amount).map_or_else(|_| amount as f64, |it| it as f64)
}

fn counted<'i>(
    input: &AllocationInput<'i>,
    uncounted: &'i BTreeSet<String>,
) -> impl Iterator<Item = (&'i String, i64)> {
    let counts =
        |(name, total): &(&String, &Scalar)| Scalar::ZERO < **total && !uncounted.contains(*name);
    input.totals.iter().filter(counts).map(|(name, total)| (name, total.as_thousandths()))
}

/// Adds amounts that were measured against the same basis.
pub(crate) fn add(sum: &mut [i128], more: &[i128]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += *more);
}

/// Takes away what was added before.
pub(crate) fn subtract(sum: &mut [i128], less: &[i128]) {
    sum.iter_mut().zip(less).for_each(|(sum, less)| *sum -= *less);
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
