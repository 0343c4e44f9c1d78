//! The durable store: records that survive a crash.
//!
//! A ledger is a set of records `(tree, key) -> value`, changed by atomic batches. It is kept
//! twice, and the two copies check each other: a **journal** (append-only segments of checksummed,
//! chained frames, every frame in two lanes of the file, one fdatasync a commit) and a **mirror**
//! (sled, in the directory `books`; updated lazily, synced and sealed by us). What a disk does to
//! either is repaired from the other and reported, or named, or refused: never passed over in
//! silence.
//!
//! * [`DurableStore`] is the real one, [`MemoryStore`] keeps nothing, [`FaultyStore`] is the
//!   simulator's: the real journal on a
//!   simulated disk that loses, reorders and tears. [`conformance`] is the contract of [`Store`] as tests.
//! * [`check`] and [`inspect`] look without changing anything; [`DurableStore::export`] and
//!   [`import`] move a ledger.
//!
//! It relies on `sled`, which occurs in no other crate, and on std's files. It never knows what a
//! record means.
//!
//! # What a commit costs Two `pwrite` and one `fdatasync` of the segment, one unsynced `pwrite` of
//! the watermark. When a segment is full (1 MiB of commits, or as much as the whole state if that
//! is more) a new one is written with the state as its snapshot.
//!
//! # What it cannot do A whole directory that is put back to an older copy of itself looks sound:
//! only another machine can tell (a ledger version that the masters acknowledged); so does, after a
//! power cut, a newest segment that is put back to an older copy of itself before the mirror went
//! further. After a power cut, the very last commit can be taken for a torn write if damage hits
//! both of its copies at the same time; opening reports the torn write.

mod check;
pub mod conformance;
mod contract;
mod digest;
mod disk;
mod durable;
mod engine;
mod entry;
mod export;
mod faulty;
mod fence;
mod identity;
mod journal;
mod lock;
mod memory;
mod mirror;
mod private;
mod reconcile;
mod records;
mod recover;
mod report;
mod witness;

pub use check::{check, inspect, CheckReport, Depth, Inspection, MirrorState};
pub use contract::{Checkpoint, DamagedRecord, RecordRef, Store, StoreError};
pub use digest::Digest;
pub use disk::{DiskFaults, SimulatedDisk};
pub use durable::{DurableStore, Options};
pub use engine::Bounds;
pub use entry::{
    check_batch, Batch, Entry, LimitError, Sequence, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX,
    KEY_BYTES_MAX, TREE_BYTES_MAX, VALUE_BYTES_MAX,
};
pub use export::{import, ImportError};
pub use faulty::FaultyStore;
pub use identity::{Identity, KIND_BYTES_MAX};
pub use memory::MemoryStore;
pub use report::{Finding, OpenError, OpenReport};
