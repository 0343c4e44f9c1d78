//! The masters lose their memory: all of them die, and what they had written is gone, or an older copy of it is put back.
//!
//! A cluster whose journal is gone is begun anew under its old name, as `holdfast master recover` does. It relies on agents for all that
//! the masters learn then. It never touches what agents or frameworks wrote down, and strikes only in a storm that asks for it.

use holdfast_model::{Cluster, ClusterId, Instant, MasterChange, Term};

use crate::agenda::Node;
use crate::fact::Fact;
use crate::faults::{Fault, Trouble};
use crate::journal::Journal;
use crate::machines::Machine;
use crate::rng::Rng;
use crate::shape::Shape;
use crate::world::World;

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
fn older(mut copy: Journal, now: Instant) -> Journal {
    let (term, changes) = (copy.term(), copy.ledger.after_loss(copy.term(), now));
    copy.append(term, &changes).expect("nobody else writes it");
    copy
}

/// A journal that knows nothing but the name of the cluster, as `holdfast master recover` makes it: it asks the agents which terms they have
/// obeyed.
fn begun_anew(cluster: ClusterId, machines: &[Machine], now: Instant) -> Journal {
    let obeyed = machines.iter().map(|it| it.proven().identity.term).max().unwrap_or_default();
    let (mut journal, term) = (Journal::default(), Term(obeyed.0 + 1));
    journal.begin(term);
    let begun = Cluster::new(cluster, now).after_loss(obeyed, now);
    let taken = journal.append(term, &[MasterChange::Cluster(begun)]);
    taken.expect("an empty journal takes what is first");
    journal
}

impl World {
    pub(crate) fn copy_journal(&mut self) {
        self.journal_copy = Some(self.journal.clone());
    }

    /// All masters die. When they start again, the journal is the older copy; or nothing but the name of the cluster, with numbers for agents
    /// and frameworks that nobody can have been given.
    pub(crate) fn lose_journal(&mut self, is_erased: bool) {
        let Some(cluster) = self.journal.ledger.cluster.clone() else { return };
        for index in 0..self.masters.len() {
            let down_ms = self.delay_ms(200, 3_000, 100);
            self.kill_master(index, down_ms);
        }
        self.election.leader = None;
        let now = self.agenda.now;
        self.journal = match self.journal_copy.clone().filter(|_| !is_erased) {
            Some(copy) => older(copy, now),
            None => begun_anew(cluster.id, &self.machines, now),
        };
        let term = self.journal.term();
        self.election.term = term.0;
        self.note(|| format!("the masters' journal is lost, and goes on from term {term}"));
        let clients: Vec<Node> = self.clients().collect();
        for client in clients {
            if let Some((client, _)) = self.client(client) {
                client.believes = None; // They ask again where the leader is.
            }
        }
        self.rules_see(&Fact::JournalLost { term });
    }
}
