//! A ledger on a simulated disk, an agent's or a framework's: the real journal, lost and torn
//! writes; of agents also real encoding.
//!
//! It relies on `holdfast_store::FaultyStore` and on the conversions of `model`. What an
//! acknowledged commit said is there after every crash; what was not acknowledged may be there or
//! not, and nothing in between. It never repairs anything itself.

use std::fmt::Debug;

use holdfast_model::convert::ledger::agent::{encode, fold};
use holdfast_model::{AgentChange, AgentLedger};
use holdfast_store::{DiskFaults, Entry, FaultyStore, Store};

use crate::difference::difference;

/// A ledger that can be kept on a simulated disk.
pub(crate) trait Kept: Clone + Debug + PartialEq {
    /// A change of the ledger.
    type Change: Clone + Debug;
    /// The kind of the store.
    const KIND: &'static str;
    /// A change as one record put or removed.
    fn entry(change: &Self::Change) -> Entry;
    /// Reads what the store holds.
    ///
    /// # Errors
    /// A sentence, when the records are no ledger.
    fn read(records: Vec<(&str, &[u8], &[u8])>) -> Result<Self, String>;
    /// Applies a change.
    fn fold_in(&mut self, change: &Self::Change);
}

impl Kept for AgentLedger {
    type Change = AgentChange;
    const KIND: &'static str = "agent";

    fn entry(change: &AgentChange) -> Entry {
        let entry = encode(change);
        Entry { tree: entry.tree.to_owned(), key: entry.key, value: entry.value }
    }

    fn read(records: Vec<(&str, &[u8], &[u8])>) -> Result<AgentLedger, String> {
        fold(records)
            .map_err(|it| it.to_string())?
            .ok_or_else(|| "the agent's ledger is empty".to_owned())
    }

    fn fold_in(&mut self, change: &AgentChange) {
        self.apply(change);
    }
}

/// A fault of the disk below a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskTrouble {
    /// The process dies there.
    Crash,
    /// A sync fails there.
    FailSync,
}

/// A ledger on a simulated disk.
#[derive(Clone, Debug)]
pub(crate) struct LedgerDisk<L: Kept> {
    store: FaultyStore,
    /// What was acknowledged, folded independently.
    pub(crate) proven: L,
    /// A commit whose result is unknown.
    doubtful: Option<Vec<L::Change>>,
    /// Treats a failed sync as a success: a planted bug.
    pub(crate) believes_failures: bool,
}

/// What an opened ledger held.
#[derive(Debug)]
pub(crate) struct Opened<L: Kept> {
    /// The ledger.
    pub(crate) ledger: L,
    /// Changes that turned out to be durable although they were not acknowledged.
    pub(crate) late: Option<Vec<L::Change>>,
}

impl<L: Kept> LedgerDisk<L> {
    /// Makes a disk whose random choices follow from `seed`, holding `ledger`, which `first` makes.
    pub(crate) fn new(seed: u64, uuid: [u8; 16], ledger: L, first: &[L::Change]) -> LedgerDisk<L> {
        let mut store = FaultyStore::new(L::KIND, uuid, seed);
        if !first.is_empty() {
            store
                .commit(0, &entries::<L>(first))
                .expect("a new simulated store takes its first record");
        }
        LedgerDisk { store, proven: ledger, doubtful: None, believes_failures: false }
    }

    /// Commits changes, all or none.
    pub(crate) fn commit(&mut self, changes: &[L::Change]) -> Result<(), String> {
        match self.store.commit(0, &entries::<L>(changes)) {
            Ok(_) => {}
            Err(_) if self.believes_failures => {}
            Err(error) => {
                self.doubtful = Some(changes.to_vec());
                return Err(error.to_string());
            }
        }
        changes.iter().for_each(|change| self.proven.fold_in(change));
        Ok(())
    }

