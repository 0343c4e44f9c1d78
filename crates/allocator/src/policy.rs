//! The trait of allocation policies, and the table of those that exist.
//!
//! To add one, write a file beside `drf.rs` with a ranking of its own, and add a line to
//! [`POLICIES`]. A policy never decides who is eligible for what: `divide` sees to that for all of
//! them.

use std::collections::BTreeSet;

use holdfast_model::{FrameworkId, Role, Scalar};

use crate::drf::Drf;
use crate::input::{Allocation, AllocationInput, Changes};
use crate::priority::Priority;

/// A role's place in the present order, as shown to people.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The role at this place.
    pub role: Role,
    /// Its weight; 1 when none was set.
    pub weight: Scalar,
    /// Its dominant share of the cluster together with the roles below it, from 0 to 1, not divided
    /// by the weight.
    pub share: f64,
}

/// Decides who is offered what is free.
pub trait Policy: Send + Sync {
    /// The policy's name in [`POLICIES`].
    fn name(&self) -> &'static str;
    /// Divides what is free on the agents that have changed, deterministically. Allocations of what
    /// is offered back to its holder come first. No two allocations have the same framework, role
    /// and agent, and of each resource of an agent all that is free goes to one of them, unless
    /// quota cuts it. A policy may rely on `changes` to name all that is not as it was the last
    /// time.
    fn allocate(&mut self, input: &AllocationInput<'_>, changes: &Changes) -> Vec<Allocation>;
    /// The frameworks that quota left short in the last division, of which it is asked once: they
    /// may have more when others have less.
    fn take_short_of_quota(&mut self) -> BTreeSet<FrameworkId>;
    /// The roles of all frameworks in the order in which they would be served now, if all were
    /// waiting.
    fn order(&self, input: &AllocationInput<'_>) -> Vec<Place>;
    /// A copy whose `order` is and stays what that of this one is now. It costs next to nothing, and
    /// has seen no framework yet.
    fn snapshot(&self) -> Box<dyn Policy>;
}

/// Makes a policy that has served nobody yet.
pub type Constructor = fn() -> Box<dyn Policy>;

/// The policies by name; the first is the default.
pub const POLICIES: &[(&str, Constructor)] =
    &[("drf", || Box::new(Drf::new())), ("priority", || Box::new(Priority::new()))];

/// Makes the policy of that name.
///
/// # Errors
/// If there is none, a sentence that lists the names.
pub fn by_name(name: &str) -> Result<Box<dyn Policy>, String> {
    let names: Vec<&str> = POLICIES.iter().map(|(name, _)| *name).collect();
    let found = POLICIES.iter().find(|(it, _)| *it == name);
    found.map(|(_, make)| make()).ok_or_else(|| {
        format!("there is no allocation policy `{name}`; choose one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_policies_agree_on_names() {
        for (name, _) in POLICIES {
            assert_eq!(by_name(name).map(|it| it.name()), Ok(*name));
        }
        assert_eq!(by_name("drf").map(|it| it.name()), Ok(POLICIES[0].0), "the default");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_names() {
        let error = by_name("fair").map(|it| it.name()).unwrap_err();
        assert_eq!(error, "there is no allocation policy `fair`; choose one of drf, priority");
    }
}
