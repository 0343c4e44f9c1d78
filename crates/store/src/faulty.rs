//! The store of the simulator: the real journal on a simulated disk that loses, reorders and tears
//! what was not synced.
//!
//! It relies on `engine`, `disk::simulated` and a simulated mirror. It is a value: `Clone` copies
//! disk and all. The same seed, faults and calls give the same bytes. It is never kinder than a
//! real disk may be.

use crate::contract::{Checkpoint, DamagedRecord, RecordRef, Store, StoreError};
use crate::disk::{DiskFaults, SimulatedDisk};
use crate::engine::{Bounds, Engine};
use crate::entry::{Entry, Sequence};
use crate::mirror::SimulatedMirror;
use crate::recover::{open, Opening};
use crate::report::{OpenError, OpenReport};
use crate::witness::Expected;

/// Segments of the simulator are small, so that rolling and trimming happen all the time and a
/// world is cheap to copy.
const SEGMENT_BYTES: u64 = 8 << 10;

/// A store on a simulated disk; it may be open, or down after a crash.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    opening: OpeningPlan,
    state: Machine,
}

#[derive(Clone, Debug)]
struct OpeningPlan {
    kind: String,
    uuid: [u8; 16],
    bounds: Bounds,
    accept_lost_commits: bool,
}

#[derive(Clone, Debug)]
enum Machine {
    Up(Box<Engine<SimulatedDisk, SimulatedMirror>>),
    Down(Box<(SimulatedDisk, SimulatedMirror)>),
}

impl FaultyStore {
    /// Makes and opens a store of `kind` on a new disk. All random choices follow from `seed`.
    pub fn new(kind: &str, uuid: [u8; 16], seed: u64) -> FaultyStore {
        let bounds =
            Bounds { segment_bytes: SEGMENT_BYTES, mirror_behind_records: 8, segments_kept: 1 };
        FaultyStore::with_bounds(kind, uuid, seed, bounds)
    }

    /// Does the same as [`FaultyStore::new`] with other bounds.
    pub fn with_bounds(kind: &str, uuid: [u8; 16], seed: u64, bounds: Bounds) -> FaultyStore {
        let mut store = FaultyStore::unopened(kind, uuid, seed, bounds);
        store
            .reopen()
            .expect("a new simulated disk has no faults planned and no other store on it");
        store
    }

    /// Makes a disk without a store: for crashes while a store is being made.
    /// [`FaultyStore::reopen`] makes it.
    pub fn unopened(kind: &str, uuid: [u8; 16], seed: u64, bounds: Bounds) -> FaultyStore {
        let opening =
            OpeningPlan { kind: kind.to_owned(), uuid, bounds, accept_lost_commits: false };
        let state = Machine::Down(Box::new((SimulatedDisk::new(seed), SimulatedMirror::default())));
        FaultyStore { opening, state }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&mut self, faults: DiskFaults) {
        self.disk_mut().set_faults(faults);
    }

    /// The number of disk operations so far, which [`DiskFaults`] refers to.
    pub fn operations(&self) -> u64 {
        match &self.state {
            Machine::Up(engine) => engine.disk.operations(),
            Machine::Down(machine) => machine.0.operations(),
        }
    }

    /// The number of syncs of file contents so far: one per commit, unless a segment is full.
    pub fn syncs(&self) -> u64 {
        match &self.state {
            Machine::Up(engine) => engine.disk.syncs(),
            Machine::Down(machine) => machine.0.syncs(),
        }
    }

    /// Whether it is open (it may still be poisoned).
    pub fn is_up(&self) -> bool {
        matches!(self.state, Machine::Up(_))
    }

    /// Cuts the power: a random part of what was not synced survives. The store is down until
    /// [`FaultyStore::reopen`].
    pub fn cut_power(&mut self) {
        self.go_down();
        self.disk_mut().cut_power();
    }

    /// Kills the process: all that it wrote is there. The store is down until
    /// [`FaultyStore::reopen`].
    pub fn kill_process(&mut self) {
        self.go_down();
        self.disk_mut().kill_process();
    }

