//! Records that a ledger gives back, and the files that it is of.

use std::fs;

use holdfast_model::convert::ledger;
use holdfast_sdk::record;
use holdfast_store::Depth;

/// The trees of an agent's ledger: the first byte of an input chooses one.
pub const AGENT_TREES: [&str; 11] = [
    "identity",
    "disks",
    "claims",
    "frameworks",
    "executors",
    "tasks",
    "operations",
    "trash",
    "added_disks",
    "left_places",
    "points",
];
/// The trees of a master's ledger.
pub const MASTER_TREES: [&str; 15] = [
    "cluster",
    "agents",
    "frameworks",
    "claims",
    "pending",
    "weights",
    "quotas",
    "suspects",
    "ended",
    "history",
    "moves",
    "recoveries",
    "deaths",
    "deactivations",
    "maintenance",
];
/// The trees of the ledger of a framework.
const KEEPER_TREES: [&str; 7] =
    ["framework", "member", "spec", "spec-given", "pod", "plan", "plan-step"];
/// The first segment of a journal.
const SEGMENT: &str = "journal-000000000001.seg";

/// A tree, a key and a value: one byte for the tree, one for the length of the key.
fn parts<'a>(
    input: &'a [u8],
    trees: &[&'static str],
) -> Option<(&'static str, &'a [u8], &'a [u8])> {
    let [tree, length, rest @ ..] = input else { return None };
    let (key, value) = rest.split_at_checked(usize::from(*length))?;
    Some((trees[usize::from(*tree) % trees.len()], key, value))
}

pub(super) fn agent(input: &[u8]) {
    let Some((tree, key, value)) = parts(input, &AGENT_TREES) else { return };
    drop(ledger::agent::decode(tree, key, None));
    if let Ok(change) = ledger::agent::decode(tree, key, Some(value)) {
        let entry = ledger::agent::encode(&change);
        let again = ledger::agent::decode(entry.tree, &entry.key, entry.value.as_deref());
        assert_eq!(again.as_ref(), Ok(&change), "what is written reads as it was");
    }
}

pub(super) fn master(input: &[u8]) {
    let Some((tree, key, value)) = parts(input, &MASTER_TREES) else { return };
    drop(ledger::master::decode(tree, key, None));
    if let Ok(change) = ledger::master::decode(tree, key, Some(value)) {
        let entry = ledger::master::encode(&change);
        let again = ledger::master::decode(entry.tree, &entry.key, entry.value.as_deref());
        assert_eq!(again.as_ref(), Ok(&change), "what is written reads as it was");
    }
}

pub(super) fn keeper(input: &[u8]) {
    let Some((tree, key, value)) = parts(input, &KEEPER_TREES) else { return };
    if let Ok(change) = record::read(tree, key, value) {
        let written = record::write(&change);
        let bytes = written.value.as_deref().unwrap_or_default();
        let again = record::read(written.tree, &written.key, bytes);
        assert_eq!(again.ok().as_ref(), Some(&change), "what is written reads as it was");
    }
}

pub(super) fn export(mut input: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    drop(holdfast_store::import(dir.path(), &mut input));
}

/// A ledger of which only this segment of its journal is left.
pub(super) fn files(input: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    if fs::write(dir.path().join(SEGMENT), input).is_ok() {
        drop(holdfast_store::check(dir.path(), Depth::Bytes));
    }
}
