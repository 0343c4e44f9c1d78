//! The shell of a service of pods: it ties the keeper to a session, to a ledger on disk, and to a
//! port on which the service shows itself and is told what to do.
//!
//! It relies on the keeper for every decision. A call is sent, and an order is answered, only after
//! the commits before it are durable; a process that cannot write ends. It never tears the framework
//! down: a service that stops may come back later.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_model::convert::framework as convert;
use holdfast_model::{Capability, FrameworkId, FrameworkInfo, Instant};
use holdfast_wire::{Limits, Routes, Server};
use tokio::sync::{mpsc, oneshot, Notify};
use tokio_util::sync::CancellationToken;

use super::super::clock::now;
use super::super::endings::Questions;
use super::super::ledger::LedgerFile;
use super::super::process::stop_signal;
use super::super::session::{Session, SessionEvent, SessionOptions};
use super::found;
use super::front::{Front, Page, Question, Scaled, QUESTIONS_MAX};
use super::{render, started};
use crate::ended::Endings;
use crate::keeper::{Effect, Input};
use crate::pods::{Answer, Command, FoundVolume, Hooks, Lost, Refused, ServiceKeeper};
use crate::spec::ServiceSpec;

/// The number of events that are handled with one write of the ledger.
const BATCH_MAX: usize = 256;
/// The default failover timeout: a week. The service's claims stay even after it.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The largest document that is taken: a spec as JSON.
const DOCUMENT_MAX_BYTES: usize = 4 << 20;
/// How many connections the service's port holds at once.
const CONNECTIONS_MAX: usize = 256;

/// The options of a service's process.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// `host:port` of the masters, one or more, or `zk://host:port,.../path` where they meet.
    pub masters: Vec<String>,
    /// The directory of its ledger, which is made when it is not there. Each service needs one of
    /// its own.
    pub ledger_dir: PathBuf,
    /// Where it serves its pages; port 0 takes any free one.
    pub listen: SocketAddr,
    /// `host:port` of its pages as others see it; `None` for where it listens.
    pub advertise: Option<String>,
    /// The user that its tasks run as where the spec names none.
    pub user: String,
    /// The time that it may be away before it is removed. Its claims stay even then.
    pub failover_timeout: Duration,
    /// What to do about volumes that bear its name while its ledger is empty.
    pub lost: Lost,
    /// By which its hooks are told that they know something new.
    pub news: News,
}

/// Says to a service that its hooks have learnt something beside it, so that it asks them again.
/// Cheap to clone; several news may become one.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<Notify>);

impl News {
    /// Says that there are news.
    pub fn tell(&self) {
        self.0.notify_one();
    }
}

impl ServiceOptions {
    /// The usual options: its pages are served on loopback only, and tasks run as the user who
    /// starts this process.
    pub fn new(masters: Vec<String>, ledger_dir: impl Into<PathBuf>) -> ServiceOptions {
        ServiceOptions {
            masters,
            ledger_dir: ledger_dir.into(),
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: None,
            user: std::env::var("USER").unwrap_or_default(),
            failover_timeout: FAILOVER_TIMEOUT,
            lost: Lost::Ask,
            news: News::default(),
        }
    }
}

/// Runs a service until SIGTERM or SIGINT. Its tasks run on; start it again, with the same ledger,
/// to go on.
///
/// # Errors
/// When the ledger cannot be opened or written, its port cannot be bound, or the masters removed the
/// framework or gave its place to another process.
pub async fn run_service<H: Hooks>(
    spec: ServiceSpec,
    hooks: H,
    options: ServiceOptions,
) -> anyhow::Result<()> {
    run_service_until(spec, hooks, options, stop_signal()).await
}

