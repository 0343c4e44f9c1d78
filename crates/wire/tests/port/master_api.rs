//! A double of a master's API that records what it receives.
//!
//! It never decides anything but what the test told it to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::{master, scheduler, FrameworkId, VersionInfo};
use holdfast_wire::{
    Caller, JsonText, LeadershipState, Limits, LinkEnd, LinkHead, MasterApi, MasterPage, Metric,
    Outbox, Query, Refusal, Routes, Server,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::raw::soon;

/// A call that the API received.
#[derive(Debug)]
pub enum Seen {
    Subscribed(LinkHead, Box<scheduler::Call>),
    Called(Uuid, Box<scheduler::Call>),
    FrameworkGone(Uuid, LinkEnd),
    Attached(LinkHead),
    Said(Uuid, Box<FromAgent>),
    AgentGone(Uuid, LinkEnd),
    Operated(Box<master::Call>),
}

pub struct TestMaster {
    pub leadership_state: Mutex<LeadershipState>,
    /// The next call or message is refused with this.
    pub refusal: Mutex<Option<Refusal>>,
    pub frameworks: Mutex<BTreeMap<Uuid, Outbox<scheduler::Event>>>,
    pub agents: Mutex<BTreeMap<Uuid, Outbox<ToAgent>>>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl TestMaster {
    fn note(&self, seen: Seen) {
        let _ = self.seen.send(seen);
    }

    fn refusal(&self) -> Result<(), Refusal> {
        self.refusal.lock().unwrap().take().map_or(Ok(()), Err)
    }

    /// Sends an event on a framework's link.
    pub fn tell(
        &self,
        stream_id: Uuid,
        event: scheduler::Event,
    ) -> Result<(), holdfast_wire::SendError> {
        self.frameworks.lock().unwrap()[&stream_id].send(event)
    }
}

#[async_trait]
impl MasterApi for TestMaster {
    fn leadership_state(&self) -> LeadershipState {
        self.leadership_state.lock().unwrap().clone()
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: "1.11.0".to_owned(), ..VersionInfo::default() }
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::gauge("master/elected", "Whether it leads.", 1.0)]
    }

    async fn subscribe(
        &self,
        head: LinkHead,
        call: scheduler::Call,
        outbox: Outbox<scheduler::Event>,
    ) -> Result<(), Refusal> {
        self.refusal()?;
        outbox.send(subscribed("F-1")).unwrap();
        self.frameworks.lock().unwrap().insert(head.stream_id, outbox);
        self.note(Seen::Subscribed(head, Box::new(call)));
        Ok(())
    }

    async fn scheduler_call(
        &self,
        stream_id: Uuid,
        _caller: &Caller,
        call: scheduler::Call,
    ) -> Result<(), Refusal> {
        self.refusal()?;
        self.note(Seen::Called(stream_id, Box::new(call)));
        Ok(())
    }

    async fn framework_gone(&self, stream_id: Uuid, end: LinkEnd) {
        self.frameworks.lock().unwrap().remove(&stream_id);
        self.note(Seen::FrameworkGone(stream_id, end));
    }

    async fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) -> Result<(), Refusal> {
        self.refusal()?;
        self.agents.lock().unwrap().insert(head.stream_id, outbox);
        self.note(Seen::Attached(head));
        Ok(())
    }

    async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal> {
        self.refusal()?;
        self.note(Seen::Said(stream_id, Box::new(message)));
        Ok(())
    }

    async fn agent_gone(&self, stream_id: Uuid, end: LinkEnd) {
        self.agents.lock().unwrap().remove(&stream_id);
        self.note(Seen::AgentGone(stream_id, end));
    }

    async fn operator(
        &self,
        _caller: &Caller,
        call: master::Call,
    ) -> Result<Option<master::Response>, Refusal> {
        self.refusal()?;
        let kind = call.r#type();
        self.note(Seen::Operated(Box::new(call)));
        Ok((kind == master::call::Type::GetRoles).then(|| master::Response {
            r#type: Some(master::response::Type::GetRoles.into()),
            get_roles: Some(master::response::GetRoles::default()),
            ..master::Response::default()
        }))
    }

    async fn page(
        &self,
        _caller: &Caller,
        page: MasterPage,
        query: &Query,
    ) -> Result<JsonText, Refusal> {
        self.refusal()?;
        let text = match page {
            MasterPage::State => {
                "x".repeat(query.get("size").map_or(1, |size| size.parse().unwrap()))
            }
            other => format!("{other:?}"),
        };
        Ok(JsonText::of(&serde_json::json!({ "page": text })))
    }
}

