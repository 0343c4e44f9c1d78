//! Telling another process where this one listens: a file that is there whole or not at all.

use std::path::Path;

use anyhow::Context;

/// Writes the address, if somebody wants it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: Option<&Path>, address: &str) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let part = path.with_extension("part");
    std::fs::write(&part, address)
        .and_then(|()| std::fs::rename(&part, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
