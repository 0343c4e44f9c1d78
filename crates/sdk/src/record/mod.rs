//! The disk format of a framework's ledger: one record for its id, one for each member, and of a
//! service of pods one for each spec, plan and step; a version byte, then protobuf.
//!
//! Fields are only ever added. A record of a newer version is an error, never half understood.

use holdfast_model::{AgentId, FrameworkId, Invalid, PersistenceId, TaskId};
use prost::Message;

use crate::ledger::{KeeperChange, Member, MemberTask, Stage};

mod service;
mod spec;

/// The tree of the framework's id.
const FRAMEWORK_TREE: &str = "framework";
/// The tree of members, by their number (big endian).
const MEMBER_TREE: &str = "member";
/// The only key of [`FRAMEWORK_TREE`].
const FRAMEWORK_KEY: &[u8] = b"id";

const VERSION: u8 = 1;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record has another version.
    #[error("it has version {found:?}, this program reads {VERSION}; use the version that wrote it, or a newer one")]
    Version {
        /// The version byte, if there is one.
        found: Option<u8>,
    },
    /// The bytes are not the message.
    #[error("it is no record of a framework: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field has an impossible value.
    #[error("its {0}")]
    Field(#[from] Invalid),
    /// The tree or the key is not known.
    #[error("a newer version may have written it; this program does not know where it belongs")]
    Place,
}

/// A record of a framework's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The tree that it lies in.
    pub tree: &'static str,
    /// Its key there.
    pub key: Vec<u8>,
    /// Its value; `None` removes it.
    pub value: Option<Vec<u8>>,
}

impl Record {
    fn put(tree: &'static str, key: Vec<u8>, value: &[u8]) -> Record {
        Record { tree, key, value: Some(versioned(value)) }
    }
}

#[derive(Clone, PartialEq, Message)]
struct MemberRecord {
    #[prost(uint32, tag = "1")]
    index: u32,
    /// 1 wanted, 2 claiming, 3 placed.
    #[prost(uint32, tag = "2")]
    stage: u32,
    #[prost(string, optional, tag = "3")]
    agent: Option<String>,
    #[prost(string, optional, tag = "4")]
    volume: Option<String>,
    #[prost(uint32, tag = "5")]
    attempts: u32,
    #[prost(uint64, tag = "6")]
    launches: u64,
    #[prost(string, optional, tag = "7")]
    task: Option<String>,
    #[prost(bool, tag = "8")]
    running: bool,
    #[prost(bytes = "vec", tag = "9")]
    note: Vec<u8>,
}

