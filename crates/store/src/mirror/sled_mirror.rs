//! The mirror in sled 0.34, with the guard that its flush needs (it is no fsync on Linux).
//!
//! sled runs only while the mirror is updated, in a thread of its own: open, apply in small
//! transactions, read everything back against the digest, flush, close, fsync every file and
//! directory, seal. In between nothing of sled is in memory. sled panics on some damage: every use
//! is inside `catch_unwind`, and a thread that never ends is given up on. It never opens the mirror
//! itself for reading: a copy is read, the original stays evidence.

use super::sled_files::{
    aside_name, copy_tree, move_snapshots, remove_generating, remove_tree, sync_dir, sync_tree,
    wait_closed,
};
use super::{chunk, seal, title, Mirror, MirrorError, MirrorJob, MirrorReading, Survey, Title};
use crate::digest::Digest;
use crate::records::Change;
use sled::transaction::{ConflictableTransactionError, TransactionError};
use sled::Transactional;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// The mirror's directory inside the state directory.
const MIRROR: &str = "books";
const MIRROR_NEW: &str = "books.new";
const MIRROR_OLD: &str = "books.old";
/// The key of the title page in sled, beside one tree `t/<name>` for each tree of records.
const TITLE: &[u8] = b"title";
const TREE_PREFIX: &str = "t/";
/// Transactions are small, since large ones were measured to take gigabytes of memory.
const KEYS_PER_TRANSACTION: usize = 100;
const CACHE_BYTES: u64 = 16 << 20;
/// A thread that takes longer is taken to hang in sled.
const WORK_TIMEOUT: Duration = Duration::from_secs(600);

/// The mirror of a real process.
#[derive(Debug)]
pub(crate) struct SledMirror {
    dir: PathBuf,
    /// The directory to which a copy is made for reading.
    scratch: PathBuf,
    running: Option<Receiver<Result<(), MirrorError>>>,
}

impl SledMirror {
    /// Makes the mirror of `dir`; when it must be read, a copy of it goes to `scratch` for that
    /// time.
    pub fn new(dir: &Path, scratch: &Path) -> SledMirror {
        SledMirror { dir: dir.to_owned(), scratch: scratch.to_owned(), running: None }
    }
}

impl Mirror for SledMirror {
    fn survey(&mut self) -> Survey {
        seal::survey(&self.dir, &self.dir.join(MIRROR))
    }

    fn read(&mut self) -> MirrorReading {
        let source = [MIRROR, MIRROR_OLD]
            .map(|name| self.dir.join(name))
            .into_iter()
            .find(|path| path.is_dir());
        let Some(source) = source else {
            return MirrorReading {
                problems: vec!["there are no books".to_owned()],
                ..MirrorReading::default()
            };
        };
        read_copy(&source, &self.scratch)
    }

    fn start(&mut self, job: MirrorJob) {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.running = Some(receiver);
        let dir = self.dir.clone();
        let failed = sender.clone();
        let work = move || {
            let outcome = guarded(|| update(&dir, &job))
                .unwrap_or_else(|panic| Err(MirrorError::Damaged(panic)));
            // When nobody waits any more, the store was dropped; the mirror is whole or will be
            // found interrupted.
            let _ = sender.send(outcome);
        };
        if let Err(error) = std::thread::Builder::new().name("books".to_owned()).spawn(work) {
            let _ =
                failed.send(Err(MirrorError::Failed(format!("no thread for the books: {error}"))));
        }
    }

    fn poll(&mut self) -> Option<Result<(), MirrorError>> {
        let outcome = match self.running.as_ref()?.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {
                Err(MirrorError::Failed("the books' thread ended without a word".to_owned()))
            }
        };
        self.running = None;
        Some(outcome)
    }

    fn wait(&mut self) -> Option<Result<(), MirrorError>> {
        let outcome = match self.running.as_ref()?.recv_timeout(WORK_TIMEOUT) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                Err(MirrorError::Failed(format!("sled did not finish in {WORK_TIMEOUT:?}")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(MirrorError::Failed("the books' thread ended without a word".to_owned()))
            }
        };
        self.running = None;
        Some(outcome)
    }

    fn busy(&self) -> bool {
        self.running.is_some()
    }
}

impl Drop for SledMirror {
    /// Lets a running update end: its thread must not write into the directory after the lock on it
    /// is released.
    fn drop(&mut self) {
        let _ = self.wait();
    }
}

