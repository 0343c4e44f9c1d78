//! The contract of leadership, whatever decides it: a file lock on one machine, an ensemble on
//! several.
//!
//! It relies on nothing. It never promises that the holder of a lease is the only one who
//! *believes* to lead: a process that was paused learns late. What makes that harmless is the term,
//! which goes with every order and every commit.

use crate::hint::Leader;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A place where masters campaign for leadership.
///
/// The order that every implementation keeps: first the right to lead is exclusive, then a term
/// above all earlier ones is durable, and only then is there a lease. So a term is held by one
/// lease at most, also when its holder dies at once.
///
/// Over an ensemble the election node is the lock, and the term is made durable by an opening
/// record of the journal, which that node fences.
pub trait Leadership: Send + Sync {
    /// Waits until this process may lead. Blocks the calling thread for as long as another leads:
    /// give it a thread.
    ///
    /// # Errors
    /// When the place cannot be read or written. Nothing is held then.
    fn campaign(&self) -> Result<Box<dyn Lease>, LeadershipError>;

    /// Campaigns without waiting; `None` when another leads.
    ///
    /// # Errors
    /// As [`Leadership::campaign`].
    fn try_campaign(&self) -> Result<Option<Box<dyn Lease>>, LeadershipError>;

    /// The leader that announced itself last. It is a hint for redirects: it may be out of date,
    /// and whoever follows it finds out.
    ///
    /// # Errors
    /// When the hint exists and cannot be read.
    fn leader(&self) -> Result<Option<Leader>, LeadershipError>;

    /// Ends a campaign that waits, and all later ones: they return [`LeadershipError::Withdrawn`].
    /// A wait for a lock of the kernel cannot be ended so; it ends with the process.
    fn withdraw(&self);
}

/// What a standby that asks the leader directly finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectAnswer {
    /// It answers, or nothing is known yet.
    Answers,
    /// Nothing listens there any more, or the connection broke.
    Broken,
    /// There is no answer in time.
    Silent,
}

impl fmt::Display for DirectAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DirectAnswer::Answers => "it answers",
            DirectAnswer::Broken => "nothing listens at its address",
            DirectAnswer::Silent => "its address is silent",
        })
    }
}

/// How a standby asks the leader without the ensemble between them.
pub trait DirectLink: fmt::Debug + Send + Sync {
    /// Asks whoever listens at `address` (`host:port`), and waits for an answer no longer than `limit`.
    fn ask<'a>(
        &'a self,
        address: &'a str,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = DirectAnswer> + Send + 'a>>;
}

/// When a standby deposes the leader: after so long a silence on the direct link and in the ensemble at once.
#[derive(Clone, Debug)]
pub struct Deposing {
    /// The silence. Leaders send ten heartbeats in this time, and one whose process is seen to be gone is waited for a quarter of it.
    pub after: Duration,
    /// The direct link.
    pub link: Arc<dyn DirectLink>,
}

/// Is called once, from any thread, when a lease is lost.
pub type OnLoss = Box<dyn FnOnce(Deposed) + Send>;

/// A leadership that was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leadership of term {term} is lost: {reason}")]
pub struct Deposed {
    /// The term.
    pub term: u64,
    /// How it was lost.
    pub reason: String,
}

/// The right to lead, held while this value lives. Dropping it gives it up, as the end of the
/// process does.
pub trait Lease: Send {
    /// The number of this leadership: above every earlier one, durable before this lease was given.
    fn term(&self) -> u64;

    /// Whether the right is still ours as far as this process can see. Once `false`, it is `false`
    /// for good: stop leading.
    fn is_held(&self) -> bool;

    /// Has `tell` called as soon as this process can see that the right is lost; at once if it is
    /// already. A lock of the kernel is taken from nobody: there it is never called.
    fn on_loss(&mut self, tell: OnLoss);

    /// Raises the term above `seen`, durably: for when a ledger or an agent has seen a later term
    /// than this place remembers (its memory was lost). A term that is above already stays. Call it
    /// before anything was ordered under the old term.
    ///
    /// # Errors
    /// When the new term cannot be made durable; the old one stays.
    fn raise_above(&mut self, seen: u64) -> Result<u64, LeadershipError>;

    /// Announces the address (`host:port`) at which the leader answers. Call it only once this
    /// leader is ready to answer.
    ///
    /// # Errors
    /// When the hint cannot be written; leadership is not affected.
    fn announce(&mut self, address: &str) -> Result<(), LeadershipError>;

    /// Gives up leadership and takes the announcement back.
    ///
    /// # Errors
    /// When the announcement cannot be taken back; leadership is given up all the same.
    fn resign(self: Box<Self>) -> Result<(), LeadershipError>;

    /// Gives leadership up as early as is safe while the last writes of this process may still be
    /// under way: at once where they are fenced, with the end of the process where only the lock
    /// keeps others from writing beside them.
    fn leave_to_the_end(self: Box<Self>);
}

