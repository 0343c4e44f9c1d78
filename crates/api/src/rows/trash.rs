//! A destroyed volume in the trash of its disk, and that something was done about it.

use serde::{Deserialize, Serialize};

/// A destroyed volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrashRow {
    /// The uuid of the claim that it had; its directory bears it.
    pub id: String,
    /// Its name.
    pub volume: String,
    /// For whom it was.
    pub role: String,
    /// Its size in MB (2^20 bytes).
    pub size_mb: i64,
    /// The agent that has it.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// The disk that carries it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub disk: Option<String>,
    /// The path of that disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub root: Option<String>,
    /// The framework that held it, and holds it again when it is brought back.
    #[serde(deserialize_with = "Option::deserialize")]
    pub framework: Option<String>,
    /// When it was destroyed, in milliseconds since 1970.
    pub destroyed_ms: u64,
    /// Who asked for that.
    pub destroyed_by: String,
    /// Until when it is kept if nothing needs its space, in milliseconds since 1970.
    pub kept_until_ms: u64,
    /// Whether its removal has begun, so that it cannot be brought back any more.
    pub purging: bool,
}

/// A destroyed volume is back, or nobody can bring it back any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashDone {
    /// Always so: what cannot be done is refused.
    pub done: bool,
}
