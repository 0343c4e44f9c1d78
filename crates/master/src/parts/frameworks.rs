//! The frameworks that a leader expects or has: how they describe themselves, where they speak, and what they hold for each role.
//!
//! What a framework holds is counted here by the difference; whoever holds or releases says so. Never knows what it holds it with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use holdfast_allocator::{FrameworkView, RoleView, SharedAgain};
use holdfast_model::convert::framework::smallest_offers;
use holdfast_model::{
    AgentId, FrameworkId, FrameworkInfo, Instant, LinkId, Resources, Role, Scalar, SharedMap,
};

use super::held_sums::{counted_beside_reservations, HeldSums};
use super::shared_uses::SharedUses;

/// What the master believes of a framework that is, or may come back.
#[derive(Clone, Debug)]
pub struct FrameworkState {
    /// As it described itself last. Shared, since what a framework holds changes far more often.
    info: Arc<FrameworkInfo>,
    /// The link it is subscribed on.
    link: Option<LinkId>,
    /// When it (re)subscribed last.
    subscribed: Instant,
}

impl FrameworkState {
    /// As it described itself last.
    pub fn info(&self) -> &FrameworkInfo {
        &self.info
    }

    /// The link it is subscribed on.
    pub fn link(&self) -> Option<LinkId> {
        self.link
    }

    /// When it (re)subscribed last.
    pub fn subscribed(&self) -> Instant {
        self.subscribed
    }

    /// A framework that is expected but has not spoken yet.
    fn absent(info: &FrameworkInfo, now: Instant) -> FrameworkState {
        FrameworkState { info: Arc::new(info.clone()), link: None, subscribed: now }
    }
}

/// What the allocator sees of one that has not spoken yet.
fn absent_view(id: &FrameworkId, info: &FrameworkInfo) -> FrameworkView {
    FrameworkView {
        id: id.clone(),
        roles: info.roles.iter().map(|role| described_view(info, role, false)).collect(),
        active: false,
        capabilities: info.capabilities.clone(),
    }
}

/// Counts `resources` (allocated) for the roles that they are allocated to; says whether a role may hold nothing now.
fn count(
    view: &mut FrameworkView,
    resources: &Resources,
    held: &mut HeldSums,
    change: fn(Scalar, Scalar) -> Scalar,
) -> bool {
    count_beside_reservations(held, &view.id, resources, change);
    let mut is_any_empty = false;
    for (identity, amount) in resources.entries() {
        let is_same = |it: &RoleView| match &identity.allocation {
            Some(role) => it.role == *role,
            None => it.role.is_any(),
        };
        let at = match view.roles.iter().position(is_same) {
            Some(at) => at,
            None => {
                let role = identity.allocation.clone().unwrap_or_else(Role::any);
                view.roles.push(role_view(&role, true));
                view.roles.len() - 1
            }
        };
        let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
        let one = amount.value.quantity().as_thousandths();
        let all = Scalar::thousandths(one.saturating_mul(copies));
        let role = &mut view.roles[at];
        let allocated = &mut role.allocated;
        let known = allocated.get_mut(&identity.name);
        let sum = change(known.as_deref().copied().unwrap_or_default(), all);
        match known {
            Some(known) if Scalar::ZERO < sum => *known = sum,
            Some(_) => drop(allocated.remove(&identity.name)),
            None if Scalar::ZERO < sum => drop(allocated.insert(identity.name.clone(), sum)),
            None => {}
        }
        is_any_empty |= role.allocated.is_empty();
    }
    is_any_empty
}

/// Counts for quota what of `resources` (allocated) is not reserved.
fn count_beside_reservations(
    held: &mut HeldSums,
    framework: &FrameworkId,
    resources: &Resources,
    change: fn(Scalar, Scalar) -> Scalar,
) {
    if !held.is_kept() {
        return;
    }
    for (identity, amount) in resources.entries() {
        let Some(counted) = counted_beside_reservations(identity, amount) else { continue };
        let role = identity.allocation.clone().unwrap_or_else(Role::any);
        held.change((framework, &role), &identity.name, |sum| change(sum, counted));
    }
}

/// Forgets the roles that a framework neither names nor uses any more.
fn forget_unused(view: &mut FrameworkView, info: &FrameworkInfo) {
    view.roles.retain(|it| !it.allocated.is_empty() || info.roles.contains(&it.role));
}

