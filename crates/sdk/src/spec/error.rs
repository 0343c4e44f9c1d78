//! What is wrong with a spec, and where.

use std::fmt;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecError {
    /// Where: `pods.data.volumes[0].size_mb` is the size of the first volume of the pod `data`.
    pub path: String,
    /// Why it is wrong, and what to try.
    pub why: String,
}

impl SpecError {
    /// Makes one.
    pub fn new(path: impl Into<String>, why: impl Into<String>) -> SpecError {
        SpecError { path: path.into(), why: why.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

impl std::error::Error for SpecError {}