    /// Plans a fault `operations` disk operations from now.
    pub(crate) fn plan(&mut self, trouble: DiskTrouble, operations: u64) {
        let at = Some(self.store.operations() + operations);
        let faults = match trouble {
            DiskTrouble::Crash => DiskFaults { crash_at: at, ..DiskFaults::default() },
            DiskTrouble::FailSync => DiskFaults { fail_sync_at: at, ..DiskFaults::default() },
        };
        self.store.set_faults(faults);
    }

    /// Drops planned faults.
    pub(crate) fn heal(&mut self) {
        self.store.set_faults(DiskFaults::default());
    }

    /// Kills the process, or with `power` cuts the machine's power.
    pub(crate) fn go_down(&mut self, power: bool) {
        if power {
            self.store.cut_power();
        } else {
            self.store.kill_process();
        }
    }

    /// Opens it again.
    ///
    /// # Errors
    /// A sentence, when it will not open or holds something other than what was acknowledged.
    pub(crate) fn reopen(&mut self) -> Result<Opened<L>, String> {
        self.store.reopen().map_err(|it| it.to_string())?;
        if let Some(damaged) = self.store.damaged().first() {
            return Err(format!("{damaged}"));
        }
        let records: Vec<_> = self.store.records().map(|it| (it.tree, it.key, it.value)).collect();
        let ledger = L::read(records)?;
        if ledger == self.proven {
            self.doubtful = None;
            return Ok(Opened { ledger, late: None });
        }
        let late = self.doubtful.take().ok_or_else(|| differ(&self.proven, &ledger))?;
        late.iter().for_each(|change| self.proven.fold_in(change));
        if ledger == self.proven {
            return Ok(Opened { ledger, late: Some(late) });
        }
        Err(differ(&self.proven, &ledger))
    }
}

fn entries<L: Kept>(changes: &[L::Change]) -> Vec<Entry> {
    changes.iter().map(L::entry).collect()
}

fn differ<L: Kept>(acknowledged: &L, found: &L) -> String {
    format!("the store does not hold what was acknowledged: {}", difference(acknowledged, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{AgentIdentity, NodeId};
    use uuid::Uuid;

    fn ledger_disk(seed: u64, ledger: &AgentLedger) -> LedgerDisk<AgentLedger> {
        let first = [AgentChange::Identity(ledger.identity.clone())];
        LedgerDisk::new(seed, *ledger.identity.node.0.as_bytes(), ledger.clone(), &first)
    }

    fn renumbered(ledger: &AgentLedger, version: u64) -> Vec<AgentChange> {
        vec![AgentChange::Identity(AgentIdentity { version, ..ledger.identity.clone() })]
    }

    #[test]
    fn what_was_acknowledged_is_there_and_what_was_not_may_be() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..40 {
            let ledger = AgentLedger::new(NodeId(Uuid::from_u128(5)));
            let mut ledger_disk = ledger_disk(seed, &ledger);
            ledger_disk.commit(&renumbered(&ledger, 1)).unwrap();
            ledger_disk.plan(DiskTrouble::Crash, 1 + seed % 3);
            let outcome = ledger_disk.commit(&renumbered(&ledger, 2));
            ledger_disk.go_down(seed % 2 == 0);
            let opened = ledger_disk.reopen().unwrap();
            assert!(
                opened.ledger.identity.version == 2
                    || outcome.is_err() && opened.ledger.identity.version == 1
            );
            kept += u32::from(opened.late.is_some());
            lost += u32::from(opened.ledger.identity.version == 1);
        }
        assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
    }

    #[test]
    fn believing_a_failed_sync_is_found_out() {
        // Which operation is the sync is the store's business; whether bytes survive without it is
        // the disk's choice.
        let found = (0..400).filter(|seed| {
            let ledger = AgentLedger::new(NodeId(Uuid::from_u128(5)));
            let mut ledger_disk = ledger_disk(*seed, &ledger);
            ledger_disk.believes_failures = true;
            ledger_disk.plan(DiskTrouble::FailSync, seed % 8);
            ledger_disk.commit(&renumbered(&ledger, 1)).unwrap();
            ledger_disk.go_down(true);
            ledger_disk.reopen().is_err()
        });
        assert!(found.count() > 3);
    }
}