/// Reads the mirror of a directory out of a copy at `scratch`, with a deadline.
fn read_copy(source: &Path, scratch: &Path) -> MirrorReading {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (from, to) = (source.to_owned(), scratch.to_owned());
    let work = move || {
        let outcome = guarded(|| {
            remove_tree(&to)
                .and_then(|()| copy_tree(&from, &to))
                .map_err(|error| format!("cannot copy the books: {error}"))?;
            let db = open(&to).map_err(|error| error.to_string())?;
            let reading = read_all(&db);
            drop(db);
            Ok(reading)
        });
        let _ = remove_tree(&to);
        let _ = sender.send(outcome.unwrap_or_else(Err));
    };
    let outcome = match std::thread::Builder::new().name("books-reader".to_owned()).spawn(work) {
        Ok(_) => receiver
            .recv_timeout(WORK_TIMEOUT)
            .unwrap_or_else(|error| Err(format!("sled did not answer: {error}"))),
        Err(error) => Err(format!("no thread for the books: {error}")),
    };
    outcome.unwrap_or_else(|problem: String| MirrorReading {
        problems: vec![problem],
        ..MirrorReading::default()
    })
}

/// Runs `work`; a panic becomes its message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        format!("sled panicked: {}", text.unwrap_or("no message"))
    })
}

fn failed(error: std::io::Error) -> MirrorError {
    MirrorError::Failed(error.to_string())
}

fn sled_failed(error: sled::Error) -> MirrorError {
    match error {
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::CollectionNotFound(_) => MirrorError::Damaged(error.to_string()),
        other => MirrorError::Failed(other.to_string()),
    }
}

fn open(path: &Path) -> Result<sled::Db, MirrorError> {
    remove_generating(path).map_err(failed)?;
    let config =
        sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(Some(500));
    match config.open() {
        Err(sled::Error::Corruption { .. }) if move_snapshots(path).map_err(failed)? > 0 => {
            config.open().map_err(sled_failed)
        }
        other => other.map_err(sled_failed),
    }
}

fn update(dir: &Path, job: &MirrorJob) -> Result<(), MirrorError> {
    let mirror = dir.join(MIRROR);
    let Some(from) = job.from else { return rebuild(dir, &mirror, job) };
    seal::remove(dir).map_err(failed)?;
    let db = open(&mirror)?;
    let found = read_title(&db)?.map(|title| (title.sequence, title.identity));
    if found != Some((from, job.title.identity.clone())) {
        return Err(MirrorError::Damaged(format!("they stand at {found:?}, not at {from}")));
    }
    write(db, &mirror, job)?;
    seal::write(dir, &mirror, &job.title).map_err(failed)
}

fn rebuild(dir: &Path, mirror: &Path, job: &MirrorJob) -> Result<(), MirrorError> {
    let (fresh, old) = (dir.join(MIRROR_NEW), dir.join(MIRROR_OLD));
    remove_tree(&fresh).map_err(failed)?;
    crate::private::make_dirs(&fresh).map_err(failed)?;
    let db = open(&fresh)?;
    write(db, &fresh, job)?;
    seal::remove(dir).map_err(failed)?;
    if mirror.is_dir() {
        if job.keep_old {
            let aside = aside_name(|name| dir.join(name).exists(), MIRROR);
            fs::rename(mirror, dir.join(&aside)).map_err(failed)?;
            tracing::warn!(%aside, "the damaged books are kept as evidence");
        } else {
            remove_tree(&old).map_err(failed)?;
            fs::rename(mirror, &old).map_err(failed)?;
        }
    }
    fs::rename(&fresh, mirror).map_err(failed)?;
    sync_dir(dir).map_err(failed)?;
    seal::write(dir, mirror, &job.title).map_err(failed)?;
    // Only now, with a new mirror sealed beside a whole journal, is the interrupted one of no more
    // use.
    remove_tree(&old).map_err(failed)
}

/// Applies the changes, proves the result, closes sled and syncs every file.
fn write(db: sled::Db, path: &Path, job: &MirrorJob) -> Result<(), MirrorError> {
    apply(&db, job)?;
    db.flush().map_err(sled_failed)?;
    let reading = read_all(&db);
    if let Some(problem) = reading.problems.first() {
        return Err(MirrorError::Damaged(format!("read back after writing: {problem}")));
    }
    drop(db);
    wait_closed(path).map_err(failed)?;
    sync_tree(path).map_err(failed)
}

/// One key of sled to write: (index of the tree, key, value).
type Write = (usize, Vec<u8>, Option<Vec<u8>>);

