//! Leadership among processes of one machine: the one that holds the lock on a file in the shared
//! state directory leads.
//!
//! ```text
//! <dir>/leader.lock   locked by the leader; it is empty
//! <dir>/term          the last term that was given out
//! <dir>/leader        the address at which the leader answers
//! ```
//! It relies on `flock`: the kernel releases the lock when the holder dies, and wakes a waiter at once. It never breaks a lock and
//! never works across machines (a network file system's locks may be lost without a word: the directory must be local).

use crate::durable_file::sync_parent;
use crate::hint::{self, Leader};
use crate::leadership::{Leadership, LeadershipError, Lease, OnLoss};
use crate::term;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const LOCK: &str = "leader.lock";
const TERM: &str = "term";
const LEADER: &str = "leader";

/// The place where masters of one machine campaign: a state directory.
#[derive(Clone, Debug)]
pub struct LocalLeadership {
    dir: PathBuf,
}

/// Leadership held through a local lock.
#[derive(Debug)]
pub struct LocalLease {
    dir: PathBuf,
    term: u64,
    lock: File,
}

impl LocalLeadership {
    /// Makes the directory `dir` if it is not there, and a place to campaign in it.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(dir: &Path) -> Result<LocalLeadership, LeadershipError> {
        if !dir.is_dir() {
            fs::create_dir_all(dir)
                .and_then(|()| sync_parent(dir))
                .map_err(|source| io_error(dir, source))?;
        }
        Ok(LocalLeadership { dir: dir.to_owned() })
    }

    fn open_lock(&self) -> Result<File, LeadershipError> {
        let path = self.dir.join(LOCK);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        opened.map_err(|source| io_error(&path, source))
    }

    /// Makes a new term durable and then the lease, once the lock is ours. `None` when the locked
    /// file was replaced meanwhile.
    fn lead(&self, lock: File) -> Result<Option<LocalLease>, LeadershipError> {
        if !is_same_file(&lock, &self.dir.join(LOCK)) {
            return Ok(None);
        }
        let path = self.dir.join(TERM);
        let term = term::last(&path)?.checked_add(1).ok_or(LeadershipError::TermsExhausted)?;
        term::write(&path, term)?;
        tracing::info!(term, dir = %self.dir.display(), "leading");
        Ok(Some(LocalLease { dir: self.dir.clone(), term, lock }))
    }
}

impl Leadership for LocalLeadership {
    fn campaign(&self) -> Result<Box<dyn Lease>, LeadershipError> {
        loop {
            let lock = self.open_lock()?;
            match lock.lock() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(io_error(&self.dir.join(LOCK), source)),
            }
            if let Some(lease) = self.lead(lock)? {
                return Ok(Box::new(lease));
            }
        }
    }

    fn try_campaign(&self) -> Result<Option<Box<dyn Lease>>, LeadershipError> {
        loop {
            let lock = self.open_lock()?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {
                    continue
                }
                Err(TryLockError::Error(source)) => {
                    return Err(io_error(&self.dir.join(LOCK), source))
                }
            }
            if let Some(lease) = self.lead(lock)? {
                return Ok(Some(Box::new(lease)));
            }
        }
    }

    fn leader(&self) -> Result<Option<Leader>, LeadershipError> {
        hint::last(&self.dir.join(LEADER))
    }

    fn withdraw(&self) {}
}

impl Lease for LocalLease {
    fn term(&self) -> u64 {
        self.term
    }

    fn is_held(&self) -> bool {
        is_same_file(&self.lock, &self.dir.join(LOCK))
    }

    fn on_loss(&mut self, _tell: OnLoss) {}

    fn raise_above(&mut self, seen: u64) -> Result<u64, LeadershipError> {
        if !self.is_held() {
            return Err(LeadershipError::Lost { term: self.term });
        }
        if self.term <= seen {
            let raised = seen.checked_add(1).ok_or(LeadershipError::TermsExhausted)?;
            term::write(&self.dir.join(TERM), raised)?;
            tracing::warn!(
                from = self.term,
                to = raised,
                "the term file had forgotten later terms"
            );
            self.term = raised;
        }
        Ok(self.term)
    }

    fn announce(&mut self, address: &str) -> Result<(), LeadershipError> {
        if !self.is_held() {
            return Err(LeadershipError::Lost { term: self.term });
        }
        hint::write(
            &self.dir.join(LEADER),
            &Leader { term: self.term, address: address.to_owned() },
        )
    }

