//! What is read: the views that the cores publish.
//!
//! Every answer of this crate is a function of one of these two, so that the crate knows nothing of how a view comes about.

/// What a master publishes.
pub type MasterView = holdfast_master::MasterView;

/// What an agent publishes.
pub type AgentView = holdfast_agent::AgentView;
