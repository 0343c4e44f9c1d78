//! A keeper's ledger on disk.
//!
//! It relies on `store`, which keeps everything twice. A commit that returned is durable. An empty
//! ledger is where every framework starts and means "I know nothing"; nothing is ever destroyed
//! because a record is missing. It never opens the ledger of another service, and never goes on
//! with records that cannot be proven.

use std::path::{Path, PathBuf};

use holdfast_store::{DurableStore, Entry, OpenError, Store, StoreError};
use uuid::Uuid;

use crate::ledger::{KeeperChange, KeeperLedger};
use crate::record::{self, Record, RecordError};

/// The kind of a framework's ledger in the store.
pub const LEDGER_KIND: &str = "framework";
/// The tree of the service's name.
const SERVICE_TREE: &str = "service";
const SERVICE_KEY: &[u8] = b"name";
/// Frameworks have no terms: the lock on the directory keeps a second one out.
const TERM: u64 = 0;

/// Why a ledger cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store does not open.
    #[error("cannot open the ledger in {}", dir.display())]
    Open {
        /// The directory of the ledger.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: OpenError,
    },
    /// There are records that neither copy can prove.
    #[error(
        "the ledger in {} holds records that neither copy can prove: {}; restore the directory from a backup, or start with an empty \
         one: the volumes are found again by their labels",
        dir.display(),
        damaged.join("; ")
    )]
    Damaged {
        /// The directory of the ledger.
        dir: PathBuf,
        /// The damaged records.
        damaged: Vec<String>,
    },
    /// The ledger belongs to another service.
    #[error("the ledger in {} belongs to service `{found}`, not to `{wanted}`; give each service a directory of its own", dir.display())]
    Service {
        /// The directory of the ledger.
        dir: PathBuf,
        /// The service to which it belongs.
        found: String,
        /// The service that tried to open it.
        wanted: String,
    },
    /// A record cannot be read.
    #[error("a record ({tree}) of the ledger in {} cannot be read", dir.display())]
    Record {
        /// The directory of the ledger.
        dir: PathBuf,
        /// The tree of the record.
        tree: String,
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// A write failed. The process must end.
    #[error("cannot write the framework's ledger")]
    Write(#[from] StoreError),
}

/// An open ledger. While it is open nobody else can open it.
#[derive(Debug)]
pub struct LedgerFile {
    store: DurableStore,
}

impl LedgerFile {
    /// Opens the ledger of `service` in `dir`, or makes an empty one.
    ///
    /// # Errors
    /// Every variant of [`LedgerError`]; nothing was changed then.
    pub fn open(dir: &Path, service: &str) -> Result<(LedgerFile, KeeperLedger), LedgerError> {
        let options =
            holdfast_store::Options::new(LEDGER_KIND).create_as(Uuid::new_v4().into_bytes());
        let (mut store, report) = DurableStore::open(dir, options)
            .map_err(|source| LedgerError::Open { dir: dir.to_owned(), source })?;
        for line in report.to_string().lines() {
            tracing::debug!("ledger: {line}");
        }
        let damaged: Vec<String> = store.damaged().iter().map(ToString::to_string).collect();
        if !damaged.is_empty() {
            return Err(LedgerError::Damaged { dir: dir.to_owned(), damaged });
        }
        let ledger = fold(&store, dir)?;
        match store
            .value(SERVICE_TREE, SERVICE_KEY)
            .map(|it| String::from_utf8_lossy(it).into_owned())
        {
            Some(found) if found != service => {
                return Err(LedgerError::Service {
                    dir: dir.to_owned(),
                    found,
                    wanted: service.to_owned(),
                })
            }
            Some(_) => {}
            None => drop(
                store.commit(TERM, &[Entry::put(SERVICE_TREE, SERVICE_KEY, service.as_bytes())])?,
            ),
        }
        Ok((LedgerFile { store }, ledger))
    }

    /// Makes the changes durable, all or none.
    ///
    /// # Errors When the disk fails. The ledger cannot be used after that: end the process, and
    /// start it again.
    pub fn commit<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a KeeperChange>,
    ) -> Result<(), LedgerError> {
        let entry = |it: Record| Entry { tree: it.tree.to_owned(), key: it.key, value: it.value };
        let entries: Vec<Entry> = changes.into_iter().map(|it| entry(record::write(it))).collect();
        if !entries.is_empty() {
            self.store.commit(TERM, &entries)?;
        }
        Ok(())
    }

    /// Updates the mirror and closes the files. Dropping the ledger is as safe, only slower to
    /// open.
    ///
    /// # Errors
    /// When the disk fails; what was committed is safe.
    pub fn close(mut self) -> Result<(), LedgerError> {
        Ok(self.store.close()?)
    }
}

