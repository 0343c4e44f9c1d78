//! An agent's ledger on a simulated disk: real encoding, the real journal, lost and torn writes, real decoding.
//!
//! Relies on `holdfast_store::FaultyStore` and on the conversions of `model`. What an acknowledged commit said is there after every
//! crash; what was not acknowledged may be there or not, and nothing in between. Never repairs anything itself.

use crate::difference::difference;
use holdfast_model::convert::ledger::agent::{encode, fold};
use holdfast_model::{AgentChange, AgentLedger};
use holdfast_store::{DiskFaults, Entry, FaultyStore, Store};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Drawer {
    store: FaultyStore,
    /// What was acknowledged, folded by an independent hand.
    pub(crate) proven: AgentLedger,
    /// A commit whose answer never came.
    doubtful: Option<Vec<AgentChange>>,
    /// Treats a failed sync as a success: a planted bug.
    pub(crate) believes_failures: bool,
}

/// What an opened drawer held.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The ledger.
    pub(crate) ledger: AgentLedger,
    /// Changes that turned out to be durable although nobody was told.
    pub(crate) late: Option<Vec<AgentChange>>,
}

impl Drawer {
    /// A new drawer whose luck follows from `seed`, holding a new agent's identity.
    pub(crate) fn new(seed: u64, ledger: AgentLedger) -> Drawer {
        let mut store = FaultyStore::new("agent", *ledger.identity.node.0.as_bytes(), seed);
        let first = vec![AgentChange::Identity(ledger.identity.clone())];
        store.commit(0, &entries(&first)).expect("a new simulated store takes its first record");
        Drawer { store, proven: ledger, doubtful: None, believes_failures: false }
    }

    /// Writes changes down, all or none.
    pub(crate) fn commit(&mut self, changes: &[AgentChange]) -> Result<(), String> {
        match self.store.commit(0, &entries(changes)) {
            Ok(_) => {}
            Err(_) if self.believes_failures => {}
            Err(error) => {
                self.doubtful = Some(changes.to_vec());
                return Err(error.to_string());
            }
        }
        changes.iter().for_each(|change| self.proven.apply(change));
        Ok(())
    }

    /// The process dies `operations` disk operations from now.
    pub(crate) fn crash_in(&mut self, operations: u64) {
        let crash_at = Some(self.store.operations() + operations);
        self.store.set_faults(DiskFaults { crash_at, ..DiskFaults::default() });
    }

    /// One of the next syncs fails.
    pub(crate) fn fail_sync_in(&mut self, operations: u64) {
        let fail_sync_at = Some(self.store.operations() + operations);
        self.store.set_faults(DiskFaults { fail_sync_at, ..DiskFaults::default() });
    }

    /// Nothing more is planned to fail.
    pub(crate) fn heal(&mut self) {
        self.store.set_faults(DiskFaults::default());
    }

    /// kill -9 of the process, or with `power` the machine's end.
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
    pub(crate) fn reopen(&mut self) -> Result<Opened, String> {
        self.store.reopen().map_err(|it| it.to_string())?;
        if let Some(damaged) = self.store.damaged().first() {
            return Err(format!("{damaged}"));
        }
        let records: Vec<_> = self.store.records().map(|it| (it.tree, it.key, it.value)).collect();
        let ledger = fold(records).map_err(|it| it.to_string())?.ok_or("the agent's ledger is empty")?;
        if ledger == self.proven {
            self.doubtful = None;
            return Ok(Opened { ledger, late: None });
        }
        let late = self.doubtful.take().ok_or_else(|| differ(&self.proven, &ledger))?;
        late.iter().for_each(|change| self.proven.apply(change));
        if ledger == self.proven {
            return Ok(Opened { ledger, late: Some(late) });
        }
        Err(differ(&self.proven, &ledger))
    }
}

fn entries(changes: &[AgentChange]) -> Vec<Entry> {
    let entry = |change: &AgentChange| {
        let entry = encode(change);
        Entry { tree: entry.tree.to_owned(), key: entry.key, value: entry.value }
    };
    changes.iter().map(entry).collect()
}

fn differ(acknowledged: &AgentLedger, found: &AgentLedger) -> String {
    let (old, new) = (acknowledged.identity.version, found.identity.version);
    format!("the store holds version {new}, and {old} was acknowledged: {}", difference(acknowledged, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{AgentIdentity, NodeId};
    use uuid::Uuid;

    fn renumbered(ledger: &AgentLedger, version: u64) -> Vec<AgentChange> {
        vec![AgentChange::Identity(AgentIdentity { version, ..ledger.identity.clone() })]
    }

    #[test]
    fn what_was_acknowledged_is_there_and_what_was_not_may_be() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..40 {
            let ledger = AgentLedger::new(NodeId(Uuid::from_u128(5)));
            let mut drawer = Drawer::new(seed, ledger.clone());
            drawer.commit(&renumbered(&ledger, 1)).unwrap();
            drawer.crash_in(1 + seed % 3);
            let outcome = drawer.commit(&renumbered(&ledger, 2));
            drawer.go_down(seed % 2 == 0);
            let opened = drawer.reopen().unwrap();
            assert!(opened.ledger.identity.version == 2 || outcome.is_err() && opened.ledger.identity.version == 1);
            kept += u32::from(opened.late.is_some());
            lost += u32::from(opened.ledger.identity.version == 1);
        }
        assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
    }

    #[test]
    fn believing_a_failed_sync_is_found_out() {
        // Which operation is the sync is the store's business; whether bytes survive without it is the disk's luck.
        let found = (0..400).filter(|seed| {
            let ledger = AgentLedger::new(NodeId(Uuid::from_u128(5)));
            let mut drawer = Drawer::new(*seed, ledger.clone());
            drawer.believes_failures = true;
            drawer.fail_sync_in(seed % 8);
            drawer.commit(&renumbered(&ledger, 1)).unwrap();
            drawer.go_down(true);
            drawer.reopen().is_err()
        });
        assert!(found.count() > 3);
    }
}