fn apply(db: &sled::Db, job: &MirrorJob) -> Result<(), MirrorError> {
    let mut trees = vec![db.open_tree(TITLE).map_err(sled_failed)?];
    let mut index_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut writes: Vec<Write> = Vec::new();
    for change in &job.changes {
        let index = match index_of.get(change.tree.as_str()) {
            Some(index) => *index,
            None => {
                trees.push(
                    db.open_tree(format!("{TREE_PREFIX}{}", change.tree)).map_err(sled_failed)?,
                );
                index_of.insert(&change.tree, trees.len() - 1);
                trees.len() - 1
            }
        };
        plan(&trees[index], index, change, &mut writes)?;
    }
    writes.push((0, TITLE.to_vec(), Some(title::encode(&job.title))));
    for group in writes.chunks(KEYS_PER_TRANSACTION) {
        commit(&trees, group)?;
    }
    Ok(())
}

/// The chunks to write for one change, and the chunks of a longer old value to remove.
fn plan(
    tree: &sled::Tree,
    index: usize,
    change: &Change,
    writes: &mut Vec<Write>,
) -> Result<(), MirrorError> {
    let old = match tree.get(chunk::chunk_key(&change.key, 0)).map_err(sled_failed)? {
        Some(bytes) => {
            chunk::read(&change.tree, &change.key, 0, &bytes).map_err(MirrorError::Damaged)?.count
        }
        None => 0,
    };
    let new = match &change.value {
        Some(value) => chunk::cut(&change.tree, &change.key, change.sequence, value),
        None => Vec::new(),
    };
    let kept = new.len() as u32;
    for (at, bytes) in new.into_iter().enumerate() {
        writes.push((index, chunk::chunk_key(&change.key, at as u32), Some(bytes)));
    }
    writes.extend((kept..old).map(|at| (index, chunk::chunk_key(&change.key, at), None)));
    Ok(())
}

fn commit(trees: &[sled::Tree], group: &[Write]) -> Result<(), MirrorError> {
    // Only the trees this group writes: a transaction locks each tree it is given.
    let mut used: Vec<usize> = group.iter().map(|(index, ..)| *index).collect();
    used.sort_unstable();
    used.dedup();
    let views: Vec<sled::Tree> = used.iter().map(|index| trees[*index].clone()).collect();
    let outcome: Result<(), TransactionError<()>> = views.as_slice().transaction(|views| {
        for (index, key, value) in group {
            let view = &views
                [used.binary_search(index).map_err(|_| ConflictableTransactionError::Abort(()))?];
            match value {
                Some(value) => view.insert(key.as_slice(), value.as_slice())?,
                None => view.remove(key.as_slice())?,
            };
        }
        Ok(())
    });
    outcome.map_err(|error| match error {
        TransactionError::Storage(error) => sled_failed(error),
        TransactionError::Abort(()) => MirrorError::Failed("a transaction was aborted".to_owned()),
    })
}

fn read_title(db: &sled::Db) -> Result<Option<Title>, MirrorError> {
    let page = db.open_tree(TITLE).and_then(|tree| tree.get(TITLE)).map_err(sled_failed)?;
    Ok(page.and_then(|page| title::decode(&page)))
}

/// Reads every record and compares with the title.
fn read_all(db: &sled::Db) -> MirrorReading {
    let mut reading = MirrorReading::default();
    match read_title(db) {
        Ok(Some(title)) => reading.title = Some(title),
        Ok(None) => reading.problems.push("they have no title page".to_owned()),
        Err(error) => reading.problems.push(error.to_string()),
    }
    let names: Vec<String> =
        db.tree_names().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    for tree in names.iter().filter_map(|name| name.strip_prefix(TREE_PREFIX)) {
        if let Err(error) = read_tree(db, tree, &mut reading) {
            reading.problems.push(format!("tree {tree}: {error}"));
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut state = Digest::default();
    for change in &reading.records {
        *counts.entry(change.tree.clone()).or_default() += 1;
        state.toggle(
            &change.tree,
            &change.key,
            change.sequence,
            change.value.as_deref().unwrap_or_default(),
        );
    }
    if let Some(title) = &reading.title {
        if title.counts != counts {
            reading.problems.push(format!(
                "records per tree are {counts:?}, the title says {:?}",
                title.counts
            ));
        } else if title.state != state {
            reading
                .problems
                .push("the digest of all records is not the one on the title".to_owned());
        }
    }
    reading
}

fn read_tree(db: &sled::Db, tree: &str, reading: &mut MirrorReading) -> Result<(), sled::Error> {
    let mut joiner = chunk::Joiner::default();
    let mut outcome = Ok(());
    for pair in db.open_tree(format!("{TREE_PREFIX}{tree}"))?.iter() {
        match pair {
            Ok((key, value)) => {
                joiner.push(tree, &key, &value, &mut reading.records, &mut reading.problems)
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    joiner.finish(&mut reading.records, &mut reading.problems);
    outcome
}
