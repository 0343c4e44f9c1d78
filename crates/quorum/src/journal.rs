//! The contract of the masters' journal, wherever it lives: in a file on one machine, in an
//! ensemble on several.
//!
//! It relies on `store` for what a record and a batch are. It never takes a batch of a term that is
//! past, and never acknowledges what may not be durable. Following another's journal is not a part
//! of this contract: where it lives in an ensemble, a candidate does so by itself.

use holdfast_store::{Entry, RecordRef, Sequence, StoreError};

/// The durable log of the masters: batches of records, appended by a leader under its term.
///
/// Whoever opens it sees all that was ever acknowledged. Once a later term has appended, an earlier
/// one appends nothing any more: a leader that was deposed and does not know it finds out by its
/// next append, and stops.
pub trait Journal: Send {
    /// Appends `batch` as one atom. When this returns `Ok`, it survives whatever happens to this
    /// process.
    ///
    /// # Errors [`JournalError`]. The leader must stop: it was deposed, or only its successor will
    /// know whether the batch was taken.
    fn append(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, JournalError>;

    /// Every record as all appends up to [`Journal::head`] left it, in the order of trees and keys.
    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_>;

    /// The number of the last append.
    fn head(&self) -> Sequence;

    /// The greatest term that has appended; 0 when none has.
    fn term(&self) -> u64;

    /// Replaces what lies before the head by a checkpoint. It waits for the disk and is not for the
    /// path of a request.
    ///
    /// # Errors
    /// As [`Journal::append`].
    fn trim(&mut self) -> Result<(), JournalError>;
}

/// Why an append failed, or why its outcome is unknown.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A later leader has appended.
    #[error("term {term} is past, term {latest} has begun: this master was deposed; start it again, and it stands by")]
    Deposed {
        /// The term that was tried.
        term: u64,
        /// The term that stands.
        latest: u64,
    },
    /// Leadership was lost before the journal was opened.
    #[error("leadership of term {term} is no longer held; start this master again")]
    NotLeading {
        /// The term that was held.
        term: u64,
    },
    /// An ensemble did not take the batch, or did not say that it has.
    #[error("the journal stops: {what}; only the next leader will know whether the last batch was taken; start this master again, and it stands by")]
    Ensemble {
        /// What is wrong.
        what: String,
    },
    /// The batch may have been taken or not.
    #[error("the journal stops: {0}")]
    Unsure(#[source] StoreError),
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> JournalError {
        match error {
            StoreError::TermPast { term, latest } => JournalError::Deposed { term, latest },
            other => JournalError::Unsure(other),
        }
    }
}

/// The contract as tests: every journal passes them. `open` opens the same journal again and again.
#[cfg(test)]
pub(crate) mod conformance {
    use super::*;

    type Opened = Box<dyn Journal>;

    pub(crate) fn check(open: &dyn Fn() -> Opened) {
        what_was_acknowledged_is_there_for_the_next(open);
        a_deposed_leader_appends_nothing(open);
        trimming_forgets_no_record(open);
    }

    fn read(journal: &dyn Journal) -> Vec<(String, Vec<u8>, Vec<u8>)> {
        journal
            .records()
            .map(|it| (it.tree.to_owned(), it.key.to_vec(), it.value.to_vec()))
            .collect()
    }

    fn what_was_acknowledged_is_there_for_the_next(open: &dyn Fn() -> Opened) {
        let mut journal = open();
        let before = journal.head();
        journal.append(1, &[Entry::put("t", "a", "1"), Entry::put("t", "b", "2")]).unwrap();
        journal.append(1, &[Entry::delete("t", "a"), Entry::put("t", "c", "3")]).unwrap();
        assert_eq!(journal.head().0, before.0 + 2);
        let (there, term) = (read(&*journal), journal.term());
        drop(journal);
        let next = open();
        assert_eq!(read(&*next), there);
        // Where opening is a commit of its own, head and term have gone on.
        assert!(term <= next.term() && before.0 + 2 <= next.head().0);
        assert_eq!(
            read(&*next).iter().map(|it| it.1.clone()).collect::<Vec<_>>(),
            [b"b".to_vec(), b"c".to_vec()]
        );
    }

    fn a_deposed_leader_appends_nothing(open: &dyn Fn() -> Opened) {
        let mut journal = open();
        journal.append(5, &[Entry::put("t", "b", "5")]).unwrap();
        let there = read(&*journal);
        let refused = journal.append(4, &[Entry::put("t", "b", "4")]).unwrap_err();
        assert!(matches!(refused, JournalError::Deposed { term: 4, latest: 5 }), "{refused}");
        drop(journal);
        assert_eq!(read(&*open()), there);
    }

    fn trimming_forgets_no_record(open: &dyn Fn() -> Opened) {
        let mut journal = open();
        let term = journal.term().max(6);
        for count in 0..100u8 {
            journal.append(term, &[Entry::put("t", [count], vec![count; 1000])]).unwrap();
        }
        let there = read(&*journal);
        journal.trim().unwrap();
        assert_eq!(read(&*journal), there);
        drop(journal);
        assert_eq!(read(&*open()), there);
    }
}
