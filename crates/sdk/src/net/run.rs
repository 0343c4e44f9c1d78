//! The shell of a framework: it ties a keeper to a session and to a ledger on disk.
//!
//! It relies on the keeper for every decision. A call is sent only after the commits before it are
//! durable, and a process that cannot write ends. It never tears the framework down: a service that
//! stops may come back later.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_model::{Capability, FrameworkId, FrameworkInfo};

use super::clock::now;
use super::endings::Questions;
use super::ledger::LedgerFile;
use super::process::stop_signal;
use super::session::{Session, SessionEvent, SessionOptions};
use crate::ended::Endings;
use crate::keeper::{Effect, Input, Keeper};
use crate::service::Service;

/// The number of events that are handled with one write of the ledger.
const BATCH_MAX: usize = 256;
/// The default failover timeout: a week. The framework's claims stay even after it.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The options of a framework's process.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of the masters, one or more, or `zk://host:port,.../path` where they meet.
    pub masters: Vec<String>,
    /// The directory of its ledger, which is made when it is not there. Each service needs one of
    /// its own.
    pub ledger_dir: PathBuf,
    /// The user that its tasks run as; empty for whoever the agent is.
    pub user: String,
    /// The framework's name for people; `None` for the service's.
    pub name: Option<String>,
    /// The time that it may be away before it is removed. Its claims stay even then.
    pub failover_timeout: Duration,
    /// The host of its own web page.
    pub hostname: Option<String>,
}

