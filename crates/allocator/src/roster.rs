//! The contenders, kept from one division to the next: the roles of frameworks, each with a number
//! that stays its own until it leaves.
//!
//! It relies on being told which frameworks have changed, and takes over only those. It never
//! decides who comes first (rankings do) or who is eligible (`candidate` does).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{Capability, FrameworkId, Quantities, Role, RoleConstraints};

use crate::input::{FrameworkView, RoleView};
use crate::ranking::Ranking;

/// One role of one framework that takes part in a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender<'r> {
    pub framework: &'r FrameworkId,
    pub role: &'r Role,
    pub is_active: bool,
    pub is_suppressed: bool,
    pub capabilities: &'r BTreeSet<Capability>,
    pub min_allocatable: Option<&'r [Quantities]>,
    pub constraints: Option<&'r RoleConstraints>,
}

impl<'r> Contender<'r> {
    pub fn of(framework: &'r FrameworkView, role: &'r RoleView) -> Contender<'r> {
        Contender {
            framework: &framework.id,
            role: &role.role,
            is_active: framework.active,
            is_suppressed: role.suppressed,
            capabilities: &framework.capabilities,
            min_allocatable: role.min_allocatable.as_deref(),
            constraints: role.constraints.as_deref(),
        }
    }

    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether it waits for offers now.
    pub fn waits(&self) -> bool {
        self.is_active && !self.is_suppressed
    }
}

/// What is kept of a contender.
#[derive(Clone, Debug)]
struct Seat {
    framework: FrameworkId,
    role: Role,
    is_active: bool,
    is_suppressed: bool,
    capabilities: BTreeSet<Capability>,
    min_allocatable: Option<Vec<Quantities>>,
    constraints: Option<Arc<RoleConstraints>>,
}

impl Seat {
    fn contender(&self) -> Contender<'_> {
        Contender {
            framework: &self.framework,
            role: &self.role,
            is_active: self.is_active,
            is_suppressed: self.is_suppressed,
            capabilities: &self.capabilities,
            min_allocatable: self.min_allocatable.as_deref(),
            constraints: self.constraints.as_deref(),
        }
    }

    /// Takes over what may have changed; its framework and role stay.
    fn renew(&mut self, framework: &FrameworkView, role: &RoleView) {
        (self.is_active, self.is_suppressed) = (framework.active, role.suppressed);
        self.constraints.clone_from(&role.constraints);
        if self.capabilities != framework.capabilities {
            self.capabilities = framework.capabilities.clone();
        }
        if self.min_allocatable != role.min_allocatable {
            self.min_allocatable = role.min_allocatable.clone();
        }
    }
}

/// All roles of all frameworks, whether they wait for offers or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    seats: Vec<Option<Seat>>,
    vacant: Vec<usize>,
    by_framework: BTreeMap<FrameworkId, Vec<usize>>,
    /// Those that wait for offers.
    waiting: BTreeSet<usize>,
}

impl Roster {
    /// Whether any contender waits for offers, among those of these frameworks or, without any given, among all.
    pub fn does_anybody_wait(&self, among: Option<&BTreeSet<FrameworkId>>) -> bool {
        match among {
            None => !self.waiting.is_empty(),
            Some(frameworks) => {
                let mut theirs = frameworks.iter().flat_map(|it| self.of_framework(it));
                theirs.any(|at| self.waiting.contains(at))
            }
        }
    }

