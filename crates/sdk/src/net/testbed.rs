//! Masters and agents for tests: real ports on loopback, whose APIs pass everything to the test.
//!
//! They never answer by themselves: a master or an agent sends what the test sends.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_model::convert::scheduler::{self, call_from_proto, Welcome};
use holdfast_model::convert::{executor as executor_convert, Format};
use holdfast_model::{
    AgentId, Call, ContainerId, Event, ExecutorCall, ExecutorEvent, ExecutorId, ExecutorInfo,
    FrameworkId, FrameworkInfo, MachineInfo, Role,
};
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::{
    agent, executor, master, scheduler as api, value, AgentInfo, Attribute, FileInfo, VersionInfo,
};
use holdfast_wire::{
    AgentAnswer, AgentApi, AgentPage, BindError, Caller, FileChunk, JsonText, LeadershipState,
    Limits, LinkEnd, LinkHead, MasterApi, MasterPage, Metric, Outbox, ProcessInput, ProcessOutput,
    Query, Refusal, Routes, Server,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a test waits for comes soon, or the test fails.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// Makes a framework's description.
pub(crate) fn framework() -> FrameworkInfo {
    FrameworkInfo {
        id: None,
        name: "f".to_owned(),
        user: String::new(),
        roles: vec![Role::parse("db").unwrap()],
        failover_timeout_ms: 1_000,
        checkpoint: true,
        principal: None,
        hostname: None,
        capabilities: [
            holdfast_model::Capability::MultiRole,
            holdfast_model::Capability::PartitionAware,
        ]
        .into(),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

/// A server that ends with the test.
struct Port {
    address: SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Port {
    async fn open(address: Option<SocketAddr>, routes: Routes) -> Port {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        // A port that was closed a moment ago may be a stranger's for a while: of a connection that was given it.
        let server = soon(&format!("{address} is free"), async {
            loop {
                match Server::bind(address, Limits::default()).await {
                    Ok(server) => break server,
                    Err(BindError { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        let (address, stop) = (server.address(), CancellationToken::new());
        let served = tokio::spawn(server.serve(routes, stop.clone()));
        Port { address, stop, served }
    }

    /// Closes the port and every connection.
    async fn close(self) {
        self.stop.cancel();
        soon("the server stops", self.served).await.unwrap();
    }
}

/// A scheduler's subscription, as a master sees it.
pub(crate) struct Subscription {
    /// The framework that subscribed.
    pub info: FrameworkInfo,
    outbox: Outbox<api::Event>,
}

impl Subscription {
    pub fn send(&self, event: &Event) {
        self.send_beating(event, 15_000);
    }

    /// Sends a SUBSCRIBED that announces this interval of heartbeats.
    pub fn send_beating(&self, event: &Event, heartbeat_ms: u64) {
        let welcome = Welcome { heartbeat_ms, master: None };
        self.outbox
            .send(scheduler::event_to_proto(event, Format::of(&self.info), &welcome))
            .unwrap();
    }

    /// Accepts the framework under this id.
    pub fn welcome(&self, id: &str) {
        self.send(&Event::Subscribed(FrameworkId::made(id.to_owned())));
    }

    /// Waits until the framework has left.
    pub async fn gone(&self) {
        soon("the link ends", self.outbox.gone()).await;
    }
}

struct MasterBedApi {
    leadership_state: Mutex<LeadershipState>,
    refusal: Mutex<Option<Refusal>>,
    subscriptions: mpsc::UnboundedSender<Subscription>,
    calls: mpsc::UnboundedSender<Call>,
}

/// A master of a test.
pub(crate) struct MasterBed {
    port: Port,
    api: Arc<MasterBedApi>,
    subscriptions: mpsc::UnboundedReceiver<Subscription>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl MasterBed {
    pub async fn open() -> MasterBed {
        let (subscribed, subscriptions) = mpsc::unbounded_channel();
        let (called, calls) = mpsc::unbounded_channel();
        let leadership_state = Mutex::new(LeadershipState::Leading { address: String::new() });
        let api = Arc::new(MasterBedApi {
            leadership_state,
            refusal: Mutex::default(),
            subscriptions: subscribed,
            calls: called,
        });
        MasterBed {
            port: Port::open(None, Routes::Master(api.clone())).await,
            api,
            subscriptions,
            calls,
        }
    }

    pub fn address(&self) -> String {
        self.port.address.to_string()
    }

    pub fn stand(&self, leadership_state: LeadershipState) {
        *self.api.leadership_state.lock().unwrap() = leadership_state;
    }

    pub fn refuse(&self, refusal: Option<Refusal>) {
        *self.api.refusal.lock().unwrap() = refusal;
    }

    pub async fn subscription(&mut self) -> Subscription {
        soon("a subscription", self.subscriptions.recv()).await.unwrap()
    }

    pub async fn call(&mut self) -> Call {
        soon("a call", self.calls.recv()).await.unwrap()
    }

    /// The calls that were made so far.
    pub fn calls_so_far(&mut self) -> Vec<Call> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }

    pub async fn close(self) {
        self.port.close().await;
    }
}

#[async_trait]
impl MasterApi for MasterBedApi {
    fn leadership_state(&self) -> LeadershipState {
        self.leadership_state.lock().unwrap().clone()
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: "1.11.0".to_owned(), ..VersionInfo::default() }
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    async fn subscribe(
        &self,
        _head: LinkHead,
        call: api::Call,
        outbox: Outbox<api::Event>,
    ) -> Result<(), Refusal> {
        let refusal = self.refusal.lock().unwrap().clone();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let Call::Subscribe { info, .. } = call_from_proto(call).unwrap().call else {
            panic!("no SUBSCRIBE")
        };
        let _ = self.subscriptions.send(Subscription { info: *info, outbox });
        Ok(())
    }

    async fn scheduler_call(
        &self,
        _stream_id: Uuid,
        _caller: &Caller,
        call: api::Call,
    ) -> Result<(), Refusal> {
        let _ = self.calls.send(call_from_proto(call).unwrap().call);
        Ok(())
    }

    async fn framework_gone(&self, _stream_id: Uuid, _end: LinkEnd) {}

    async fn agent_attach(&self, _head: LinkHead, _outbox: Outbox<ToAgent>) -> Result<(), Refusal> {
        Err(Refusal::not_implemented("no agents here"))
    }

    async fn agent_message(&self, _stream_id: Uuid, _message: FromAgent) -> Result<(), Refusal> {
        Err(Refusal::not_implemented("no agents here"))
    }

    async fn agent_gone(&self, _stream_id: Uuid, _end: LinkEnd) {}

    async fn operator(
        &self,
        _caller: &Caller,
        _call: master::Call,
    ) -> Result<Option<master::Response>, Refusal> {
        Err(Refusal::not_implemented("no operators here"))
    }

    async fn page(
        &self,
        _caller: &Caller,
        _page: MasterPage,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        Err(Refusal::not_implemented("no pages here"))
    }
}

/// An executor's subscription, as an agent sees it.
pub(crate) struct ExecutorSubscription {
    /// The SUBSCRIBE call of the executor.
    pub call: ExecutorCall,
    outbox: Outbox<executor::Event>,
}

impl ExecutorSubscription {
    pub fn send(&self, event: &ExecutorEvent) {
        self.outbox.send(executor_convert::event_to_proto(event, Format::WHOLE)).unwrap();
    }

    pub fn welcome(&self) {
        let executor = ExecutorInfo {
            id: ExecutorId::made("e".to_owned()),
            kind: None,
            framework: None,
            resources: Vec::new(),
            command: None,
            shutdown_grace_ms: None,
            payload: Default::default(),
        };
        self.send(&ExecutorEvent::Subscribed {
            executor: Box::new(executor),
            framework: Box::new(framework()),
            agent: AgentId::made("a".to_owned()),
            machine: Box::new(machine()),
            container: ContainerId(Uuid::from_u128(1)),
        });
    }
}

/// A machine `h` in rack `r1`.
fn machine() -> MachineInfo {
    let text = Some(value::Text { value: "r1".to_owned() });
    let rack = Attribute {
        name: "rack".to_owned(),
        r#type: value::Type::Text.into(),
        text,
        ..Attribute::default()
    };
    let info = AgentInfo { attributes: vec![rack], ..AgentInfo::default() };
    MachineInfo {
        hostname: "h".to_owned(),
        payload: info.encode_to_vec().into(),
        ..MachineInfo::default()
    }
}

struct AgentBedApi {
    refusal: Mutex<Option<Refusal>>,
    subscriptions: mpsc::UnboundedSender<ExecutorSubscription>,
    calls: mpsc::UnboundedSender<ExecutorCall>,
}

/// An agent, which may be restarted on its port.
pub(crate) struct AgentBed {
    port: Option<Port>,
    address: SocketAddr,
    api: Arc<AgentBedApi>,
    subscriptions: mpsc::UnboundedReceiver<ExecutorSubscription>,
    calls: mpsc::UnboundedReceiver<ExecutorCall>,
}

impl AgentBed {
    pub async fn open() -> AgentBed {
        let (subscribed, subscriptions) = mpsc::unbounded_channel();
        let (called, calls) = mpsc::unbounded_channel();
        let api = Arc::new(AgentBedApi {
            refusal: Mutex::default(),
            subscriptions: subscribed,
            calls: called,
        });
        let port = Port::open(None, Routes::Agent(api.clone())).await;
        AgentBed { address: port.address, port: Some(port), api, subscriptions, calls }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn refuse(&self, refusal: Option<Refusal>) {
        *self.api.refusal.lock().unwrap() = refusal;
    }

    pub async fn subscription(&mut self) -> ExecutorSubscription {
        soon("a subscription", self.subscriptions.recv()).await.unwrap()
    }

    pub async fn call(&mut self) -> ExecutorCall {
        soon("a call", self.calls.recv()).await.unwrap()
    }

    pub async fn close(&mut self) {
        if let Some(port) = self.port.take() {
            port.close().await;
        }
    }

    pub async fn reopen(&mut self) {
        self.port = Some(Port::open(Some(self.address), Routes::Agent(self.api.clone())).await);
    }
}

fn read(call: executor::Call) -> ExecutorCall {
    executor_convert::call_from_proto(call).unwrap().expect("a known call").call
}

#[async_trait]
impl AgentApi for AgentBedApi {
    fn is_recovered(&self) -> bool {
        true
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: "1.11.0".to_owned(), ..VersionInfo::default() }
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    async fn executor_subscribe(
        &self,
        _head: LinkHead,
        call: executor::Call,
        outbox: Outbox<executor::Event>,
    ) -> Result<(), Refusal> {
        let refusal = self.refusal.lock().unwrap().clone();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let _ = self.subscriptions.send(ExecutorSubscription { call: read(call), outbox });
        Ok(())
    }

    async fn executor_call(&self, _caller: &Caller, call: executor::Call) -> Result<(), Refusal> {
        let _ = self.calls.send(read(call));
        Ok(())
    }

    async fn executor_gone(&self, _stream_id: Uuid, _end: LinkEnd) {}

    async fn operator(&self, _caller: &Caller, _call: agent::Call) -> Result<AgentAnswer, Refusal> {
        Err(Refusal::not_implemented("no operators here"))
    }

    async fn attach_output(
        &self,
        _caller: &Caller,
        _call: agent::Call,
    ) -> Result<ProcessOutput, Refusal> {
        Err(Refusal::not_found("no containers here"))
    }

    async fn attach_input(
        &self,
        _caller: &Caller,
        _container: holdfast_proto::mesos::v1::ContainerId,
        _input: ProcessInput,
    ) -> Result<(), Refusal> {
        Err(Refusal::not_found("no containers here"))
    }

    async fn page(
        &self,
        _caller: &Caller,
        _page: AgentPage,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        Err(Refusal::not_implemented("no pages here"))
    }

    async fn list_files(&self, _caller: &Caller, _path: &str) -> Result<Vec<FileInfo>, Refusal> {
        Err(Refusal::not_found("no files here"))
    }

    async fn read_file(
        &self,
        _caller: &Caller,
        _path: &str,
        _offset_bytes: u64,
        _length_bytes: u64,
    ) -> Result<FileChunk, Refusal> {
        Err(Refusal::not_found("no files here"))
    }
}
