//! The contract of leadership, whatever decides it: a file lock on one machine, an ensemble on
//! several.
//!
//! It relies on nothing. It never promises that the holder of a lease is the only one who
//! *believes* to lead: a process that was paused learns late. What makes that harmless is the term,
//! which goes with every order and every commit.

use crate::hint::Leader;
use std::io;
use std::path::PathBuf;

/// A place where masters campaign for leadership.
///
/// The order that every implementation keeps: first the right to lead is exclusive, then a term
/// above all earlier ones is durable, and only then is there a lease. So a term is held by one
/// lease at most, also when its holder dies at once.
///
/// An implementation over an ensemble (its election node for the lock, the node's number or an
/// epoch it bumps in the same transaction for the term) keeps the same order; its lease ends when
/// its session does, and its journal is fenced by the term.
pub trait Leadership: Send + Sync {
    /// The lease that a leader holds.
    type Lease: Lease;

    /// Waits until this process may lead. Blocks the calling thread for as long as another leads:
    /// give it a thread.
    ///
    /// # Errors
    /// When the place cannot be read or written. Nothing is held then.
    fn campaign(&self) -> Result<Self::Lease, LeadershipError>;

    /// Campaigns without waiting; `None` when another leads.
    ///
    /// # Errors
    /// As [`Leadership::campaign`].
    fn try_campaign(&self) -> Result<Option<Self::Lease>, LeadershipError>;

    /// The leader that announced itself last. It is a hint for redirects: it may be out of date,
    /// and whoever follows it finds out.
    ///
    /// # Errors
    /// When the hint exists and cannot be read.
    fn leader(&self) -> Result<Option<Leader>, LeadershipError>;
}

/// The right to lead, held while this value lives. Dropping it gives it up, as the end of the
/// process does.
pub trait Lease: Send {
    /// The number of this leadership: above every earlier one, durable before this lease was given.
    fn term(&self) -> u64;

    /// Whether the right is still ours as far as this process can see. Once `false`, it is `false`
    /// for good: stop leading.
    fn is_held(&self) -> bool;

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
    fn resign(self) -> Result<(), LeadershipError>;
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
    /// Leadership was lost before this call.
    #[error("leadership of term {term} is no longer held; stop leading and campaign again")]
    Lost {
        /// The term that was held.
        term: u64,
    },
}