impl Options {
    /// Makes the default options; tasks run as the user who starts this process.
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

/// Runs a service until SIGTERM or SIGINT. Its tasks run on; start it again, with the same ledger,
/// to go on.
///
/// # Errors When the ledger cannot be opened or written, or when the masters removed the framework
/// or gave its place to another process.
pub async fn run<S: Service>(service: S, options: Options) -> anyhow::Result<()> {
    run_until(service, options, stop_signal()).await
}

/// Does the same as [`run`] until `stop` resolves.
///
/// # Errors
/// As [`run`].
pub async fn run_until<S: Service>(
    service: S,
    options: Options,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    if options.masters.is_empty() {
        bail!("no master is named; give host:port of at least one");
    }
    let (file, ledger) = LedgerFile::open(&options.ledger_dir, service.name())?;
    let known = ledger.members.len();
    tracing::info!("the ledger in {} knows {known} members", options.ledger_dir.display());
    let info = framework_info(&service, &options, ledger.framework.clone());
    let session = Session::open(SessionOptions::new(options.masters, info));
    let questions = Questions::new(session.masters());
    let keeper = Keeper::recover(service, ledger);
    let mut shell = Shell { keeper, file, session, questions, content: false };
    tokio::pin!(stop);
    loop {
        let turn = tokio::select! {
            heard = shell.session.next() => Turn::Heard(heard),
            answer = shell.questions.answer() => Turn::Answered(answer),
            () = until(shell.keeper.next_deadline()) => Turn::Due,
            () = &mut stop => break,
        };
        shell.turn(turn).await?;
    }
    tracing::info!("stopping; tasks and volumes stay as they are");
    shell.file.close().context("the ledger is safe, but could not be closed in order")
}

async fn until(deadline: Option<holdfast_model::Instant>) {
    match deadline {
        // tidy: sleep is the point: the keeper has no clock, and asks to be told when its deadline
        // has come
        Some(at) => tokio::time::sleep(Duration::from_millis(at.since_ms(now()))).await,
        None => std::future::pending().await,
    }
}

fn framework_info<S: Service>(
    service: &S,
    options: &Options,
    id: Option<FrameworkId>,
) -> FrameworkInfo {
    FrameworkInfo {
        id,
        name: options.name.clone().unwrap_or_else(|| service.name().to_owned()),
        user: options.user.clone(),
        roles: vec![service.role().clone()],
        failover_timeout_ms: u64::try_from(options.failover_timeout.as_millis())
            .unwrap_or(u64::MAX),
        checkpoint: true,
        principal: service.principal().map(str::to_owned),
        hostname: options.hostname.clone(),
        capabilities: [
            Capability::PartitionAware,
            Capability::MultiRole,
            Capability::ReservationRefinement,
        ]
        .into(),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

struct Shell<S> {
    keeper: Keeper<S>,
    file: LedgerFile,
    session: Session,
    questions: Questions,
    content: bool,
}

/// What a turn begins with.
enum Turn {
    /// The session said something.
    Heard(SessionEvent),
    /// The masters answered a question, or could not.
    Answered(Option<Endings>),
    /// The keeper's deadline has come.
    Due,
}

impl<S: Service> Shell<S> {
    /// Handles an input and all that wait behind it; writes once; then sends the calls.
    async fn turn(&mut self, first: Turn) -> anyhow::Result<()> {
        let mut effects = match first {
            Turn::Heard(heard) => self.handle(heard)?,
            Turn::Answered(Some(answer)) => self.keeper.handle(now(), Input::Ended(answer)),
            Turn::Answered(None) => Vec::new(),
            Turn::Due => self.keeper.handle(now(), Input::Tick),
        };
        for _ in 1..BATCH_MAX {
            let Some(heard) = self.session.try_next() else { break };
            // The calls below belong to the subscription of the last event: those from before its
            // break are dropped.
            if heard == SessionEvent::Disconnected {
                effects.retain(|it| !matches!(it, Effect::Call(_)));
            }
            effects.extend(self.handle(heard)?);
        }
        self.carry_out(effects).await
    }

    fn handle(&mut self, heard: SessionEvent) -> anyhow::Result<Vec<Effect>> {
        match heard {
            SessionEvent::Event(event) => Ok(self.keeper.handle(now(), Input::Event(event))),
            SessionEvent::Disconnected => Ok(self.keeper.handle(now(), Input::Disconnected)),
            SessionEvent::Ended(why) => bail!("the masters ended this framework's session: {why}"),
        }
    }

    /// Writes all commits at once before any call is sent: to commit earlier than asked is allowed,
    /// later is not.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> anyhow::Result<()> {
        let commits = effects.iter().filter_map(|it| {
            if let Effect::Commit(changes) = it {
                Some(changes)
            } else {
                None
            }
        });
        self.file
            .commit(commits.flatten())
            .context("stopping, since nothing may be said that is not written down")?;
        for effect in effects {
            match effect {
                Effect::Commit(_) => {}
                Effect::Call(call) => self.session.send(*call).await,
                Effect::Log(words) => tracing::info!("{words}"),
                Effect::AskEnded(agent, volume) => {
                    let framework = self.keeper.ledger().framework.as_ref();
                    self.questions.ask(framework, agent, volume, false);
                }
                Effect::AskMoved(agent, volume) => {
                    let framework = self.keeper.ledger().framework.as_ref();
                    self.questions.ask(framework, agent, volume, true);
                }
                // Only a keeper of pods asks for these, and nobody commands this one.
                Effect::AskFound | Effect::Answer(..) => {}
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

#[cfg(test)]
mod tests {
    use holdfast_model::{
        Action, AgentId, Call, CommandInfo, Event, Offer, OfferId, Resource, Role, Scalar,
        StatusUuid, TaskState, TaskStatus,
    };
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;
    use crate::ledger::Member;
    use crate::net::testbed::{soon, MasterBed, Subscription};
    use crate::service::{Needs, Program};

    struct Single(Role);

    impl Service for Single {
        fn name(&self) -> &str {
            "single"
        }
        fn role(&self) -> &Role {
            &self.0
        }
        fn members(&self) -> u32 {
            1
        }
        fn needs(&self, _member: u32) -> Needs {
            Needs {
                cpus: Scalar::whole(1),
                mem_mb: 10,
                disk_mb: 10,
                container_path: "data".to_owned(),
            }
        }
        fn program(&self, _member: &Member) -> Program {
            let command = CommandInfo {
                shell: true,
                value: Some("true".to_owned()),
                ..CommandInfo::default()
            };
            Program { command, executor: false }
        }
    }

    struct Running {
        stop: CancellationToken,
        done: tokio::task::JoinHandle<anyhow::Result<()>>,
    }

    impl Running {
        fn start(master: &MasterBed, dir: &std::path::Path) -> Running {
            let stop = CancellationToken::new();
            let service = Single(Role::parse("db").unwrap());
            let options = Options::new(vec![master.address()], dir);
            Running {
                done: tokio::spawn(run_until(service, options, stop.clone().cancelled_owned())),
                stop,
            }
        }

        async fn stop(self) -> anyhow::Result<()> {
            self.stop.cancel();
            soon("the framework stops", self.done).await.unwrap()
        }
    }

    fn offer(subscription: &Subscription) {
        let role = Role::parse("db").unwrap();
        let of = |name: &str| Resource::scalar(name, Scalar::whole(100)).allocated_to(&role);
        let resources: Vec<Resource> = ["cpus", "mem", "disk"].map(of).into();
        subscription.send(&Event::Offers(vec![Offer {
            id: OfferId::made("o-1".to_owned()),
            framework: FrameworkId::made("f-1".to_owned()),
            role,
            agent: AgentId::made("a-1".to_owned()),
            resources: resources.iter().collect(),
            executors: Vec::new(),
            hostname: "h".to_owned(),
            machine: Default::default(),
            claims: Vec::new(),
            unavailability: None,
        }]));
    }

    #[tokio::test]
    async fn what_was_said_was_written_down_and_is_asked_about_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut master = MasterBed::open().await;
        let running = Running::start(&master, dir.path());
        let subscription = master.subscription().await;
        let info = subscription.info.clone();
        assert_eq!(
            (info.id, info.name.as_str(), info.failover_timeout_ms, info.checkpoint),
            (None, "single", 604_800_000, true)
        );
        assert!(info.capabilities.contains(&Capability::ReservationRefinement));
        subscription.welcome("f-1");
        offer(&subscription);
        let Call::Accept { operations, .. } = master.call().await else {
            panic!("the offer is not accepted")
        };
        assert!(matches!(operations.last().unwrap().action, Action::Launch(_)));
        running.done.abort(); // This ends it as kill -9 would.
        assert!(soon("the framework ends", running.done).await.unwrap_err().is_cancelled());
        subscription.gone().await;

        let running = Running::start(&master, dir.path());
        let subscription = master.subscription().await;
        assert_eq!(subscription.info.id, Some(FrameworkId::made("f-1".to_owned())));
        subscription.welcome("f-1");
        let Call::Reconcile(tasks) = master.call().await else { panic!("it does not ask") };
        assert_eq!(tasks.len(), 1);
        let task = tasks[0].0.clone();
        let mut status = TaskStatus::new(task.clone(), TaskState::Running, now())
            .at_agent(&AgentId::made("a-1".to_owned()));
        status.uuid = Some(StatusUuid(Uuid::from_u128(7)));
        subscription.send(&Event::Update(status));
        let acknowledged = loop {
            if let Call::Acknowledge { task, .. } = master.call().await {
                break task;
            }
        };
        assert_eq!(acknowledged, task);
        running.stop().await.unwrap();
        let (_, ledger) = LedgerFile::open(dir.path(), "single").unwrap();
        let run = ledger.members[&0].run.clone().unwrap();
        assert_eq!((run.task, run.running), (task, true), "acknowledged means written down");
    }

    #[tokio::test]
    async fn a_framework_that_lost_its_place_ends_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut master = MasterBed::open().await;
        let running = Running::start(&master, dir.path());
        let subscription = master.subscription().await;
        subscription.welcome("f-1");
        subscription.send(&Event::Error("Framework failed over".to_owned()));
        let why = soon("the framework ends", running.done).await.unwrap().unwrap_err();
        assert!(format!("{why:#}").contains("Framework failed over"), "{why:#}");
    }

    #[tokio::test]
    async fn without_masters_or_without_its_own_ledger_it_does_not_begin() {
        let dir = tempfile::tempdir().unwrap();
        let service = || Single(Role::parse("db").unwrap());
        let never = std::future::pending::<()>;
        assert!(run_until(service(), Options::new(Vec::new(), dir.path()), never()).await.is_err());
        let (other, _) = LedgerFile::open(dir.path(), "other").unwrap();
        drop(other);
        let options = Options::new(vec!["127.0.0.1:1".to_owned()], dir.path());
        let why = run_until(service(), options, never()).await.unwrap_err().to_string();
        assert!(why.contains("belongs to service `other`"), "{why}");
    }
}
