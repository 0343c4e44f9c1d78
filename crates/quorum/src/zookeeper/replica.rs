//! A copy of what the journal has led to, which follows it.
//!
//! It relies on the head: only what it names was committed. It reads what is missing of the log, or
//! the checkpoint where the log does not reach back so far any more. It never holds half a batch,
//! and never passes over damage.

use std::time::Duration;

use futures_util::future::try_join_all;
use zookeeper_client::{Client, Error};

use super::batch::{self, BatchError};
use super::checkpoint::{self, CheckpointError};
use super::head::{Checksum, Head, HeadError, Pointer};
use super::layout::{piece, Layout};
use super::records::Records;
use super::service::within;

/// How many nodes are asked for at once.
const AT_ONCE: u64 = 32;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// What was followed last; `None` before anything was.
    followed: Option<Followed>,
    /// How far this master had come before it was started.
    seen: Option<Followed>,
    pub records: Records,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Followed {
    journal: [u8; 16],
    sequence: u64,
    checksum: Checksum,
}

impl Followed {
    fn of(head: &Head) -> Followed {
        let Head { journal, sequence, checksum, .. } = *head;
        Followed { journal, sequence, checksum }
    }
}

/// Why the journal cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// There is no answer, or not this one.
    #[error("the ensemble cannot be read: {0}")]
    Ensemble(#[from] Error),
    /// The head is of no use.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A batch is of no use.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The checkpoint is of no use.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Something that the head names is not there.
    #[error("{path} is missing, although the head of the journal names it; restore the ensemble from a backup")]
    Missing {
        /// The node.
        path: String,
    },
    /// Another journal stands at the path.
    #[error("{path} is not what this master has read there before: somebody removed it, or put the ensemble back to an older state; restore a newer backup of it, or start with an empty --dir to accept what is there")]
    Replaced {
        /// What is another one.
        path: String,
    },
    /// The journal is behind what was read of it before.
    #[error(
        "the journal ends at commit {found}, although commit {seen} was read from it before: the ensemble was put back to an older state, \
         and what was acknowledged since is lost; restore a newer backup of it, or start with an empty --dir to accept what is there"
    )]
    PutBack {
        /// Where it ends.
        found: u64,
        /// What was read.
        seen: u64,
    },
}

impl Replica {
    /// Nothing is read yet; the journal must lead to what was seen of it before.
    pub fn new(seen: Option<&Head>) -> Replica {
        Replica { seen: seen.map(Followed::of), ..Replica::default() }
    }

    /// Reads everything up to the head, and returns that with its version; `None` when there is no
    /// journal yet.
    pub async fn catch_up(
        &mut self,
        client: &Client,
        layout: &Layout,
    ) -> Result<Option<(Head, i32)>, FollowError> {
        let mut holes = None;
        loop {
            let Some((head, version)) = read_head(client, layout).await? else {
                return match self.followed.or(self.seen) {
                    Some(_) => Err(FollowError::Missing { path: layout.head() }),
                    None => Ok(None),
                };
            };
            match self.follow(client, layout, &head).await {
                Ok(()) => return Ok(Some((head, version))),
                // The leader has trimmed meanwhile: the next head says what to read instead.
                Err(FollowError::Missing { path })
                    if holes.as_ref() != Some(&(version, path.clone())) =>
                {
                    holes = Some((version, path));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn follow(
        &mut self,
        client: &Client,
        layout: &Layout,
        head: &Head,
    ) -> Result<(), FollowError> {
        let from = head.checkpoint.map_or(0, |it| it.from);
        let known = self.followed;
        for known in known.iter().chain(&self.seen) {
            if known.journal != head.journal {
                return Err(FollowError::Replaced { path: layout.journal.clone() });
            }
            if head.sequence < known.sequence {
                return Err(FollowError::PutBack { found: head.sequence, seen: known.sequence });
            }
        }
        let mut at = match known.filter(|it| from <= it.sequence) {
            Some(known) => known,
            None => self.load(client, layout, head).await?,
        };
        while at.sequence < head.sequence {
            let last = head.sequence.min(at.sequence + AT_ONCE);
            let reads = (at.sequence + 1..=last).map(|it| read_batch(client, layout, it));
            for batch in try_join_all(reads).await? {
                let entries = batch.entries(at.checksum)?;
                let is_other =
                    |it: &Followed| it.sequence == batch.sequence && it.checksum != batch.checksum;
                if self.seen.as_ref().is_some_and(is_other) {
                    return Err(FollowError::Replaced { path: layout.batch(batch.sequence) });
                }
                entries.into_iter().for_each(|it| self.records.apply(batch.sequence, it));
                at = Followed { sequence: batch.sequence, checksum: batch.checksum, ..at };
                self.followed = Some(at);
            }
        }
        if at.checksum != head.checksum {
            let what = "the head has another checksum";
            return Err(BatchError::Damaged { sequence: head.sequence, what }.into());
        }
        Ok(())
    }

    /// Begins with the checkpoint, or with nothing.
    async fn load(
        &mut self,
        client: &Client,
        layout: &Layout,
        head: &Head,
    ) -> Result<Followed, FollowError> {
        let (sequence, checksum) =
            head.checkpoint.map_or_else(Default::default, |it| (it.from, it.at));
        let records = match &head.checkpoint {
            Some(pointer) => {
                checkpoint::read(pointer, &read_chunks(client, layout, pointer).await?)?
            }
            None => Records::default(),
        };
        let begun = Followed { journal: head.journal, sequence, checksum };
        self.records = records;
        // What is newer than the checkpoint's beginning in it is repeated by what follows.
        self.followed = Some(begun);
        Ok(begun)
    }

    /// Notes a commit of our own, whose entries were carried out.
    pub fn committed(&mut self, head: &Head) {
        self.followed = Some(Followed::of(head));
    }
}

async fn read_head(client: &Client, layout: &Layout) -> Result<Option<(Head, i32)>, FollowError> {
    match within(PATIENCE, client.get_data(&layout.head())).await {
        Ok((bytes, stat)) => Ok(Some((Head::decode(&bytes)?, stat.version))),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn read_node(client: &Client, path: String) -> Result<Vec<u8>, FollowError> {
    match within(PATIENCE, client.get_data(&path)).await {
        Ok((bytes, _)) => Ok(bytes),
        Err(Error::NoNode) => Err(FollowError::Missing { path }),
        Err(error) => Err(error.into()),
    }
}

/// Reads a batch with all its parts.
async fn read_batch(
    client: &Client,
    layout: &Layout,
    sequence: u64,
) -> Result<batch::Read, FollowError> {
    let node = read_node(client, layout.batch(sequence)).await?;
    let mut batch = batch::read(sequence, &node)?;
    if 0 < batch.parts {
        let folder = layout.parts_of(batch.term, sequence);
        batch.payload = read_pieces(client, &folder, batch.parts).await?.concat();
    }
    Ok(batch)
}

async fn read_chunks(
    client: &Client,
    layout: &Layout,
    pointer: &Pointer,
) -> Result<Vec<Vec<u8>>, FollowError> {
    read_pieces(client, &layout.checkpoint(pointer), pointer.chunks).await
}

async fn read_pieces(
    client: &Client,
    folder: &str,
    count: u64,
) -> Result<Vec<Vec<u8>>, FollowError> {
    let mut pieces = Vec::new();
    let mut next = 0;
    while next < count {
        let end = count.min(next + AT_ONCE);
        let reads = (next..end).map(|it| read_node(client, piece(folder, it)));
        pieces.extend(try_join_all(reads).await?);
        next = end;
    }
    Ok(pieces)
}