    fn resign(self: Box<Self>) -> Result<(), LeadershipError> {
        let path = self.dir.join(LEADER);
        if !self.is_held() {
            return Err(LeadershipError::Lost { term: self.term });
        }
        // The hint is removed while the lock is still ours, so that a successor's announcement is
        // never removed.
        let outcome = match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(&path, source)),
            _ => Ok(()),
        };
        tracing::info!(term = self.term, "resigned");
        outcome
    }

    fn leave_to_the_end(self: Box<Self>) {
        // The lock is let go by the kernel.
        std::mem::forget(self);
    }
}

/// Whether the locked file is the one that others open under that name: a lock on another file
/// counts for nothing.
fn is_same_file(lock: &File, path: &Path) -> bool {
    match (lock.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

fn io_error(file: &Path, source: io::Error) -> LeadershipError {
    LeadershipError::Io { file: file.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn place() -> (tempfile::TempDir, LocalLeadership) {
        let dir = tempfile::tempdir().unwrap();
        let place = LocalLeadership::new(&dir.path().join("state")).unwrap();
        (dir, place)
    }

    #[test]
    fn it_keeps_the_contract() {
        let (_dir, place) = place();
        crate::leadership::conformance::check(&|_| Box::new(place.clone()));
    }

    #[test]
    fn one_leads_and_terms_grow() {
        let (_dir, place) = place();
        for term in 1..20 {
            let lease = place.try_campaign().unwrap().expect("nobody leads");
            assert_eq!(lease.term(), term);
            assert!(lease.is_held());
            assert!(
                place.try_campaign().unwrap().is_none(),
                "a second handle conflicts, also in one process"
            );
            assert_eq!(
                term::last(&place.dir.join(TERM)).unwrap(),
                term,
                "durable before it is held"
            );
            if term % 2 == 0 {
                lease.resign().unwrap();
            }
        }
    }

    #[test]
    fn a_waiting_standby_takes_over_and_the_announcement_goes_along() {
        let (_dir, place) = place();
        let mut lease = place.campaign().unwrap();
        lease.announce("127.0.0.1:5050").unwrap();
        assert_eq!(
            place.leader().unwrap(),
            Some(Leader { term: 1, address: "127.0.0.1:5050".into() })
        );
        let (sender, receiver) = mpsc::channel();
        let standby = place.clone();
        let thread = std::thread::spawn(move || {
            sender.send(None).unwrap();
            let mut lease = standby.campaign().unwrap();
            lease.announce("127.0.0.1:5051").unwrap();
            sender.send(Some(lease.term())).unwrap();
            lease
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(120)).unwrap(), None);
        assert!(receiver.try_recv().is_err(), "the standby waits");
        lease.resign().unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(120)).unwrap(), Some(2));
        assert_eq!(
            place.leader().unwrap().map(|leader| leader.address),
            Some("127.0.0.1:5051".into())
        );
        thread.join().unwrap().resign().unwrap();
        assert_eq!(place.leader().unwrap(), None);
    }

    #[test]
    fn a_lost_term_is_raised_and_a_damaged_one_refused() {
        let (_dir, place) = place();
        let mut lease = place.campaign().unwrap();
        assert_eq!(lease.raise_above(0).unwrap(), 1);
        assert_eq!(lease.raise_above(41).unwrap(), 42);
        drop(lease);
        assert_eq!(place.campaign().unwrap().term(), 43);
        fs::write(place.dir.join(TERM), b"noise").unwrap();
        assert!(matches!(place.campaign(), Err(LeadershipError::TermDamaged { .. })));
        assert!(
            matches!(place.try_campaign(), Err(LeadershipError::TermDamaged { .. })),
            "and the lock was let go"
        );
    }

    #[test]
    fn a_replaced_lock_file_ends_the_lease() {
        let (_dir, place) = place();
        let mut lease = place.campaign().unwrap();
        fs::remove_file(place.dir.join(LOCK)).unwrap();
        assert!(!lease.is_held());
        assert!(matches!(lease.announce("a:1"), Err(LeadershipError::Lost { term: 1 })));
        assert!(matches!(lease.raise_above(9), Err(LeadershipError::Lost { term: 1 })));
        let next = place.campaign().unwrap();
        assert_eq!(next.term(), 2, "the old leader's orders are older than the new one's");
    }
}
