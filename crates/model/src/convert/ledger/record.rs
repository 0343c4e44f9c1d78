//! Values of records: a version, and a message.
//!
//! Relies on the store for integrity. Never reads a version that it does not know, nor a record under a key that is another's.

use std::fmt::Display;

use prost::{Message, Name};

use super::RECORD_VERSION;
use crate::convert::field::Place;
use crate::validate::Invalid;

/// Writes a value.
pub(super) fn value(message: &impl Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + message.encoded_len());
    value.push(RECORD_VERSION);
    value.extend(message.encode_to_vec());
    value
}

/// Reads a value.
pub(super) fn read<M: Message + Default + Name>(value: &[u8]) -> Result<M, Invalid> {
    match value.split_first() {
        Some((&RECORD_VERSION, message)) => {
            holdfast_proto::binary::decode(message).map_err(|error| {
                Invalid::new("", format!("is damaged: {error}; do not start without it"))
            })
        }
        Some((version, _)) => {
            let why = format!("was written in version {version} of the ledger, this program reads {RECORD_VERSION}; use the newer program");
            Err(Invalid::new("", why))
        }
        None => Err(Invalid::new("", "is empty, which no record is; do not start without it")),
    }
}

/// Refuses a record that lies under another's key.
pub(super) fn check_key(found: &[u8], right: &[u8]) -> Result<(), Invalid> {
    if found == right {
        return Ok(());
    }
    Err(Invalid::new(
        "key",
        format!(
            "belongs to `{}`; the record is not where it was written",
            String::from_utf8_lossy(right)
        ),
    ))
}

/// Says which record an error is about.
pub(super) fn named<T>(tree: &str, key: &[u8], result: Result<T, Invalid>) -> Result<T, Invalid> {
    result.under(Named(tree, key))
}

/// A tree that this ledger does not have.
pub(super) fn unknown_tree(ledger: &str, tree: &str) -> Invalid {
    Invalid::new("tree", format!("the {ledger} ledger has no tree `{tree}` here; it was written by another or a newer program"))
}

struct Named<'a>(&'a str, &'a [u8]);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.0, String::from_utf8_lossy(self.1))
    }
}