/// Why a campaign or an announcement failed.
#[derive(Debug, thiserror::Error)]
pub enum LeadershipError {
    /// A file could not be read, written or synced.
    #[error("{}: {source}; check space, permissions and mount of the state directory", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The remembered term is damaged in both copies. Starting over could give out a term twice.
    #[error(
        "{} is damaged, the last term is unknown; find the highest term in the ledger (`holdfast ledger check`), write `set-term <number>` \
         into that file, and start again",
        file.display()
    )]
    TermDamaged {
        /// The file.
        file: PathBuf,
    },
    /// There is no higher term.
    #[error("the terms are used up; this cannot happen in the life of a cluster, so the term file was tampered with")]
    TermsExhausted,
    /// The address cannot be announced.
    #[error("{address:?} is not an address; give host:port on one line of at most 256 bytes")]
    BadAddress {
        /// The address that was given.
        address: String,
    },
    /// An ensemble does not answer, or not as it should.
    #[error("the ensemble at {address}: {what}")]
    Ensemble {
        /// Where it is.
        address: String,
        /// What is wrong.
        what: String,
    },
    /// The ensemble does not know the login, or does not let it do this.
    #[error("the ensemble at {address} refuses the login; name the user and password that the path was made with: zk://USER:PASSWORD@HOST:PORT/PATH")]
    Login {
        /// Where it is.
        address: String,
    },
    /// A real Mesos master keeps its log at the path.
    #[error("a Mesos master keeps its replicated log at {address}; take another path: clients of one cluster would be sent to the other")]
    OfMesos {
        /// Where that is.
        address: String,
    },
    /// The journal is of no use.
    #[error("{what}")]
    Journal {
        /// What is wrong with it.
        what: String,
    },
    /// A term was named that cannot have come about by elections.
    #[error("a term of {seen} cannot follow {term}: whoever named it is not of this cluster, or is damaged")]
    TermAbsurd {
        /// The term that is held.
        term: u64,
        /// The term that was named.
        seen: u64,
    },
    /// The campaign was ended by its own side.
    #[error("this master withdrew")]
    Withdrawn,
    /// Leadership was lost before this call.
    #[error("leadership of term {term} is no longer held; stop leading and campaign again")]
    Lost {
        /// The term that was held.
        term: u64,
    },
}

/// The contract as tests: every place passes them. `join` makes another master of the same place,
/// by the number that tells it from others.
#[cfg(test)]
pub(crate) mod conformance {
    use super::*;
    use std::sync::mpsc;

    type Place = Box<dyn Leadership>;

    pub(crate) fn check(join: &dyn Fn(u16) -> Place) {
        one_leads_and_terms_grow(join);
        a_waiting_standby_takes_over(join);
        a_term_is_raised_and_stays_raised(join);
    }

    fn one_leads_and_terms_grow(join: &dyn Fn(u16) -> Place) {
        let (one, other) = (join(1), join(2));
        let mut last = 0;
        for round in 0..6 {
            let place = if round % 2 == 0 { &one } else { &other };
            let mut lease = place.campaign().unwrap();
            assert!(last < lease.term() && lease.is_held());
            last = lease.term();
            assert!(one.try_campaign().unwrap().is_none(), "also in the process that leads");
            assert!(other.try_campaign().unwrap().is_none());
            assert!(lease.is_held(), "a living leader is not deposed");
            lease.announce(&format!("localhost:{round}")).unwrap();
            lease.resign().unwrap();
        }
    }

    fn a_waiting_standby_takes_over(join: &dyn Fn(u16) -> Place) {
        let (one, other) = (join(1), join(2));
        let lease = one.campaign().unwrap();
        let (term, (sender, receiver)) = (lease.term(), mpsc::channel());
        std::thread::spawn(move || {
            sender.send(0).unwrap();
            let lease = other.campaign().unwrap();
            sender.send(lease.term()).unwrap();
            lease.resign().unwrap();
        });
        let patience = Duration::from_secs(120);
        assert_eq!(receiver.recv_timeout(patience), Ok(0));
        assert!(receiver.try_recv().is_err(), "the standby waits");
        lease.resign().unwrap();
        assert!(term < receiver.recv_timeout(patience).unwrap());
    }

    fn a_term_is_raised_and_stays_raised(join: &dyn Fn(u16) -> Place) {
        let mut lease = join(1).campaign().unwrap();
        let term = lease.term();
        assert_eq!(lease.raise_above(term - 1).unwrap(), term);
        assert_eq!(lease.raise_above(term + 40).unwrap(), term + 41);
        assert_eq!(lease.term(), term + 41);
        lease.resign().unwrap();
        let lease = join(2).campaign().unwrap();
        assert_eq!(lease.term(), term + 42);
        lease.resign().unwrap();
    }
}