    /// Opens again after a crash or a failure.
    ///
    /// # Errors
    /// As `DurableStore::open`; also when a planned fault strikes. The store stays down then.
    pub fn reopen(&mut self) -> Result<OpenReport, OpenError> {
        self.go_down();
        let Machine::Down(machine) = &self.state else {
            unreachable!("go_down leaves the machine down")
        };
        let opening = Opening {
            expected: Expected {
                kind: Some(self.opening.kind.clone()),
                uuid: Some(self.opening.uuid),
            },
            uuid_if_new: Some(self.opening.uuid),
            accept_lost_commits: self.opening.accept_lost_commits,
            bounds: self.opening.bounds.clone(),
        };
        // The disk survives whether opening works or not.
        let (mut disk, mut mirror) = machine.as_ref().clone();
        let outcome = open(&mut disk, &mut mirror, &opening);
        let (state, outcome) = match outcome {
            Ok((parts, report)) => {
                (Machine::Up(Box::new(Engine::new(disk, mirror, parts))), Ok(report))
            }
            Err(error) => (Machine::Down(Box::new((disk, mirror))), Err(error)),
        };
        self.state = state;
        outcome
    }

    /// Whether the next [`FaultyStore::reopen`] goes on without acknowledged commits that cannot be
    /// proven.
    pub fn accept_lost_commits(&mut self, accept: bool) {
        self.opening.accept_lost_commits = accept;
    }

    /// Damages a journal file behind the store's back. `false` when there is no such file.
    pub fn damage_file(&mut self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.disk_mut().damage(file, change)
    }

    /// Damages the mirror behind the store's back.
    pub fn damage_mirror(&mut self) {
        match &mut self.state {
            Machine::Up(engine) => engine.mirror.damage(),
            Machine::Down(machine) => machine.1.damage(),
        }
    }

    /// Names of the files on the disk.
    pub fn file_names(&self) -> Vec<String> {
        match &self.state {
            Machine::Up(engine) => engine.disk.file_names(),
            Machine::Down(machine) => machine.0.file_names(),
        }
    }

    fn go_down(&mut self) {
        if let Machine::Up(engine) = &self.state {
            let (disk, mut mirror) = (engine.disk.clone(), engine.mirror.clone());
            let changes = mirror.running_changes() as u64;
            mirror.crash((disk.operations() % (changes + 1)) as usize);
            self.state = Machine::Down(Box::new((disk, mirror)));
        }
    }

    fn disk_mut(&mut self) -> &mut SimulatedDisk {
        match &mut self.state {
            Machine::Up(engine) => &mut engine.disk,
            Machine::Down(machine) => &mut machine.0,
        }
    }

    fn engine(&mut self) -> Result<&mut Engine<SimulatedDisk, SimulatedMirror>, StoreError> {
        match &mut self.state {
            Machine::Up(engine) => Ok(engine),
            Machine::Down(_) => {
                Err(StoreError::Poisoned { reason: "the simulated process is down".to_owned() })
            }
        }
    }
}

impl Store for FaultyStore {
    fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError> {
        self.engine()?.commit(term, batch)
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        match &self.state {
            Machine::Up(engine) => engine.visible(),
            Machine::Down(_) => Box::new(std::iter::empty()),
        }
    }

    fn value(&self, tree: &str, key: &[u8]) -> Option<&[u8]> {
        match &self.state {
            Machine::Up(engine) => engine.records.held(tree, key).map(|held| held.value.as_slice()),
            Machine::Down(_) => None,
        }
    }

    fn sequence(&self) -> Sequence {
        match &self.state {
            Machine::Up(engine) => Sequence(engine.sequence),
            Machine::Down(_) => Sequence(0),
        }
    }

    fn term(&self) -> u64 {
        match &self.state {
            Machine::Up(engine) => engine.term,
            Machine::Down(_) => 0,
        }
    }

    fn damaged(&self) -> &[DamagedRecord] {
        match &self.state {
            Machine::Up(engine) => &engine.damaged,
            Machine::Down(_) => &[],
        }
    }

    fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError> {
        self.engine()?.settle(term, damaged)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        self.engine()?.checkpoint()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.engine()?.close()
    }
}
