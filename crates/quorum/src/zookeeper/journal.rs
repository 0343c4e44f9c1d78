//! The masters' journal in an ensemble, as a leader writes it.
//!
//! It relies on [`super::commit`] for what one commit is. It never writes for a leader that was
//! deposed, and stops for good at the first commit whose outcome it does not know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use holdfast_store::{check_batch, Entry, RecordRef, Sequence, StoreError};
use tokio::task::JoinHandle;

use super::batch;
use super::commit::{CommitError, Pen, PAUSE};
use super::head::Head;
use super::layout::{begins_folder, piece};
use super::making::{is_due, Making};
use super::replica::Replica;
use super::seen::Seen;
use super::service::{pause, within, Service};
use super::sweep::sweep;
use crate::journal::{Journal, JournalError};

/// See the module.
#[derive(Debug)]
pub struct ZooKeeperJournal {
    service: Arc<Service>,
    pen: Pen,
    head: Head,
    /// The version of the head's node: the fence.
    version: i32,
    replica: Replica,
    seen: Seen,
    making: Option<Making>,
    sweeping: Option<JoinHandle<()>>,
    stored_bytes: Arc<AtomicU64>,
    stopped: bool,
}

impl ZooKeeperJournal {
    /// The journal as `head` says, which `replica` has followed.
    pub(crate) fn new(
        service: Arc<Service>,
        pen: Pen,
        (head, version): (Head, i32),
        (replica, seen): (Replica, Seen),
    ) -> ZooKeeperJournal {
        let stored_bytes = Arc::new(AtomicU64::new(head.stored_bytes()));
        ZooKeeperJournal {
            service,
            pen,
            head,
            version,
            replica,
            seen,
            making: None,
            sweeping: None,
            stored_bytes,
            stopped: false,
        }
    }

    /// Bytes that the journal takes in the ensemble, checkpoint and log together: kept up to date
    /// for whoever measures.
    #[must_use]
    pub fn stored_bytes(&self) -> Arc<AtomicU64> {
        self.stored_bytes.clone()
    }

    /// Removes what earlier leaders left, in the background.
    pub(crate) fn sweep(&mut self) {
        if self.sweeping.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        let (pen, term, checkpoint) = (self.pen.clone(), self.head.term, self.head.checkpoint);
        self.sweeping = Some(self.service.handle().spawn(async move {
            if let Err(error) = sweep(&pen, term, checkpoint).await {
                tracing::info!("what the journal needs no more is not all removed yet: {error}");
            }
        }));
    }

    /// Remembers how far the journal has come.
    pub(crate) fn note(&self) {
        if let Err(error) = self.seen.note(&self.head) {
            tracing::warn!("how far the journal has come is not remembered: {error}");
        }
    }

    fn write(&mut self, term: u64, batch: &[Entry]) -> Result<(), CommitError> {
        let written = batch::write(&self.head, term, batch);
        let mut nodes = Vec::new();
        if begins_folder(written.head.sequence) {
            nodes.push((self.pen.layout.folder_of(written.head.sequence), Vec::new()));
        }
        nodes.push((self.pen.layout.batch(written.head.sequence), written.node));
        let parts = self.pen.layout.parts_of(term, written.head.sequence);
        self.commit(written.head, nodes, Some((parts, written.parts)))
    }

    /// Changes the head, with a checkpoint in it if one is ready.
    fn commit(
        &mut self,
        wanted: Head,
        nodes: Vec<(String, Vec<u8>)>,
        parts: Option<(String, Vec<Vec<u8>>)>,
    ) -> Result<(), CommitError> {
        let ready = self.making.as_ref().and_then(|it| Some((it, it.ready()?)));
        let publishes = ready.is_some();
        let wanted =
            ready.map_or_else(|| wanted.clone(), |(it, at)| it.publish(wanted.clone(), at));
        let (pen, mine, version) = (self.pen.clone(), self.head.clone(), self.version);
        let next = wanted.clone();
        let limit = self.pen.limit;
        let work = async move {
            if let Some((folder, parts)) = parts.filter(|(_, parts)| !parts.is_empty()) {
                pen.make(&folder, &[]).await?;
                for (number, part) in (0..).zip(&parts) {
                    pen.make(&piece(&folder, number), part).await?;
                }
            }
            pen.commit((&mine, version), &next, &nodes).await
        };
        // The service's thread never ends before its owner.
        self.version = self.service.run(work).unwrap_or(Err(CommitError::Silent { limit }))?;
        self.head = wanted;
        self.replica.committed(&self.head);
        self.stored_bytes.store(self.head.stored_bytes(), Ordering::Relaxed);
        if publishes {
            self.making = None;
            self.sweep();
            self.note();
        }
        Ok(())
    }

