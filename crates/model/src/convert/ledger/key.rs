//! Keys of records: ids joined by a slash, which no id contains.
//!
//! Two long ids do not fit into one key; then their digest stands for them, after a `#`. Relies on SHA-256 for its being theirs alone.
//! Never yields one key for two records.

use sha2::{Digest, Sha256};

use super::KEY_BYTES_MAX;
use crate::validate::Invalid;

/// The key of a record with one name.
pub(super) fn one(name: &str) -> Vec<u8> {
    short(name.as_bytes().to_vec())
}

/// The key of a record with two names.
pub(super) fn two(outer: &str, inner: &str) -> Vec<u8> {
    short([outer, inner].join("/").into_bytes())
}

fn short(key: Vec<u8>) -> Vec<u8> {
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    let digest = Sha256::digest(&key);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#{hex}").into_bytes()
}

/// Reads a key with one name.
pub(super) fn read_one(key: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(key)
        .map_err(|_| Invalid::new("key", "is no text; it was not written by a ledger"))
}

/// Reads a key with two names.
pub(super) fn read_two(key: &[u8]) -> Result<(&str, &str), Invalid> {
    let text = read_one(key)?;
    if text.starts_with('#') && !text.contains('/') {
        return Err(Invalid::new("key", "is a digest of names that are too long; apply the delete to a ledger that holds the record"));
    }
    text.split_once('/')
        .ok_or_else(|| Invalid::new("key", "has no two names; it was not written by a ledger"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_become_a_digest() {
        let long = "f".repeat(255);
        let (a, b) = (two(&long, "a"), two(&long, "b"));
        assert!(a.len() <= KEY_BYTES_MAX && a != b);
        assert!(read_two(&a).unwrap_err().why.contains("digest"));
        assert_eq!(read_two(&two("f", "t")).unwrap(), ("f", "t"));
        assert_eq!(read_two(&two("#f", "t")).unwrap(), ("#f", "t"));
        assert!(read_two(b"alone").is_err() && read_two(&[255]).is_err());
    }
}
