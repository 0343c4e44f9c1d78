//! What strangers send and what disks give back, read by the code that reads it: targets for fuzzing.
//!
//! A target takes any bytes, never panics, and never holds more memory than [`memory::allowed_bytes`]. What it reads it also writes again,
//! and what was written must read as the same. `tests/bounded.rs` runs each target over its corpus and over mutations of it, the same ones
//! each time; `cargo xtask fuzz` lets libFuzzer search for more, guided by coverage, and keeps in the corpus what reaches new code.
//! Relies on the crates that decode. Never looks at what a decoder means.

pub mod corpus;
pub mod memory;
pub mod mutations;
mod targets;

use std::path::PathBuf;

pub use targets::{target, Target, AGENT_TREES, MASTER_TREES, TARGETS};

/// Where the inputs of the target of this name are kept.
pub fn corpus_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{name}.txt"))
}

/// Runs a target over one input.
///
/// # Panics
/// When the target does, or when it held more memory than it may.
pub fn check(target: &Target, input: &[u8]) {
    let (held, ()) = memory::most_bytes_held(|| (target.run)(input));
    let allowed = target.more_bytes + memory::allowed_bytes(input.len());
    assert!(
        held <= allowed,
        "{}: {held} bytes are held while {} are read, and {allowed} may be",
        target.name,
        input.len()
    );
}

/// Runs the target of this name over one input.
///
/// # Panics
/// As [`check`], and when there is no target of this name.
pub fn check_named(name: &str, input: &[u8]) {
    check(target(name).expect("the target is known"), input);
}
