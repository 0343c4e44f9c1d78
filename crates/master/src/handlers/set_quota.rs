//! An operator sets the quota of roles: several at once, all or none.
//!
//! Open offers that stand in the way are taken back, and no more of them. What tasks use is never taken away: a role that has more than its
//! limit is offered nothing of it until it has less.

use std::borrow::Cow;
use std::collections::BTreeSet;

use holdfast_allocator::{missing, QuotaInput};
use holdfast_model::quota::check_all;
use holdfast_model::{FrameworkId, MasterChange, OfferId, Quantities, Quota, Role, Scalar};

use crate::flows::offers::rescind;
use crate::flows::quota::{holdings, quota_input, QuotaSums};
use crate::parts::agents::are_nearly_all_heard;
use crate::parts::held_sums::counted_beside_reservations;
use crate::parts::offers::OfferRecord;
use crate::{Belief, MasterView, Refusal, Step};

/// Sets the quota of roles.
///
/// # Errors
/// [`Refusal`] as [`check`] says.
pub(super) fn set_quota(
    step: &mut Step,
    belief: &mut Belief,
    quotas: Vec<(Role, Quota)>,
    force: bool,
) -> Result<(), Refusal> {
    if !belief.frameworks.held().is_kept() {
        keep_held(belief);
    }
    let done = set(step, belief, quotas, force);
    if step.out.ledger().quotas.is_empty() {
        belief.frameworks.end_held();
    }
    done
}

/// The first quota: what is held by everybody is counted once, and by difference from then on.
fn keep_held(belief: &mut Belief) {
    let Belief { agents, frameworks, tasks, offers, .. } = belief;
    frameworks.keep_held(holdings(agents.states(), tasks.rows(), offers.open()));
}

fn set(
    step: &mut Step,
    belief: &mut Belief,
    quotas: Vec<(Role, Quota)>,
    force: bool,
) -> Result<(), Refusal> {
    let ledger = step.out.ledger();
    let input = quota_input(ledger, &belief.agents, &belief.frameworks);
    check((&input, belief.agents.totals()), &quotas, force)?;
    let former = |role: &Role| ledger.quotas.get(role).cloned().unwrap_or_default();
    let changed: Vec<(Role, Quota)> =
        quotas.into_iter().filter(|(role, quota)| former(role) != *quota).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let guarantees = |(role, quota): &(Role, Quota)| former(role).guarantees != quota.guarantees;
    let are_all_concerned = changed.iter().any(guarantees);
    let roles: Vec<Role> = changed.iter().map(|(role, _)| role.clone()).collect();
    let changes = changed.into_iter().map(|(role, quota)| MasterChange::Quota(role, quota));
    step.out.commit(changes.collect());
    take_back(step, belief);
    let concerned = |role: &Role| are_all_concerned || roles.contains(&role.top());
    let frameworks = belief.frameworks.states().iter();
    let frameworks = frameworks.filter(|(_, it)| it.info().roles.iter().any(concerned));
    let frameworks: Vec<FrameworkId> = frameworks.map(|(id, _)| id.clone()).collect();
    frameworks.iter().for_each(|it| belief.allocator.may_have_more(it));
    Ok(())
}

