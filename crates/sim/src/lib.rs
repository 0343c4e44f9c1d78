//! The whole cluster as one value: real cores; simulated clock, network, disks, containers and
//! random faults; rules that look after every step.
//!
//! The same seed gives the same run. A failing seed is told with as few faults as break the rule.
//! Scenarios are told in a small language, and a framework can be tried against a simulated cluster
//! without any process ([`kit`]). It never opens a file, a socket or a thread by itself (the storm
//! of many seeds does, at its edge), and never looks at a real clock except to say how fast it is.

mod agenda;
mod byzantine_peers;
pub mod cli;
mod clients;
mod difference;
mod drivers;
mod executors;
pub mod fact;
pub mod faults;
mod frameworks;
mod journal;
pub mod keepers;
pub mod kit;
mod links;
mod lost_journal;
mod machines;
mod masters;
mod operator;
pub mod plan_storm;
pub mod planted;
mod process;
pub mod rng;
pub mod rules;
pub mod scenario;
pub mod services;
pub mod shape;
pub mod storm;
pub mod trace;
mod work;
pub mod world;

pub use agenda::Node;
pub use shape::{Conditions, Shape};
pub use world::World;
