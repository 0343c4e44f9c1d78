//! The port, over real sockets on loopback.
//!
//! They rely on API doubles that record what they receive. They never sleep: each wait is for an
//! event, with a deadline.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests are named by what they show, and a panic is their report"
)]
#![allow(
    dead_code,
    reason = "what an API double received is kept whole, so that a failed test shows it"
)]

#[path = "port/agent_api.rs"]
mod agent_api;
#[path = "port/agents.rs"]
mod agents;
#[path = "port/clients.rs"]
mod clients;
#[path = "port/frameworks.rs"]
mod frameworks;
#[path = "port/grpc.rs"]
mod grpc;
#[path = "port/hostile.rs"]
mod hostile;
#[path = "port/master_api.rs"]
mod master_api;
#[path = "port/raw.rs"]
mod raw;
#[path = "port/statuses.rs"]
mod statuses;
#[path = "port/streams.rs"]
mod streams;
#[path = "port/versions.rs"]
mod versions;
