//! Executors: their descriptions, and the executor API both ways.
//!
//! Relies on the conversions of tasks and statuses. Never trusts an executor's word about who it is: the call's ids are handed out
//! for the caller to compare.

mod call;
mod event;
mod info;

pub use call::{call_from_proto, call_to_proto, CallFrom};
pub use event::{event_from_proto, event_to_proto, heartbeat};
pub use info::{info_from_proto, info_to_proto};

#[cfg(test)]
mod tests;
