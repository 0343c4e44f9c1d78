//! The link between agent and master, both ways.
//!
//! Relies on the same records as the ledgers. Never leaves out a claim: an agent introduces itself with everything it owns.

mod from_agent;
mod report;
mod to_agent;

pub use from_agent::{to_master_from_proto, to_master_to_proto};
pub use report::{report_from_proto, report_to_proto};
pub use to_agent::{to_agent_from_proto, to_agent_to_proto};

#[cfg(test)]
mod tests;
