//! Values of records: one byte with the version of the record's kind, and a message.
//!
//! Relies on the store for integrity. Never passes over what it does not know (a tree, a version, a field), and never reads a record
//! that lies under another's key.

use holdfast_proto::holdfast::ledger::v1 as ledger;
use prost::{Message, Name};

use crate::convert::own_message::OwnMessage;
use crate::validate::Invalid;

/// The message of one kind of record.
pub trait Record: Message + Default + Name {
    /// The version in which this program writes the kind. It reads this one and all before it. Whoever adds a field to the message, or
    /// gives a field a new value, raises it: an older program must refuse such a record, since it would drop what it does not know when
    /// it writes the record again.
    const VERSION: u8;
}

macro_rules! records {
    ($($message:ident = $version:literal),+ $(,)?) => {
        $(impl Record for ledger::$message {
            const VERSION: u8 = $version;
        })+
    };
}

records! {
    // The agent's ledger.
    AgentIdentity = 3, // 2: `claims_generation`; 3: `checksum`.
    Disk = 1,
    Claim = 2, // 2: `shares`, `operation_uuid`; so do all that hold a claim.
    AgentFramework = 1,
    Executor = 1,
    Task = 1,
    Operation = 6, // 2: `endings`; 3: `together`, `making`; 4: `ownership`; 5: an orphan; 6: a directory.
    TrashedVolume = 2,
    AddedDisk = 1,
    LeftPlace = 1,
    LedgerPoint = 1,
    // The masters' ledger.
    Cluster = 1,
    AgentRecord = 2, // 2: `ledger_checksum`.
    FrameworkRecord = 1,
    IndexedClaim = 2,
    PendingOperation = 4, // 2: `together`; 3: an orphan; 4: a directory.
    RoleWeight = 1,
    RoleQuota = 1,
    Suspect = 1,
    EndedClaim = 2,
    ClaimHistory = 1,
    DiskMove = 1,
    Recovery = 1,
    DeathCertificate = 1,
    Deactivation = 1,
    MaintenanceSchedule = 1,
}

/// Why a record cannot be read. Each error names the record by its tree and key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The ledger has no such tree: a newer program, or that of another ledger, wrote the record.
    #[error(
        "{tree}[{key}]: the {ledger} ledger has no tree `{tree}` in this program; use the program that wrote it, or a newer one"
    )]
    UnknownTree {
        /// Whose ledger: `agent's` or `masters'`.
        ledger: &'static str,
        /// The tree.
        tree: String,
        /// The key, as text.
        key: String,
    },
    /// A newer program wrote the record.
    #[error(
        "{tree}[{key}]: was written in version {found} of its kind, this program reads versions 1 to {known}; use the newer program"
    )]
    UnknownVersion {
        /// The tree.
        tree: String,
        /// The key, as text.
        key: String,
        /// The version of the record.
        found: u8,
        /// The newest version that this program reads.
        known: u8,
    },
    /// The record says more than its version can say.
    #[error(
        "{tree}[{key}]: holds a field that version {version} of its kind does not have; use the program that wrote it, or a newer one"
    )]
    UnknownField {
        /// The tree.
        tree: String,
        /// The key, as text.
        key: String,
        /// The version of the record.
        version: u8,
    },
    /// The record is damaged, lies under another's key, or breaks a rule.
    #[error("{0}")]
    Unreadable(Invalid),
}

/// A [`RecordError`] that does not know yet which record it is about.
#[derive(Debug)]
pub(super) enum Flaw {
    UnknownTree(&'static str),
    UnknownVersion { found: u8, known: u8 },
    UnknownField { version: u8 },
    Unreadable(Invalid),
}

impl From<Invalid> for Flaw {
    fn from(invalid: Invalid) -> Flaw {
        Flaw::Unreadable(invalid)
    }
}

/// Writes a value.
pub(super) fn put<M: Record>(it: &impl OwnMessage<M>) -> Vec<u8> {
    put_message(&it.to_message())
}

/// Writes a value from its message.
pub(super) fn put_message<M: Record>(message: &M) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + message.encoded_len());
    value.push(M::VERSION);
    value.extend(message.encode_to_vec());
    value
}

/// Reads a value.
pub(super) fn get<M: Record, T: OwnMessage<M>>(value: &[u8]) -> Result<T, Flaw> {
    Ok(T::from_message(get_message(value)?)?)
}

/// Reads a value as its message.
pub(super) fn get_message<M: Record>(value: &[u8]) -> Result<M, Flaw> {
    let Some((&version, bytes)) = value.split_first() else {
        return Err(
            Invalid::new("", "is empty, which no record is; do not start without it").into()
        );
    };
    if !(1..=M::VERSION).contains(&version) {
        return Err(Flaw::UnknownVersion { found: version, known: M::VERSION });
    }
    let message: M = holdfast_proto::binary::decode(bytes).map_err(|error| {
        Invalid::new("", format!("is damaged: {error}; do not start without it"))
    })?;
    // Reading drops unknown fields silently; the message is then shorter than what it was read from.
    if message.encoded_len() != bytes.len() {
        return Err(Flaw::UnknownField { version });
    }
    Ok(message)
}

/// Refuses a record that lies under another's key.
pub(super) fn check_key(found: &[u8], right: &[u8]) -> Result<(), Flaw> {
    if found == right {
        return Ok(());
    }
    let right = String::from_utf8_lossy(right);
    let why = format!("belongs to `{right}`; the record is not where it was written");
    Err(Invalid::new("key", why).into())
}

/// Says which record an error is about.
pub(super) fn named<T>(tree: &str, key: &[u8], result: Result<T, Flaw>) -> Result<T, RecordError> {
    result.map_err(|flaw| {
        let (tree, key) = (tree.to_owned(), String::from_utf8_lossy(key).into_owned());
        match flaw {
            Flaw::UnknownTree(ledger) => RecordError::UnknownTree { ledger, tree, key },
            Flaw::UnknownVersion { found, known } => {
                RecordError::UnknownVersion { tree, key, found, known }
            }
            Flaw::UnknownField { version } => RecordError::UnknownField { tree, key, version },
            Flaw::Unreadable(invalid) => {
                RecordError::Unreadable(invalid.within(format_args!("{tree}[{key}]")))
            }
        }
    })
}
