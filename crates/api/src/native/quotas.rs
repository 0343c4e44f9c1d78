//! `/holdfast/v1/quotas`: the roles that have quota, with what each has; and what setting some would do.
//!
//! Relies on the master's own sums and checks, which run on a view as they do in the core.

use holdfast_model::{Quantities, Quota, Role};

use crate::rows::{Plan, QuotaPlan, QuotaRow};
use crate::{MasterView, Refusal};

/// The roles that have quota.
pub fn quotas(view: &MasterView) -> Vec<QuotaRow> {
    view.ledger().quotas.iter().map(|(role, quota)| row(view, role, quota)).collect()
}

/// What setting quotas would do.
///
/// # Errors
/// What the core would say if it were asked to set them now.
pub fn quota_plan(
    view: &MasterView,
    quotas: &[(Role, Quota)],
    force: bool,
) -> Result<Plan, Refusal> {
    view.plan_quota(quotas, force)?;
    let none = Quota::default();
    let now = |role: &Role| view.ledger().quotas.get(role).unwrap_or(&none);
    Ok(Plan::Quota(QuotaPlan {
        action: "UPDATE_QUOTA".to_owned(),
        before: quotas.iter().map(|(role, _)| row(view, role, now(role))).collect(),
        after: quotas.iter().map(|(role, quota)| row(view, role, quota)).collect(),
    }))
}

fn row(view: &MasterView, role: &Role, quota: &Quota) -> QuotaRow {
    QuotaRow {
        role: role.to_string(),
        guarantees: text(&quota.guarantees),
        limits: text(&quota.limits),
        has: text(&view.consumed(role)),
    }
}

fn text(amounts: &Quantities) -> String {
    let each: Vec<String> = amounts.iter().map(|(name, it)| format!("{name}:{it}")).collect();
    each.join("; ")
}
