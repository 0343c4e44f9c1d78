//! The link to the agent: subscribes, sends what there is to send, and subscribes again when the
//! agent restarts.
//!
//! It relies on the reporter's soft state for what must be sent again. It gives up, and logs why,
//! when the agent does not accept this executor, when it stays away for longer than the recovery
//! timeout, or at once when it goes and the framework does not checkpoint (D27). It never gives up
//! for any other reason: what runs here may be all that is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_model::convert::executor::{call_to_proto, event_from_proto};
use holdfast_model::{ExecutorCall, ExecutorEvent, MachineInfo, StatusUuid, TaskInfo};
use holdfast_proto::mesos::v1::executor::{Call as WireCall, Event as WireEvent};
use holdfast_proto::mesos::v1::{AgentInfo, Attribute};
use holdfast_wire::client::{EventStream, ExecutorSession};
use holdfast_wire::{ClientError, ClientSettings, MesosClient, Reconnect};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::session::chain;
use super::environment::Environment;
use super::reporter::Reporter;
use super::{Event, Welcome};

/// The time that the agent that started us has for its first answer, when the framework does not
/// checkpoint.
const FIRST_TIMEOUT: Duration = Duration::from_secs(60);
/// A link that lasted this long was stable: the next attempt is made at once.
const STEADY: Duration = Duration::from_secs(1);

/// Why a link ended.
enum Over {
    /// It was lost; try again.
    Lost(String),
    /// The agent ended it; do not try again.
    Ended(String),
    /// Nobody receives its events any more.
    Dropped,
}

/// A link to the agent that is made again when it breaks.
pub(super) struct Link {
    environment: Environment,
    client: MesosClient,
    reporter: Reporter,
    messages: mpsc::Receiver<Vec<u8>>,
    listener: mpsc::Sender<Event>,
}

impl Link {
    /// Makes a link that does not connect before it runs.
    pub fn new(
        environment: Environment,
        settings: ClientSettings,
        reporter: Reporter,
        messages: mpsc::Receiver<Vec<u8>>,
        listener: mpsc::Sender<Event>,
    ) -> Link {
        Link { environment, client: MesosClient::new(settings), reporter, messages, listener }
    }

    /// Runs until the agent is lost for good or nobody receives.
    pub async fn run(mut self) {
        let listener = self.listener.clone();
        let why = tokio::select! {
            why = self.keep() => why,
            () = listener.closed() => None,
        };
        self.reporter.end();
        if let Some(why) = why {
            tracing::warn!("the agent is lost for good: {why}");
            // A receiver that is gone has ended too.
            let _ = listener.send(Event::Shutdown(why)).await;
        }
    }

    /// Keeps a link, one after the other. Returns why there will be no other.
    async fn keep(&mut self) -> Option<String> {
        let mut reconnect = Reconnect::new(self.environment.backoff_max);
        let mut patience = if self.environment.checkpoint {
            self.environment.recovery_timeout
        } else {
            FIRST_TIMEOUT
        };
        let mut lost_at = Instant::now();
        loop {
            let begun = Instant::now();
            let (welcomed, over) = self.link().await;
            let why = match over {
                Over::Lost(why) => why,
                Over::Ended(why) => return Some(why),
                Over::Dropped => return None,
            };
            if welcomed {
                lost_at = Instant::now();
                if begun.elapsed() >= STEADY {
                    reconnect.reset();
                }
                tracing::info!("the link to the agent is lost: {why}");
                if !self.environment.checkpoint {
                    patience = Duration::ZERO;
                }
            }
            if lost_at.elapsed() >= patience {
                return Some(format!("{why}; the agent did not come back within {patience:?}"));
            }
            tracing::debug!("no link to the agent: {why}");
            // tidy: sleep is the point: an agent that restarts is not asked all the time
            tokio::time::sleep(reconnect.pause().min(patience.saturating_sub(lost_at.elapsed())))
                .await;
        }
    }