/// Does the same as [`run_service`] until `stop` resolves.
///
/// # Errors
/// As [`run_service`].
pub async fn run_service_until<H: Hooks>(
    spec: ServiceSpec,
    hooks: H,
    options: ServiceOptions,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    if options.masters.is_empty() {
        bail!("no master is named; give host:port of at least one");
    }
    if options.listen.ip().is_unspecified() && options.advertise.is_none() {
        bail!(
            "{} is no address that others can ask; say with --advertise HOST:PORT how they find this service",
            options.listen
        );
    }
    let (file, ledger) = LedgerFile::open(&options.ledger_dir, &spec.name)?;
    tracing::info!(
        "the ledger in {} knows {} members",
        options.ledger_dir.display(),
        ledger.service.members.len()
    );
    let dir = &options.ledger_dir;
    if !ledger.members.is_empty() && ledger.service.is_empty() {
        bail!(
            "the ledger in {} is of a service of {} members without pods, which this scheduler does not go on with, nor step beside; go on with the program that wrote it, or give this service a name and a ledger of its own and move the data",
            dir.display(),
            ledger.members.len()
        );
    }
    let given = started::spec_to_start(dir, spec.clone(), &ledger.service);
    started::write(dir, &spec)
        .with_context(|| format!("cannot write in {}; make room there", dir.display()))?;
    let spec = given;
    let limits = Limits {
        body_max_bytes: DOCUMENT_MAX_BYTES,
        connections_max: CONNECTIONS_MAX,
        ..Limits::default()
    };
    let server = Server::bind(options.listen, limits).await?;
    let address = options.advertise.clone().unwrap_or_else(|| server.address().to_string());
    tracing::info!("service `{}` serves its pages at http://{address}/", spec.name);
    let (asks, questions) = mpsc::channel(QUESTIONS_MAX);
    let front = Arc::new(Front { name: spec.name.clone(), questions: asks });
    let port = CancellationToken::new();
    let served = tokio::spawn(server.serve(Routes::Framework(front), port.clone()));
    let info = framework_info(&spec, &options, ledger.framework.clone(), &address)?;
    let session = Session::open(SessionOptions::new(options.masters, info));
    let endings = Questions::new(session.masters());
    let keeper = ServiceKeeper::recover(spec, hooks, options.lost, ledger);
    let (finder, finds) = mpsc::channel(1);
    let mut shell = Shell {
        keeper,
        file,
        session,
        endings,
        questions,
        finds,
        finder,
        orders: BTreeMap::new(),
        tickets: 0,
        all_run: false,
        news: options.news,
    };
    shell.run(stop).await?;
    tracing::info!("stopping; tasks and volumes stay as they are");
    port.cancel();
    // What is being answered has its time.
    let _ = served.await;
    shell.file.close().context("the ledger is safe, but could not be closed in order")
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        // tidy: sleep is the point: the keeper has no clock, and asks to be told when its deadline
        // has come
        Some(at) => tokio::time::sleep(Duration::from_millis(at.since_ms(now()))).await,
        None => std::future::pending().await,
    }
}

fn framework_info(
    spec: &ServiceSpec,
    options: &ServiceOptions,
    id: Option<FrameworkId>,
    address: &str,
) -> anyhow::Result<FrameworkInfo> {
    let info = FrameworkInfo {
        id,
        name: spec.name.clone(),
        user: options.user.clone(),
        roles: vec![spec.role.clone()],
        failover_timeout_ms: u64::try_from(options.failover_timeout.as_millis())
            .unwrap_or(u64::MAX),
        checkpoint: true,
        principal: spec.principal.clone(),
        hostname: None,
        capabilities: [
            Capability::PartitionAware,
            Capability::MultiRole,
            Capability::ReservationRefinement,
        ]
        .into(),
        payload: Default::default(),
        constraints: Default::default(),
    };
    let mut wire = convert::to_proto(&info);
    wire.webui_url = Some(format!("http://{address}/"));
    convert::from_proto(wire).context("the framework cannot be described")
}

/// A ticket of an order that was given to the keeper, and who waits for its answer.
type Orders = BTreeMap<u64, oneshot::Sender<Result<Answer, Refused>>>;

struct Shell<H> {
    keeper: ServiceKeeper<H>,
    file: LedgerFile,
    session: Session,
    endings: Questions,
    questions: mpsc::Receiver<Question>,
    finds: mpsc::Receiver<Option<Vec<FoundVolume>>>,
    finder: mpsc::Sender<Option<Vec<FoundVolume>>>,
    orders: Orders,
    tickets: u64,
    all_run: bool,
    news: News,
}

/// What a turn begins with.
enum Turn {
    /// The session said something.
    Heard(SessionEvent),
    /// The masters answered a question, or could not.
    Answered(Option<Endings>),
    /// The masters said which volumes there are, or could not.
    Found(Option<Vec<FoundVolume>>),
    /// Somebody asks.
    Asked(Question),
    /// The hooks have learnt something.
    News,
    /// The keeper's deadline has come.
    Due,
}

impl<H: Hooks> Shell<H> {
    async fn run(&mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::pin!(stop);
        loop {
            let turn = tokio::select! {
                heard = self.session.next() => Turn::Heard(heard),
                answer = self.endings.answer() => Turn::Answered(answer),
                Some(found) = self.finds.recv() => Turn::Found(found),
                Some(question) = self.questions.recv() => Turn::Asked(question),
                () = self.news.0.notified() => Turn::News,
                () = until(self.keeper.next_deadline()) => Turn::Due,
                () = &mut stop => return Ok(()),
            };
            self.turn(turn).await?;
        }
    }

