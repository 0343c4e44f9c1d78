//! Leader election among several masters, and the journal that they share.
//!
//! There are two traits. [`Leadership`]: campaign, get a [`Lease`] with a term that only grows,
//! announce the leader's address, resign. [`Journal`]: append under that term, read, trim.
//! [`LocalLeadership`] and [`LocalJournal`] are for processes of one machine that share a state
//! directory: the kernel's file lock decides, so a leader that dies, however it dies, is followed
//! within milliseconds and no clock is involved. [`ZooKeeperLeadership`] and [`ZooKeeperJournal`]
//! are for masters on several machines: an ensemble decides, and fences every commit. Clients find
//! the leader there with a [`LeaderDetector`].
//!
//! It relies on std's files and locks, on `store`, and on `zookeeper-client`. It never lets two leases of one directory
//! exist at once, never gives out a term twice, and never decides what a leader does.

mod durable_file;
mod hint;
mod journal;
mod leadership;
mod local;
mod local_journal;
mod masters;
mod term;
mod zookeeper;

pub use hint::Leader;
pub use journal::{Journal, JournalError};
pub use leadership::{
    Deposed, Deposing, DirectAnswer, DirectLink, Leadership, LeadershipError, Lease, OnLoss,
};
pub use local::{LocalLeadership, LocalLease};
pub use local_journal::{LocalJournal, TakeOverError};
pub use masters::{Masters, MastersError};
pub use zookeeper::{
    AddressError, Detected, LeaderDetector, ZooKeeperAddress, ZooKeeperJournal,
    ZooKeeperLeadership, ZooKeeperLease, ZooKeeperOptions,
};
