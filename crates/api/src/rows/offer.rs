//! An offer, as the native API shows it.

use serde::{Deserialize, Serialize};

/// An offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferRow {
    /// Its id.
    pub id: String,
    /// To whom.
    pub framework: String,
    /// For which role.
    pub role: String,
    /// Where.
    pub agent: String,
    /// What.
    pub resources: String,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
}
