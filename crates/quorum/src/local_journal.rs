//! The masters' journal on one machine: the store in the state directory that leader and standbys
//! share.
//!
//! It relies on the lock of that directory, which one process holds at a time, and on the lease
//! that permits it. It never opens for a master that does not lead.

use crate::journal::{Journal, JournalError};
use crate::leadership::{LeadershipError, Lease};
use holdfast_store::{DurableStore, Entry, RecordRef, Sequence, Store};

/// A journal in the store of the state directory.
#[derive(Debug)]
pub struct LocalJournal {
    store: DurableStore,
}

/// Why a journal could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Leadership was lost already.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal has seen a later term than the lease, and the lease could not be raised above
    /// it.
    #[error(transparent)]
    Term(#[from] LeadershipError),
}

impl LocalJournal {
    /// Takes the journal over for the holder of `lease`, whose term is raised above all that the
    /// journal has seen.
    ///
    /// # Errors
    /// [`TakeOverError`]; the store is closed then.
    pub fn take_over(
        store: DurableStore,
        lease: &mut dyn Lease,
    ) -> Result<LocalJournal, TakeOverError> {
        if !lease.is_held() {
            return Err(JournalError::NotLeading { term: lease.term() }.into());
        }
        lease.raise_above(store.term())?;
        Ok(LocalJournal { store })
    }
}

impl Journal for LocalJournal {
    fn append(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, JournalError> {
        Ok(self.store.commit(term, batch)?)
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        self.store.records()
    }

    fn head(&self) -> Sequence {
        self.store.sequence()
    }

    fn term(&self) -> u64 {
        self.store.term()
    }

    fn trim(&mut self) -> Result<(), JournalError> {
        self.store.checkpoint()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance;
    use crate::{Leadership, LocalLeadership};
    use holdfast_store::Options;
    use std::path::Path;

    fn store(dir: &Path) -> DurableStore {
        DurableStore::open(&dir.join("ledger"), Options::new("master").create_as([7; 16]))
            .unwrap()
            .0
    }

    #[test]
    fn it_keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        let leadership = LocalLeadership::new(dir.path()).unwrap();
        conformance::check(&|| {
            let mut lease = leadership.campaign().unwrap();
            Box::new(LocalJournal::take_over(store(dir.path()), &mut *lease).unwrap())
        });
    }

    #[test]
    fn a_leaders_term_is_above_all_that_its_journal_has_seen() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path()).commit(41, &[]).unwrap();
        let mut lease = LocalLeadership::new(dir.path()).unwrap().campaign().unwrap();
        assert_eq!(lease.term(), 1, "the term file was lost");
        LocalJournal::take_over(store(dir.path()), &mut *lease).unwrap();
        assert_eq!(lease.term(), 42);
    }

    #[test]
    fn whoever_does_not_lead_takes_nothing_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut lease = LocalLeadership::new(dir.path()).unwrap().campaign().unwrap();
        std::fs::remove_file(dir.path().join("leader.lock")).unwrap();
        let refused = LocalJournal::take_over(store(dir.path()), &mut *lease).unwrap_err();
        assert!(
            matches!(refused, TakeOverError::Journal(JournalError::NotLeading { term: 1 })),
            "{refused}"
        );
    }
}
