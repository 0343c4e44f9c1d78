//! A service of pods as a process: its shell, its pages over HTTP, and what a spec file alone does
//! beside its spec.
//!
//! It relies on [`crate::pods::ServiceKeeper`] for every decision.

mod found;
mod front;
mod hooks;
mod preview;
mod render;
mod run;
mod started;
mod told;
mod variables;

pub use hooks::{endpoint_variables, SpecHooks};
pub use preview::{preview, Preview};
pub use run::{run_service, run_service_until, News, ServiceOptions};
pub(super) use variables::unknown_variables;
