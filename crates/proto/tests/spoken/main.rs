//! Tests of what is said: the files against the table of Mesos's wire, the three ways a message travels, and what is refused.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod golden;
mod json_rules;
mod protoc;
mod required;
mod roundtrip;
mod rpc;
mod samples;
mod table;
