//! The right to lead while an election node stands, and the watch over it.
//!
//! It relies on the ensemble for the truth and on a clock for its own: who has heard nothing of the
//! ensemble for the limit (S7) calls its lease lost, and does not wait for a session's end that it
//! cannot see. A lease that was lost once is lost for good.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zookeeper_client::{Client, Error, SessionState};

use super::beat::Beating;
use super::commit::{Pen, PAUSE};
use super::journal::ZooKeeperJournal;
use super::service::{is_over, pause, within, Service};
use crate::journal::{Journal, JournalError};
use crate::leadership::{Deposed, LeadershipError, Lease, OnLoss};
use crate::local_journal::TakeOverError;

/// A step above which no term is raised: nobody has so many leaders, and a stranger who names such
/// a term must not use them up.
const TERM_STEP_MAX: u64 = 1 << 32;
/// How long an election node's removal may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A lease that an ensemble gives.
pub struct ZooKeeperLease {
    service: Arc<Service>,
    pen: Pen,
    term: u64,
    /// The journal, until it is taken over.
    journal: Option<ZooKeeperJournal>,
    standing: Arc<Standing>,
    /// The heartbeat, where standbys wait for one.
    _beating: Option<Beating>,
}

/// Whether a lease stands, and who wants to know when it does not.
#[derive(Default)]
struct Standing(Mutex<State>);

#[derive(Default)]
struct State {
    lost: Option<Deposed>,
    waiting: Vec<OnLoss>,
}

impl Standing {
    fn lose(&self, why: Deposed) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lost.is_some() {
            return;
        }
        tracing::warn!("{why}");
        state.lost = Some(why.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(|tell| tell(why.clone()));
    }

    fn lost(&self) -> Option<Deposed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    fn tell(&self, tell: OnLoss) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.lost.clone() {
            None => state.waiting.push(tell),
            Some(lost) => {
                drop(state);
                tell(lost);
            }
        }
    }
}

impl ZooKeeperLease {
    /// The lease of whoever has opened `journal` under `term`.
    pub(crate) fn new(
        service: Arc<Service>,
        pen: Pen,
        term: u64,
        journal: ZooKeeperJournal,
        beat_every: Option<Duration>,
    ) -> ZooKeeperLease {
        let beating = beat_every.map(|it| Beating::start(&service, pen.clone(), term, it));
        let standing = Arc::new(Standing::default());
        let (watched, told) = (pen.clone(), standing.clone());
        service.handle().spawn(async move {
            let reason = watch(&watched).await;
            told.lose(Deposed { term, reason });
            // Who is cut off may come back before the session's end: then he stands in nobody's way.
            let _ = watched.client.delete(&watched.fence, None).await;
        });
        ZooKeeperLease { service, pen, term, journal: Some(journal), standing, _beating: beating }
    }

    /// The journal that this lease permits to write. It is handed out once.
    ///
    /// # Errors
    /// When the lease is lost, or the journal was taken over already.
    pub fn take_over(&mut self) -> Result<ZooKeeperJournal, TakeOverError> {
        let not_leading = JournalError::NotLeading { term: self.term };
        if !self.is_held() {
            return Err(not_leading.into());
        }
        self.journal.take().ok_or_else(|| not_leading.into())
    }

    fn withdraw(&self) {
        let pen = self.pen.clone();
        let gone = async move { within(FAREWELL, pen.client.delete(&pen.fence, None)).await };
        if let Some(Err(error)) = self.service.run(gone).filter(|it| *it != Err(Error::NoNode)) {
            tracing::info!("the election node is left to its session's end: {error}");
        }
    }
}

/// Waits until leadership is lost, and says why.
async fn watch(pen: &Pen) -> String {
    let mut states = pen.client.state_watcher();
    // When the ensemble was lost sight of; only an answer ends it.
    let mut since: Option<Instant> = None;
    loop {
        let left = since.map_or(pen.limit, |it| pen.limit.saturating_sub(it.elapsed()));
        if left.is_zero() {
            return format!("it was cut off from the ensemble for {:?}", pen.limit);
        }
        let asked = Instant::now();
        match stands(&pen.client, &pen.fence, left).await {
            Ok(watcher) => {
                since = None;
                tokio::select! {
                    _ = watcher.changed() => {}
                    state = states.changed() => {
                        since = (state != SessionState::SyncConnected).then(Instant::now);
                    }
                }
            }
            Err(Error::NoNode) => return "its election node was removed".to_owned(),
            Err(error) if is_over(&error) => return format!("its session is over ({error})"),
            Err(_) => {
                since.get_or_insert(asked);
                pause(PAUSE).await;
            }
        }
    }
}

/// Looks whether the node is there, and watches it from then on.
async fn stands(
    client: &Client,
    node: &str,
    limit: Duration,
) -> Result<zookeeper_client::OneshotWatcher, Error> {
    let (stat, watcher) = within(limit, client.check_and_watch_stat(node)).await?;
    stat.map(|_| watcher).ok_or(Error::NoNode)
}

impl Lease for ZooKeeperLease {
    fn term(&self) -> u64 {
        self.term
    }

    fn is_held(&self) -> bool {
        self.standing.lost().is_none()
    }

    fn on_loss(&mut self, tell: OnLoss) {
        self.standing.tell(tell);
    }

    fn raise_above(&mut self, seen: u64) -> Result<u64, LeadershipError> {
        if !self.is_held() {
            return Err(LeadershipError::Lost { term: self.term });
        }
        if seen < self.term {
            return Ok(self.term);
        }
        if TERM_STEP_MAX < seen - self.term {
            return Err(LeadershipError::TermAbsurd { term: self.term, seen });
        }
        let journal = self.journal.as_mut().ok_or(LeadershipError::Lost { term: self.term })?;
        let raised = seen.checked_add(1).ok_or(LeadershipError::TermsExhausted)?;
        journal.append(raised, &[]).map_err(|error| LeadershipError::Ensemble {
            address: self.pen.layout.election.clone(),
            what: error.to_string(),
        })?;
        self.term = raised;
        Ok(raised)
    }

    /// The election node says it already; it was made with the address.
    fn announce(&mut self, _address: &str) -> Result<(), LeadershipError> {
        match self.is_held() {
            true => Ok(()),
            false => Err(LeadershipError::Lost { term: self.term }),
        }
    }

    fn resign(self: Box<Self>) -> Result<(), LeadershipError> {
        if !self.is_held() {
            return Err(LeadershipError::Lost { term: self.term });
        }
        // Dropping it does it.
        tracing::info!(term = self.term, "resigned");
        Ok(())
    }

    /// What is still being written is fenced by the election node, so that can go at once.
    fn leave_to_the_end(self: Box<Self>) {
        self.withdraw();
        // The session stays until the process ends, so that writes on their way are refused for the right reason.
        std::mem::forget(self);
    }
}

impl Drop for ZooKeeperLease {
    fn drop(&mut self) {
        self.withdraw();
    }
}
