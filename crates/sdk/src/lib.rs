//! The SDK for framework authors: a [`Keeper`] that claims volumes and brings tasks back to them,
//! and, with the feature `net`, the session, the durable ledger and the executor's side.
//!
//! The keeper is a pure core, so that the same code runs against a real cluster and against the
//! simulated one. Nothing in this crate ever destroys a volume by itself.

mod ended;
mod keeper;
mod ledger;
#[cfg(feature = "net")]
pub mod net;
mod pace;
mod placing;
mod service;
pub mod spec;

pub use ended::{EndedVolume, Endings};
pub use holdfast_model as model;
pub use keeper::{Effect, Input, Keeper};
pub use ledger::{KeeperChange, KeeperLedger, Member, MemberTask, Stage};
pub use service::{Needs, Program, Service};
