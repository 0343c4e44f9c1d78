//! Ledgers on disk: opening one, and writing batches of records to it.

use std::path::Path;

use anyhow::{bail, Context};
use holdfast_model::convert::ledger::Entry;
use holdfast_store::{DurableStore, Entry as StoreEntry, Store, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};

/// Writes all groups of entries, in order, durably: one sync, unless there are more than one batch of the store may hold. A cut goes between
/// groups, so that a crash never leaves half of one. A group that is larger than a batch all by itself is cut inside: only the end of
/// thousands of tasks at once is so large, and each of their records stands alone.
///
/// # Errors
/// The store's, after which it must not be used any more.
pub fn commit_all<G: Iterator<Item = Entry>>(store: &mut DurableStore, term: u64, groups: impl Iterator<Item = G>) -> anyhow::Result<()> {
    let mut batch = Filling::default();
    for group in groups {
        let group: Vec<StoreEntry> = group.map(|it| StoreEntry { tree: it.tree.to_owned(), key: it.key, value: it.value }).collect();
        if !batch.has_room(&group) {
            batch.write(store, term)?;
        }
        for entry in group {
            if !batch.has_room(std::slice::from_ref(&entry)) {
                batch.write(store, term)?;
            }
            batch.push(entry);
        }
    }
    batch.write(store, term)
}

/// A batch that is being filled.
#[derive(Default)]
struct Filling {
    entries: Vec<StoreEntry>,
    bytes: usize,
}

impl Filling {
    fn has_room(&self, group: &[StoreEntry]) -> bool {
        let bytes: usize = group.iter().map(StoreEntry::size_bytes).sum();
        self.entries.len() + group.len() <= BATCH_ENTRIES_MAX && self.bytes + bytes <= BATCH_BYTES_MAX
    }

    fn push(&mut self, entry: StoreEntry) {
        self.bytes += entry.size_bytes();
        self.entries.push(entry);
    }

    fn write(&mut self, store: &mut DurableStore, term: u64) -> anyhow::Result<()> {
        if !self.entries.is_empty() {
            store.commit(term, &std::mem::take(&mut self.entries))?;
            self.bytes = 0;
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: usize, bytes: usize) -> Entry {
        Entry { tree: "claims", key: key.to_be_bytes().to_vec(), value: Some(vec![0; bytes]) }
    }

    #[test]
    fn a_cut_goes_between_groups() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), "agent").unwrap();
        let large = |from: usize| (from..from + 10).map(|key| entry(key, 1 << 20));
        commit_all(&mut store, 1, [large(0), large(10)].into_iter()).unwrap();
        let of_group = |from: usize| -> std::collections::BTreeSet<_> {
            let records = store.records().filter(|it| (from..from + 10).any(|key| it.key == key.to_be_bytes()));
            records.map(|it| it.sequence).collect()
        };
        let (first, second) = (of_group(0), of_group(10));
        assert_eq!((first.len(), second.len()), (1, 1), "each group is written in one batch: {first:?}, {second:?}");
        assert_ne!(first, second, "together they are more than a batch may hold");
    }

    #[test]
    fn small_groups_share_a_batch_and_a_huge_one_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), "agent").unwrap();
        let before = store.sequence();
        commit_all(&mut store, 1, (0..5).map(|at| (at * 3..at * 3 + 3).map(|key| entry(key, 10)))).unwrap();
        assert_eq!(store.sequence().0, before.0 + 1);
        commit_all(&mut store, 1, std::iter::once((0..20).map(|key| entry(key, 1 << 20)))).unwrap();
        assert_eq!(store.sequence().0, before.0 + 3);
    }
}
