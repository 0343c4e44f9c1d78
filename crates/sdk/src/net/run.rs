//! The shell of a framework: it ties a keeper to a session and to a ledger on disk.
//!
//! Relies on the keeper for every decision. What it wants to say is said only after what it wrote down before is durable, and a process
//! that cannot write ends. Never tears the framework down: to stop is to come back later.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_model::{Capability, FrameworkId, FrameworkInfo};

use super::clock::now;
use super::ledger::LedgerFile;
use super::process::stop_signal;
use super::session::{Heard, Session, SessionOptions};
use crate::keeper::{Effect, Input, Keeper};
use crate::service::Service;

/// How many events are handled with one write of the ledger.
const BATCH_MAX: usize = 256;
/// How long a framework may be away before it is removed: a week. Its claims stay even then.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How a framework runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of the masters, one or more.
    pub masters: Vec<String>,
    /// Where its ledger is; made when it is not there. One directory for each service.
    pub ledger_dir: PathBuf,
    /// The user that its tasks run as; empty for whoever the agent is.
    pub user: String,
    /// Its name for people; `None` for the service's.
    pub name: Option<String>,
    /// How long it may be away before it is removed. Its claims stay even then.
    pub failover_timeout: Duration,
    /// Where people find its own web page.
    pub hostname: Option<String>,
}

impl Options {
    /// The usual ones; tasks run as the user who starts this process.
    pub fn new(masters: Vec<String>, ledger_dir: impl Into<PathBuf>) -> Options {
        Options {
            masters,
            ledger_dir: ledger_dir.into(),
            user: std::env::var("USER").unwrap_or_default(),
            name: None,
            failover_timeout: FAILOVER_TIMEOUT,
            hostname: None,
        }
    }
}

/// Runs a service until SIGTERM or SIGINT. Its tasks run on; start it again, with the same ledger, to go on.
///
/// # Errors
/// When the ledger cannot be opened or written, or when the masters removed the framework or gave its place to another process.
pub async fn run<S: Service>(service: S, options: Options) -> anyhow::Result<()> {
    run_until(service, options, stop_signal()).await
}

/// As [`run`], until `stop` resolves.
///
/// # Errors
/// As [`run`].
pub async fn run_until<S: Service>(service: S, options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    if options.masters.is_empty() {
        bail!("no master is named; give host:port of at least one");
    }
    let (file, ledger) = LedgerFile::open(&options.ledger_dir, service.name())?;
    let known = ledger.members.len();
    tracing::info!("the ledger in {} knows {known} members", options.ledger_dir.display());
    let info = framework_info(&service, &options, ledger.framework.clone());
    let session = Session::open(SessionOptions::new(options.masters, info));
    let mut shell = Shell { keeper: Keeper::recover(service, ledger), file, session, content: false };
    tokio::pin!(stop);
    loop {
        let heard = tokio::select! {
            heard = shell.session.next() => Some(heard),
            () = until(shell.keeper.next_deadline()) => None,
            () = &mut stop => break,
        };
        shell.turn(heard).await?;
    }
    tracing::info!("stopping; tasks and volumes stay as they are");
    shell.file.close().context("the ledger is safe, but could not be closed in order")
}

async fn until(deadline: Option<holdfast_model::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.since_ms(now()))).await,
        None => std::future::pending().await,
    }
}

fn framework_info<S: Service>(service: &S, options: &Options, id: Option<FrameworkId>) -> FrameworkInfo {
    FrameworkInfo {
        id,
        name: options.name.clone().unwrap_or_else(|| service.name().to_owned()),
        user: options.user.clone(),
        roles: vec![service.role().clone()],
        failover_timeout_ms: u64::try_from(options.failover_timeout.as_millis()).unwrap_or(u64::MAX),
        checkpoint: true,
        principal: service.principal().map(str::to_owned),
        hostname: options.hostname.clone(),
        capabilities: [Capability::PartitionAware, Capability::MultiRole, Capability::ReservationRefinement].into(),
        carried: Default::default(),
    }
}

struct Shell<S> {
    keeper: Keeper<S>,
    file: LedgerFile,
    session: Session,
    content: bool,
}

impl<S: Service> Shell<S> {
    /// Handles what was heard and all that waits behind it; writes once; then says what there is to say.
    async fn turn(&mut self, first: Option<Heard>) -> anyhow::Result<()> {
        let mut effects = match first {
            Some(heard) => self.handle(heard)?,
            None => self.keeper.handle(now(), Input::Tick),
        };
        for _ in 1..BATCH_MAX {
            let Some(heard) = self.session.try_next() else { break };
            // What is said below belongs to the subscription of the last event: what came before its break is void.
            if heard == Heard::Disconnected {
                effects.retain(|it| !matches!(it, Effect::Call(_)));
            }
            effects.extend(self.handle(heard)?);
        }
        self.carry_out(effects).await
    }

    fn handle(&mut self, heard: Heard) -> anyhow::Result<Vec<Effect>> {
        match heard {
            Heard::Event(event) => Ok(self.keeper.handle(now(), Input::Event(event))),
            Heard::Disconnected => Ok(self.keeper.handle(now(), Input::Disconnected)),
            Heard::Ended(why) => bail!("the masters ended this framework's session: {why}"),
        }
    }

    /// One write for all commits, before anything is said: earlier than asked for is allowed, later is not.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> anyhow::Result<()> {
        let commits = effects.iter().filter_map(|it| if let Effect::Commit(changes) = it { Some(changes) } else { None });
        self.file.commit(commits.flatten()).context("stopping, since nothing may be said that is not written down")?;
        for effect in effects {
            match effect {
                Effect::Commit(_) => {}
                Effect::Call(call) => self.session.send(*call).await,
                Effect::Log(words) => tracing::info!("{words}"),
            }
        }
        let content = self.keeper.is_content();
        if content && !self.content {
            tracing::info!("all {} members run", self.keeper.service().members());
        }
        self.content = content;
        Ok(())
    }
}
