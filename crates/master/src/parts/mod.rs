//! The parts of what a master believes: each owns its state, keeps its own indexes and sums, and has the only verbs that change them.
//!
//! A part knows no other part. What concerns two of them is bookkeeping, and lies in [`crate::flows`].

pub(crate) mod agents;
pub(crate) mod allocator_input;
pub(crate) mod frameworks;
pub(crate) mod held_sums;
pub(crate) mod inverse_offers;
pub(crate) mod links;
pub(crate) mod offers;
pub(crate) mod operations;
pub(crate) mod outbox;
pub(crate) mod past_statuses;
mod pending;
mod shared_uses;
mod short_of_quota;
pub(crate) mod tasks;
pub(crate) mod timers;
