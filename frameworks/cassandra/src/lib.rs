//! Apache Cassandra as a service on claimed disks. A node's configuration is made anew at each start from what it was given; what
//! must never change (cluster name, host id, tokens, rack) is marked on its volume when it has joined, and told to the scheduler. A
//! directory that is not the member's own, as last seen, is refused before Cassandra starts on it.
//!
//! It relies on `holdfast-sdk`. Nothing here ever destroys a volume, or writes into Cassandra's own files.

pub mod admission;
pub mod backup;
pub mod cql;
pub mod directory;
pub mod hooks;
pub mod jars;
pub mod jobs;
pub mod jvm;
pub mod leaving;
pub mod log_tail;
pub mod marker;
pub mod node;
pub mod orders;
pub mod prepare;
pub mod readiness;
pub mod ring;
pub mod scheduler;
pub mod seeds;
pub mod settings;
pub mod shown;
pub mod sizes;
pub mod spec;
pub mod topology;
pub mod watch;
pub mod yaml;
