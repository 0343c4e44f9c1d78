//! Rows of the masters' own API: what was sent, which programs are given as it is, and what it says, which the verbs read.
//!
//! Relies on `holdfast_api` for what a row says. Never guesses what a field that is not there could mean.

use std::ops::Deref;

use holdfast_api::rows::{
    AgentRow, ClaimRow, DiskMoveRow, DiskRow, EndedClaimRow, FrameworkRow, GoneAgentRow,
    MachineRow, OfferRow, QuotaRow, RoleRow, TaskRow, TrashRow,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Failure, EXIT_ERROR};

/// A row, or another answer, as it was sent and as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Received<T> {
    /// As it was sent.
    pub raw: Value,
    /// What it says.
    pub row: T,
}

impl<T> Deref for Received<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.row
    }
}

impl<T: DeserializeOwned> Received<T> {
    /// Reads what was sent under this name.
    ///
    /// # Errors
    /// When a field is missing or says something unknown; it is named.
    pub fn read(name: &str, raw: Value) -> Result<Received<T>, Failure> {
        match T::deserialize(&raw) {
            Ok(row) => Ok(Received { raw, row }),
            Err(error) => Err(Failure::new(
                EXIT_ERROR,
                format!("the master's `{name}` cannot be read: {error}"),
                "the master may be of another version than this program; -V says which this is",
            )),
        }
    }
}

/// What there is a list of.
pub trait Listed: DeserializeOwned {
    /// The list's name in the API.
    const PAGE: &'static str;
    /// What they are called in a sentence.
    const WORDS: &'static str = Self::PAGE;
    /// The field that names a row.
    const ID: &'static str = "id";

    /// What names this row.
    fn id(&self) -> &str;
}

macro_rules! listed {
    ($($row:ty: $page:literal),+) => {
        $(impl Listed for $row {
            const PAGE: &'static str = $page;

            fn id(&self) -> &str {
                &self.id
            }
        })+
    };
}

listed!(
    AgentRow: "agents",
    ClaimRow: "claims",
    DiskRow: "disks",
    FrameworkRow: "frameworks",
    GoneAgentRow: "gone-agents",
    OfferRow: "offers",
    TaskRow: "tasks"
);

impl Listed for EndedClaimRow {
    const PAGE: &'static str = "ended-claims";
    const WORDS: &'static str = "claims that have ended";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for DiskMoveRow {
    const PAGE: &'static str = "disk-moves";
    const WORDS: &'static str = "disks that are moved to another agent";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for TrashRow {
    const PAGE: &'static str = "trash";
    const WORDS: &'static str = "destroyed volumes";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for QuotaRow {
    const PAGE: &'static str = "quotas";
    const WORDS: &'static str = "roles with quota";
    const ID: &'static str = "role";

    fn id(&self) -> &str {
        &self.role
    }
}

impl Listed for MachineRow {
    const PAGE: &'static str = "machines";
    const WORDS: &'static str = "machines with planned downtime";
    const ID: &'static str = "machine";

    fn id(&self) -> &str {
        &self.machine
    }
}

impl Listed for RoleRow {
    const PAGE: &'static str = "roles";
    const ID: &'static str = "role";

    fn id(&self) -> &str {
        &self.role
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn what_is_missing_is_named_and_the_version_is_suspected() {
        let mut raw = testbed::received::<DiskRow>(serde_json::json!({})).raw;
        raw.as_object_mut().unwrap().remove("fault");
        let failure = Received::<DiskRow>::read("disks", raw).unwrap_err();
        assert_eq!(failure.code, EXIT_ERROR);
        assert_eq!(failure.cause, "the master's `disks` cannot be read: missing field `fault`");
        assert!(failure.hint.contains("may be of another version"), "{failure}");
    }

    #[test]
    fn what_was_sent_is_kept_whole() {
        let row: Received<RoleRow> =
            testbed::received(serde_json::json!({ "role": "db", "new": 1 }));
        assert_eq!((row.id(), &row.raw["new"]), ("db", &serde_json::json!(1)));
    }
}
