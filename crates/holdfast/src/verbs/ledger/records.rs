//! Records in words: which message a tree of a ledger holds.
//!
//! Never hides a record that it cannot read: it says so in its place.

use holdfast_proto::holdfast::ledger::v1 as ledger;
use holdfast_proto::{binary, json};
use holdfast_wire::Wired;
use serde_json::{json, Value};

/// The version of records that is read here.
const VERSION: u8 = holdfast_model::convert::ledger::RECORD_VERSION;

/// A record of a ledger of this kind as JSON.
pub(super) fn record(kind: &str, tree: &str, value: &[u8]) -> Value {
    match (kind, tree) {
        ("agent", "identity") => read::<ledger::AgentIdentity>(value),
        ("agent", "disks") => read::<ledger::Disk>(value),
        ("agent", "claims") => read::<ledger::Claim>(value),
        ("agent", "frameworks") => read::<ledger::AgentFramework>(value),
        ("agent", "executors") => read::<ledger::Executor>(value),
        ("agent", "tasks") => read::<ledger::Task>(value),
        ("agent", "operations") => read::<ledger::Operation>(value),
        ("master", "cluster") => read::<ledger::Cluster>(value),
        ("master", "agents") => read::<ledger::AgentRecord>(value),
        ("master", "frameworks") => read::<ledger::FrameworkRecord>(value),
        ("master", "claims") => read::<ledger::IndexedClaim>(value),
        ("master", "pending") => read::<ledger::PendingOperation>(value),
        ("master", "weights") => read::<ledger::RoleWeight>(value),
        _ => opaque(value, "this program does not know what it means"),
    }
}

fn read<M: Wired>(value: &[u8]) -> Value {
    let message = match value.split_first() {
        Some((&VERSION, message)) => message,
        Some((version, _)) => return opaque(value, &format!("it has version {version}, this program reads {VERSION}")),
        None => return opaque(value, "it is empty"),
    };
    match binary::decode::<M>(message) {
        Ok(message) => serde_json::from_str(&json::to_string(&message)).unwrap_or_else(|error| opaque(value, &error.to_string())),
        Err(error) => opaque(value, &error.to_string()),
    }
}

fn opaque(value: &[u8], why: &str) -> Value {
    let hex: String = value.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    json!({ "unread": why, "first_bytes": hex })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::convert::ledger::{agent, master};

    #[test]
    fn every_tree_has_its_message() {
        for (kind, trees) in [("agent", agent::TREES.as_slice()), ("master", master::TREES.as_slice())] {
            for tree in trees {
                let shown = record(kind, tree, &[VERSION]);
                let known = shown["unread"].as_str().is_none_or(|why| !why.contains("does not know"));
                assert!(known, "{kind}/{tree}: {shown}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(record("agent", "disks", &[])["unread"], "it is empty");
        assert_eq!(record("agent", "disks", &[9, 1])["unread"], "it has version 9, this program reads 1");
        assert!(record("agent", "disks", &[1, 255]).get("unread").is_some());
        assert_eq!(record("framework", "member", &[1, 0xab])["first_bytes"], "01ab");
    }
}
