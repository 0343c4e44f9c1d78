//! What the machine has, with all claims laid on it.
//!
//! Relies on `holdfast_model::claim`, which is the law. Never takes a claim that does not fit for one that is not there.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_model::claim::fit;
use holdfast_model::{Claim, ClaimId, Resources, SharedMap};

/// The machine's resources, before and after the claims.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// `None` until the disks are open.
    base: Option<Resources>,
    total: Resources,
    misfits: Arc<BTreeSet<ClaimId>>,
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
        self.base = Some(base.clone());
        self.apply_claim_changes(claims)
    }

    /// Claims were made, changed or ended; `claims` are those that there are now. Answers as [`Totals::set_base`].
    pub(crate) fn apply_claim_changes(
        &mut self,
        claims: &SharedMap<ClaimId, Claim>,
    ) -> Vec<ClaimId> {
        let (total, misfits) = self.base.as_ref().map(|base| fit(base, claims)).unwrap_or_default();
        self.total = total;
        let misfits: BTreeSet<ClaimId> = misfits.into_iter().collect();
        let changed = self.misfits.symmetric_difference(&misfits).copied().collect();
        if misfits != *self.misfits {
            self.misfits = Arc::new(misfits);
        }
        changed
    }
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
        assert_eq!(totals.apply_claim_changes(&claims), vec![], "no machine yet");
        let nothing: Resources = [amount("cpus", 1)].into_iter().collect();
        let all: Vec<ClaimId> = claims.keys().copied().collect();
        assert_eq!(totals.set_base(&nothing, &claims), all);
        assert!(totals.misfits().contains(&all[0]));
        assert_eq!(totals.apply_claim_changes(&claims), vec![]);
        assert_eq!(totals.set_base(&bed.machine.info.resources, &claims), all);
        assert_eq!(totals.total(), bed.agent.total());
    }
}
