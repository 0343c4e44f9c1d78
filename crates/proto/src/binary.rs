//! Messages as protobuf bytes.
//!
//! Relies on prost, and on `required` for what prost leaves unchecked. Unknown fields are dropped, as prost does. Never yields a
//! message that lacks a required field, and never recurses deeper than [`MAX_DEPTH`].

use prost::{Message, Name};

use crate::required;

/// How deep messages may lie in each other.
pub const MAX_DEPTH: usize = 100;

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no protobuf, or a field has another type than it should.
    #[error("this is not a {message} in protobuf encoding ({reason}); check the content type and that the body is complete")]
    Malformed {
        /// Full name of the message.
        message: String,
        /// What the decoder said.
        reason: String,
    },
    /// A required field was not sent, or holds an enum number that does not exist.
    #[error(
        "{path}: required field of {message} is missing or holds an unknown enum value; set it"
    )]
    MissingField {
        /// Full name of the outermost message.
        message: String,
        /// The way to the field, such as `accept.operations[0].type`.
        path: String,
    },
    /// Messages lie in each other more than [`MAX_DEPTH`] deep.
    #[error("{message} is nested more than {MAX_DEPTH} levels deep; flatten it")]
    TooDeep {
        /// Full name of the outermost message.
        message: String,
    },
}

/// Reads a `T`.
///
/// # Errors
/// When `bytes` are malformed, too deeply nested, or lack a required field.
pub fn decode<T: Message + Default + Name>(bytes: &[u8]) -> Result<T, DecodeError> {
    let decoded = T::decode(bytes).map_err(|error| explain(&T::full_name(), &error.to_string()))?;
    check_required(&T::full_name(), bytes)?;
    Ok(decoded)
}

/// Writes a message; the counterpart of [`decode`].
pub fn encode<T: Message>(message: &T) -> Vec<u8> {
    message.encode_to_vec()
}

/// Whether `bytes`, taken as the message with this full name (`mesos.v1.scheduler.Call`), hold all required fields, at any depth.
/// [`decode`] does this already.
///
/// # Errors
/// When one is missing, or when the bytes are malformed or too deeply nested on the way to a required field. A message that this
/// crate does not know has no required fields.
pub fn check_required(message_full_name: &str, bytes: &[u8]) -> Result<(), DecodeError> {
    let message = message_full_name.to_owned();
    required::check(message_full_name, bytes).map_err(|flaw| match flaw {
        required::Flaw::Missing(path) => DecodeError::MissingField { message, path },
        required::Flaw::Malformed(reason) => explain(&message, &reason),
        required::Flaw::TooDeep => DecodeError::TooDeep { message },
    })
}

/// prost tells the kinds of its errors apart only by their words.
fn explain(message: &str, reason: &str) -> DecodeError {
    let message = message.to_owned();
    if reason.contains("recursion limit") {
        DecodeError::TooDeep { message }
    } else {
        DecodeError::Malformed { message, reason: reason.to_owned() }
    }
}
