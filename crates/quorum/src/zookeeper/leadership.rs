//! Leadership by an ensemble, in Mesos's own layout: each master makes an ephemeral, sequential
//! node, and the lowest one leads.
//!
//! It relies on the ensemble for who is first, and on the journal for the term: a candidate whose
//! node is the lowest reads the journal to its end and commits an opening record under a term above
//! all that it finds (S2). While it waits it follows the journal, so that there is little left to
//! read. It never leads at a path where a real Mesos master keeps its log.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{Acl, Client, CreateMode, Error, Permission};

use super::address::ZooKeeperAddress;
use super::candidate::{address_of, leader_of};
use super::commit::{CommitError, Pen};
use super::depose::Watcher;
use super::head::Head;
use super::journal::ZooKeeperJournal;
use super::layout::{candidates, is_of_mesos, Layout};
use super::lease::ZooKeeperLease;
use super::replica::{FollowError, Replica};
use super::seen::Seen;
use super::service::{connect, is_over, pause, within, Access, Service};
use super::suspicion::BEATS_IN_LIMIT;
use crate::hint::Leader;
use crate::journal::{Journal, JournalError};
use crate::leadership::{Deposing, Leadership, LeadershipError};

/// Between attempts to reach an ensemble that does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said that it does not.
const SAID_EVERY: u32 = 60;

/// What is set about an ensemble.
#[derive(Clone, Debug)]
pub struct ZooKeeperOptions {
    /// Where it is.
    pub address: ZooKeeperAddress,
    /// How long it waits for a master that says nothing before another one leads. The ensemble has
    /// bounds of its own for it.
    pub session_timeout: Duration,
    /// How long a leader that cannot commit, or is cut off, goes on.
    pub commit_timeout: Duration,
    /// When a standby deposes a leader that does not answer; nothing, where the end of its session is waited for.
    pub deposing: Option<Deposing>,
    /// The file in which this master remembers how far the journal has come, so that an ensemble
    /// that was put back to an older state is not believed; nothing, where it need not.
    pub seen: Option<PathBuf>,
}

/// A place in an ensemble where masters campaign.
#[derive(Clone)]
pub struct ZooKeeperLeadership {
    service: Arc<Service>,
    shared: Arc<Shared>,
}

struct Shared {
    options: ZooKeeperOptions,
    layout: Layout,
    access: Access,
    /// Mesos's MasterInfo as JSON, of this master.
    info: Vec<u8>,
    leader: Mutex<Option<Leader>>,
    withdrawn: watch::Sender<bool>,
}

/// A candidate: its session, and its node.
struct Candidate {
    pen: Pen,
    name: String,
    replica: Replica,
}

/// How waiting ended.
enum Turn {
    Ours,
    /// The candidacy is over; another one may be begun.
    Over(String),
}

impl ZooKeeperLeadership {
    /// A candidate who describes itself by `info`, Mesos's MasterInfo as JSON.
    ///
    /// # Errors
    /// When `info` names no address, or no thread can be started.
    pub fn new(
        options: ZooKeeperOptions,
        info: &str,
    ) -> Result<ZooKeeperLeadership, LeadershipError> {
        if address_of(info.as_bytes()).is_none() {
            return Err(LeadershipError::BadAddress { address: info.to_owned() });
        }
        let service = Service::start().map_err(|error| LeadershipError::Ensemble {
            address: options.address.to_string(),
            what: format!("no thread for it: {error}"),
        })?;
        let shared = Shared {
            layout: Layout::new(&options.address),
            access: Access::new(&options.address),
            info: info.as_bytes().to_vec(),
            leader: Mutex::default(),
            withdrawn: watch::Sender::new(false),
            options,
        };
        Ok(ZooKeeperLeadership { service: Arc::new(service), shared: Arc::new(shared) })
    }

