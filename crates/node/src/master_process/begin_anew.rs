//! A masters' ledger that was lost is begun anew under the cluster's old name, so that its agents come back with all that they own.
//!
//! Relies on agents for what is learnt then. Never touches a ledger that is there, and never writes where somebody leads.

use anyhow::{bail, Context as _};
use holdfast_model::convert::ledger;
use holdfast_model::{Cluster, ClusterId, Instant, MasterChange, Term};
use holdfast_quorum::{Journal, Leadership as _, LocalJournal, LocalLeadership};

use super::place::{reachable, Place, Seat};
use super::{advertised, master_info};
use crate::ledger_file::{batches, open};
use crate::settings::master::MasterSettings;

/// Writes the first record of a ledger that follows a lost one, where masters with these settings will look for it. `obeyed` is the greatest
/// term that any of its agents is known to have obeyed.
///
/// # Errors
/// When there is a ledger already, a master leads there, or it cannot be written.
pub fn begin_anew(
    settings: &MasterSettings,
    cluster: ClusterId,
    obeyed: Term,
    now: Instant,
) -> anyhow::Result<()> {
    let begun = MasterChange::Cluster(Cluster::new(cluster, now).after_loss(obeyed, now));
    let term = obeyed.0.checked_add(1).context("the terms are used up")?;
    crate::files::make_dir(&settings.dir, 0o700)
        .with_context(|| format!("cannot make {}", settings.dir.display()))?;
    match settings.ensemble()? {
        None => {
            let leadership = LocalLeadership::new(&settings.dir)?;
            let Some(mut lease) = leadership.try_campaign()? else {
                bail!(
                    "a master leads with the ledger in {}; it is not lost",
                    settings.dir.display()
                );
            };
            let store = open(&settings.dir.join("ledger"), "master")?;
            let mut journal = LocalJournal::take_over(store, &mut *lease)?;
            let place = settings.dir.display().to_string();
            write(&mut journal, &place, term, &begun)?;
            // The second copy, too.
            journal.trim()?;
            lease.resign()?;
        }
        Some(address) => {
            let place = address.to_string();
            let listens = std::net::SocketAddr::new(settings.ip, settings.port);
            let info = advertised(settings, listens);
            let info = master_info(&info, listens.port(), reachable(&info, listens)?);
            let ensemble = Place::ensemble(settings, address, &info)?;
            if let Some(leader) = ensemble.leadership().leader()? {
                bail!("the master at {} leads at {place}; its ledger is not lost", leader.address);
            }
            let mut seat = ensemble.campaign()?;
            let (mut journal, _) = seat.take_over()?;
            write(&mut *journal, &place, term, &begun)?;
            if let Seat::Ensemble(lease) = seat {
                holdfast_quorum::Lease::resign(lease)?;
            }
        }
    }
    Ok(())
}

fn write(
    journal: &mut dyn Journal,
    place: &str,
    term: u64,
    begun: &MasterChange,
) -> anyhow::Result<()> {
    let records = journal.records().map(|it| (it.tree, it.key, it.value));
    let known = ledger::master::fold(records).context("the master's ledger cannot be read")?;
    if let Some(cluster) = known.cluster {
        bail!(
            "the ledger in {place} is of cluster {}, with {} agents and {} claims; it is not lost, and nothing was written. Start masters on it, or name an empty place",
            cluster.id, known.agents.len(), known.claims.len()
        );
    }
    for batch in batches(std::iter::once(std::iter::once(ledger::master::encode(begun)))) {
        journal.append(term.max(journal.term()), &batch)?;
    }
    Ok(())
}
