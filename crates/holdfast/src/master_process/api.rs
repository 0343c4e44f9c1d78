//! A leading master as the wire sees it: links become inputs of the mind, calls are checked against their
//! session, questions are answered from a look at the mind.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_master::{FrameworkCall, Input, OperatorCall, RequestId};
use holdfast_model::convert::link::{self, Heard};
use holdfast_model::convert::scheduler;
use holdfast_model::convert::scheduler::CallError;
use holdfast_model::{FrameworkId, Invalid};
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::scheduler::{Call as SchedulerCall, Event as SchedulerEvent};
use holdfast_wire::{LinkHead, Outbox, Refusal};
use uuid::Uuid;

use super::metrics;
use super::shell::{MasterShell, Sessions, Waiting};
use crate::core_loop::Inbox;
use crate::links::Links;

/// See the module.
pub struct LeaderApi {
    /// The way to the mind.
    pub inbox: Inbox<MasterShell>,
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
    /// The next ticket.
    pub next_request: AtomicU64,
    /// Numbers of the process.
    pub gauges: metrics::Gauges,
}

impl LeaderApi {
    /// Asks the mind, and waits for its answer.
    pub async fn ask(&self, call: OperatorCall) -> Result<(), Refusal> {
        let request = RequestId(self.next_request.fetch_add(1, Ordering::Relaxed));
        let answer = self.waiting.insert(request);
        self.inbox.tell(Input::FromOperator(request, call)).await;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(refuse(refusal)),
            Err(_) => {
                Err(Refusal::unavailable("the master stops; ask the next one whether it was done"))
            }
        }
    }

    /// Looks at the mind.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&MasterShell) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.inbox.look(look).await.ok_or_else(|| Refusal::unavailable("the master stops"))
    }

    /// H7: a call must come from the framework's own session.
    async fn check_session(&self, stream: Uuid, framework: &FrameworkId) -> Result<(), Refusal> {
        match (self.sessions.link_of(framework), self.frameworks.of(stream)) {
            (Some(session), Some(link)) if session == link => Ok(()),
            (Some(_), _) => Err(Refusal::bad_request(
                "the Mesos-Stream-Id is not that of this framework's subscription; subscribe again",
            )),
            (None, _) => {
                let id = framework.clone();
                let known =
                    self.look(move |shell| shell.core.frameworks().contains_key(&id)).await?;
                Err(match known {
                    true => Refusal::forbidden(format!(
                        "framework {framework} is not subscribed; subscribe again"
                    )),
                    false => Refusal::bad_request(format!("there is no framework {framework}")),
                })
            }
        }
    }
}

fn refuse(refusal: holdfast_master::Refusal) -> Refusal {
    match refusal {
        holdfast_master::Refusal::Invalid(invalid) => Refusal::bad_request(invalid.to_string()),
        holdfast_master::Refusal::NotFound(why) => Refusal::not_found(why),
        holdfast_master::Refusal::Conflict(why) => Refusal::conflict(why),
        holdfast_master::Refusal::NotLeading => Refusal::unavailable("this master does not lead"),
    }
}

fn wrong(error: CallError) -> Refusal {
    match error {
        CallError::Invalid(invalid) => Refusal::bad_request(invalid.to_string()),
        CallError::UnknownType { .. } => Refusal::not_implemented(error.to_string()),
    }
}

/// A wrong field, as a refusal.
pub fn invalid(invalid: Invalid) -> Refusal {
    Refusal::bad_request(invalid.to_string())
}

impl LeaderApi {
    /// A scheduler subscribes.
    pub async fn subscribe(
        &self,
        head: LinkHead,
        call: SchedulerCall,
        outbox: Outbox<SchedulerEvent>,
    ) -> Result<(), Refusal> {
        let call = scheduler::call_from_proto(call).map_err(wrong)?;
        let link = self.frameworks.open(head.stream_id, outbox);
        self.inbox
            .tell(Input::FromFramework(
                link,
                FrameworkCall { framework: call.framework, call: call.call },
            ))
            .await;
        Ok(())
    }

    /// Any other call of a scheduler.
    pub async fn scheduler_call(
        &self,
        stream_id: Uuid,
        call: SchedulerCall,
    ) -> Result<(), Refusal> {
        let call = scheduler::call_from_proto(call).map_err(wrong)?;
        let Some(framework) = &call.framework else {
            return Err(Refusal::bad_request("framework_id: is missing"));
        };
        self.check_session(stream_id, framework).await?;
        let Some(link) = self.frameworks.of(stream_id) else {
            return Err(Refusal::forbidden("the subscription is over; subscribe again"));
        };
        self.inbox
            .tell(Input::FromFramework(
                link,
                FrameworkCall { framework: call.framework, call: call.call },
            ))
            .await;
        Ok(())
    }

    /// A scheduler's link is over.
    pub async fn framework_gone(&self, stream_id: Uuid) {
        if let Some(link) = self.frameworks.over(stream_id) {
            self.sessions.closed(link);
            self.inbox.tell(Input::FrameworkLost(link)).await;
        }
    }

    /// An agent's link begins; the mind hears of it with its first message.
    pub fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) {
        self.agents.open(head.stream_id, outbox);
    }

    /// A message of an agent.
    pub async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal> {
        let heard = link::to_master_from_proto(message).map_err(invalid)?;
        let Some(link) = self.agents.of(stream_id) else { return Ok(()) };
        match heard {
            Heard::Message(message) => self.inbox.tell(Input::FromAgent(link, message)).await,
            Heard::Unknown => {
                tracing::warn!("an agent that runs a newer version sent a message that this one does not know; it is passed over");
                self.agents.send(link, link::unknown_to_master());
            }
            Heard::NotUnderstood { newest_known } => {
                tracing::warn!("an agent that runs an older version passed over an order; it knows orders up to kind {newest_known}");
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