    /// Campaigns, and returns the lease with the journal that comes with it.
    ///
    /// # Errors
    /// As [`Leadership::campaign`].
    pub fn campaign_for_journal(&self) -> Result<ZooKeeperLease, LeadershipError> {
        let shared = self.shared.clone();
        let won = self.service.run(async move { shared.campaign().await });
        self.lease(won.unwrap_or_else(|| Err(self.shared.trouble("the campaign fell over")))?)
    }

    fn lease(&self, mut candidate: Candidate) -> Result<ZooKeeperLease, LeadershipError> {
        let shared = self.shared.clone();
        let opened = self.service.run(async move {
            let opened = shared.read_to_the_end(&mut candidate).await;
            opened.map(|at| (candidate, at))
        });
        let opened = opened.unwrap_or_else(|| Err(self.shared.trouble("reading it fell over")));
        let (candidate, at) = opened?;
        let Candidate { pen, replica, .. } = candidate;
        let seen = Seen(self.shared.options.seen.clone());
        let mut journal =
            ZooKeeperJournal::new(self.service.clone(), pen.clone(), at, (replica, seen));
        let term = journal.term().checked_add(1).ok_or(LeadershipError::TermsExhausted)?;
        journal.append(term, &[]).map_err(|error| match error {
            JournalError::Deposed { .. } | JournalError::NotLeading { .. } => {
                LeadershipError::Lost { term }
            }
            other => self.shared.trouble(other),
        })?;
        journal.note();
        journal.sweep();
        tracing::info!(term, ensemble = %self.shared.options.address, "leading");
        let deposing = self.shared.options.deposing.as_ref();
        let beat_every = deposing.map(|it| it.after / BEATS_IN_LIMIT);
        Ok(ZooKeeperLease::new(self.service.clone(), pen, term, journal, beat_every))
    }
}

impl Shared {
    /// Nothing is read yet.
    fn replica(&self) -> Result<Replica, LeadershipError> {
        let seen = Seen(self.options.seen.clone()).last()?;
        Ok(Replica::new(seen.as_ref()))
    }

    fn trouble(&self, what: impl fmt::Display) -> LeadershipError {
        let address = self.options.address.to_string();
        LeadershipError::Ensemble { address, what: what.to_string() }
    }

    /// Waits until our node is the lowest.
    async fn campaign(&self) -> Result<Candidate, LeadershipError> {
        let mut replica = self.replica()?;
        let mut watcher = self.options.deposing.clone().map(Watcher::new);
        let mut attempts = 0;
        loop {
            if *self.withdrawn.borrow() {
                return Err(LeadershipError::Withdrawn);
            }
            let over = match self.stand().await {
                Ok((pen, name)) => {
                    let mut candidate = Candidate { pen, name, replica };
                    attempts = 0;
                    match self.wait(&mut candidate, &mut watcher).await? {
                        Turn::Ours => return Ok(candidate),
                        Turn::Over(why) => {
                            replica = candidate.replica;
                            why
                        }
                    }
                }
                Err(error @ LeadershipError::Ensemble { .. }) => error.to_string(),
                Err(error) => return Err(error),
            };
            if attempts % SAID_EVERY == 0 {
                tracing::warn!("{over}; trying again");
            }
            attempts += 1;
            let mut withdrawn = self.withdrawn.subscribe();
            let _ = tokio::time::timeout(PAUSE, asked_to_withdraw(&mut withdrawn)).await;
        }
    }