    pub fn get(&self, at: usize) -> Contender<'_> {
        self.seats[at].as_ref().expect("a contender is asked for while it is seated").contender()
    }

    /// The contenders of one framework.
    pub fn of_framework(&self, framework: &FrameworkId) -> &[usize] {
        self.by_framework.get(framework).map(Vec::as_slice).unwrap_or_default()
    }

    /// Takes over one framework as it is now, if it still is, and tells the ranking.
    pub fn renew(
        &mut self,
        id: &FrameworkId,
        view: Option<&FrameworkView>,
        ranking: &mut dyn Ranking,
    ) {
        let named = |role: &Role| view.is_some_and(|it| it.roles.iter().any(|it| it.role == *role));
        let mut here = self.by_framework.remove(id).unwrap_or_default();
        here.retain(|at| {
            let stays = named(self.get(*at).role);
            if !stays {
                ranking.leave(*at);
                self.seats[*at] = None;
                self.waiting.remove(at);
                self.vacant.push(*at);
            }
            stays
        });
        let Some(view) = view else { return };
        for role in &view.roles {
            let at = match here.iter().find(|at| *self.get(**at).role == role.role) {
                Some(at) => *at,
                None => {
                    here.push(self.seat(id, role));
                    here[here.len() - 1]
                }
            };
            let seat = self.seats[at].as_mut().expect("it was just found or seated");
            seat.renew(view, role);
            if seat.contender().waits() {
                self.waiting.insert(at);
            } else {
                self.waiting.remove(&at);
            }
            ranking.seat(at, &seat.contender(), &role.allocated);
        }
        if !here.is_empty() {
            self.by_framework.insert(id.clone(), here);
        }
    }

    fn seat(&mut self, framework: &FrameworkId, role: &RoleView) -> usize {
        let seat = Seat {
            framework: framework.clone(),
            role: role.role.clone(),
            is_active: false,
            is_suppressed: true,
            capabilities: BTreeSet::new(),
            min_allocatable: None,
            constraints: None,
        };
        match self.vacant.pop() {
            Some(at) => {
                self.seats[at] = Some(seat);
                at
            }
            None => {
                self.seats.push(Some(seat));
                self.seats.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Fit;
    use crate::ranking::Fits;
    use crate::testing::{framework, framework_id};
    use holdfast_model::Scalar;

    /// Notes what it is told.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Ranking for Notes {
        fn seat(&mut self, at: usize, contender: &Contender<'_>, _: &Quantities) {
            let waits = if contender.waits() { "waits" } else { "sits" };
            self.0.push(format!("{at} {} {waits}", contender.role));
        }
        fn leave(&mut self, at: usize) {
            self.0.push(format!("{at} leaves"));
        }
        fn first(&self, _: Fits<'_>) -> Option<(usize, Fit)> {
            None
        }
        fn first_below(&self, _: &BTreeSet<&Role>, _: Fits<'_>) -> Option<(usize, Fit)> {
            None
        }
        fn first_among(&self, _: &BTreeSet<usize>, _: Fits<'_>) -> Option<(usize, Fit)> {
            None
        }
        fn charge(&mut self, _: usize, _: &[(&str, Scalar)]) {}
        fn count(&mut self, _: usize, _: &Contender<'_>, _: u64) {}
    }

    #[test]
    fn a_contender_keeps_its_number_until_it_leaves() {
        let (mut roster, mut notes) = (Roster::default(), Notes::default());
        let mut renew = |n: u8, roles: &[&str], notes: &mut Notes| {
            let view = framework(n, roles);
            let view = (!roles.is_empty()).then_some(&view);
            roster.renew(&framework_id(n), view, notes);
            std::mem::take(&mut notes.0)
        };
        assert_eq!(renew(1, &["a", "b"], &mut notes), ["0 a waits", "1 b waits"]);
        assert_eq!(renew(2, &["a"], &mut notes), ["2 a waits"]);
        assert_eq!(renew(1, &["b", "c"], &mut notes), ["0 leaves", "1 b waits", "0 c waits"]);
        assert_eq!(renew(2, &[], &mut notes), ["2 leaves"]);
        assert_eq!(renew(2, &[], &mut notes), Vec::<String>::new());
        assert_eq!(roster.of_framework(&framework_id(1)), [1, 0]);
        assert!(roster.of_framework(&framework_id(2)).is_empty());
    }
}
