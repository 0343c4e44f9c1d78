//! Who is offered what, and why not.
//!
//! A [`Policy`] reads an [`AllocationInput`] and divides what is free on the agents that changed. Its
//! order of contenders stands between divisions and is fed with [`Changes`].
//! All policies divide by the same rules (`divide`): what a framework holds is offered to it first,
//! the rest goes agent by agent to the eligible contender that the policy ranks first. [`why_not`]
//! asks the very function that decides who is eligible.
//!
//! Pure: no clock, no randomness, no threads; the same input and history give the same allocations.
//! It never changes what the master keeps, and never takes anything away from anybody.

mod candidate;
mod divide;
pub mod drf;
#[cfg(test)]
mod fairness;
pub mod filters;
pub mod input;
pub mod outlook;
pub mod policy;
pub mod priority;
mod quota;
#[cfg(test)]
mod random_scenes;
mod ranking;
pub mod reasons;
#[cfg(test)]
mod reference;
mod roster;
mod shares;
#[cfg(test)]
mod testing;
mod tree;
mod wanted;

pub use filters::{ActiveFilters, Filters};
pub use input::{
    missing, AgentView, Allocation, AllocationInput, Asked, Changes, FrameworkView, Holder,
    QuotaInput, RoleView, SharedAgain, Sharing,
};
pub use outlook::{outlook, Outlook};
pub use policy::{by_name, Place, Policy, POLICIES};
pub use reasons::{why_not, why_not_after, Reason, WhyNot};
