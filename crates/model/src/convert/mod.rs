//! Conversion from and to `proto`: what comes from outside becomes a domain type here, once, or an error that names the field.
//!
//! One module for each kind of message. `from_proto` takes the message apart and never panics, whatever is in it; `to_proto` cannot
//! fail. What is not typed (data, labels, discovery ...) rides along in [`crate::task::OpaquePayload`]: of tasks and executors their whole
//! description less all resources, of machines the whole less the resources, of frameworks and statuses only what the typed fields do
//! not say. A value that was written and read again is the same value; typed fields that were changed meanwhile are what is written.
//! Values that were made here rather than received may have an empty payload.
//!
//! Relies on `proto` for the messages. Never decides whether something is allowed or sensible now: that is the business of the cores.

mod agent_state;
pub mod carried;
pub mod check;
mod codec;
pub mod command;
pub mod executor;
pub(crate) mod field;
pub mod framework;
#[cfg(test)]
pub(crate) mod golden;
pub mod ledger;
pub mod limits;
pub mod link;
pub mod machine;
pub mod maintenance;
pub mod offer;
pub mod offer_constraints;
pub mod operation;
pub mod operation_status;
pub mod operator;
mod own_message;
pub mod quota;
pub mod resource;
pub(crate) mod rest;
#[cfg(test)]
pub(crate) mod samples;
pub mod scheduler;
pub mod status;
pub mod task;
pub mod text;
pub mod uris;

pub use resource::{Format, Shape};
