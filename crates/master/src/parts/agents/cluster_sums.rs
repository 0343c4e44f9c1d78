//! What admitted agents have together: of each resource, and as quota counts it. Kept by difference.
//!
//! Relies on whoever changes an agent to say what it had before.

use holdfast_model::totals::each_counted_by_quota;
use holdfast_model::{Quantities, Resources, RoleTotals, Totals};

/// Sums over agents.
#[derive(Debug, Default)]
pub(super) struct ClusterSums {
    all: Totals,
    reserved: RoleTotals,
    unreserved: Totals,
}

impl ClusterSums {
    pub(super) fn add(&mut self, resources: &Resources) {
        self.all.add(&resources.quantities());
        self.count_for_quota(resources, 1);
    }

    pub(super) fn subtract(&mut self, resources: &Resources) {
        self.all.subtract(&resources.quantities());
        self.count_for_quota(resources, -1);
    }

    fn count_for_quota(&mut self, resources: &Resources, sign: i128) {
        each_counted_by_quota(resources, |role, name, sum| match role {
            Some(role) => self.reserved.change(&role.top(), name, sign * sum),
            None => self.unreserved.change(name, sign * sum),
        });
    }

    /// One agent's `before` has become `after`.
    pub(super) fn change(&mut self, before: &Resources, after: &Resources) {
        if before != after {
            self.subtract(before);
            self.add(after);
        }
    }

    pub(super) fn all(&self) -> &Quantities {
        self.all.quantities()
    }

    pub(super) fn reserved(&self) -> &RoleTotals {
        &self.reserved
    }

    pub(super) fn unreserved(&self) -> &Quantities {
        self.unreserved.quantities()
    }

    /// Whether there were many more changes than there are `members` since this was last true.
    pub(super) fn is_check_due(&mut self, members: usize) -> bool {
        self.all.is_check_due(members)
    }

    /// Asserts that it is equal to what was added up anew.
    pub(super) fn check_against(&self, anew: &ClusterSums) {
        assert_eq!(self.all(), anew.all(), "totals are sums over agents");
        assert!(self.reserved.is_equal(&anew.reserved), "reserved is summed over agents");
        assert_eq!(self.unreserved(), anew.unreserved(), "unreserved is summed over agents");
    }
}
