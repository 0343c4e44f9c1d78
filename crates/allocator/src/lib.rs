//! Who is offered what, and why not.
//!
//! A [`Policy`] reads a [`AllocationInput`] of the cluster and divides what is free on the agents that changed. All policies
//! divide by the same rules (`divide`): what a framework holds goes home to it first, the rest goes agent by agent to
//! whoever comes first in the policy's order and may have it. [`why_not`] asks the very function that decides who may.
//!
//! Pure: no clock, no randomness, no threads; the same picture and history give the same allocations.
//! It never changes what the master keeps, and never takes anything away from anybody.

mod candidate;
mod contenders;
mod divide;
pub mod drf;
#[cfg(test)]
mod fairness;
pub mod filters;
pub mod input;
pub mod policy;
pub mod priority;
pub mod reasons;
mod shares;
#[cfg(test)]
mod testing;
mod tree;
mod wanted;

pub use filters::Filters;
pub use input::{AgentView, Allocation, AllocationInput, FrameworkView, Holder, RoleView};
pub use policy::{by_name, Place, Policy, POLICIES};
pub use reasons::{why_not, why_not_after, Reason, WhyNot};
