//! The masters lose their memory: all of them die, and what they had written is gone, or an older copy of it is put back.
//!
//! A cluster whose journal is gone is begun anew under its old name, as `holdfast master recover` does. It relies on agents for all that
//! the masters learn then. It never touches what agents or frameworks wrote down, and strikes only in a storm that asks for it.

use holdfast_model::{Cluster, ClusterId, Instant, MasterChange, Term};

use crate::faults::{Fault, Trouble};
use crate::journal::Journal;
use crate::rng::Rng;
use crate::shape::Shape;

/// A copy that somebody makes, and its loss: once or twice in a storm.
pub(crate) fn plan(shape: &Shape, mut rng: Rng) -> Vec<Fault> {
    let mut faults = Vec::new();
    let third = shape.storm_ms / 3;
    for _ in 0..rng.between(1, 3) {
        let copied_ms = rng.between(third / 2, 2 * third);
        let lost_ms = copied_ms + rng.between(100, third);
        let is_erased = rng.one_in(2);
        faults.push(Fault { at_ms: copied_ms, trouble: Trouble::CopyJournal });
        faults.push(Fault { at_ms: lost_ms, trouble: Trouble::LoseJournal { is_erased } });
    }
    faults
}

/// The copy, as `holdfast ledger import` makes a ledger of it.
pub(crate) fn older(mut copy: Journal, now: Instant) -> Journal {
    let (term, changes) = (copy.term(), copy.ledger.after_loss(copy.term(), now, |_| false));
    copy.append(term, &changes).expect("nobody else writes it");
    copy
}

/// A journal that knows nothing but the name of the cluster, as `holdfast master recover` makes it of the greatest term that agents say they
/// have obeyed.
pub(crate) fn begun_anew(cluster: ClusterId, obeyed: Term, now: Instant) -> Journal {
    let (mut journal, term) = (Journal::default(), Term(obeyed.0 + 1));
    journal.begin(term);
    let begun = Cluster::new(cluster, now).after_loss(obeyed, now);
    let taken = journal.append(term, &[MasterChange::Cluster(begun)]);
    taken.expect("an empty journal takes what is first");
    journal
}
