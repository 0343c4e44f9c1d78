//! Where a master campaigns, and where its journal lives: in its own directory, or in an ensemble.
//!
//! Relies on `quorum` for both. Never mixes them: a directory that has the ledger of a master that was alone serves no other.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use anyhow::{bail, Context as _};
use holdfast_proto::mesos::v1::MasterInfo;
use holdfast_quorum::{
    Journal, Leadership, Lease, LocalJournal, LocalLeadership, ZooKeeperAddress,
    ZooKeeperLeadership, ZooKeeperLease, ZooKeeperOptions,
};

use super::link_to_leader::LinkToLeader;
use crate::settings::master::MasterSettings;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub enum Place {
    /// A directory that masters of one machine share.
    Directory(LocalLeadership, PathBuf),
    /// An ensemble that masters of several machines share.
    Ensemble(ZooKeeperLeadership),
}

/// What a campaign that was won gives.
pub enum Seat {
    /// In a directory.
    Directory(Box<dyn Lease>, PathBuf),
    /// In an ensemble.
    Ensemble(Box<ZooKeeperLease>),
}

/// A journal, and how many bytes it takes in an ensemble.
pub type TakenOver = (Box<dyn Journal>, Option<Arc<AtomicU64>>);

impl Place {
    /// The directory of this master.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(settings: &MasterSettings) -> anyhow::Result<Place> {
        let ledger = settings.dir.join("ledger");
        Ok(Place::Directory(LocalLeadership::new(&settings.dir)?, ledger))
    }

    /// The ensemble, in which this master is described by `info`.
    ///
    /// # Errors
    /// When the directory has the ledger of a master that was alone, or clients could not reach this master.
    pub fn ensemble(
        settings: &MasterSettings,
        address: ZooKeeperAddress,
        info: &MasterInfo,
    ) -> anyhow::Result<Place> {
        let ledger = settings.dir.join("ledger");
        if ledger.exists() {
            bail!(
                "{} is the ledger of a master that was alone, and would not be read: the masters at {address} have one of their own. \
                 Start with another --dir, or without --zk",
                ledger.display()
            );
        }
        let mut info = serde_json::to_value(info).context("the description of this master")?;
        // Clients of Mesos look for it.
        info["capabilities"] = serde_json::Value::Array(Vec::new());
        let options = ZooKeeperOptions {
            address,
            session_timeout: settings.zk_session_timeout,
            commit_timeout: settings.zk_commit_timeout,
            deposing: LinkToLeader::deposing(settings.zk_depose_after),
            seen: Some(settings.dir.join("journal-seen")),
        };
        Ok(Place::Ensemble(ZooKeeperLeadership::new(options, &info.to_string())?))
    }

    /// Who leads here.
    pub fn leadership(&self) -> &dyn Leadership {
        match self {
            Place::Directory(leadership, _) => leadership,
            Place::Ensemble(leadership) => leadership,
        }
    }

    /// Waits until this master leads: give it a thread.
    ///
    /// # Errors
    /// Those of the campaign.
    pub fn campaign(&self) -> anyhow::Result<Seat> {
        Ok(match self {
            Place::Directory(leadership, ledger) => {
                Seat::Directory(leadership.campaign()?, ledger.clone())
            }
            Place::Ensemble(leadership) => {
                Seat::Ensemble(Box::new(leadership.campaign_for_journal()?))
            }
        })
    }
}

impl Seat {
    /// Takes the journal over, with all that was ever written to it.
    ///
    /// # Errors
    /// When it cannot be read or proven, or leadership is lost already.
    pub fn take_over(&mut self) -> anyhow::Result<TakenOver> {
        Ok(match self {
            Seat::Directory(lease, ledger) => {
                let store = crate::ledger_file::open(ledger, "master")?;
                (Box::new(LocalJournal::take_over(store, &mut **lease)?), None)
            }
            Seat::Ensemble(lease) => {
                let journal = lease.take_over()?;
                let bytes = journal.stored_bytes();
                (Box::new(journal), Some(bytes))
            }
        })
    }

    /// The right to lead.
    pub fn lease(&mut self) -> &mut dyn Lease {
        match self {
            Seat::Directory(lease, _) => &mut **lease,
            Seat::Ensemble(lease) => &mut **lease,
        }
    }

    /// See [`Lease::leave_to_the_end`].
    pub fn leave_to_the_end(self) {
        match self {
            Seat::Directory(lease, _) => lease.leave_to_the_end(),
            Seat::Ensemble(lease) => lease.leave_to_the_end(),
        }
    }
}

/// The IP address under which clients of an ensemble's election reach this master.
///
/// # Errors
/// When there is none that others could use.
pub fn reachable(address: &str, listens: SocketAddr) -> anyhow::Result<IpAddr> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let named = host.trim_matches(['[', ']']).parse().ok();
    let ip = named.or_else(|| (host, 0).to_socket_addrs().ok()?.next().map(|it| it.ip()));
    let ip = ip.unwrap_or(listens.ip());
    if ip.is_unspecified() {
        bail!("other machines cannot reach {address}: with --zk, say under which HOST:PORT they do with --advertise, or listen on one --ip");
    }
    Ok(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_told_is_something_that_they_can_reach() {
        let everywhere = "0.0.0.0:5050".parse().unwrap();
        let ip = |address| reachable(address, everywhere).map(|it| it.to_string()).ok();
        assert_eq!(ip("10.0.0.7:5050").as_deref(), Some("10.0.0.7"));
        assert_eq!(ip("[::1]:5050").as_deref(), Some("::1"));
        assert_eq!(ip("0.0.0.0:5050"), None);
        let here = "127.0.0.1:5050".parse().unwrap();
        assert_eq!(reachable("no.such.host.invalid:1", here).unwrap().to_string(), "127.0.0.1");
    }
}
