//! The scheduler API, both ways.
//!
//! Relies on the conversions of the parts. Never mistakes one framework's call for another's: the ids in a call must agree (D2, H7).

mod accept;
mod call;
mod call_out;
mod event;
mod event_in;

pub use call::{call_from_proto, CallError, REFUSE_MS_MAX};
pub use call_out::call_to_proto;
pub use event::{event_to_proto, heartbeat, Welcome};
pub use event_in::event_from_proto;

#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod tests;
