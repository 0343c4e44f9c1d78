//! Ledgers on disk: opening one, and writing batches of records to it.

use std::path::Path;

use anyhow::{bail, Context};
use holdfast_model::convert::ledger::Entry;
use holdfast_store::{DurableStore, Entry as StoreEntry, Store, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};

/// Writes all entries, durably: one sync, unless there are more than one batch may hold.
///
/// # Errors
/// The store's, after which it must not be used any more.
pub fn commit_all(store: &mut DurableStore, term: u64, entries: impl Iterator<Item = Entry>) -> anyhow::Result<()> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let entry = StoreEntry { tree: entry.tree.to_owned(), key: entry.key, value: entry.value };
        let size = entry.size_bytes();
        if BATCH_ENTRIES_MAX <= batch.len() || BATCH_BYTES_MAX < bytes + size {
            store.commit(term, &batch)?;
            batch.clear();
            bytes = 0;
        }
        bytes += size;
        batch.push(entry);
    }
    if !batch.is_empty() {
        store.commit(term, &batch)?;
    }
    Ok(())
}

/// Opens the ledger in `dir`, tells what was repaired, and refuses to go on with records that nobody can prove.
///
/// # Errors
/// The store's, or the damaged records by name.
pub fn open(dir: &Path, kind: &str) -> anyhow::Result<DurableStore> {
    let options = holdfast_store::Options::new(kind).create_as(*uuid::Uuid::new_v4().as_bytes());
    let (store, _) = DurableStore::open(dir, options).with_context(|| format!("cannot open the ledger in {}", dir.display()))?;
    let damaged: Vec<String> = store.damaged().iter().map(ToString::to_string).collect();
    if !damaged.is_empty() {
        bail!(
            "the {kind} ledger in {} holds records that neither copy can prove:\n  {}\n  see `holdfast ledger check --dir {}`; import an export, or settle them one by one",
            dir.display(),
            damaged.join("\n  "),
            dir.display()
        );
    }
    Ok(store)
}