/// A master's API behind a server.
pub struct Site {
    pub address: SocketAddr,
    pub api: Arc<TestMaster>,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    pub stop: CancellationToken,
    pub served: JoinHandle<()>,
}

impl Site {
    pub async fn start(limits: Limits) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).await.unwrap();
        let address = server.address();
        let (sender, seen) = mpsc::unbounded_channel();
        let api = Arc::new(TestMaster {
            leadership_state: Mutex::new(LeadershipState::Leading { address: address.to_string() }),
            refusal: Mutex::default(),
            frameworks: Mutex::default(),
            agents: Mutex::default(),
            seen: sender,
        });
        let stop = CancellationToken::new();
        let served = tokio::spawn(server.serve(Routes::Master(api.clone()), stop.clone()));
        Self { address, api, seen, stop, served }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn refuse_next(&self, refusal: Refusal) {
        *self.api.refusal.lock().unwrap() = Some(refusal);
    }

    pub fn stand(&self, leadership_state: LeadershipState) {
        *self.api.leadership_state.lock().unwrap() = leadership_state;
    }

    pub async fn next(&mut self) -> Seen {
        soon("a call at the API", self.seen.recv()).await.unwrap()
    }

    /// The end of a framework's link.
    pub async fn framework_gone(&mut self) -> (Uuid, LinkEnd) {
        loop {
            if let Seen::FrameworkGone(stream_id, end) = self.next().await {
                return (stream_id, end);
            }
        }
    }

    /// Asserts that no call is left that the test did not take.
    pub fn assert_untouched(&mut self) {
        if let Ok(seen) = self.seen.try_recv() {
            panic!("this should not have reached the API: {seen:?}");
        }
    }

    pub async fn stopped(self) {
        self.stop.cancel();
        soon("the end of the server", self.served).await.unwrap();
    }
}

pub fn subscribed(framework: &str) -> scheduler::Event {
    let subscribed = scheduler::event::Subscribed {
        framework_id: FrameworkId { value: framework.to_owned() },
        heartbeat_interval_seconds: Some(15.0),
        master_info: None,
    };
    scheduler::Event {
        r#type: Some(scheduler::event::Type::Subscribed.into()),
        subscribed: Some(subscribed),
        ..scheduler::Event::default()
    }
}

/// Makes an event of some size.
pub fn message(size: usize) -> scheduler::Event {
    let message = scheduler::event::Message {
        data: vec![b'\n'; size],
        ..scheduler::event::Message::default()
    };
    scheduler::Event {
        r#type: Some(scheduler::event::Type::Message.into()),
        message: Some(message),
        ..scheduler::Event::default()
    }
}

pub fn error(text: &str) -> scheduler::Event {
    let error = scheduler::event::Error { message: text.to_owned() };
    scheduler::Event {
        r#type: Some(scheduler::event::Type::Error.into()),
        error: Some(error),
        ..scheduler::Event::default()
    }
}

/// SUBSCRIBE as JSON.
pub const SUBSCRIBE: &str = r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"test","failover_timeout":0.0,"checkpoint":false}}}"#;

/// SUBSCRIBE as a message.
pub fn subscribe() -> scheduler::Call {
    holdfast_proto::json::from_slice(SUBSCRIBE.as_bytes()).unwrap()
}

/// A call that needs nothing but its framework.
pub fn call(kind: scheduler::call::Type) -> scheduler::Call {
    let framework_id = Some(FrameworkId { value: "F-1".to_owned() });
    scheduler::Call { r#type: Some(kind.into()), framework_id, ..scheduler::Call::default() }
}
