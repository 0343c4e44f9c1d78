//! The way to the agent: subscribes, says what there is to say, and subscribes again when the agent restarts.
//!
//! Relies on the teller's drawer for what must be said again. Gives up, and says so, when the agent does not want this executor, when it
//! stays away for longer than the recovery timeout, or at once when it goes and the framework does not checkpoint (D27). Never gives up
//! for any other reason: what runs here may be all that is left.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_model::convert::executor::{call_to_proto, event_from_proto};
use holdfast_model::{ExecutorCall, ExecutorEvent, StatusUuid, TaskInfo};
use holdfast_proto::mesos::v1::executor::{Call as WireCall, Event as WireEvent};
use holdfast_wire::client::{EventStream, ExecutorSession};
use holdfast_wire::{ClientError, ClientSettings, MesosClient};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::backoff::Backoff;
use super::super::session::chain;
use super::environment::Environment;
use super::teller::Teller;
use super::{Heard, Welcome};

/// How long the agent that started us may take to answer for the first time, when the framework does not checkpoint.
const FIRST_TIMEOUT: Duration = Duration::from_secs(60);
/// A link that lasted this long was a good one: the next attempt is made at once.
const STEADY: Duration = Duration::from_secs(1);

/// Why a link is over.
enum Over {
    /// Try again.
    Lost(String),
    /// Do not.
    Ended(String),
    /// Nobody listens any more.
    Dropped,
}

/// See the module.
pub(super) struct Link {
    environment: Environment,
    client: MesosClient,
    teller: Teller,
    messages: mpsc::Receiver<Vec<u8>>,
    listener: mpsc::Sender<Heard>,
}

impl Link {
    /// A link that is still to be made.
    pub fn new(
        environment: Environment,
        settings: ClientSettings,
        teller: Teller,
        messages: mpsc::Receiver<Vec<u8>>,
        listener: mpsc::Sender<Heard>,
    ) -> Link {
        Link { environment, client: MesosClient::new(settings), teller, messages, listener }
    }

    /// Runs until the agent is lost for good or nobody listens.
    pub async fn run(mut self) {
        let listener = self.listener.clone();
        let why = tokio::select! {
            why = self.keep() => why,
            () = listener.closed() => None,
        };
        self.teller.end();
        if let Some(why) = why {
            tracing::warn!("the agent is lost for good: {why}");
            // Whoever does not listen has ended too.
            let _ = listener.send(Heard::Shutdown(why)).await;
        }
    }

    /// Links, one after the other. Returns why there will be no other.
    async fn keep(&mut self) -> Option<String> {
        let mut backoff = Backoff::new(self.environment.backoff_max);
        let mut patience = if self.environment.checkpoint { self.environment.recovery_timeout } else { FIRST_TIMEOUT };
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
                    backoff.reset();
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
            tokio::time::sleep(backoff.wait().min(patience.saturating_sub(lost_at.elapsed()))).await;
        }
    }

    /// One link, and whether the agent welcomed us on it.
    async fn link(&mut self) -> (bool, Over) {
        let (call, given) = self.teller.introduce();
        let said: BTreeSet<StatusUuid> = match &call {
            ExecutorCall::Subscribe { updates, .. } => updates.iter().filter_map(|it| it.uuid).collect(),
            _ => BTreeSet::new(),
        };
        let wire = self.wire(&call, &given);
        let session = match ExecutorSession::subscribe(&self.client, &self.environment.agent, &wire).await {
            Ok(session) => session,
            Err(ClientError::Refused { status: 400, message }) => return (false, Over::Ended(message)),
            Err(error) => return (false, Over::Lost(chain(&error))),
        };
        let mut events = session.events;
        let (welcome, welcomed) = watch::channel(false);
        // Messages of the time without a link are void, as messages may be; statuses are not.
        while self.messages.try_recv().is_ok() {}
        let speaker = Speaker { client: &self.client, environment: &self.environment, teller: &self.teller, said };
        let over = tokio::select! {
            over = listen(&mut events, &self.teller, &self.listener, &welcome) => over,
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
    teller: &Teller,
    listener: &mpsc::Sender<Heard>,
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
            ExecutorEvent::Subscribed { executor, framework, agent, .. } => {
                welcome.send_replace(true);
                Heard::Subscribed(Box::new(Welcome { executor: *executor, framework: *framework, agent }))
            }
            ExecutorEvent::Launch(task) => {
                teller.give(&task);
                Heard::Launch(task)
            }
            ExecutorEvent::LaunchGroup(tasks) => {
                tasks.iter().for_each(|it| teller.give(it));
                Heard::LaunchGroup(tasks)
            }
            ExecutorEvent::Kill(task, grace_ms) => Heard::Kill(task, grace_ms.map(Duration::from_millis)),
            ExecutorEvent::Acknowledged(task, uuid) => {
                teller.acknowledge(&task, uuid);
                continue;
            }
            ExecutorEvent::Message(data) => Heard::Message(data),
            ExecutorEvent::Shutdown => Heard::Shutdown("the agent says so".to_owned()),
            ExecutorEvent::Error(why) => return Over::Ended(why),
        };
        if listener.send(heard).await.is_err() {
            return Over::Dropped;
        }
    }
}

/// Says what there is to say on one link.
struct Speaker<'a> {
    client: &'a MesosClient,
    environment: &'a Environment,
    teller: &'a Teller,
    /// What was said on this link.
    said: BTreeSet<StatusUuid>,
}

impl Speaker<'_> {
    /// Statuses first, in order, each after the agent took the one before.
    async fn run(mut self, messages: &mut mpsc::Receiver<Vec<u8>>, mut welcomed: watch::Receiver<bool>) -> Over {
        // The other half of this link holds the sender.
        let _ = welcomed.wait_for(|it| *it).await;
        loop {
            if let Some(status) = self.teller.next_after(&self.said) {
                self.said.extend(status.uuid);
                if let Err(error) = self.say(&ExecutorCall::Update(status)).await {
                    return Over::Lost(chain(&error));
                }
                continue;
            }
            tokio::select! {
                () = self.teller.stirred() => {}
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
        let wire = call_to_proto(&self.environment.framework, &self.environment.executor, call, &[]);
        self.client.executor_call(&self.environment.agent, &wire).await
    }
}
