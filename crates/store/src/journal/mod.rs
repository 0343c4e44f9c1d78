//! The journal: append-only segment files, each a snapshot and the commits after it, every frame
//! kept twice.
//!
//! It relies on `disk`. One commit is one write into each of two lanes of one file and one
//! fdatasync. It never overwrites a frame, never retries a failed sync, never removes a segment
//! before a later one is durable.

mod append;
pub(crate) mod frame;
pub(crate) mod payload;
pub(crate) mod scan;
pub(crate) mod segment;
mod successor;
pub(crate) mod watermark;

pub(crate) use append::{Commit, Journal, Start};
pub(crate) use successor::{Beginning, Successor};