    /// Makes our node.
    async fn stand(&self) -> Result<(Pen, String), LeadershipError> {
        let ZooKeeperOptions { address, session_timeout, commit_timeout, .. } = &self.options;
        let client = connect(address, *session_timeout, *commit_timeout).await;
        let client = client.map_err(|error| match error {
            Error::AuthFailed => LeadershipError::Login { address: address.to_string() },
            other => self.trouble(other),
        })?;
        let refused = |error: Error| match error {
            Error::NoAuth | Error::AuthFailed => {
                LeadershipError::Login { address: address.to_string() }
            }
            other => self.trouble(other),
        };
        let election = &self.layout.election;
        let options = self.access.public(CreateMode::Persistent);
        let made = client.mkdir(election, &options);
        within(*session_timeout, made).await.map_err(refused)?;
        let children = within(*session_timeout, client.list_children(election)).await;
        if is_of_mesos(&children.map_err(refused)?) {
            return Err(LeadershipError::OfMesos { address: address.to_string() });
        }
        let options = self.access.public(CreateMode::EphemeralSequential);
        let prefix = self.layout.candidate_prefix();
        let created = client.create(&prefix, &self.info, &options);
        let (_, number) = within(*session_timeout, created).await.map_err(refused)?;
        let fence = format!("{prefix}{number}");
        let name = fence.rsplit('/').next().unwrap_or_default().to_owned();
        let pen = Pen {
            client,
            layout: self.layout.clone(),
            access: self.access.clone(),
            fence,
            limit: *commit_timeout,
        };
        Ok((pen, name))
    }

