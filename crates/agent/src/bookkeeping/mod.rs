//! What is kept and looked up over the ledger and one or two parts. Each function names the parts that it needs.
//!
//! Relies on the parts. Never begins anything that has consequences elsewhere; that is for the flows.

pub(crate) mod claims;
pub(crate) mod faults;
pub(crate) mod filling;
pub(crate) mod holds;
pub(crate) mod limits;
pub(crate) mod looks;
pub(crate) mod plans;
pub(crate) mod records;
pub(crate) mod space;
pub(crate) mod telling;
pub(crate) mod topics;

mod record;
mod step;

pub(crate) use record::Record;
pub(crate) use step::Step;
