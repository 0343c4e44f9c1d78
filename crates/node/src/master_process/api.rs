//! A leading master as the wire sees it: links become inputs of the core, calls are checked against their session, and reads are
//! rendered from a view of the core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use holdfast_api::requests::{
    check_update, scheduler_call, subscription, FrameworkCommand, MasterCommand, NotSubscribed,
};
use holdfast_api::v1::MasterFacts;
use holdfast_api::{authorize, Action, MasterView, Object};
use holdfast_master::{Input, RequestId};
use holdfast_model::convert::link::{self, Received};
use holdfast_model::{Call, FrameworkId, FrameworkInfo, LinkId};
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::master::Event as MasterEvent;
use holdfast_proto::mesos::v1::scheduler::{event, Call as SchedulerCall, Event as SchedulerEvent};
use holdfast_wire::{Caller, LinkHead, Outbox, Refusal};
use uuid::Uuid;

use super::counted;
use super::event_stream::EventStream;
use super::metrics;
use super::shell::{Seen, Sessions, Waiting};
use crate::core_loop::Inbox;
use crate::counts::Counts;
use crate::links::Links;
use crate::refusals::{http, identity};
use crate::views::Views;

/// See the module.
pub struct LeaderApi {
    /// The way to the core.
    pub inbox: Inbox<Input>,
    /// What may be seen of it.
    pub views: Views<Seen>,
    /// Links of agents.
    pub agents: Links<ToAgent>,
    /// Links of frameworks.
    pub frameworks: Links<SchedulerEvent>,
    /// Operators who wait.
    pub waiting: Waiting,
    /// Who is subscribed.
    pub sessions: Sessions,
    /// Where clients reach this master, `host:port`.
    pub address: String,
    /// The next request's id.
    pub next_request: AtomicU64,
    /// Numbers of the process.
    pub gauges: metrics::Gauges,
    /// What it has counted.
    pub counts: Counts,
    /// Operators who follow what happens.
    pub events: EventStream,
    /// What this master knows of itself.
    pub facts: Arc<MasterFacts>,
}

impl LeaderApi {
    /// Asks the core, and waits for its answer.
    pub async fn ask(&self, command: MasterCommand) -> Result<(), Refusal> {
        self.ask_for(command).await?.map_err(http)
    }

    /// The same, with what the core refuses in its own terms.
    pub async fn ask_for(
        &self,
        command: MasterCommand,
    ) -> Result<Result<(), holdfast_api::Refusal>, Refusal> {
        self.answered(|request| Input::FromOperator(request, command.caller, command.call)).await
    }

    /// Tells the core what it answers, and waits for the answer.
    async fn answered(
        &self,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Result<(), holdfast_api::Refusal>, Refusal> {
        let request = RequestId(self.next_request.fetch_add(1, Ordering::Relaxed));
        let answer = self.waiting.insert(request);
        self.inbox.tell(input(request)).await;
        match answer.await {
            Ok(answer) => Ok(answer.map_err(Into::into)),
            Err(_) => {
                Err(Refusal::unavailable("the master stops; ask the next one whether it was done"))
            }
        }
    }

    /// Reads the latest view.
    pub async fn read<T: Send + 'static>(
        &self,
        render: impl FnOnce(&MasterView) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let read = self.views.read(|seen| render(&seen.core));
        read.await.map_err(|error| error.refusal("master"))
    }

    /// H7: a call must come from the framework's own session.
    async fn check_session(&self, stream: Uuid, framework: &FrameworkId) -> Result<(), Refusal> {
        match (self.sessions.link_of(framework), self.frameworks.of(stream)) {
            (Some(session), Some(link)) if session == link => Ok(()),
            (Some(_), _) => Err(Refusal::bad_request(
                "the Mesos-Stream-Id is not the stream ID of this framework's subscription; subscribe again",
            )),
            (None, _) => {
                let id = framework.clone();
                let known = self.read(move |view| view.frameworks().contains_key(&id)).await?;
                Err(match known {
                    true => Refusal::forbidden(format!(
                        "Framework is not subscribed: {framework}; subscribe again"
                    )),
                    false => Refusal::bad_request(format!(
                        "Framework cannot be found: {framework}; subscribe first"
                    )),
                })
            }
        }
    }
}

impl LeaderApi {
    /// A scheduler subscribes.
    pub async fn subscribe(
        &self,
        head: LinkHead,
        call: SchedulerCall,
        outbox: Outbox<SchedulerEvent>,
    ) -> Result<(), Refusal> {
        counted::called(&self.counts, &call);
        let command = match subscription(&identity(&head.caller), call) {
            Ok(command) => command,
            Err(NotSubscribed::Refused(refusal)) => return Err(http(refusal)),
            Err(NotSubscribed::Told(why)) => {
                let _ = outbox.send(error_event(why)); // Whoever is gone need not be told.
                return Ok(());
            }
        };
        let link = self.frameworks.open(head.stream_id, outbox);
        self.inbox.tell(Input::FromFramework(link, command.caller, command.call)).await;
        Ok(())
    }

