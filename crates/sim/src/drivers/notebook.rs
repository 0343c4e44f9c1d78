//! A framework's ledger as records of a simulated store, in the form that frameworks have on their
//! disks.
//!
//! It relies on the SDK for that form, and never guesses at a record that cannot be read.

use holdfast_sdk::{record, KeeperChange, KeeperLedger};
use holdfast_store::Entry;

use super::ledger_disk::Kept;

impl Kept for KeeperLedger {
    type Change = KeeperChange;
    const KIND: &'static str = "framework";

    fn entry(change: &KeeperChange) -> Entry {
        let record = record::write(change);
        Entry { tree: record.tree.to_owned(), key: record.key, value: record.value }
    }

    fn read(records: Vec<(&str, &[u8], &[u8])>) -> Result<KeeperLedger, String> {
        let mut ledger = KeeperLedger::default();
        for (tree, key, value) in records {
            let change = record::read(tree, key, value)
                .map_err(|why| format!("a record of {tree} cannot be read: {why}"))?;
            ledger.apply(&change);
        }
        Ok(ledger)
    }

    fn fold_in(&mut self, change: &KeeperChange) {
        self.apply(change);
    }
}
