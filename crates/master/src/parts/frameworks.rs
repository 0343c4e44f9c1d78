//! The frameworks that a leader expects or has: how they describe themselves, where they speak, and what they hold for each role.
//!
//! What a framework holds is counted here by the difference; whoever holds or releases says so. Never knows what it holds it with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_allocator::{FrameworkView, RoleView};
use holdfast_model::{
    FrameworkId, FrameworkInfo, Instant, LinkId, Quantities, Resources, Role, Scalar,
};

/// What the master believes of a framework that is, or may come back.
#[derive(Clone, Debug)]
pub struct FrameworkState {
    /// As it described itself last.
    info: FrameworkInfo,
    /// The link it is subscribed on.
    link: Option<LinkId>,
    /// Its roles with what it holds for each. What it holds for a role that it no longer names is still counted.
    roles: Vec<RoleView>,
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

    /// Its roles with what it holds for each.
    pub fn roles(&self) -> &[RoleView] {
        &self.roles
    }

    /// When it (re)subscribed last.
    pub fn subscribed(&self) -> Instant {
        self.subscribed
    }

    /// What the allocator sees of it.
    pub(crate) fn view(&self, id: &FrameworkId) -> FrameworkView {
        FrameworkView {
            id: id.clone(),
            roles: self.roles.clone(),
            active: self.link.is_some(),
            capabilities: self.info.capabilities.clone(),
        }
    }

    /// A framework that is expected but has not spoken yet.
    fn absent(info: &FrameworkInfo, now: Instant) -> FrameworkState {
        FrameworkState {
            info: info.clone(),
            link: None,
            roles: info.roles.iter().map(|role| role_view(role, false)).collect(),
            subscribed: now,
        }
    }

    fn count(&mut self, resources: &Resources, change: fn(Scalar, Scalar) -> Scalar) {
        for (role, quantities) in by_role(resources) {
            let at = match self.roles.iter().position(|it| it.role == role) {
                Some(at) => at,
                None => {
                    self.roles.push(role_view(&role, true));
                    self.roles.len() - 1
                }
            };
            let allocated = &mut self.roles[at].allocated;
            for (name, amount) in quantities {
                let sum = allocated.entry(name).or_default();
                *sum = change(*sum, amount).max(Scalar::ZERO);
            }
            allocated.retain(|_, amount| Scalar::ZERO < *amount);
        }
        // Roles that it neither names nor uses any more are forgotten.
        self.roles.retain(|it| !it.allocated.is_empty() || self.info.roles.contains(&it.role));
    }
}

/// All frameworks that were not removed.
#[derive(Debug, Default)]
pub(crate) struct Frameworks {
    states: BTreeMap<FrameworkId, FrameworkState>,
    /// Those that this leader removed and remembers, the newest last.
    removals: VecDeque<FrameworkId>,
}

impl Frameworks {
    pub(crate) fn states(&self) -> &BTreeMap<FrameworkId, FrameworkState> {
        &self.states
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
        self.states.entry(id.clone()).or_insert_with(|| FrameworkState::absent(info, now));
    }

    /// The framework speaks on `link` from now on; returns another link that it spoke on before.
    pub(crate) fn open(&mut self, id: &FrameworkId, link: LinkId, now: Instant) -> Option<LinkId> {
        let state = self.at_mut(id);
        state.subscribed = now;
        state.link.replace(link).filter(|old| *old != link)
    }

    /// Its link broke; says whether that was the one that it spoke on.
    pub(crate) fn lost(&mut self, id: &FrameworkId, link: LinkId) -> bool {
        let Some(state) = self.states.get_mut(id).filter(|it| it.link == Some(link)) else {
            return false; // It was removed, or speaks on a newer link.
        };
        state.link = None;
        true
    }

    /// Sets the description; roles that it no longer names stay counted, but get no offers.
    pub(crate) fn describe(
        &mut self,
        id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: &BTreeSet<Role>,
    ) {
        let state = self.at_mut(id);
        state.roles.retain(|it| !it.allocated.is_empty() || info.roles.contains(&it.role));
        for view in &mut state.roles {
            view.suppressed = !info.roles.contains(&view.role) || suppressed.contains(&view.role);
        }
        for role in &info.roles {
            if state.roles.iter().all(|it| it.role != *role) {
                state.roles.push(role_view(role, suppressed.contains(role)));
            }
        }
        state.info = info;
    }

