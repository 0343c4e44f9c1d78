//! What a fetching process is to do: plain values that travel in its environment.

use serde::{Deserialize, Serialize};

/// The variable that holds the plan of a fetching process, as JSON.
pub const FETCH_PLAN_VARIABLE: &str = "HOLDFAST_FETCH_PLAN";

/// By what something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchKind {
    /// The network: `http`, `https`, `ftp`, `ftps`.
    Net,
    /// An absolute path, with or without `file://`.
    File,
    /// What the Hadoop client reads.
    Hadoop,
}

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchSource {
    /// The address.
    pub address: String,
    /// By what it is fetched.
    pub kind: FetchKind,
    /// The SHA-256 that it must have, in hexadecimal digits.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// One step. Paths are relative to the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchStep {
    /// Write into a file how many bytes it has; nothing when that cannot be known.
    Size {
        /// Where it comes from.
        source: FetchSource,
        /// The file.
        into: String,
    },
    /// Write it into a file as it is.
    Download {
        /// Where it comes from.
        source: FetchSource,
        /// The file.
        into: String,
        /// What is longer is no good.
        max_bytes: u64,
    },
    /// Put it into the sandbox.
    Place {
        /// Where it comes from.
        source: FetchSource,
        /// The file that has it already.
        cached: Option<String>,
        /// The path in the sandbox.
        name: String,
        /// Whether it becomes executable; then it is not unpacked.
        executable: bool,
        /// Whether it is unpacked when its name is that of an archive.
        extract: bool,
    },
}

/// What a fetching process is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPlan {
    /// In this order, until one fails.
    pub steps: Vec<FetchStep>,
    /// The file that gets a sentence when something fails.
    pub result: Option<String>,
    /// How much stays free on the file system of the sandbox.
    pub keep_free_bytes: u64,
    /// A download that gives less than a byte a second for so many seconds is cut.
    pub stall_s: u64,
}