    async fn wait(
        &self,
        candidate: &mut Candidate,
        watcher: &mut Option<Watcher>,
    ) -> Result<Turn, LeadershipError> {
        let pen = candidate.pen.clone();
        let watched = async {
            match watcher {
                Some(watcher) => watcher.watch(&pen).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            turn = self.wait_in_line(candidate) => turn,
            // It watches for as long as it is let.
            () = watched => Ok(Turn::Over("nobody watches the leader".to_owned())),
        }
    }

    async fn wait_in_line(&self, candidate: &mut Candidate) -> Result<Turn, LeadershipError> {
        let client = candidate.pen.client.clone();
        let mut withdrawn = self.withdrawn.subscribe();
        loop {
            let listed = client.list_and_watch_children(&self.layout.election).await;
            let (children, changed) = match listed {
                Ok(listed) => listed,
                Err(error) if is_over(&error) => return Ok(Turn::Over(error.to_string())),
                Err(_) => {
                    pause(PAUSE / 5).await;
                    continue;
                }
            };
            if is_of_mesos(&children) {
                return Err(LeadershipError::OfMesos { address: self.options.address.to_string() });
            }
            let order = candidates(&children);
            if !order.contains(&candidate.name) {
                return Ok(Turn::Over("the election node of this master was removed".to_owned()));
            }
            if order.first() == Some(&candidate.name) {
                *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Ok(Turn::Ours);
            }
            self.note_leader(&client, &children).await;
            tokio::select! {
                _ = changed.changed() => {}
                () = follow(&candidate.pen, &mut candidate.replica) => {}
                () = asked_to_withdraw(&mut withdrawn) => {
                    // Otherwise the others would wait for this session's end.
                    let gone = client.delete(&candidate.pen.fence, None);
                    let _ = within(PAUSE, gone).await;
                    return Err(LeadershipError::Withdrawn);
                }
            }
        }
    }

    async fn note_leader(&self, client: &Client, children: &[String]) {
        if let Ok(found) = leader_of(client, &self.layout, children).await {
            // An election node does not say its term.
            let leader = found.map(|address| Leader { term: 0, address });
            *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
        }
    }

    /// Reads the whole journal, or makes it.
    async fn read_to_the_end(
        &self,
        candidate: &mut Candidate,
    ) -> Result<(Head, i32), LeadershipError> {
        let Candidate { pen, replica, .. } = candidate;
        loop {
            within(pen.limit, pen.client.sync(&pen.layout.election))
                .await
                .map_err(|error| self.trouble(error))?;
            match replica.catch_up(&pen.client, &pen.layout).await {
                Ok(Some(at)) => {
                    self.refuse_open_journal(pen).await?;
                    return Ok(at);
                }
                Ok(None) => self.make_journal(pen).await?,
                Err(FollowError::Ensemble(Error::NoAuth)) => {
                    return Err(LeadershipError::Login {
                        address: self.options.address.to_string(),
                    })
                }
                Err(FollowError::Ensemble(error)) => return Err(self.trouble(error)),
                Err(error) => return Err(LeadershipError::Journal { what: error.to_string() }),
            }
        }
    }

    /// With a login nobody else may write the journal; what was made without one stays as open as it was made.
    async fn refuse_open_journal(&self, pen: &Pen) -> Result<(), LeadershipError> {
        if self.options.address.digest().is_none() {
            return Ok(());
        }
        let path = pen.layout.head();
        let rights = within(pen.limit, pen.client.get_acl(&path)).await;
        let (rights, _) = rights.map_err(|error| self.trouble(error))?;
        let is_open = |it: &Acl| it.scheme() == "world" && it.permission().has(Permission::WRITE);
        if !rights.iter().any(is_open) {
            return Ok(());
        }
        Err(LeadershipError::Journal {
            what: format!(
                "everybody may write {path}: it was made without a login. Give it to the one that you use (in zkCli.sh: addauth digest USER:PASSWORD, and setAcl -R {} auth::cdrwa), \
                 or start without one",
                pen.layout.journal
            ),
        })
    }

    async fn make_journal(&self, pen: &Pen) -> Result<(), LeadershipError> {
        let failed = |error: CommitError| self.trouble(error);
        for folder in pen.layout.folders() {
            pen.make(&folder, &[]).await.map_err(failed)?;
        }
        let head = Head::new(*uuid::Uuid::new_v4().as_bytes());
        // Whoever makes it first has made it: the opening record is fenced, this is not.
        pen.make(&pen.layout.head(), &head.encode()).await.map_err(failed)
    }
}

async fn asked_to_withdraw(withdrawn: &mut watch::Receiver<bool>) {
    // Whoever could ask is gone as soon as nobody waits for the campaign.
    let _ = withdrawn.wait_for(|it| *it).await;
}

/// Keeps the copy of the journal up to date, for as long as it is let. Trouble is for whoever leads.
async fn follow(pen: &Pen, replica: &mut Replica) {
    loop {
        let changed = pen.client.check_and_watch_stat(&pen.layout.head()).await;
        if let Err(error) = replica.catch_up(&pen.client, &pen.layout).await {
            tracing::debug!("the journal cannot be followed: {error}");
        }
        match changed {
            Ok((_, changed)) => {
                changed.changed().await;
            }
            Err(_) => pause(PAUSE).await,
        }
    }
}

impl Leadership for ZooKeeperLeadership {
    fn campaign(&self) -> Result<Box<dyn crate::Lease>, LeadershipError> {
        Ok(Box::new(self.campaign_for_journal()?))
    }

    fn try_campaign(&self) -> Result<Option<Box<dyn crate::Lease>>, LeadershipError> {
        let shared = self.shared.clone();
        let stood = self.service.run(async move {
            let replica = shared.replica()?;
            let (pen, name) = shared.stand().await?;
            let candidate = Candidate { pen, name, replica };
            let listed = candidate.pen.client.list_children(&shared.layout.election).await;
            let children = listed.map_err(|error| shared.trouble(error))?;
            let is_first = candidates(&children).first() == Some(&candidate.name);
            if !is_first {
                let gone = candidate.pen.client.delete(&candidate.pen.fence, None);
                within(shared.options.commit_timeout, gone)
                    .await
                    .map_err(|error| shared.trouble(error))?;
            }
            Ok(is_first.then_some(candidate))
        });
        match stood.unwrap_or_else(|| Err(self.shared.trouble("the campaign fell over")))? {
            Some(candidate) => Ok(Some(Box::new(self.lease(candidate)?))),
            None => Ok(None),
        }
    }

    fn leader(&self) -> Result<Option<Leader>, LeadershipError> {
        Ok(self.shared.leader.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn withdraw(&self) {
        self.shared.withdrawn.send_replace(true);
    }
}