    /// Brings a checkpoint forward, or begins one when it is time.
    fn advance(&mut self, bytes: usize) {
        let on = self.service.handle();
        if self.making.as_ref().is_some_and(Making::has_failed) {
            self.making = None;
        }
        match &mut self.making {
            Some(making) => making.advance(&self.replica.records, bytes, &self.pen, &on),
            None if is_due(&self.head, &self.replica.records) => {
                self.making = Some(Making::begin(&self.head, &self.pen, &on));
            }
            None => {}
        }
    }

    /// Writes a whole checkpoint and puts it into the head.
    fn checkpoint(&mut self) -> Result<(), CommitError> {
        if self.head.checkpoint.is_some_and(|it| it.from == self.head.sequence) {
            return Ok(());
        }
        let on = self.service.handle();
        let mut making = match self.making.take() {
            Some(making) => making,
            None => Making::begin(&self.head, &self.pen, &on),
        };
        while making.ready().is_none() {
            if making.has_failed() {
                return Err(CommitError::Silent { limit: self.pen.limit });
            }
            making.advance(&self.replica.records, 0, &self.pen, &on);
            self.service.run(pause(PAUSE / 10));
        }
        self.making = Some(making);
        self.commit(self.head.clone(), Vec::new(), None)
    }

    fn stop(&mut self, term: u64, error: CommitError) -> JournalError {
        self.stopped = true;
        // Who does not lead any more stands in nobody's way, if he can help it.
        let pen = self.pen.clone();
        self.service.run(async move {
            let gone = pen.client.delete(&pen.fence, None);
            within(PAUSE, gone).await
        });
        match error {
            CommitError::Overtaken { latest } => JournalError::Deposed { term, latest },
            CommitError::Deposed => JournalError::NotLeading { term },
            other => JournalError::Ensemble { what: other.to_string() },
        }
    }

    fn admit(&mut self, term: u64, batch: &[Entry]) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::NotLeading { term });
        }
        let refused = match check_batch(batch) {
            Err(limit) => JournalError::Unsure(StoreError::Limit(limit)),
            Ok(()) if term < self.head.term => {
                JournalError::Deposed { term, latest: self.head.term }
            }
            Ok(()) => return Ok(()),
        };
        self.stopped = true;
        Err(refused)
    }
}

impl Journal for ZooKeeperJournal {
    fn append(&mut self, term: u64, batch: &[Entry]) -> Result<Sequence, JournalError> {
        self.admit(term, batch)?;
        self.advance(batch.iter().map(Entry::size_bytes).sum());
        self.write(term, batch).map_err(|error| self.stop(term, error))?;
        for entry in batch {
            self.replica.records.apply(self.head.sequence, entry.clone());
        }
        Ok(self.head())
    }

    fn records(&self) -> Box<dyn Iterator<Item = RecordRef<'_>> + '_> {
        Box::new(self.replica.records.iter())
    }

    fn head(&self) -> Sequence {
        Sequence(self.head.sequence)
    }

    fn term(&self) -> u64 {
        self.head.term
    }

    fn trim(&mut self) -> Result<(), JournalError> {
        let term = self.head.term;
        self.admit(term, &[])?;
        self.checkpoint().map_err(|error| self.stop(term, error))?;
        if let Some(sweeping) = self.sweeping.take() {
            self.service.run(sweeping);
        }
        Ok(())
    }
}