    /// Runs one link; returns whether the agent accepted us on it, too.
    async fn link(&mut self) -> (bool, Over) {
        let (call, given) = self.reporter.introduce();
        let said: BTreeSet<StatusUuid> = match &call {
            ExecutorCall::Subscribe { updates, .. } => {
                updates.iter().filter_map(|it| it.uuid).collect()
            }
            _ => BTreeSet::new(),
        };
        let wire = self.wire(&call, &given);
        let session =
            match ExecutorSession::subscribe(&self.client, &self.environment.agent, &wire).await {
                Ok(session) => session,
                Err(ClientError::Refused { status: 400, message }) => {
                    return (false, Over::Ended(message))
                }
                Err(error) => return (false, Over::Lost(chain(&error))),
            };
        let mut events = session.events;
        let (welcome, welcomed) = watch::channel(false);
        // Messages from the time without a link are dropped, as messages may be; statuses are not.
        while self.messages.try_recv().is_ok() {}
        let speaker = Sender {
            client: &self.client,
            environment: &self.environment,
            reporter: &self.reporter,
            said,
        };
        let over = tokio::select! {
            over = listen(&mut events, &self.reporter, &self.listener, &welcome) => over,
            over = speaker.run(&mut self.messages, welcomed) => over,
        };
        let was_welcomed = *welcome.borrow();
        (was_welcomed, over)
    }

    fn wire(&self, call: &ExecutorCall, given: &[TaskInfo]) -> WireCall {
        call_to_proto(&self.environment.framework, &self.environment.executor, call, given)
    }
}

/// Delivers events until there are no more.
async fn listen(
    events: &mut EventStream<WireEvent>,
    reporter: &Reporter,
    listener: &mpsc::Sender<Event>,
    welcome: &watch::Sender<bool>,
) -> Over {
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Over::Lost("the agent ended the stream".to_owned()),
            Err(error) => return Over::Lost(chain(&error)),
        };
        let heard = match event_from_proto(event) {
            Ok(None) => continue,
            Ok(Some(event)) => event,
            Err(invalid) => {
                tracing::warn!("the agent sent an event that cannot be understood: {invalid}");
                continue;
            }
        };
        let heard = match heard {
            ExecutorEvent::Subscribed { executor, framework, agent, machine, .. } => {
                welcome.send_replace(true);
                Event::Subscribed(Box::new(Welcome {
                    executor: *executor,
                    framework: *framework,
                    agent,
                    attributes: texts(&machine),
                    hostname: machine.hostname,
                }))
            }
            ExecutorEvent::Launch(task) => {
                reporter.add_task(&task);
                Event::Launch(task)
            }
            ExecutorEvent::LaunchGroup(tasks) => {
                tasks.iter().for_each(|it| reporter.add_task(it));
                Event::LaunchGroup(tasks)
            }
            ExecutorEvent::Kill(task, grace_ms) => {
                Event::Kill(task, grace_ms.map(Duration::from_millis))
            }
            ExecutorEvent::Acknowledged(task, uuid) => {
                reporter.acknowledge(&task, uuid);
                continue;
            }
            ExecutorEvent::Message(data) => Event::Message(data),
            ExecutorEvent::Shutdown => Event::Shutdown("the agent says so".to_owned()),
            ExecutorEvent::Error(why) => return Over::Ended(why),
        };
        if listener.send(heard).await.is_err() {
            return Over::Dropped;
        }
    }
}

/// The attributes of a machine that are texts. What of it is kept as received was read before: it is as it was sent.
fn texts(machine: &MachineInfo) -> BTreeMap<String, String> {
    let info = AgentInfo::decode(machine.payload.bytes()).unwrap_or_default();
    let text = |it: Attribute| Some((it.name, it.text?.value));
    info.attributes.into_iter().filter_map(text).collect()
}

/// Sends what there is to send on one link.
struct Sender<'a> {
    client: &'a MesosClient,
    environment: &'a Environment,
    reporter: &'a Reporter,
    /// The statuses that were sent on this link.
    said: BTreeSet<StatusUuid>,
}

