//! Courses of events that more than one handler sets off: ends, launches, outcomes, reports, and what goes on once it can.
//!
//! Relies on bookkeeping and the parts. A flow calls flows that stand before it in this list, and never a handler.

pub(crate) mod delivery;
pub(crate) mod ending;
pub(crate) mod fitting;
pub(crate) mod idle;
pub(crate) mod kills;
pub(crate) mod launching;
pub(crate) mod limiting;
pub(crate) mod placing;
pub(crate) mod reporting;
pub(crate) mod settling;
pub(crate) mod shown;
pub(crate) mod waking;