/// Whether quotas may be set; without `force` also whether they can hold.
fn check(
    (input, totals): (&QuotaInput<'_>, &Quantities),
    quotas: &[(Role, Quota)],
    force: bool,
) -> Result<(), Refusal> {
    check_all(quotas).map_err(Refusal::Invalid)?;
    if force {
        return Ok(());
    }
    check_capacity(input, totals, quotas)?;
    quotas.iter().try_for_each(|(role, quota)| check_limits(input, role, quota))
}

/// All that is guaranteed together must be there.
fn check_capacity(
    input: &QuotaInput<'_>,
    totals: &Quantities,
    quotas: &[(Role, Quota)],
) -> Result<(), Refusal> {
    let others = input.quotas.iter().filter(|(role, _)| !quotas.iter().any(|it| it.0 == **role));
    let others = others.map(|(_, quota)| quota);
    let mut sums = Quantities::new();
    for quota in quotas.iter().map(|it| &it.1).chain(others) {
        for (name, amount) in &quota.guarantees {
            let sum: &mut Scalar = sums.entry(name.clone()).or_default();
            *sum = sum.plus(*amount);
        }
    }
    let new = quotas.iter().flat_map(|(_, quota)| quota.guarantees.keys());
    for name in new {
        let (all, there) = (sums[name], totals.get(name).copied().unwrap_or_default());
        if there < all {
            let unheard = match input.is_known {
                true => "",
                false => " (some agents have not spoken yet to this leader)",
            };
            let why = format!(
                "{all} of {name} would be guaranteed altogether, and the cluster has {there}{unheard}; guarantee less, add agents, or force it"
            );
            return Err(Refusal::Conflict(why));
        }
    }
    Ok(())
}

/// A role must not have more than its limit already.
fn check_limits(input: &QuotaInput<'_>, role: &Role, quota: &Quota) -> Result<(), Refusal> {
    let has = input.all_of(role);
    for (name, limit) in &quota.limits {
        let has = has.get(name).copied().unwrap_or_default();
        if *limit < has {
            let why = format!(
                "role `{role}` has {has} of {name} now (reserved, used or offered), which is more than the limit of {limit}; raise it, or force it: then the role is offered no more until it has less"
            );
            return Err(Refusal::Conflict(why));
        }
    }
    Ok(())
}

/// Takes back offers of roles that have more than their limits, and offers of what is kept for guarantees, while there are any.
fn take_back(step: &mut Step, belief: &mut Belief) {
    let open = belief.offers.open().iter().map(|(id, it)| (id.clone(), beside_reservations(it)));
    let open: Vec<(OfferId, (Role, BTreeSet<String>))> = open.collect();
    for (id, (role, names)) in open {
        let input = quota_input(step.out.ledger(), &belief.agents, &belief.frameworks);
        if names.iter().any(|name| is_in_the_way(&input, &role, name)) {
            rescind(step, belief, &id);
        }
    }
}

/// The top of an offer's role, and the names of what quota counts of the offer beside reservations.
fn beside_reservations(record: &OfferRecord) -> (Role, BTreeSet<String>) {
    let entries = record.resources.entries();
    let counted = entries.filter(|(it, amount)| counted_beside_reservations(it, amount).is_some());
    (record.offer.role.top(), counted.map(|(it, _)| it.name.clone()).collect())
}

/// Whether an offer of this to a top-level role must be taken back.
fn is_in_the_way(input: &QuotaInput<'_>, role: &Role, name: &str) -> bool {
    let limit = input.quotas.get(role).and_then(|it| it.limits.get(name));
    if limit.is_some_and(|limit| *limit < input.has(role, name)) {
        return true;
    }
    let others = input.quotas.iter().filter(|(it, _)| *it != role);
    let lacks = others.map(|(it, quota)| missing(quota, name, input.has(it, name)));
    let lacks = lacks.fold(Scalar::ZERO, Scalar::plus);
    Scalar::ZERO < lacks && input.free(name) < lacks
}

impl MasterView {
    /// Says whether quotas could be set now.
    ///
    /// # Errors
    /// [`Refusal`] as setting them would.
    pub fn plan_quota(&self, quotas: &[(Role, Quota)], force: bool) -> Result<(), Refusal> {
        let sums = self.quota_sums();
        check((&sums.input(self.ledger()), self.totals()), quotas, force)
    }

    /// What a top-level role and those below it have, as quota counts it: reserved, used or offered.
    pub fn consumed(&self, role: &Role) -> Quantities {
        self.quota_sums().input(self.ledger()).all_of(role)
    }

    /// What quota counts: as the core has it, or added up where no role has quota and the core tells nobody.
    fn quota_sums(&self) -> Cow<'_, QuotaSums> {
        match self.ledger().quotas.is_empty() {
            true => Cow::Owned(self.quota_added_up()),
            false => Cow::Borrowed(&self.quota),
        }
    }

    pub(crate) fn quota_added_up(&self) -> QuotaSums {
        let (agents, frameworks) = (self.agents(), self.frameworks());
        let admitted = || agents.values().filter(|it| it.is_admitted());
        let unheard = admitted().filter(|it| !it.heard()).count();
        let is_known = are_nearly_all_heard(unheard, agents.len());
        let held = holdings(agents, self.task_rows(), self.offers());
        let held = held.filter(|(it, _)| frameworks.contains_key(*it)).map(|(_, it)| it);
        QuotaSums::added_up(admitted().map(|it| it.total()), held, is_known)
    }
}
