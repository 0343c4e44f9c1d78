//! The store of a real process: journal and mirror in one directory, locked, verified and repaired
//! on open.
//!
//! It relies on `engine` and `recover`. It never opens what it cannot prove without saying so, and
//! never without the lock.
//!
//! ```text
//! <dir>/lock                      held by the process
//! <dir>/journal-<number>.seg      snapshot and commits, every frame twice
//! <dir>/watermark                 the last commit that was acknowledged
//! <dir>/books/, books.seal        the mirror, in sled, and its checksums
//! <dir>/damaged-<n>-<name>        evidence; never deleted by this crate
//! ```

use crate::contract::{Checkpoint, DamagedRecord, RecordRef, Store, StoreError};
use crate::disk::RealDisk;
use crate::engine::{Bounds, Engine};
use crate::entry::{Entry, Sequence};
use crate::export::write_export;
use crate::identity::Identity;
use crate::lock::DirLock;
use crate::mirror::SledMirror;
use crate::recover::{open, Opening};
use crate::report::{OpenError, OpenReport};
use crate::witness::Expected;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The options with which a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    kind: String,
    uuid: Option<[u8; 16]>,
    uuid_if_new: Option<[u8; 16]>,
    accept_lost_commits: bool,
    bounds: Bounds,
    reserve: Option<PathBuf>,
}

impl Options {
    /// Opens a ledger of `kind` (for example `agent`), whichever uuid it has; fails if there is
    /// none.
    pub fn new(kind: impl Into<String>) -> Options {
        Options {
            kind: kind.into(),
            uuid: None,
            uuid_if_new: None,
            accept_lost_commits: false,
            bounds: Bounds::default(),
            reserve: None,
        }
    }

    /// Makes a new ledger with this uuid if there is none.
    pub fn create_as(self, uuid: [u8; 16]) -> Options {
        Options { uuid_if_new: Some(uuid), ..self }
    }

    /// Fails if the ledger has another uuid.
    pub fn expecting(self, uuid: [u8; 16]) -> Options {
        Options { uuid: Some(uuid), ..self }
    }

    /// Opens although acknowledged commits are lost: what can be proven is kept, the loss is named
    /// in [`Store::damaged`].
    pub fn accepting_lost_commits(self) -> Options {
        Options { accept_lost_commits: true, ..self }
    }

    /// Names a file on the same file system whose space is given up (it is removed) when a write would fail for
    /// want of space. Whoever names it makes it, and makes it again.
    pub fn reserve(self, file: PathBuf) -> Options {
        Options { reserve: Some(file), ..self }
    }

    /// Sets other bounds than the default.
    pub fn bounds(self, bounds: Bounds) -> Options {
        Options { bounds, ..self }
    }
}

/// An open store; its directory is locked while this value lives.
#[derive(Debug)]
pub struct DurableStore {
    // The order matters: the engine lets work on the mirror finish before the lock is released.
    engine: Engine<RealDisk, SledMirror>,
    dir: PathBuf,
    _lock: DirLock,
}

impl DurableStore {
    /// Opens the store in `dir`, or makes one if `options` say so. Both copies are verified; what
    /// can be repaired is repaired, and reported.
    ///
    /// # Errors Every variant of [`OpenError`]; nothing was changed then, apart from the directory
    /// and its lock file being made.
    pub fn open(dir: &Path, options: Options) -> Result<(DurableStore, OpenReport), OpenError> {
        if options.uuid_if_new.is_none() && !dir.is_dir() {
            return Err(OpenError::Absent { dir: dir.to_owned() });
        }
        make_dir(dir).map_err(OpenError::io(dir.display().to_string()))?;
        let lock = DirLock::take(dir)?;
        crate::private::tighten(dir);
        let opening = Opening {
            expected: Expected { kind: Some(options.kind), uuid: options.uuid },
            uuid_if_new: options.uuid_if_new,
            accept_lost_commits: options.accept_lost_commits,
            bounds: options.bounds,
        };
        let mut disk = RealDisk::new(dir).with_reserve(options.reserve);
        let mut mirror = SledMirror::new(dir, &dir.join("books.reading"));
        let (parts, report) =
            open(&mut disk, &mut mirror, &opening).map_err(|error| located(error, dir))?;
        for finding in &report.findings {
            match finding.is_damage() {
                true => tracing::warn!(dir = %dir.display(), %finding, "found on open"),
                false => tracing::info!(dir = %dir.display(), %finding, "found on open"),
            }
        }
        let engine = Engine::new(disk, mirror, parts);
        Ok((DurableStore { engine, dir: dir.to_owned(), _lock: lock }, report))
    }

    /// The kind and uuid of this ledger.
    pub fn identity(&self) -> &Identity {
        &self.engine.identity
    }

    /// The state directory that holds the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes every record, with checksums, in the form that [`crate::import`] reads.
    ///
    /// # Errors
    /// Those of `writer`.
    pub fn export(&self, writer: &mut dyn Write) -> io::Result<()> {
        let engine = &self.engine;
        write_export(&engine.identity, engine.sequence, engine.term, &engine.records, writer)
    }
}

/// Adds the directory to errors that do not have it.
pub(crate) fn located(error: OpenError, dir: &Path) -> OpenError {
    match error {
        OpenError::Absent { .. } => OpenError::Absent { dir: dir.to_owned() },
        OpenError::Io { file, source } => {
            OpenError::Io { file: dir.join(file).display().to_string(), source }
        }
        other => other,
    }
}

/// Makes the directory and syncs the one above, so that a store in a new directory survives a power
/// cut.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    crate::private::make_dirs(dir)?;
    for parent in dir.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).take(2) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

impl Store for DurableStore {
    fn commit(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, StoreError> {
        self.engine.commit(term, batch)
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        self.engine.visible()
    }

    fn value(&self, tree: &str, key: &[u8]) -> Option<&[u8]> {
        self.engine.records.held(tree, key).map(|held| held.value.as_slice())
    }

    fn sequence(&self) -> Sequence {
        Sequence(self.engine.sequence)
    }

    fn term(&self) -> u64 {
        self.engine.term
    }

    fn damaged(&self) -> &[DamagedRecord] {
        &self.engine.damaged
    }

    fn settle(&mut self, term: u64, damaged: &DamagedRecord) -> Result<Sequence, StoreError> {
        self.engine.settle(term, damaged)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        self.engine.checkpoint()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.engine.close()
    }
}
