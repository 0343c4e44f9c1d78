//! Requests to commands, snapshots to answers: what a client may say to a master or an agent, and what it is told.
//!
//! A request is parsed and authorized in one step ([`requests`]); what comes out is either a command for the core or a read, which a view
//! of the core answers: in Mesos v1 ([`v1`], [`agent`]), on the legacy pages ([`legacy`]), or in the API of our own ([`native`], with the
//! [`rows`] that the command line reads). [`events`] says what changed between two views.
//!
//! Everything here is a pure function: no clock, thread, file or network. It never decides what a core should decide, and never changes
//! a view.

pub mod agent;
mod authorize;
pub mod change;
pub mod events;
mod groups;
pub mod legacy;
pub mod metrics;
pub mod native;
mod parameters;
mod refusal;
pub mod requests;
pub mod rows;
mod task_facts;
pub mod v1;
mod view;

#[cfg(test)]
mod testbed;

pub use authorize::{authorize, Action, Denied, Object};
pub use parameters::Parameters;
pub use refusal::Refusal;
pub use view::{AgentView, MasterView};