impl Sender<'_> {
    /// Sends statuses first, in order, each after the agent took the one before.
    async fn run(
        mut self,
        messages: &mut mpsc::Receiver<Vec<u8>>,
        mut welcomed: watch::Receiver<bool>,
    ) -> Over {
        // The other half of this link holds the sender.
        let _ = welcomed.wait_for(|it| *it).await;
        loop {
            if let Some(status) = self.reporter.next_unsent(&self.said) {
                self.said.extend(status.uuid);
                if let Err(error) = self.say(&ExecutorCall::Update(status)).await {
                    return Over::Lost(chain(&error));
                }
                continue;
            }
            tokio::select! {
                () = self.reporter.changed() => {}
                message = messages.recv() => {
                    let Some(data) = message else { return Over::Dropped };
                    if let Err(error) = self.say(&ExecutorCall::Message(data)).await {
                        return Over::Lost(chain(&error));
                    }
                }
            }
        }
    }

    async fn say(&self, call: &ExecutorCall) -> Result<(), ClientError> {
        let wire =
            call_to_proto(&self.environment.framework, &self.environment.executor, call, &[]);
        self.client.executor_call(&self.environment.agent, &wire).await
    }
}

#[cfg(test)]
mod tests {
    use holdfast_model::{AgentId, ExecutorId, FrameworkId, TaskId, TaskState, TaskStatus};
    use holdfast_wire::Refusal;

    use super::super::Executor;
    use super::*;
    use crate::net::testbed::{soon, AgentBed, ExecutorSubscription};

    fn environment(agent: &AgentBed, checkpoint: bool) -> Environment {
        Environment {
            agent: agent.address(),
            framework: FrameworkId::made("f".to_owned()),
            executor: ExecutorId::made("e".to_owned()),
            sandbox: "/".into(),
            checkpoint,
            recovery_timeout: Duration::from_secs(60),
            backoff_max: Duration::from_millis(20),
            shutdown_grace: Duration::from_secs(5),
        }
    }

    fn id(name: &str) -> TaskId {
        TaskId::made(name.to_owned())
    }

    fn task(name: &str) -> TaskInfo {
        TaskInfo {
            id: id(name),
            name: name.to_owned(),
            agent: AgentId::made("a".to_owned()),
            resources: Vec::new(),
            executor: None,
            command: None,
            kill_grace_ms: None,
            payload: Default::default(),
        }
    }

    async fn next(executor: &mut Executor) -> Event {
        soon("something is heard", executor.next()).await.unwrap()
    }

    async fn welcomed(agent: &mut AgentBed, executor: &mut Executor) -> ExecutorSubscription {
        let subscription = agent.subscription().await;
        subscription.welcome();
        let Event::Subscribed(welcome) = next(executor).await else { panic!("not welcome") };
        assert_eq!(welcome.hostname, "h");
        assert_eq!(welcome.attributes["rack"], "r1");
        subscription
    }

    async fn status(agent: &mut AgentBed) -> TaskStatus {
        match agent.call().await {
            ExecutorCall::Update(status) => status,
            other => panic!("{other:?} is no status"),
        }
    }

    fn introduction(subscription: &ExecutorSubscription) -> (Vec<TaskId>, Vec<TaskState>) {
        match &subscription.call {
            ExecutorCall::Subscribe { tasks, updates } => {
                (tasks.clone(), updates.iter().map(|it| it.state).collect())
            }
            other => panic!("{other:?} is no SUBSCRIBE"),
        }
    }

    #[tokio::test]
    async fn tasks_come_statuses_go_and_acknowledgements_settle() {
        let mut agent = AgentBed::open().await;
        let mut executor = Executor::start(environment(&agent, true));
        let subscription = welcomed(&mut agent, &mut executor).await;
        subscription.send(&ExecutorEvent::Launch(Box::new(task("t"))));
        assert!(matches!(next(&mut executor).await, Event::Launch(it) if it.id == id("t")));
        let reporter = executor.reporter();
        reporter.state(&id("t"), TaskState::Running);
        reporter.state_because(&id("t"), TaskState::Finished, "done");
        let (running, finished) = (status(&mut agent).await, status(&mut agent).await);
        assert_eq!(
            (running.state, finished.state, finished.message.as_deref()),
            (TaskState::Running, TaskState::Finished, Some("done"))
        );
        reporter.message(b"hello".as_slice());
        assert_eq!(agent.call().await, ExecutorCall::Message(b"hello".to_vec()));
        for status in [&running, &finished] {
            subscription.send(&ExecutorEvent::Acknowledged(id("t"), status.uuid.unwrap()));
        }
        assert!(soon("all is acknowledged", reporter.settled()).await);
        subscription.send(&ExecutorEvent::Kill(id("t"), Some(1_500)));
        assert_eq!(
            next(&mut executor).await,
            Event::Kill(id("t"), Some(Duration::from_millis(1_500)))
        );
        subscription.send(&ExecutorEvent::Shutdown);
        assert!(matches!(next(&mut executor).await, Event::Shutdown(_)));
    }