/// One record of a framework's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerRecord {
    /// The name of the service that owns the ledger.
    Service(String),
    /// A change as it was committed.
    Change(KeeperChange),
}

/// Reads one record of a framework's ledger, for tools that inspect one.
///
/// # Errors
/// When it cannot be read; a record of a newer version is never half understood.
pub fn read_record(tree: &str, key: &[u8], value: &[u8]) -> Result<LedgerRecord, RecordError> {
    match tree {
        SERVICE_TREE if key == SERVICE_KEY => {
            Ok(LedgerRecord::Service(String::from_utf8_lossy(value).into_owned()))
        }
        _ => record::read(tree, key, value).map(LedgerRecord::Change),
    }
}

fn fold(store: &DurableStore, dir: &Path) -> Result<KeeperLedger, LedgerError> {
    let mut ledger = KeeperLedger::default();
    for record in store.records() {
        let wrong = |source| LedgerError::Record {
            dir: dir.to_owned(),
            tree: record.tree.to_owned(),
            source,
        };
        if let LedgerRecord::Change(change) =
            read_record(record.tree, record.key, record.value).map_err(wrong)?
        {
            ledger.apply(&change);
        }
    }
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use holdfast_model::FrameworkId;

    use super::*;
    use crate::ledger::Member;

    #[test]
    fn what_was_committed_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("ledger");
        let (mut file, empty) = LedgerFile::open(&dir, "journal").unwrap();
        assert_eq!(empty, KeeperLedger::default());
        let id = FrameworkId::made("f-1".to_owned());
        let changes = [
            KeeperChange::Framework(id),
            KeeperChange::Member(Member { note: b"7".to_vec(), ..Member::new(2) }),
        ];
        file.commit(&changes).unwrap();
        let mut wanted = KeeperLedger::default();
        changes.iter().for_each(|it| wanted.apply(it));
        drop(file); // This leaves it as a crash would.
        let (file, found) = LedgerFile::open(&dir, "journal").unwrap();
        assert_eq!(found, wanted);
        file.close().unwrap();
        assert_eq!(LedgerFile::open(&dir, "journal").unwrap().1, wanted);
    }

    #[test]
    fn another_service_is_refused_and_so_is_a_second_process() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = LedgerFile::open(dir.path(), "journal").unwrap();
        assert!(matches!(LedgerFile::open(dir.path(), "journal"), Err(LedgerError::Open { .. })));
        drop(file);
        let refused = LedgerFile::open(dir.path(), "ledger").unwrap_err();
        assert!(refused.to_string().contains("belongs to service `journal`"), "{refused}");
        assert!(LedgerFile::open(dir.path(), "journal").is_ok());
    }

    #[test]
    fn a_record_that_is_not_known_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = LedgerFile::open(dir.path(), "journal").unwrap();
        file.store.commit(TERM, &[Entry::put("newer", b"k".as_slice(), [1].as_slice())]).unwrap();
        drop(file);
        assert!(matches!(LedgerFile::open(dir.path(), "journal"), Err(LedgerError::Record { .. })));
    }
}
