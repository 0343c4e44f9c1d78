//! Leadership and the journal of masters on several machines, in an ensemble of ZooKeeper.
//!
//! The election is laid out as Mesos does it, so that existing clients find the leader: the
//! children of the path are the masters, and the lowest one leads. The journal lies beside it, at
//! `<path>.holdfast`: a head that says what was committed last, batches by number, and one
//! checkpoint. A commit is one transaction: our election node stands, the head is what we think it
//! is, here is the batch and the next head (S1). So it does not matter what a leader that was
//! deposed believes.
//!
//! What is decided is decided by pure functions ([`head`], [`batch`], [`checkpoint`], [`layout`], [`suspicion`]);
//! what goes over the network is in [`commit`], [`replica`], [`sweep`], [`beat`], [`depose`] and [`leadership`].
//!
//! It relies on `zookeeper-client`, which occurs in no other crate. It never lets two terms write.

mod address;
mod batch;
mod beat;
mod candidate;
mod checkpoint;
mod commit;
mod depose;
mod detect;
#[cfg(test)]
mod ensemble;
mod head;
mod journal;
mod layout;
mod leadership;
mod lease;
mod making;
#[cfg(test)]
mod on_an_ensemble;
mod records;
mod replica;
mod seen;
mod service;
mod suspicion;
mod sweep;

pub use address::{AddressError, ZooKeeperAddress};
pub use detect::{Detected, LeaderDetector};
pub use journal::ZooKeeperJournal;
pub use leadership::{ZooKeeperLeadership, ZooKeeperOptions};
pub use lease::ZooKeeperLease;
