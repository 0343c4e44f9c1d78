//! Messages as JSON, the way Mesos speaks it.
//!
//! Names are those of the `.proto` files; enums are names; 64-bit integers are numbers; bytes are base64; unset and empty fields are
//! left out, except those with a default of their own. On input `null` is unset, unknown fields are ignored, numbers and booleans may
//! come as strings, enums as numbers, and an optional enum with an unknown value is unset.
//!
//! Relies on serde attributes that the build script writes and that call the codecs here; there is no reflection at run time. Never
//! accepts a message without its required fields, and never recurses deeper than [`MAX_DEPTH`].

mod enums;
mod error;
mod presence;
mod scalars;

use serde::de::DeserializeOwned;
use serde::Serialize;

pub(crate) use enums::{Enum, ImplicitEnum, Named, OptionalEnum};
pub use error::JsonError;
pub(crate) use presence::{only_one, Codec, Implicit, Map, Optional, Plain, Repeated, Required};
pub(crate) use scalars::{Base64, Bool, Double, Integer};

/// How deep objects and arrays may lie in each other on input.
pub const MAX_DEPTH: usize = 127;

/// Generated: names of enums, defaults that are printed, twins of messages with a oneof.
#[allow(clippy::all, reason = "generated")]
pub(crate) mod glue {
    include!(concat!(env!("OUT_DIR"), "/json_glue.rs"));
}

/// Reads a message, or a list of messages.
///
/// # Errors
/// When `bytes` are not JSON, or not a `T`; the error names the field.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    // Keeping track of the path costs time, so it is done only for what is wrong.
    serde_json::from_slice(bytes).or_else(|_| error::read_with_path(bytes))
}

/// Writes a message, or a list of messages, on one line.
///
/// # Panics
/// Never for messages of this crate; for other types when they cannot be JSON (a map with keys that are no strings).
pub fn to_string<T: Serialize + ?Sized>(message: &T) -> String {
    serde_json::to_string(message)
        .expect("messages have string keys, and memory does not fail to be written")
}

/// Like [`to_string`], as bytes.
///
/// # Panics
/// As [`to_string`].
pub fn to_vec<T: Serialize + ?Sized>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message)
        .expect("messages have string keys, and memory does not fail to be written")
}
