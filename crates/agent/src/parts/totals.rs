//! What the machine has, with all claims laid on it.
//!
//! Kept by difference: a claim that changes is lifted off and laid on again. Where claims do not fit, it matters which are laid first, and
//! all are laid anew. Relies on `holdfast_model::claim`, which is the law. Never takes a claim that does not fit for one that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::claim::{fit, lay, lift};
use holdfast_model::{Claim, ClaimId, Resources, SharedMap};

/// Claims that have changed, and what each was before; `None` for one that is new.
pub(crate) type ChangedClaims = BTreeMap<ClaimId, Option<Arc<Claim>>>;

/// The machine's resources, before and after the claims.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// `None` until the disks are open.
    base: Option<Resources>,
    total: Resources,
    misfits: Arc<BTreeSet<ClaimId>>,
    /// Changes since all claims were laid anew.
    unchecked: usize,
}

impl Totals {
    pub(crate) fn total(&self) -> &Resources {
        &self.total
    }

    /// Claims that no longer fit on the machine.
    pub(crate) fn misfits(&self) -> &Arc<BTreeSet<ClaimId>> {
        &self.misfits
    }

    /// The machine was found to have `base`. Names the claims that fit now and did not, or the other way round.
    pub(crate) fn set_base(
        &mut self,
        base: &Resources,
        claims: &SharedMap<ClaimId, Claim>,
    ) -> Vec<ClaimId> {
        let before = self.base.replace(base.clone());
        let rebased = before.filter(|_| self.misfits.is_empty());
        let Some(total) = rebased.and_then(|it| rebased_total(&self.total, &it, base)) else {
            return self.lay_all(claims);
        };
        self.total = total;
        self.check_in_tests(claims);
        Vec::new()
    }

    /// Whether it is known what the machine has.
    pub(crate) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// These claims were made, changed or ended; `claims` are those that there are now. Answers as [`Totals::set_base`].
    pub(crate) fn apply_claim_changes(
        &mut self,
        changed: &ChangedClaims,
        claims: &SharedMap<ClaimId, Claim>,
    ) -> Vec<ClaimId> {
        let Some(base) = &self.base else { return Vec::new() };
        let relaid = match self.misfits.is_empty() {
            true => relaid(&self.total, base, changed, claims),
            false => None,
        };
        let Some(total) = relaid else { return self.lay_all(claims) };
        self.total = total;
        self.unchecked += changed.len();
        if 64 * (claims.len() + 1) < self.unchecked || cfg!(test) {
            self.check(claims);
        }
        Vec::new()
    }

    /// A sample of the truth: what was kept by difference is what all claims laid anew would be.
    fn check(&mut self, claims: &SharedMap<ClaimId, Claim>) {
        self.unchecked = 0;
        let base = self.base.as_ref().expect("claims were laid on a base");
        let (total, misfits) = fit(base, claims);
        assert!(
            misfits.is_empty() && total == self.total,
            "the total is all claims laid on the base"
        );
    }

    fn check_in_tests(&mut self, claims: &SharedMap<ClaimId, Claim>) {
        if cfg!(test) {
            self.check(claims);
        }
    }

    fn lay_all(&mut self, claims: &SharedMap<ClaimId, Claim>) -> Vec<ClaimId> {
        let (total, misfits) = self.base.as_ref().map(|base| fit(base, claims)).unwrap_or_default();
        (self.total, self.unchecked) = (total, 0);
        let misfits: BTreeSet<ClaimId> = misfits.into_iter().collect();
        let changed = self.misfits.symmetric_difference(&misfits).copied().collect();
        if misfits != *self.misfits {
            self.misfits = Arc::new(misfits);
        }
        changed
    }
}

/// The total when the machine has more or less of what is not claimed; `None` when it matters how claims are laid on that.
fn rebased_total(total: &Resources, before: &Resources, base: &Resources) -> Option<Resources> {
    let (mut lost, mut gained) = (before.clone(), base.clone());
    lost.subtract_all(base);
    gained.subtract_all(before);
    let is_whole = lost.entries().chain(gained.entries()).any(|(it, _)| it.is_exclusive());
    if is_whole || !total.contains(&lost) {
        return None;
    }
    let mut total = total.clone();
    total.subtract_all(&lost);
    total.add_all(&gained);
    Some(total)
}

/// The total after changes, if all claims still fit.
fn relaid(
    total: &Resources,
    base: &Resources,
    changed: &ChangedClaims,
    claims: &SharedMap<ClaimId, Claim>,
) -> Option<Resources> {
    let mut total = total.clone();
    changed.values().flatten().for_each(|it| lift(&mut total, it, base));
    let mut new = changed.keys().filter_map(|id| claims.get(id));
    new.all(|it| lay(&mut total, it)).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{amount, Bed};

    #[test]
    fn a_claim_that_no_longer_fits_is_named_once_and_again_when_it_fits() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let claims = bed.agent.ledger().claims.clone();
        let mut totals = Totals::default();
        assert_eq!(
            totals.apply_claim_changes(&ChangedClaims::new(), &claims),
            vec![],
            "no machine yet"
        );
        let nothing: Resources = [amount("cpus", 1)].into_iter().collect();
        let all: Vec<ClaimId> = claims.keys().copied().collect();
        assert_eq!(totals.set_base(&nothing, &claims), all);
        assert!(totals.misfits().contains(&all[0]));
        assert_eq!(totals.apply_claim_changes(&ChangedClaims::new(), &claims), vec![]);
        assert_eq!(totals.set_base(&bed.machine.info.resources, &claims), all);
        assert_eq!(totals.total(), bed.agent.total());
    }
}
