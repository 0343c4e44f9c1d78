//! The transport: Mesos v1 over HTTP, RecordIO, gRPC and metrics, all on one port.
//!
//! A server ([`Server`]) serves one of the API traits [`MasterApi`], [`AgentApi`] and
//! [`FrameworkApi`], which the process behind it implements. It turns bytes into messages of `proto` and refusals into status
//! codes, holds the links of frameworks, executors and agents open ([`Outbox`]), and keeps
//! everything that a peer can make grow within [`Limits`]. [`MesosClient`] and [`AgentLinkClient`]
//! are the other side. It never knows what a call means, and never keeps anything
//! that outlives its connection.

pub mod agent;
mod answer;
mod body;
mod browsers;
mod call;
pub mod client;
mod connection;
mod content;
mod event;
mod framework;
mod grpc;
mod limits;
mod link;
mod logging;
pub mod master;
mod metrics;
mod outbox;
mod query;
mod reconnect;
pub mod recordio;
mod refusal;
mod routes;
mod server;

pub use agent::{AgentAnswer, AgentApi, AgentPage, FileChunk, ProcessInput, ProcessOutput};
pub use answer::JsonText;
pub use browsers::BrowserPolicy;
pub use client::{
    AgentLinkClient, ClientError, ClientSettings, MesosClient, SchedulerStreamClient,
};
pub use connection::Caller;
pub use content::{Content, Wired};
pub use event::LinkMessage;
pub use framework::FrameworkApi;
pub use limits::{Limits, LinkLimits, BODY_MAX_BYTES, MESSAGE_MAX_BYTES};
pub use link::{LinkHead, Transport};
pub use logging::LogWish;
pub use master::{LeadershipState, MasterApi, MasterForm, MasterPage};
pub use metrics::{Metric, MetricKind};
pub use outbox::{LinkEnd, Outbox, Outflow, SendError};
pub use query::Query;
pub use reconnect::Reconnect;
pub use refusal::Refusal;
pub use routes::Routes;
pub use server::{BindError, Server};
