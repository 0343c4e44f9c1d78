//! The SDK for framework authors: a [`Keeper`] that claims volumes and brings tasks back to them,
//! and, with the feature `net`, the session, the durable ledger and the executor's side.
//!
//! The keepers are pure cores, so that the same code runs against a real cluster and against the
//! simulated one: [`Keeper`] for a service of members with a volume each that its author writes in
//! code, [`pods::ServiceKeeper`] for one that is described by a [`spec::ServiceSpec`] and changed by
//! [`plans`]. Nothing in this crate ever gives a claim up by itself: only a plan's step does, once
//! its service or a person has said that the data are not needed any more.

mod ended;
mod keeper;
mod ledger;
#[cfg(feature = "net")]
pub mod net;
mod pace;
mod placing;
pub mod plans;
pub mod pods;
pub mod record;
mod service;
pub mod spec;

pub use ended::{EndedVolume, Endings};
pub use holdfast_model as model;
pub use keeper::{Effect, Input, Keeper};
pub use ledger::{KeeperChange, KeeperLedger, Member, MemberTask, Stage};
pub use service::{Needs, Program, Service};
