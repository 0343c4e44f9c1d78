//! A store that forgets everything when it is dropped: for tests and for cores that need no durable
//! one.
//!
//! It relies on `records`. It never touches a disk; keeps the whole contract otherwise, poison and
//! terms included.

use crate::contract::{Checkpoint, DamagedRecord, RecordRef, Store, StoreError};
use crate::entry::{check_batch, Entry, Sequence};
use crate::fence;
use crate::records::{Records, FENCED_TREE};

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    records: Records,
    sequence: u64,
    term: u64,
    damaged: Vec<DamagedRecord>,
    stopped: Option<Stopped>,
}

#[derive(Clone, Debug)]
enum Stopped {
    Closed,
    Poisoned(String),
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Makes an empty store in which `damaged` is fenced already: lets a core's tests see what a
    /// damaged disk looks like.
    pub fn with_damaged(damaged: Vec<DamagedRecord>) -> MemoryStore {
        let mut store = MemoryStore::new();
        for each in &damaged {
            let fence = fence::raise(each);
            store.records.apply(0, &fence.tree, &fence.key, fence.value.as_deref());
        }
        store.damaged = store.records.fenced();
        store
    }

    fn admit(&mut self, term: u64, batch: &[Entry]) -> Result<(), StoreError> {
        match &self.stopped {
            Some(Stopped::Closed) => return Err(StoreError::Closed),
            Some(Stopped::Poisoned(reason)) => {
                return Err(StoreError::Poisoned { reason: reason.clone() })
            }
            None => {}
        }
        let refused = match check_batch(batch) {
            Err(limit) => StoreError::Limit(limit),
            Ok(()) if term < self.term => StoreError::TermPast { term, latest: self.term },
            Ok(()) => return Ok(()),
        };
        self.stopped = Some(Stopped::Poisoned(refused.to_string()));
        Err(refused)
    }

    fn write(&mut self, term: u64, entries: &[Entry]) -> Sequence {
        self.sequence += 1;
        self.term = term;
        for entry in entries {
            self.records.apply(self.sequence, &entry.tree, &entry.key, entry.value.as_deref());
        }
        if entries.iter().any(|entry| entry.tree == FENCED_TREE) {
            self.damaged = self.records.fenced();
        }
        Sequence(self.sequence)
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError> {
        self.admit(term, batch)?;
        let lifted =
            if self.damaged.is_empty() { Vec::new() } else { fence::lift(&self.records, batch) };
        let entries: Vec<Entry> = batch.iter().cloned().chain(lifted).collect();
        Ok(self.write(term, &entries))
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        Box::new(self.records.visible())
    }

    fn value(&self, tree: &str, key: &[u8]) -> Option<&[u8]> {
        self.records.held(tree, key).map(|held| held.value.as_slice())
    }

    fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }

    fn term(&self) -> u64 {
        self.term
    }

    fn damaged(&self) -> &[DamagedRecord] {
        &self.damaged
    }

    fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError> {
        self.admit(term, &[])?;
        Ok(self.write(
            term,
            &[Entry { tree: FENCED_TREE.to_owned(), key: fence::key(damaged), value: None }],
        ))
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        self.admit(self.term, &[])?;
        Ok(Checkpoint {
            sequence: self.sequence(),
            counts: self.records.counts(),
            digest: self.records.digest(),
        })
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.admit(self.term, &[])?;
        self.stopped = Some(Stopped::Closed);
        Ok(())
    }
}