/// All frameworks that were not removed.
#[derive(Debug, Default)]
pub(crate) struct Frameworks {
    states: SharedMap<FrameworkId, FrameworkState>,
    /// What the allocator sees of them: their roles with what they hold for each. What one holds for a role that it no longer names is
    /// still counted.
    views: SharedMap<FrameworkId, FrameworkView>,
    /// Those whose views have changed since the allocator looked, or that are gone.
    changed: BTreeSet<FrameworkId>,
    /// Those that this leader removed and remembers, the newest last.
    removals: VecDeque<FrameworkId>,
    /// What they hold beside reservations.
    held: HeldSums,
    shared: SharedUses,
}

impl Frameworks {
    pub(crate) fn states(&self) -> &SharedMap<FrameworkId, FrameworkState> {
        &self.states
    }

    pub(crate) fn views(&self) -> &SharedMap<FrameworkId, FrameworkView> {
        &self.views
    }

    /// Those whose views have changed since this was asked last, or that are gone.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<FrameworkId> {
        std::mem::take(&mut self.changed)
    }

    /// The view of a framework, to be changed.
    fn view_mut(&mut self, id: &FrameworkId) -> &mut FrameworkView {
        if !self.changed.contains(id) {
            self.changed.insert(id.clone());
        }
        self.views.get_mut(id).expect("whoever has a state has a view")
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// A framework that a peer or an operator names; it may be unknown.
    pub(crate) fn get(&self, id: &FrameworkId) -> Option<&FrameworkState> {
        self.states.get(id)
    }

    /// A framework that something in the belief names.
    pub(crate) fn at(&self, id: &FrameworkId) -> &FrameworkState {
        self.get(id)
            .unwrap_or_else(|| panic!("framework {id} is named in the belief and not in it"))
    }

    fn at_mut(&mut self, id: &FrameworkId) -> &mut FrameworkState {
        self.states
            .get_mut(id)
            .unwrap_or_else(|| panic!("framework {id} is named in the belief and not in it"))
    }

    /// Expects a framework that has not spoken yet.
    pub(crate) fn expect(&mut self, id: &FrameworkId, info: &FrameworkInfo, now: Instant) {
        if !self.states.contains_key(id) {
            self.states.insert(id.clone(), FrameworkState::absent(info, now));
            self.views.insert(id.clone(), absent_view(id, info));
            self.changed.insert(id.clone());
        }
    }

    /// The framework speaks on `link` from now on; returns another link that it spoke on before.
    pub(crate) fn open(&mut self, id: &FrameworkId, link: LinkId, now: Instant) -> Option<LinkId> {
        self.view_mut(id).active = true;
        let state = self.at_mut(id);
        state.subscribed = now;
        state.link.replace(link).filter(|old| *old != link)
    }

    /// Its link broke; says whether that was the one that it spoke on.
    pub(crate) fn lost(&mut self, id: &FrameworkId, link: LinkId) -> bool {
        if self.get(id).is_none_or(|it| it.link != Some(link)) {
            return false; // It was removed, or speaks on a newer link.
        }
        self.at_mut(id).link = None;
        self.view_mut(id).active = false;
        true
    }

    /// Sets the description; roles that it no longer names stay counted, but get no offers.
    pub(crate) fn describe(
        &mut self,
        id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: &BTreeSet<Role>,
    ) {
        let FrameworkView { roles, capabilities, .. } = self.view_mut(id);
        roles.retain(|it| !it.allocated.is_empty() || info.roles.contains(&it.role));
        for view in roles.iter_mut() {
            view.suppressed = !info.roles.contains(&view.role) || suppressed.contains(&view.role);
            view.min_allocatable = smallest_offers(&info, &view.role);
            view.constraints = info.constraints.for_role(&view.role).cloned();
        }
        for role in &info.roles {
            if roles.iter().all(|it| it.role != *role) {
                roles.push(described_view(&info, role, suppressed.contains(role)));
            }
        }
        capabilities.clone_from(&info.capabilities);
        self.at_mut(id).info = Arc::new(info);
    }

    /// Suppresses or revives `roles` of those that it names (none: all); says whether all of these waited for offers before.
    pub(crate) fn suppress(
        &mut self,
        id: &FrameworkId,
        roles: &BTreeSet<Role>,
        is_suppressed: bool,
    ) -> bool {
        let info = self.at(id).info.clone();
        let concerned =
            |role: &Role| info.roles.contains(role) && (roles.is_empty() || roles.contains(role));
        let views = self.view_mut(id).roles.iter_mut();
        let mut had_waited = true;
        for view in views.filter(|it| concerned(&it.role)) {
            had_waited &= !view.suppressed;
            view.suppressed = is_suppressed;
        }
        had_waited
    }

    /// What all of them hold beside reservations.
    pub(crate) fn held(&self) -> &HeldSums {
        &self.held
    }

    /// What the frameworks of roles have of shared volumes more than once.
    pub(crate) fn shared_again(&self) -> &SharedMap<Role, SharedAgain> {
        self.shared.again()
    }

    /// The roles for which that has changed since this was asked last.
    pub(crate) fn take_sharing(&mut self) -> BTreeSet<Role> {
        self.shared.take_changed()
    }

    /// Quota counts what is held from now on; `all` is held now (allocated).
    pub(crate) fn keep_held<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a FrameworkId, &'a Resources)>,
    ) {
        self.held.keep();
        for (framework, resources) in all {
            if self.views.contains_key(framework) {
                count_beside_reservations(&mut self.held, framework, resources, Scalar::plus);
            }
        }
    }

    /// Quota counts nothing any more.
    pub(crate) fn end_held(&mut self) {
        self.held.end();
    }

    /// Counts `resources` (allocated) as held. Agents may speak of frameworks that nobody knows; nothing is counted for those.
    /// A shared volume counts once for each framework, however many of its tasks and offers hold it.
    pub(crate) fn hold(&mut self, id: &FrameworkId, agent: &AgentId, resources: &Resources) {
        if !self.views.contains_key(id) {
            return;
        }
        let counted = self.shared.first_of(id, agent, resources);
        self.count(id, &counted, Scalar::plus);
    }

    /// Gives back what [`Frameworks::hold`] counted.
    pub(crate) fn release(&mut self, id: &FrameworkId, agent: &AgentId, resources: &Resources) {
        let counted = self.shared.last_of(id, agent, resources);
        self.count(id, &counted, Scalar::minus);
    }

    fn count(
        &mut self,
        id: &FrameworkId,
        resources: &Resources,
        change: fn(Scalar, Scalar) -> Scalar,
    ) {
        let Some(view) = self.views.get_mut(id) else { return };
        if count(view, resources, &mut self.held, change) {
            forget_unused(view, &self.states[id].info);
        }
        if !self.changed.contains(id) {
            self.changed.insert(id.clone());
        }
    }

    /// Counts anew: it holds `all` and nothing else.
    pub(crate) fn recount(
        &mut self,
        id: &FrameworkId,
        all: impl Iterator<Item = (AgentId, Resources)>,
    ) {
        let info = self.at(id).info.clone();
        self.holds_nothing(id);
        let mut held = std::mem::take(&mut self.held);
        let mut shared = std::mem::take(&mut self.shared);
        let view = self.view_mut(id);
        for (agent, resources) in all {
            let counted = shared.first_of(id, &agent, &resources);
            count(view, &counted, &mut held, Scalar::plus);
        }
        forget_unused(view, &info);
        (self.held, self.shared) = (held, shared);
    }

    fn holds_nothing(&mut self, id: &FrameworkId) {
        self.shared.forget(id);
        let Some(view) = self.views.get_mut(id) else { return };
        for role in &mut view.roles {
            role.allocated.clear();
        }
        self.held.forget(id);
    }

    /// Forgets a framework that was removed for good, and remembers that it was.
    pub(crate) fn remove(&mut self, id: &FrameworkId) {
        self.holds_nothing(id);
        self.states.remove(id);
        self.views.remove(id);
        self.changed.insert(id.clone());
        self.removals.push_back(id.clone());
    }

    /// The place of a framework among those that this leader removed, the oldest first.
    pub(crate) fn removed_at(&self, id: &FrameworkId) -> Option<usize> {
        self.removals.iter().position(|it| it == id)
    }

    pub(crate) fn forget_removed(&mut self, ids: &BTreeSet<FrameworkId>) {
        self.removals.retain(|id| !ids.contains(id));
    }
}