    /// Suppresses or revives `roles` of those that it names (none: all).
    pub(crate) fn suppress(
        &mut self,
        id: &FrameworkId,
        roles: &BTreeSet<Role>,
        is_suppressed: bool,
    ) {
        let FrameworkState { info, roles: views, .. } = self.at_mut(id);
        let concerned =
            |role: &Role| info.roles.contains(role) && (roles.is_empty() || roles.contains(role));
        for view in views.iter_mut().filter(|it| concerned(&it.role)) {
            view.suppressed = is_suppressed;
        }
    }

    /// Counts `resources` (allocated) as held. Agents may speak of frameworks that nobody knows; nothing is counted for those.
    pub(crate) fn hold(&mut self, id: &FrameworkId, resources: &Resources) {
        if let Some(state) = self.states.get_mut(id) {
            state.count(resources, Scalar::plus);
        }
    }

    /// Gives back what [`Frameworks::hold`] counted.
    pub(crate) fn release(&mut self, id: &FrameworkId, resources: &Resources) {
        if let Some(state) = self.states.get_mut(id) {
            state.count(resources, Scalar::minus);
        }
    }

    /// Counts anew: it holds `all` and nothing else.
    pub(crate) fn recount(&mut self, id: &FrameworkId, all: impl Iterator<Item = Resources>) {
        let state = self.at_mut(id);
        state.roles.iter_mut().for_each(|it| it.allocated.clear());
        all.for_each(|resources| state.count(&resources, Scalar::plus));
    }

    /// Forgets a framework that was removed for good, and remembers that it was.
    pub(crate) fn remove(&mut self, id: &FrameworkId) {
        self.states.remove(id);
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

fn role_view(role: &Role, suppressed: bool) -> RoleView {
    RoleView { role: role.clone(), suppressed, allocated: BTreeMap::new(), min_allocatable: None }
}

fn by_role(resources: &Resources) -> BTreeMap<Role, Quantities> {
    let mut roles: BTreeMap<Role, Resources> = BTreeMap::new();
    for resource in resources.iter() {
        let role = resource.identity.allocation.clone().unwrap_or_else(Role::any);
        roles.entry(role).or_default().add(&resource);
    }
    roles.into_iter().map(|(role, resources)| (role, resources.quantities())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, info, role};

    fn id() -> FrameworkId {
        FrameworkId::made("f".to_owned())
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
        frameworks.hold(&id(), &cpus(2, &role("b")));
        frameworks.describe(&id(), info("f", &["a"]), &BTreeSet::new());
        let views = frameworks.at(&id()).roles();
        assert_eq!((views.len(), views[1].suppressed), (2, true));
        frameworks.release(&id(), &cpus(2, &role("b")));
        assert_eq!(frameworks.at(&id()).roles().len(), 1);
    }

    #[test]
    fn what_is_held_for_a_role_that_it_never_named_gets_no_offers() {
        let mut frameworks = expected(&["a"]);
        frameworks.hold(&id(), &cpus(1, &role("z")));
        let views = frameworks.at(&id()).roles().to_vec();
        assert_eq!((views[1].suppressed, views[1].allocated["cpus"]), (true, Scalar::whole(1)));
        frameworks.recount(&id(), [cpus(3, &role("a"))].into_iter());
        assert_eq!(frameworks.at(&id()).roles()[0].allocated["cpus"], Scalar::whole(3));
        assert_eq!(frameworks.at(&id()).roles().len(), 1);
    }

    #[test]
    fn only_roles_that_it_names_are_revived() {
        let mut frameworks = expected(&["a", "b"]);
        frameworks.hold(&id(), &cpus(1, &role("z")));
        frameworks.suppress(&id(), &BTreeSet::from([role("a")]), true);
        let suppressed = |frameworks: &Frameworks| {
            frameworks.at(&id()).roles().iter().map(|it| it.suppressed).collect::<Vec<_>>()
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
