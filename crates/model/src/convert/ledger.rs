//! Ledgers: each change of a core's durable state as the put or delete of one record, and back.
//!
//! A key is made of the record's ids and can be read by people; a value is one byte with the version of the record's kind, and the
//! message of `holdfast.ledger.v1`. Relies on the store for checksums and order. Never skips a record that it cannot read: the error
//! names it.

pub mod agent;
pub mod chain;
mod key;
pub mod master;
mod record;

pub use record::{Record, RecordError};

/// A put (`value` is `Some`) or a delete (`value` is `None`) of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The tree, such as `claims`.
    pub tree: &'static str,
    /// The key within the tree; at most [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// The record.
    pub value: Option<Vec<u8>>,
}

/// The longest key.
pub const KEY_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
