//! Apache HDFS as a service on claimed disks: three journal nodes, two name nodes with automatic failover, and data nodes. A file system is
//! formatted once, when nothing is known of any; from then on each member comes back to its own volumes, or says why not.
//!
//! It relies on `holdfast-sdk`. Nothing here ever destroys a volume, and Hadoop's own files are only read.

pub mod client;
pub mod config;
pub mod controller;
pub mod http;
pub mod identity;
pub mod jmx;
pub mod jvm;
pub mod law;
pub mod leaving;
pub mod log_tail;
pub mod looks;
pub mod marker;
pub mod node;
pub mod order;
pub mod prepare;
pub mod scheduler;
pub mod service;
pub mod settings;
pub mod spec;
pub mod volumes;