    /// Any other call of a scheduler.
    pub async fn scheduler_call(
        &self,
        stream_id: Uuid,
        caller: &Caller,
        call: SchedulerCall,
    ) -> Result<(), Refusal> {
        counted::called(&self.counts, &call);
        let kind = call.r#type();
        let taken = self.check_call(stream_id, caller, call).await;
        counted::taken(&self.counts, kind, taken.is_ok());
        let (link, command) = taken?;
        let update = match &command.call.call {
            Call::UpdateFramework { info, .. } => Some(info.clone()),
            _ => None,
        };
        self.inbox.tell(Input::FromFramework(link, command.caller, command.call)).await;
        match update {
            Some(info) => self.described(*info).await,
            None => Ok(()),
        }
    }

    /// Waits until a new description has been decided on, and says whether it was taken (D13).
    async fn described(&self, info: FrameworkInfo) -> Result<(), Refusal> {
        self.answered(Input::Settle).await?.map_err(http)?;
        let is_taken = self.read(move |view| {
            let id = info.id.as_ref()?;
            view.ledger().frameworks.get(id).map(|it| !it.removed && it.info == info)
        });
        match is_taken.await? {
            Some(true) => Ok(()),
            _ => Err(Refusal::conflict(
                "update_framework: the framework was changed or removed meanwhile; see how it is now, and ask again",
            )),
        }
    }

    /// A call that its framework may make now, and the link that it belongs to.
    async fn check_call(
        &self,
        stream_id: Uuid,
        caller: &Caller,
        call: SchedulerCall,
    ) -> Result<(LinkId, FrameworkCommand), Refusal> {
        let (framework, command) = scheduler_call(&identity(caller), call).map_err(http)?;
        self.check_session(stream_id, &framework).await?;
        if let Call::UpdateFramework { info, .. } = &command.call.call {
            let (id, info) = (framework.clone(), info.clone());
            self.read(move |view| check_update(view, &id, &info)).await?.map_err(http)?;
        }
        let over = || Refusal::forbidden("the subscription is over; subscribe again");
        Ok((self.frameworks.of(stream_id).ok_or_else(over)?, command))
    }

    /// A scheduler's link is over.
    pub async fn framework_gone(&self, stream_id: Uuid) {
        if let Some(link) = self.frameworks.over(stream_id) {
            self.sessions.closed(link);
            self.counts.add("master/messages_deactivate_framework");
            self.inbox.tell(Input::FrameworkLost(link)).await;
        }
    }

    /// An operator follows what happens.
    pub fn watch(&self, head: LinkHead, outbox: Outbox<MasterEvent>) -> Result<(), Refusal> {
        authorize(&identity(&head.caller), Action::View, Object::Cluster)
            .map_err(|denied| http(denied.into()))?;
        self.events.join(head.stream_id, outbox);
        Ok(())
    }

    /// An agent's link begins; the core hears of it with its first message.
    pub fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) -> Result<(), Refusal> {
        authorize(&identity(&head.caller), Action::RegisterAgent, Object::Agents)
            .map_err(|denied| http(denied.into()))?;
        self.agents.open(head.stream_id, outbox);
        Ok(())
    }

    /// A message of an agent.
    pub async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal> {
        let heard = link::to_master_from_proto(message).map_err(|invalid| http(invalid.into()))?;
        let Some(link) = self.agents.of(stream_id) else { return Ok(()) };
        match heard {
            Received::Message(message) => {
                counted::told(&self.counts, &message);
                self.inbox.tell(Input::FromAgent(link, message)).await;
            }
            Received::Unknown => {
                self.counts.add("master/dropped_messages");
                tracing::warn!("an agent that runs a newer version sent a message that this one does not know; it is passed over");
                self.agents.send(link, link::unknown_to_master());
            }
            Received::NotUnderstood { newest_known } => {
                tracing::warn!("an agent that runs an older version passed over an order; it knows orders up to kind {newest_known}");
                self.inbox.tell(Input::AgentPassedOver(link, newest_known)).await;
            }
        }
        Ok(())
    }

    /// An agent's link is over.
    pub async fn agent_gone(&self, stream_id: Uuid) {
        if let Some(link) = self.agents.over(stream_id) {
            self.inbox.tell(Input::AgentLost(link)).await;
        }
    }
}

/// The last event of a stream: why there is no subscription.
fn error_event(message: String) -> SchedulerEvent {
    SchedulerEvent {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error { message }),
        ..Default::default()
    }
}
