//! What is said between processes, parsed: the closed lists of all messages, by protocol.
//!
//! Relies on `convert` to make them of what came in. Never holds anything that only one encoding of a message has.

mod executor;
mod link;
mod operation;
mod operator;
mod scheduler;

pub use executor::{ExecutorCall, ExecutorEvent};
pub use link::{
    DiskReport, DiskSpace, MachineInfo, NamedOperation, OperationUpdate, Order, Report, SpaceNews,
    ToAgent, ToMaster,
};
pub use operation::{OperationState, OperationStatus};
pub use operator::OperatorCall;
pub use scheduler::{Call, Event, Filters, FrameworkCall, InverseOffer, Offer};
