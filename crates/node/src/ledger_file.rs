//! Ledgers on disk: opening one, and laying what is to be written into batches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_model::convert::ledger::Entry;
use holdfast_store::{
    DurableStore, Entry as StoreEntry, Options, Store, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX,
};

/// How long a process that was told to stop takes to bring up the second copy of its ledger, at most.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Says why the second copy of a ledger could not be brought up at the end. All that was promised is in the first, from which the next
/// start brings it up.
pub fn note_close<T, E: std::fmt::Display>(closed: Result<T, E>) {
    if let Err(error) = closed {
        tracing::warn!(
            "the second copy of the ledger is not up to date: {error}; the next start brings it up"
        );
    }
}

/// Lays groups of entries into batches, in order: one, unless there are more than one batch of the store may hold. A cut goes between
/// groups, so that a crash never leaves half of one. A group that is larger than a batch all by itself is cut inside: only the end of
/// thousands of tasks at once is so large, and each of their records stands alone.
pub fn batches<G: Iterator<Item = Entry>>(groups: impl Iterator<Item = G>) -> Vec<Vec<StoreEntry>> {
    let mut batches = Batches::default();
    for group in groups {
        let group: Vec<StoreEntry> = group
            .map(|it| StoreEntry { tree: it.tree.to_owned(), key: it.key, value: it.value })
            .collect();
        batches.make_room(&group);
        for entry in group {
            batches.make_room(std::slice::from_ref(&entry));
            batches.push(entry);
        }
    }
    batches.all
}

/// Batches, of which the last is being filled.
#[derive(Default)]
struct Batches {
    all: Vec<Vec<StoreEntry>>,
    /// Bytes in the last.
    bytes: usize,
}

impl Batches {
    /// Begins a new batch if these do not fit into the last.
    fn make_room(&mut self, entries: &[StoreEntry]) {
        let bytes: usize = entries.iter().map(StoreEntry::size_bytes).sum();
        let fits = |last: &Vec<StoreEntry>| {
            last.len() + entries.len() <= BATCH_ENTRIES_MAX && self.bytes + bytes <= BATCH_BYTES_MAX
        };
        if !entries.is_empty() && !self.all.last().is_some_and(|last| last.is_empty() || fits(last))
        {
            self.all.push(Vec::new());
            self.bytes = 0;
        }
    }

    fn push(&mut self, entry: StoreEntry) {
        self.bytes += entry.size_bytes();
        self.all.last_mut().expect("room was made").push(entry);
    }
}

/// Opens the ledger in `dir`, tells what was repaired, and refuses to go on with records that nobody can prove.
///
/// # Errors
/// The store's, or the damaged records by name.
pub fn open(dir: &Path, kind: &str) -> anyhow::Result<DurableStore> {
    open_with(dir, kind, |options| options)
}

/// Does the same with a reserve for a full file system: see [`holdfast_store::Options::reserve`].
///
/// # Errors
/// Those of [`open`].
pub fn open_with_reserve(dir: &Path, kind: &str, reserve: PathBuf) -> anyhow::Result<DurableStore> {
    open_with(dir, kind, |options| options.reserve(reserve))
}

fn open_with(
    dir: &Path,
    kind: &str,
    more: impl FnOnce(Options) -> Options,
) -> anyhow::Result<DurableStore> {
    let options = more(Options::new(kind).create_as(*uuid::Uuid::new_v4().as_bytes()));
    let (store, _) = DurableStore::open(dir, options)
        .with_context(|| format!("cannot open the ledger in {}", dir.display()))?;
    let damaged: Vec<String> = store.damaged().iter().map(ToString::to_string).collect();
    if !damaged.is_empty() {
        bail!(
            "the {kind} ledger in {} holds records that neither copy can prove:\n  {}; keep that directory, look closer with `holdfast ledger check --dir {}`, \
             and start in another one with the newest export: `holdfast ledger import`",
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

    /// The keys in each batch.
    fn keys(batches: &[Vec<StoreEntry>]) -> Vec<Vec<usize>> {
        let key = |it: &StoreEntry| usize::from_be_bytes(it.key.as_slice().try_into().unwrap());
        batches.iter().map(|it| it.iter().map(key).collect()).collect()
    }

    #[test]
    fn a_cut_goes_between_groups() {
        let large = |from: usize| (from..from + 10).map(|key| entry(key, 1 << 20));
        let made = batches([large(0), large(10)].into_iter());
        assert_eq!(
            keys(&made),
            [(0..10).collect::<Vec<_>>(), (10..20).collect()],
            "together they are more than a batch may hold"
        );
    }

    #[test]
    fn small_groups_share_a_batch_and_a_huge_one_is_cut() {
        let made = batches((0..5).map(|at| (at * 3..at * 3 + 3).map(|key| entry(key, 10))));
        assert_eq!(keys(&made), [(0..15).collect::<Vec<_>>()]);
        assert!(batches(std::iter::once(std::iter::empty::<Entry>())).is_empty());
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), "agent").unwrap();
        let made = batches(std::iter::once((0..20).map(|key| entry(key, 1 << 20))));
        assert_eq!(made.len(), 2);
        for batch in &made {
            store.commit(1, batch).unwrap();
        }
        let many = batches(std::iter::once((0..BATCH_ENTRIES_MAX + 1).map(|key| entry(key, 1))));
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH_ENTRIES_MAX, 1]);
    }
}