/// Encodes a change as a record.
pub fn write(change: &KeeperChange) -> Record {
    match change {
        KeeperChange::Framework(id) => {
            Record::put(FRAMEWORK_TREE, FRAMEWORK_KEY.to_vec(), id.as_str().as_bytes())
        }
        KeeperChange::Member(member) => Record::put(
            MEMBER_TREE,
            member.index.to_be_bytes().to_vec(),
            &record(member).encode_to_vec(),
        ),
        KeeperChange::Service(change) => service::write(change),
    }
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// When it cannot be read; a record of a newer version is never half understood.
pub fn read(tree: &str, key: &[u8], value: &[u8]) -> Result<KeeperChange, RecordError> {
    let Some((&VERSION, value)) = value.split_first() else {
        return Err(RecordError::Version { found: value.first().copied() });
    };
    match tree {
        FRAMEWORK_TREE if key == FRAMEWORK_KEY => {
            Ok(KeeperChange::Framework(FrameworkId::parse(&String::from_utf8_lossy(value))?))
        }
        MEMBER_TREE => {
            let member = member(MemberRecord::decode(value)?)?;
            if key != member.index.to_be_bytes() {
                return Err(Invalid::new(
                    "index",
                    format!("{} is not the number that it is filed under", member.index),
                )
                .into());
            }
            Ok(KeeperChange::Member(member))
        }
        tree if service::is_tree(tree) => {
            service::read(tree, key, value).map(|it| KeeperChange::Service(Box::new(it)))
        }
        _ => Err(RecordError::Place),
    }
}

fn versioned(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(value);
    bytes
}

fn record(member: &Member) -> MemberRecord {
    MemberRecord {
        index: member.index,
        stage: match member.stage {
            Stage::Wanted => 1,
            Stage::Claiming => 2,
            Stage::Placed => 3,
        },
        agent: member.agent.as_ref().map(|it| it.as_str().to_owned()),
        volume: member.volume.as_ref().map(|it| it.as_str().to_owned()),
        attempts: member.attempts,
        launches: member.launches,
        task: member.run.as_ref().map(|it| it.task.as_str().to_owned()),
        running: member.run.as_ref().is_some_and(|it| it.running),
        note: member.note.clone(),
    }
}

fn member(record: MemberRecord) -> Result<Member, Invalid> {
    let stage = match record.stage {
        1 => Stage::Wanted,
        2 => Stage::Claiming,
        3 => Stage::Placed,
        other => {
            return Err(Invalid::new(
                "stage",
                format!("{other} is not known; a newer version may have written it"),
            ))
        }
    };
    let run = record
        .task
        .map(|task| {
            Ok::<_, Invalid>(MemberTask { task: TaskId::parse(&task)?, running: record.running })
        })
        .transpose()?;
    Ok(Member {
        index: record.index,
        stage,
        agent: record.agent.map(|it| AgentId::parse(&it)).transpose()?,
        volume: record.volume.map(|it| PersistenceId::parse(&it)).transpose()?,
        attempts: record.attempts,
        launches: record.launches,
        run,
        note: record.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> Member {
        Member {
            stage: Stage::Placed,
            agent: Some(AgentId::made("a1".to_owned())),
            volume: Some(PersistenceId::made("j-3-1".to_owned())),
            attempts: 1,
            launches: 9,
            run: Some(MemberTask { task: TaskId::made("j-3-9".to_owned()), running: true }),
            note: vec![0, 255],
            ..Member::new(3)
        }
    }

    /// Encodes a change that puts a record.
    fn put(change: &KeeperChange) -> (&'static str, Vec<u8>, Vec<u8>) {
        let record = write(change);
        (record.tree, record.key, record.value.expect("it is put"))
    }

    fn of_pods() -> Vec<KeeperChange> {
        let boxed = |it| KeeperChange::Service(Box::new(it));
        service::samples::changes().into_iter().map(boxed).collect()
    }

    fn changes() -> [KeeperChange; 4] {
        let id = FrameworkId::made("f-1".to_owned());
        let claiming = Member { stage: Stage::Claiming, run: None, ..placed() };
        [
            KeeperChange::Framework(id),
            KeeperChange::Member(Member::new(0)),
            KeeperChange::Member(placed()),
            KeeperChange::Member(claiming),
        ]
    }

    #[test]
    fn what_was_written_is_read() {
        for change in changes().into_iter().chain(of_pods()) {
            let (tree, key, value) = put(&change);
            assert_eq!(read(tree, &key, &value).unwrap(), change);
        }
    }

    /// What frameworks have on their disks must be read by every later program, and written as it was.
    #[test]
    fn records_are_the_bytes_that_they_were() {
        golden("ledger-framework.txt", &changes());
        golden("ledger-service.txt", &of_pods());
    }

    fn golden(name: &str, changes: &[KeeperChange]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
        let line = |change: &KeeperChange| {
            let (tree, key, value) = put(change);
            format!("{tree} x{} x{}\n", hex(&key), hex(&value))
        };
        let lines: String = changes.iter().map(line).collect();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        if std::env::var("HOLDFAST_GOLDEN").is_ok_and(|it| it == "rewrite") {
            std::fs::write(&path, &lines).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            kept, lines,
            "if that is meant: HOLDFAST_GOLDEN=rewrite cargo test -p holdfast-sdk bytes"
        );
    }

    #[test]
    fn a_spec_that_nobody_runs_by_is_removed() {
        use crate::pods::ServiceChange;
        let record = write(&KeeperChange::Service(Box::new(ServiceChange::SpecDropped(2))));
        let put = put(&of_pods()[0]);
        assert_eq!((record.tree, record.key, record.value), (put.0, put.1, None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (tree, key, value) = put(&KeeperChange::Member(placed()));
        assert!(matches!(read(tree, &key, &[2]), Err(RecordError::Version { found: Some(2) })));
        assert!(matches!(read(tree, &key, &[]), Err(RecordError::Version { found: None })));
        assert!(matches!(read("other", &key, &value), Err(RecordError::Place)));
        assert!(matches!(read(tree, &[0, 0, 0, 4], &value), Err(RecordError::Field(_))));
        assert!(matches!(
            read(tree, &key, &value[..value.len() - 1]),
            Err(RecordError::Malformed(_))
        ));
        let stage = versioned(
            &MemberRecord { index: 3, stage: 7, ..MemberRecord::default() }.encode_to_vec(),
        );
        assert!(matches!(read(tree, &key, &stage), Err(RecordError::Field(_))));
    }
}