/// A role as its framework describes it.
fn described_view(info: &FrameworkInfo, role: &Role, suppressed: bool) -> RoleView {
    RoleView {
        min_allocatable: smallest_offers(info, role),
        constraints: info.constraints.for_role(role).cloned(),
        ..role_view(role, suppressed)
    }
}

fn role_view(role: &Role, suppressed: bool) -> RoleView {
    RoleView {
        role: role.clone(),
        suppressed,
        allocated: BTreeMap::new(),
        min_allocatable: None,
        constraints: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, info, role};

    fn id() -> FrameworkId {
        FrameworkId::made("f".to_owned())
    }

    fn agent() -> AgentId {
        AgentId::made("S1".to_owned())
    }

    fn expected(roles: &[&str]) -> Frameworks {
        let mut frameworks = Frameworks::default();
        frameworks.expect(&id(), &info("f", roles), Instant(1));
        frameworks
    }

    fn cpus(count: i64, role: &Role) -> Resources {
        [amount("cpus", count)].iter().collect::<Resources>().allocated_to(role)
    }

    #[test]
    fn a_role_that_it_no_longer_names_is_counted_until_it_holds_nothing() {
        let mut frameworks = expected(&["a", "b"]);
        frameworks.hold(&id(), &agent(), &cpus(2, &role("b")));
        frameworks.describe(&id(), info("f", &["a"]), &BTreeSet::new());
        let views = &frameworks.views()[&id()].roles;
        assert_eq!((views.len(), views[1].suppressed), (2, true));
        frameworks.release(&id(), &agent(), &cpus(2, &role("b")));
        assert_eq!(frameworks.views()[&id()].roles.len(), 1);
    }

    #[test]
    fn what_is_held_for_a_role_that_it_never_named_gets_no_offers() {
        let mut frameworks = expected(&["a"]);
        frameworks.hold(&id(), &agent(), &cpus(1, &role("z")));
        let views = frameworks.views()[&id()].roles.clone();
        assert_eq!((views[1].suppressed, views[1].allocated["cpus"]), (true, Scalar::whole(1)));
        frameworks.recount(&id(), [(agent(), cpus(3, &role("a")))].into_iter());
        assert_eq!(frameworks.views()[&id()].roles[0].allocated["cpus"], Scalar::whole(3));
        assert_eq!(frameworks.views()[&id()].roles.len(), 1);
    }

    #[test]
    fn only_roles_that_it_names_are_revived() {
        let mut frameworks = expected(&["a", "b"]);
        frameworks.hold(&id(), &agent(), &cpus(1, &role("z")));
        frameworks.suppress(&id(), &BTreeSet::from([role("a")]), true);
        let suppressed = |frameworks: &Frameworks| {
            frameworks.views()[&id()].roles.iter().map(|it| it.suppressed).collect::<Vec<_>>()
        };
        assert_eq!(suppressed(&frameworks), [true, false, true]);
        frameworks.suppress(&id(), &BTreeSet::new(), false);
        assert_eq!(suppressed(&frameworks), [false, false, true]);
    }

    #[test]
    fn an_older_link_does_not_unseat_a_newer_one() {
        let mut frameworks = expected(&["a"]);
        assert_eq!(frameworks.open(&id(), LinkId(1), Instant(2)), None);
        assert_eq!(frameworks.open(&id(), LinkId(1), Instant(3)), None);
        assert_eq!(frameworks.open(&id(), LinkId(2), Instant(4)), Some(LinkId(1)));
        assert!(!frameworks.lost(&id(), LinkId(1)));
        assert!(frameworks.lost(&id(), LinkId(2)) && !frameworks.lost(&id(), LinkId(2)));
        assert_eq!(frameworks.at(&id()).subscribed(), Instant(4));
    }

    #[test]
    fn removals_are_remembered_in_their_order() {
        let mut frameworks = expected(&["a"]);
        frameworks.remove(&id());
        assert_eq!((frameworks.len(), frameworks.removed_at(&id())), (0, Some(0)));
        frameworks.forget_removed(&BTreeSet::from([id()]));
        assert_eq!(frameworks.removed_at(&id()), None);
    }
}
