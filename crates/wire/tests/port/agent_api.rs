//! A double of an agent's API that records what it receives, with one file in its sandbox.
//!
//! It never decides anything but what the test told it to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_proto::mesos::v1::{agent, executor, ContainerId, FileInfo, TimeInfo, VersionInfo};
use holdfast_wire::{
    AgentAnswer, AgentApi, AgentPage, Caller, FileChunk, JsonText, Limits, LinkEnd, LinkHead,
    Metric, Outbox, ProcessInput, ProcessOutput, Query, Refusal, Routes, Server,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::raw::soon;

/// A call that the API received.
#[derive(Debug)]
pub enum Seen {
    Subscribed(LinkHead, Box<executor::Call>),
    Called(Box<executor::Call>),
    Gone(Uuid, LinkEnd),
    Operated(Box<agent::Call>),
    Typed(Box<agent::ProcessIo>),
    StreamDropped,
}

/// Tells when an answer that streams is dropped.
struct Dropped(mpsc::UnboundedSender<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(Seen::StreamDropped);
    }
}

/// A piece of output.
pub fn printed(data: &[u8]) -> agent::ProcessIo {
    let data = agent::process_io::Data {
        r#type: Some(agent::process_io::data::Type::Stdout.into()),
        data: Some(data.to_vec()),
    };
    agent::ProcessIo {
        r#type: Some(agent::process_io::Type::Data.into()),
        data: Some(data),
        ..agent::ProcessIo::default()
    }
}

pub struct TestAgent {
    pub recovered: AtomicBool,
    pub executors: Mutex<BTreeMap<Uuid, Outbox<executor::Event>>>,
    pub file: Bytes,
    seen: mpsc::UnboundedSender<Seen>,
}

#[async_trait]
impl AgentApi for TestAgent {
    fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: "1.11.0".to_owned(), ..VersionInfo::default() }
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::counter("slave/tasks_started", "Tasks started.", 2.0)]
    }

    async fn executor_subscribe(
        &self,
        head: LinkHead,
        call: executor::Call,
        outbox: Outbox<executor::Event>,
    ) -> Result<(), Refusal> {
        outbox.send(subscribed()).unwrap();
        self.executors.lock().unwrap().insert(head.stream_id, outbox);
        let _ = self.seen.send(Seen::Subscribed(head, Box::new(call)));
        Ok(())
    }

    async fn executor_call(&self, _caller: &Caller, call: executor::Call) -> Result<(), Refusal> {
        if call.executor_id.value == "stranger" {
            return Err(Refusal::bad_request("executor_id: there is no such executor here"));
        }
        let _ = self.seen.send(Seen::Called(Box::new(call)));
        Ok(())
    }

    async fn executor_gone(&self, stream_id: Uuid, end: LinkEnd) {
        let _ = self.seen.send(Seen::Gone(stream_id, end));
    }

    async fn operator(&self, _caller: &Caller, call: agent::Call) -> Result<AgentAnswer, Refusal> {
        let kind = call.r#type();
        let _ = self.seen.send(Seen::Operated(Box::new(call)));
        match kind {
            agent::call::Type::GetAgent => Ok(AgentAnswer::Message(Box::default())),
            agent::call::Type::KillContainer => Ok(AgentAnswer::Done),
            agent::call::Type::LaunchNestedContainer => Ok(AgentAnswer::Already),
            _ => Err(Refusal::not_implemented("not served")),
        }
    }

    /// Prints a word, and goes on for ever for a session.
    async fn attach_output(
        &self,
        _caller: &Caller,
        call: agent::Call,
    ) -> Result<ProcessOutput, Refusal> {
        let is_session = call.launch_nested_container_session.is_some();
        let dropped = Dropped(self.seen.clone());
        let _ = self.seen.send(Seen::Operated(Box::new(call)));
        let piece = printed(b"word");
        let rest = futures_util::stream::once(async move {
            let _held = dropped;
            if is_session {
                std::future::pending::<()>().await;
            }
            printed(b"end")
        });
        let first = futures_util::stream::once(std::future::ready(piece));
        Ok(Box::pin(futures_util::StreamExt::chain(first, rest)))
    }

    async fn attach_input(
        &self,
        _caller: &Caller,
        container: ContainerId,
        mut input: ProcessInput,
    ) -> Result<(), Refusal> {
        if container.value == "stranger" {
            return Err(Refusal::not_found("there is no such container"));
        }
        while let Some(piece) = input.next().await? {
            let _ = self.seen.send(Seen::Typed(Box::new(piece)));
        }
        Ok(())
    }

    async fn page(
        &self,
        _caller: &Caller,
        page: AgentPage,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        Ok(JsonText::of(&format!("{page:?}")))
    }

    async fn list_files(&self, _caller: &Caller, path: &str) -> Result<Vec<FileInfo>, Refusal> {
        if path != "/sandbox" {
            return Err(Refusal::not_found("there is no such folder"));
        }
        Ok(vec![FileInfo {
            path: "/sandbox/stdout".to_owned(),
            size: Some(self.file.len() as u64),
            mode: Some(0o100_644),
            mtime: Some(TimeInfo { nanoseconds: 1_500_000_000 }),
            ..FileInfo::default()
        }])
    }

    async fn read_file(
        &self,
        _caller: &Caller,
        path: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<FileChunk, Refusal> {
        if path != "/sandbox/stdout" {
            return Err(Refusal::not_found("there is no such file"));
        }
        let begin = (offset_bytes as usize).min(self.file.len());
        let end = begin.saturating_add(length_bytes as usize).min(self.file.len());
        Ok(FileChunk { data: self.file.slice(begin..end), size_bytes: self.file.len() as u64 })
    }
}

/// An agent's API behind a server.
pub struct Site {
    pub address: SocketAddr,
    pub api: Arc<TestAgent>,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    pub stop: CancellationToken,
}

impl Site {
    pub async fn start(limits: Limits) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).await.unwrap();
        let address = server.address();
        let (sender, seen) = mpsc::unbounded_channel();
        let file = (0..200_000u32).map(|number| b'a' + (number % 26) as u8).collect();
        let api = Arc::new(TestAgent {
            recovered: AtomicBool::new(true),
            executors: Mutex::default(),
            file,
            seen: sender,
        });
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(Routes::Agent(api.clone()), stop.clone()));
        Self { address, api, seen, stop }
    }

    pub async fn next(&mut self) -> Seen {
        soon("a call at the API", self.seen.recv()).await.unwrap()
    }
}

pub fn subscribed() -> executor::Event {
    let subscribed = executor::event::Subscribed {
        container_id: Some(ContainerId { value: "c".to_owned(), parent: None }),
        ..executor::event::Subscribed::default()
    };
    executor::Event {
        r#type: Some(executor::event::Type::Subscribed.into()),
        subscribed: Some(subscribed),
        ..executor::Event::default()
    }
}