    #[tokio::test]
    async fn a_restarted_agent_is_told_what_it_did_not_acknowledge() {
        let mut agent = AgentBed::open().await;
        let mut executor = Executor::start(environment(&agent, true));
        let subscription = welcomed(&mut agent, &mut executor).await;
        assert_eq!(introduction(&subscription), (vec![], vec![]));
        subscription.send(&ExecutorEvent::LaunchGroup(vec![task("a"), task("b")]));
        assert!(matches!(next(&mut executor).await, Event::LaunchGroup(tasks) if tasks.len() == 2));
        let reporter = executor.reporter();
        reporter.state(&id("a"), TaskState::Starting);
        reporter.state(&id("a"), TaskState::Running);
        let (starting, _) = (status(&mut agent).await, status(&mut agent).await);
        subscription.send(&ExecutorEvent::Acknowledged(id("a"), starting.uuid.unwrap()));
        subscription.send(&ExecutorEvent::Message(Vec::new())); // It was sent before the executor received.
        assert_eq!(next(&mut executor).await, Event::Message(Vec::new()));
        drop(subscription);
        agent.close().await;
        reporter.state(&id("a"), TaskState::Finished); // There is no link meanwhile.
        agent.reopen().await;
        let subscription = agent.subscription().await;
        assert_eq!(
            introduction(&subscription),
            (vec![id("b")], vec![TaskState::Running, TaskState::Finished])
        );
        subscription.welcome();
        assert!(matches!(next(&mut executor).await, Event::Subscribed(_)));
        reporter.state(&id("b"), TaskState::Running);
        assert_eq!(
            status(&mut agent).await.task,
            id("b"),
            "what the introduction said is not said twice"
        );
    }

    #[tokio::test]
    async fn d27_without_checkpoint_the_end_of_the_agent_is_the_end() {
        let mut agent = AgentBed::open().await;
        let mut executor = Executor::start(environment(&agent, false));
        let subscription = welcomed(&mut agent, &mut executor).await;
        executor.reporter().state(&id("t"), TaskState::Running);
        drop(subscription);
        assert!(matches!(next(&mut executor).await, Event::Shutdown(_)));
        assert_eq!(soon("the end", executor.next()).await, None);
        assert!(!soon("the reporter gives up", executor.reporter().settled()).await);
    }

    #[tokio::test]
    async fn an_agent_that_stays_away_for_too_long_is_lost() {
        let mut agent = AgentBed::open().await;
        let mut executor = Executor::start(Environment {
            recovery_timeout: Duration::from_millis(50),
            ..environment(&agent, true)
        });
        let subscription = welcomed(&mut agent, &mut executor).await;
        drop(subscription);
        agent.close().await;
        assert!(
            matches!(next(&mut executor).await, Event::Shutdown(why) if why.contains("did not come back"))
        );
    }

    #[tokio::test]
    async fn an_agent_that_does_not_know_us_is_believed_and_one_that_is_not_ready_is_asked_again() {
        let mut agent = AgentBed::open().await;
        agent.refuse(Some(Refusal::unavailable("recovering")));
        let mut executor = Executor::start(environment(&agent, true));
        agent.refuse(None);
        let subscription = welcomed(&mut agent, &mut executor).await;
        subscription
            .send(&ExecutorEvent::Error("there is a newer link of this executor".to_owned()));
        assert_eq!(
            next(&mut executor).await,
            Event::Shutdown("there is a newer link of this executor".to_owned())
        );
        agent.refuse(Some(Refusal::bad_request("no such executor")));
        let mut executor = Executor::start(environment(&agent, true));
        assert_eq!(next(&mut executor).await, Event::Shutdown("no such executor".to_owned()));
    }
}
