//! The order in which contenders are tried, which each policy supplies to `divide`, and which stands
//! between divisions.
//!
//! A ranking only orders: whether a contender fits is asked through [`Fits`]. It never decides who
//! is eligible.

use std::collections::BTreeSet;

use holdfast_model::{Quantities, Role, Scalar};

use crate::candidate::Fit;
use crate::roster::Contender;

/// Tries a contender: what it would be given, if anything.
pub(crate) type Fits<'f> = &'f mut dyn FnMut(usize) -> Option<Fit>;

/// The order of the contenders that wait, which changes as they come, go and are served.
pub(crate) trait Ranking {
    /// Takes over a contender as it is now, new or not, and what it has been allocated.
    fn seat(&mut self, contender: usize, as_is: &Contender<'_>, allocated: &Quantities);
    /// The contender is none any more.
    fn leave(&mut self, contender: usize);
    /// The first of all contenders that fits.
    fn first(&self, fits: Fits<'_>) -> Option<(usize, Fit)>;
    /// The first that fits of the contenders of these roles and those below them.
    fn first_below(&self, roles: &BTreeSet<&Role>, fits: Fits<'_>) -> Option<(usize, Fit)>;
    /// The first of these contenders that fits. Those that do not wait are passed over.
    fn first_among(&self, among: &BTreeSet<usize>, fits: Fits<'_>) -> Option<(usize, Fit)>;
    /// Notes that a contender was given that much.
    fn charge(&mut self, contender: usize, amounts: &[(&str, Scalar)]);
    /// Notes at the end of a division that a contender was served so many times more.
    fn count(&mut self, contender: usize, as_is: &Contender<'_>, times: u64);
}

/// The first in an order that fits.
pub(crate) fn first_of(
    order: impl IntoIterator<Item = usize>,
    fits: Fits<'_>,
) -> Option<(usize, Fit)> {
    order.into_iter().find_map(|contender| fits(contender).map(|fit| (contender, fit)))
}
