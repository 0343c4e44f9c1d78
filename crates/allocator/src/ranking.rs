//! The order in which contenders are tried, which each policy supplies to `divide`.
//!
//! A ranking only orders: whether a contender fits is asked through [`Fits`]. It never decides who
//! is eligible.

use std::collections::BTreeSet;

use holdfast_model::Quantities;

/// Tries a contender: what it would be given, if anything.
pub(crate) type Fits<'f> = &'f mut dyn FnMut(usize) -> Option<Vec<usize>>;

/// The order of contenders, which changes as they are served.
pub(crate) trait Ranking {
    /// The first of all contenders that fits.
    fn first(&self, fits: Fits<'_>) -> Option<(usize, Vec<usize>)>;
    /// The first of these contenders that fits.
    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Vec<usize>)>;
    /// Notes that a contender was given that much.
    fn charge(&mut self, contender: usize, amounts: &Quantities);
}

/// The first in an order that fits.
pub(crate) fn first_of(
    order: impl IntoIterator<Item = usize>,
    fits: Fits<'_>,
) -> Option<(usize, Vec<usize>)> {
    order.into_iter().find_map(|contender| fits(contender).map(|slices| (contender, slices)))
}
