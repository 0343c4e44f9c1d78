//! What is wrong with JSON that was sent, and where.
//!
//! Never shows more of the input than the offending value.

use std::fmt;

use serde::de::DeserializeOwned;

/// JSON that is not the message it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The way to the wrong field, such as `accept.operations[0].type`; empty when it is the whole.
    pub path: String,
    /// What is wrong, with the place in the text.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads once more, keeping track of the path.
pub(super) fn read_with_path<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        describe(path, error.inner())
    })?;
    reader.end().map_err(|error| describe(String::new(), &error))?;
    Ok(read)
}

fn describe(path: String, error: &serde_json::Error) -> JsonError {
    let message = error.to_string();
    // serde blames the object; the absent field is what the reader has to write.
    let absent = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match absent {
        Some(field) if path.is_empty() => JsonError { path: field.to_owned(), message },
        Some(field) => JsonError { path: format!("{path}.{field}"), message },
        None => JsonError { path, message },
    }
}
