//! UPDATE_FRAMEWORK: a framework that is subscribed describes itself anew.

use std::collections::BTreeSet;

use holdfast_model::{FrameworkId, FrameworkInfo, FrameworkRecord, MasterChange, OfferId, Role};

use crate::flows::offers::rescind_each;
use crate::{Belief, Step};

/// Takes the new description, unless it changes what may not change.
pub(crate) fn update_framework(
    step: &mut Step,
    belief: &mut Belief,
    id: &FrameworkId,
    info: FrameworkInfo,
    suppressed: BTreeSet<Role>,
) {
    let record = step.out.ledger().frameworks.get(id).cloned();
    let record = record.expect("a framework that is here is in the ledger");
    let old = &record.info;
    if info.principal != old.principal || info.user != old.user || info.checkpoint != old.checkpoint
    {
        return step.out.log(format!(
            "framework {id} tried to change its user, checkpoint or principal; its call is ignored"
        ));
    }
    if let Some(stranger) = suppressed.iter().find(|role| !info.roles.contains(role)) {
        return step.out.log(format!("framework {id}: suppressed_roles: `{stranger}` is none of its roles; its call is ignored"));
    }
    let lost: Vec<Role> =
        old.roles.iter().filter(|role| !info.roles.contains(role)).cloned().collect();
    let info = FrameworkInfo { id: Some(id.clone()), ..info };
    let renewed = FrameworkRecord { info: info.clone(), ..record };
    step.out.commit(vec![MasterChange::Framework(renewed)]);
    belief.frameworks.describe(id, info, &suppressed);
    let offers = belief.offers.of_framework(id).filter(|it| lost.contains(&it.role));
    let offers: Vec<OfferId> = offers.map(|it| it.id.clone()).collect();
    rescind_each(step, belief, offers);
    belief.allocator.described(id, !lost.is_empty());
}
