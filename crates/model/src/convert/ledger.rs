//! Ledgers: each change of a mind's durable state as the put or delete of one record, and back.
//!
//! A key is made of the record's ids and can be read by people; a value is one byte with the version of the encoding, and the message
//! of `holdfast.ledger.v1`. Relies on the store for checksums and order. Never skips a record that it cannot read: the error names it.

pub mod agent;
mod claim;
mod key;
pub mod master;
mod record;
mod task;

pub(crate) use claim::{claim_in, claim_out, disk_in, disk_out};
pub(crate) use task::{
    claim_ids, executor_in, executor_out, operation_in, operation_out, task_in, task_out,
};

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

/// The version of the encoding of records.
pub const RECORD_VERSION: u8 = 1;

#[cfg(test)]
mod tests;
