//! Commits: one transaction each, which the ensemble carries out only while our election node
//! stands and the head is what we think it is.
//!
//! It relies on the ensemble for the fence (S1), and on a second, harmless transaction to find out
//! what became of one whose answer was lost (S3). It never reports a commit as done that is not, and
//! never repeats one that may still be carried out.

use std::time::Duration;

use tokio::time::Instant;
use zookeeper_client::{Client, Error, MultiWriteError};

use super::head::{resolve, Head, HeadError, Resolved};
use super::layout::Layout;
use super::service::{is_over, is_unsure, pause, within, Access};

/// Between two attempts to reach the ensemble.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// What a leader writes with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pen {
    pub client: Client,
    pub layout: Layout,
    pub access: Access,
    /// Our election node.
    pub fence: String,
    /// How long a commit may take; who needs longer stops leading (S7).
    pub limit: Duration,
}

/// Why a commit was not done, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Our election node is gone.
    #[error("its election node was removed")]
    Deposed,
    /// Somebody else has committed.
    #[error("term {latest} has begun")]
    Overtaken {
        /// His term.
        latest: u64,
    },
    /// The session is over; whether the commit was done only the next leader will know.
    #[error("its session with the ensemble is over ({why})")]
    SessionOver {
        /// What the client says.
        why: String,
    },
    /// Nobody answered in time; whether the commit was done only the next leader will know.
    #[error("the ensemble has not answered for {limit:?}")]
    Silent {
        /// The time that was waited.
        limit: Duration,
    },
    /// The ensemble will not have it.
    #[error("the ensemble refuses it: {why}")]
    Refused {
        /// What it says.
        why: String,
    },
    /// The head cannot be read.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// How an attempt ended.
enum Sent {
    Done,
    HeadMoved,
    Unsure,
    Failed(CommitError),
}

impl Pen {
    /// Changes the head from `mine`, which is its `version`, to `wanted`, and makes `nodes` with it.
    /// Returns the head's new version.
    pub async fn commit(
        &self,
        (mine, version): (&Head, i32),
        wanted: &Head,
        nodes: &[(String, Vec<u8>)],
    ) -> Result<i32, CommitError> {
        let mut expected = version;
        let end = Instant::now() + self.limit;
        loop {
            let mut sent = self.send(expected, wanted, nodes, end).await;
            // A write that changes nothing, queued behind the one whose answer was lost.
            while matches!(sent, Sent::Unsure) {
                self.pause(end).await?;
                sent = match self.send(expected, mine, &[], end).await {
                    Sent::Done => {
                        expected += 1;
                        break;
                    }
                    other => other,
                };
            }
            match sent {
                Sent::Done => return Ok(expected + 1),
                Sent::Failed(error) => return Err(error),
                // What was lost did not happen, and cannot any more: once again.
                Sent::Unsure => {}
                Sent::HeadMoved => {
                    let (found, at) = self.find(end).await?;
                    match resolve(mine, wanted, &found) {
                        Resolved::Taken => return Ok(at),
                        Resolved::NotTaken => expected = at,
                        Resolved::Deposed { latest } => {
                            return Err(CommitError::Overtaken { latest })
                        }
                    }
                }
            }
        }
    }

    async fn send(
        &self,
        expected: i32,
        head: &Head,
        nodes: &[(String, Vec<u8>)],
        end: Instant,
    ) -> Sent {
        let mut writer = self.client.new_multi_writer();
        let mut add = || -> Result<(), Error> {
            writer.add_check_version(&self.fence, -1)?;
            writer.add_set_data(&self.layout.head(), &head.encode(), Some(expected))?;
            for (path, data) in nodes {
                writer.add_create(path, data, &self.access.journal())?;
            }
            Ok(())
        };
        if let Err(error) = add() {
            return Sent::Failed(CommitError::Refused { why: error.to_string() });
        }
        let answer = writer.commit();
        let failed = match tokio::time::timeout_at(end, answer).await {
            Ok(Ok(_)) => return Sent::Done,
            Ok(Err(failed)) => failed,
            Err(_) => return Sent::Unsure,
        };
        match failed {
            MultiWriteError::OperationFailed { index: 0, source: Error::NoNode } => {
                Sent::Failed(CommitError::Deposed)
            }
            MultiWriteError::OperationFailed { index: 1, source: Error::BadVersion } => {
                Sent::HeadMoved
            }
            MultiWriteError::OperationFailed { index, source } => {
                let path = index.checked_sub(2).and_then(|at| nodes.get(at)).map(|it| &it.0);
                let why = path.map_or_else(|| source.to_string(), |it| format!("{it}: {source}"));
                Sent::Failed(CommitError::Refused { why })
            }
            MultiWriteError::RequestFailed { source } => self.request_failed(&source),
        }
    }

    fn request_failed(&self, error: &Error) -> Sent {
        if is_unsure(error) {
            return Sent::Unsure;
        }
        let why = error.to_string();
        Sent::Failed(match is_over(error) {
            true => CommitError::SessionOver { why },
            false => CommitError::Refused { why },
        })
    }

    /// The head as it is now, behind everything that we have sent.
    async fn find(&self, end: Instant) -> Result<(Head, i32), CommitError> {
        let path = self.layout.head();
        loop {
            let read = async {
                self.client.sync(&path).await?;
                self.client.get_data(&path).await
            };
            match within(end.saturating_duration_since(Instant::now()), read).await {
                Ok((bytes, stat)) => return Ok((Head::decode(&bytes)?, stat.version)),
                Err(error) if is_unsure(&error) => self.pause(end).await?,
                Err(error) => match self.request_failed(&error) {
                    Sent::Failed(error) => return Err(error),
                    _ => continue,
                },
            }
        }
    }

    /// Makes a node that nobody else makes, before the commit that names it.
    pub async fn make(&self, path: &str, data: &[u8]) -> Result<(), CommitError> {
        let end = Instant::now() + self.limit;
        loop {
            let options = self.access.journal();
            let made = self.client.create(path, data, &options);
            let left = end.saturating_duration_since(Instant::now());
            match within(left, made).await {
                // The answer to an earlier attempt was lost.
                Ok(_) | Err(Error::NodeExists) => return Ok(()),
                Err(error) => match self.request_failed(&error) {
                    Sent::Failed(error) => return Err(error),
                    _ => self.pause(end).await?,
                },
            }
        }
    }

    async fn pause(&self, end: Instant) -> Result<(), CommitError> {
        if end <= Instant::now() {
            return Err(CommitError::Silent { limit: self.limit });
        }
        pause(PAUSE).await;
        Ok(())
    }
}