    /// Handles an input and all that wait behind it; writes once; then sends the calls.
    async fn turn(&mut self, first: Turn) -> anyhow::Result<()> {
        let mut effects = match first {
            Turn::Heard(heard) => self.heard(heard)?,
            Turn::Answered(Some(answer)) => self.keeper.handle(now(), Input::Ended(answer)),
            Turn::Found(Some(found)) => self.keeper.handle(now(), Input::Found(found)),
            Turn::Answered(None) | Turn::Found(None) => Vec::new(),
            Turn::Asked(question) => self.asked(question),
            Turn::News => self.keeper.handle(now(), Input::Poke),
            Turn::Due => self.keeper.handle(now(), Input::Tick),
        };
        for _ in 1..BATCH_MAX {
            let Some(heard) = self.session.try_next() else { break };
            // The calls below belong to the subscription of the last event: those from before its
            // break are dropped.
            if heard == SessionEvent::Disconnected {
                effects.retain(|it| !matches!(it, Effect::Call(_)));
            }
            effects.extend(self.heard(heard)?);
        }
        self.carry_out(effects).await
    }

    fn heard(&mut self, heard: SessionEvent) -> anyhow::Result<Vec<Effect>> {
        match heard {
            SessionEvent::Event(event) => Ok(self.keeper.handle(now(), Input::Event(event))),
            SessionEvent::Disconnected => Ok(self.keeper.handle(now(), Input::Disconnected)),
            SessionEvent::Ended(why) => bail!("the masters ended this framework's session: {why}"),
        }
    }

    /// Answers a question, or passes an order on.
    fn asked(&mut self, question: Question) -> Vec<Effect> {
        match question {
            Question::Read(page, answer) => {
                // Whoever asked may be gone.
                let _ = answer.send(self.page(&page));
                Vec::new()
            }
            Question::Order(command, answer) => self.order(command, answer),
            Question::Scale(pod, count, answer) => {
                let _ = answer.send(self.scaled(&pod, count));
                Vec::new()
            }
        }
    }

    fn page(&self, page: &Page) -> holdfast_wire::JsonText {
        match page {
            Page::Service => super::front::page(&render::service(&self.keeper)),
            Page::Plans => super::front::page(&render::plans(&self.keeper)),
            Page::Pods => super::front::page(&render::pods(&self.keeper)),
            Page::Endpoints => super::front::page(&render::endpoints(&self.keeper)),
            Page::Offers => super::front::page(&render::offers(&self.keeper)),
        }
    }

    fn scaled(&self, pod: &str, count: u32) -> Result<Scaled, Refused> {
        let mut spec = self.keeper.spec().clone();
        let Some(of) = spec.pods.iter_mut().find(|it| it.name == pod) else {
            return Err(Refused::NotFound(format!("there is no pod `{pod}`")));
        };
        if count < of.count {
            return Ok(Scaled::In(of.count));
        }
        of.count = count;
        Ok(Scaled::Out(Box::new(spec)))
    }

    fn order(
        &mut self,
        command: Command,
        answer: oneshot::Sender<Result<Answer, Refused>>,
    ) -> Vec<Effect> {
        self.tickets += 1;
        self.orders.insert(self.tickets, answer);
        self.keeper.handle(now(), Input::Command(self.tickets, Box::new(command)))
    }

    /// Writes all commits at once before any call is sent: to commit earlier than asked is allowed,
    /// later is not.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> anyhow::Result<()> {
        let commits = effects.iter().filter_map(|it| match it {
            Effect::Commit(changes) => Some(changes),
            _ => None,
        });
        self.file
            .commit(commits.flatten())
            .context("stopping, since nothing may be said that is not written down")?;
        for effect in effects {
            let framework = self.keeper.ledger().framework.as_ref();
            match effect {
                Effect::Commit(_) => {}
                Effect::Call(call) => self.session.send(*call).await,
                Effect::Log(words) => tracing::info!("{words}"),
                Effect::AskEnded(agent, volume) => {
                    self.endings.ask(framework, agent, volume, false);
                }
                Effect::AskMoved(agent, volume) => {
                    self.endings.ask(framework, agent, volume, true);
                }
                Effect::AskFound => {
                    let role = self.keeper.spec().role.clone();
                    found::ask(self.session.masters(), role, self.finder.clone());
                }
                Effect::Answer(ticket, answer) => {
                    if let Some(waiting) = self.orders.remove(&ticket) {
                        let _ = waiting.send(*answer);
                    }
                }
            }
        }
        self.tell_all_run();
        Ok(())
    }

    /// Says once, when it is known, that all members run.
    fn tell_all_run(&mut self) {
        let (running, wanted) = render::counts(&self.keeper);
        let all_run = running == wanted && 0 < wanted;
        if all_run && !self.all_run {
            tracing::info!("all {wanted} members run");
        }
        self.all_run = all_run;
    }
}
