//! The agent as the wire sees it: executors' links become inputs of the core, reads are rendered from a view of it, and sandboxes can
//! be read.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdfast_agent::{Input, NestedExit};
use holdfast_api::agent::{self as pages, AgentFacts, EndedRun, Surroundings};
use holdfast_api::requests::{
    agent_page, executor_request, nested_input, AgentRead, Needs, NestedRequest, NestedStream,
};
use holdfast_api::{authorize, Action, AgentView, Object};
use holdfast_containers::{Attachment, Owners};
use holdfast_model::{ContainerId, ExecutorKey, LinkId};
use holdfast_proto::mesos::v1::agent::response::{Type as Answered, WaitNestedContainer};
use holdfast_proto::mesos::v1::agent::{Call, Response};
use holdfast_proto::mesos::v1::executor::call::Type as CallType;
use holdfast_proto::mesos::v1::executor::{Call as ExecutorCall, Event as ExecutorEvent};
use holdfast_proto::mesos::v1::{self, FileInfo, VersionInfo};
use holdfast_wire::agent::AgentPage;
use holdfast_wire::{
    AgentAnswer, AgentApi, Caller, FileChunk, JsonText, LinkEnd, LinkHead, LogWish, Metric, Outbox,
    ProcessInput, ProcessOutput, Query, Refusal,
};
use uuid::Uuid;

use super::containers::Containers;
use super::metrics::Gauges;
use super::sandboxes::ended_runs;
use super::shell::AgentShell;
use super::streams;
use crate::core_loop::{now, Inbox};
use crate::counts::{Counts, Table};
use crate::links::Links;
use crate::refusals::{http, identity, may_log};
use crate::views::Views;

/// What an agent counts of what executors tell it.
const COUNTED: Table = &[
    ("slave/invalid_framework_messages", "Messages of executors that were refused."),
    ("slave/invalid_status_updates", "Statuses of executors that were refused."),
    ("slave/valid_framework_messages", "Messages of executors that were passed on."),
    ("slave/valid_status_updates", "Statuses of executors that were taken."),
];

/// See the module.
pub struct AgentServer {
    inbox: Inbox<Input>,
    views: Views<AgentView>,
    executors: Links<ExecutorEvent>,
    sessions: Arc<Mutex<HashMap<ExecutorKey, LinkId>>>,
    root: PathBuf,
    gauges: Gauges,
    containers: Containers,
    counts: Counts,
    facts: Arc<AgentFacts>,
}

impl AgentServer {
    /// What serves this shell's links, and answers from its views.
    pub fn new(
        shell: &AgentShell,
        inbox: Inbox<Input>,
        views: Views<AgentView>,
        gauges: Gauges,
        facts: AgentFacts,
    ) -> AgentServer {
        let root = shell.containers.sandboxes().root().to_owned();
        let facts = AgentFacts { sandboxes: root.to_string_lossy().into_owned(), ..facts };
        AgentServer {
            inbox,
            views,
            executors: shell.executors.clone(),
            sessions: Arc::default(),
            root,
            gauges,
            containers: shell.containers.clone(),
            counts: Counts::new(COUNTED),
            facts: Arc::new(facts),
        }
    }

    /// Reads the latest view.
    async fn read<T: Send + 'static>(
        &self,
        render: impl FnOnce(&AgentView) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.views.read(render).await.map_err(|error| error.refusal("agent"))
    }

    /// A call of an executor, whose statuses say where it runs.
    fn placed(&self, mut call: ExecutorCall) -> ExecutorCall {
        pages::place_statuses(&self.views.latest(), &self.facts, &mut call);
        call
    }

    /// The link that an executor is subscribed on.
    fn session_of(&self, executor: &ExecutorKey) -> Option<LinkId> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(executor).copied()
    }

    /// Why nothing is heard of an executor that has no stream.
    async fn not_subscribed(&self, key: ExecutorKey) -> Refusal {
        let why = self.read(move |view| {
            let ledger = view.ledger();
            let (framework, executor) = &key;
            if !ledger.frameworks.contains_key(framework) {
                Refusal::bad_request(format!("framework_id: framework {framework} is not here"))
            } else if !ledger.executors.contains_key(&key) {
                Refusal::bad_request(format!("executor_id: executor {executor} is not here"))
            } else {
                Refusal::forbidden(format!(
                    "executor {executor} is not subscribed; subscribe first"
                ))
            }
        });
        why.await.unwrap_or_else(|refusal| refusal)
    }

    /// Whether an executor has this container.
    async fn is_container(&self, id: ContainerId) -> Result<bool, Refusal> {
        self.read(move |view| view.ledger().executors.values().any(|it| it.container == id)).await
    }

    /// Does what may take a while on a thread of its own.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Containers) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let containers = self.containers.clone();
        let done = tokio::task::spawn_blocking(move || work(&containers)).await;
        done.map_err(|_| Refusal::internal("it was interrupted"))?
    }

    /// Starts, waits for, ends or removes a container inside another.
    async fn change_nested(&self, asked: NestedRequest) -> Result<AgentAnswer, Refusal> {
        match asked {
            NestedRequest::Launch(launch) => {
                let is_known = self.is_container(launch.path.root).await?;
                let started = self.blocking(move |it| it.launch_nested(&launch, false, is_known));
                Ok(started.await?.map_or(AgentAnswer::Already, |_| AgentAnswer::Done))
            }
            NestedRequest::Wait(path) => {
                let exit = self.containers.wait_nested(&path).await?;
                Ok(AgentAnswer::Message(Box::new(ended(exit))))
            }
            NestedRequest::Kill(path, signal) => {
                self.containers.signal_nested(&path, signal).map(|()| AgentAnswer::Done)
            }
            NestedRequest::Remove(path) => {
                self.blocking(move |it| it.remove_nested(&path)).await.map(|()| AgentAnswer::Done)
            }
        }
    }

    /// Only what lies in a sandbox may be read, wherever links in it point.
    fn resolve(&self, path: &str) -> Result<PathBuf, Refusal> {
        let missing =
            || Refusal::not_found(format!("there is no `{path}` in any sandbox of this agent"));
        let wanted = PathBuf::from(path);
        let name = path.trim_start_matches('/');
        let inside = if wanted.starts_with(&self.root) {
            wanted
        } else if name.starts_with("frameworks/") {
            // Mesos leaves the agent's id out. What is left of former ids has whole paths alone.
            let view = self.views.latest();
            let id = view.ledger().identity.agent.as_ref().ok_or_else(missing)?;
            self.root.join(id.as_str()).join(name)
        } else {
            self.root.join(name)
        };
        let real = inside.canonicalize().map_err(|_| missing())?;
        let root = self.root.canonicalize().map_err(|_| missing())?;
        if real.starts_with(&root) {
            Ok(real)
        } else {
            Err(Refusal::forbidden(format!("`{path}` is outside of the sandboxes")))
        }
    }
}

/// The time, in seconds since 1970.
fn now_s() -> f64 {
    now().0 as f64 / 1000.0
}

/// How a container inside another ended.
fn ended(exit: NestedExit) -> Response {
    let wait_nested_container = Some(WaitNestedContainer {
        exit_status: exit.status,
        message: Some(exit.message).filter(|it| !it.is_empty()),
        ..WaitNestedContainer::default()
    });
    let kind = Some(Answered::WaitNestedContainer.into());
    Response { r#type: kind, wait_nested_container, ..Response::default() }
}

/// The sandboxes that are kept of executors that are no more.
fn kept_runs(view: &AgentView, containers: &Containers) -> Vec<EndedRun> {
    let live = view.ledger().executors.values().map(|it| it.container.to_string());
    ended_runs(containers.sandboxes().root(), &live.collect())
}

/// What an answer needs beside the view; nothing else is looked up.
fn surroundings(view: &AgentView, containers: &Containers, needs: Needs) -> Surroundings {
    let mut found = Surroundings { now_s: now_s(), ..Surroundings::default() };
    if needs.sandboxes {
        found.ended = kept_runs(view, containers);
    }
    if needs.containers {
        found.measured = containers.measured(view);
        found.pids = containers.pids(view);
        found.nested = containers.nested_runs();
    }
    found
}

/// Whether a caller may read this file or folder.
fn check_file(caller: &Caller, path: &str) -> Result<(), Refusal> {
    authorize(&identity(caller), Action::ReadFile, Object::File(path))
        .map_err(|denied| http(denied.into()))
}

#[async_trait]
impl AgentApi for AgentServer {
    fn is_recovered(&self) -> bool {
        true
    }

    fn version(&self) -> VersionInfo {
        crate::version::info()
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.gauges.read();
        metrics.extend(self.counts.metrics());
        metrics.extend(crate::counts::machine());
        metrics.push(Metric::gauge(
            "slave/executors_connected",
            "Executors that are connected.",
            self.executors.count() as f64,
        ));
        metrics
    }

    fn logging(&self, caller: &Caller, wish: Option<LogWish>) -> Result<u32, Refusal> {
        may_log(caller, Object::Named("this agent"), wish.is_some())?;
        crate::logging::change(wish)
    }

    async fn executor_subscribe(
        &self,
        head: LinkHead,
        call: ExecutorCall,
        outbox: Outbox<ExecutorEvent>,
    ) -> Result<(), Refusal> {
        let call = self.placed(call);
        let request = executor_request(&identity(&head.caller), call).map_err(http)?;
        let key = request.executor.clone();
        if !self.read(move |view| view.ledger().executors.contains_key(&key)).await? {
            let (framework, executor) = request.executor;
            return Err(Refusal::bad_request(format!(
                "there is no executor {executor} of framework {framework} here"
            )));
        }
        let link = self.executors.open(head.stream_id, outbox);
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.executor.clone(), link);
        let (framework, executor) = request.executor;
        self.inbox.tell(Input::FromExecutor(link, framework, executor, request.call)).await;
        Ok(())
    }

    async fn executor_call(&self, caller: &Caller, call: ExecutorCall) -> Result<(), Refusal> {
        let names = match call.r#type() {
            CallType::Update => {
                Some(("slave/valid_status_updates", "slave/invalid_status_updates"))
            }
            CallType::Message => {
                Some(("slave/valid_framework_messages", "slave/invalid_framework_messages"))
            }
            _ => None,
        };
        let call = self.placed(call);
        let request = executor_request(&identity(caller), call);
        if let Some((valid, invalid)) = names {
            self.counts.add(if request.is_ok() { valid } else { invalid });
        }
        let request = request.map_err(http)?;
        let link = self.session_of(&request.executor);
        let (framework, executor) = request.executor;
        let Some(link) = link else {
            return Err(self.not_subscribed((framework, executor)).await);
        };
        self.inbox.tell(Input::FromExecutor(link, framework, executor, request.call)).await;
        Ok(())
    }

    async fn executor_gone(&self, stream_id: Uuid, _end: LinkEnd) {
        if let Some(link) = self.executors.over(stream_id) {
            self.sessions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|_, it| *it != link);
            self.inbox.tell(Input::ExecutorLost(link)).await;
        }
    }

    async fn operator(&self, caller: &Caller, call: Call) -> Result<AgentAnswer, Refusal> {
        if let Some(asked) = NestedRequest::parse(&identity(caller), &call).map_err(http)? {
            return self.change_nested(asked).await;
        }
        let read = AgentRead::parse(&identity(caller), &call).map_err(http)?;
        let (facts, containers) = (self.facts.clone(), self.containers.clone());
        self.read(move |view| {
            let found = surroundings(view, &containers, read.needs());
            read.answer(view, &facts, &found)
        })
        .await
        .map(|response| AgentAnswer::Message(Box::new(response)))
    }

    async fn attach_output(&self, caller: &Caller, call: Call) -> Result<ProcessOutput, Refusal> {
        let asked = NestedStream::parse(&identity(caller), &call).map_err(http)?;
        let is_known = match &asked {
            NestedStream::Session(launch) => self.is_container(launch.path.root).await?,
            NestedStream::Output(_) => true,
        };
        let attached = self.blocking(move |containers| match asked {
            NestedStream::Output(path) => containers.attach_nested(&path, Attachment::Output),
            NestedStream::Session(launch) => {
                let unit = containers.launch_nested(&launch, true, is_known)?;
                let unit = unit.ok_or_else(|| Refusal::internal("a session is there already"))?;
                containers.attach_unit(&unit, Attachment::Session)
            }
        });
        streams::output(attached.await?)
    }

    async fn attach_input(
        &self,
        caller: &Caller,
        container: v1::ContainerId,
        input: ProcessInput,
    ) -> Result<(), Refusal> {
        let path = nested_input(&identity(caller), &container).map_err(http)?;
        let attached =
            self.blocking(move |containers| containers.attach_nested(&path, Attachment::Input));
        streams::pass_on(attached.await?, input).await
    }

    async fn page(
        &self,
        caller: &Caller,
        page: AgentPage,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        agent_page(&identity(caller)).map_err(http)?;
        let (facts, containers) = (self.facts.clone(), self.containers.clone());
        self.read(move |view| match page {
            AgentPage::State => {
                JsonText::of(&pages::page(view, &facts, &kept_runs(view, &containers)))
            }
            AgentPage::Statistics => {
                JsonText::of(&pages::statistics(view, &containers.measured(view), now_s()))
            }
            AgentPage::Containers => {
                JsonText::of(&pages::containers(view, &containers.measured(view), now_s()))
            }
            AgentPage::Flags => JsonText::of(&BTreeMap::from([("flags", &facts.flags)])),
            AgentPage::FilesDebug => {
                JsonText::of(&BTreeMap::from([(&facts.sandboxes, &facts.sandboxes)]))
            }
        })
        .await
    }

    async fn list_files(&self, caller: &Caller, path: &str) -> Result<Vec<FileInfo>, Refusal> {
        check_file(caller, path)?;
        let real = self.resolve(path)?;
        let path = path.to_owned();
        // A disk, and whoever knows the names of users, may take their time.
        self.blocking(move |_| {
            let entries = std::fs::read_dir(&real)
                .map_err(|_| Refusal::not_found(format!("`{path}` is no folder")))?;
            let mut owners = Owners::default();
            let mut files: Vec<FileInfo> =
                entries.flatten().filter_map(|it| file_info(&path, &it, &mut owners)).collect();
            files.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(files)
        })
        .await
    }

    async fn read_file(
        &self,
        caller: &Caller,
        path: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<FileChunk, Refusal> {
        check_file(caller, path)?;
        let real = self.resolve(path)?;
        let chunk = tokio::task::spawn_blocking(move || {
            crate::files::read_chunk(&real, offset_bytes, Some(length_bytes))
        });
        let chunk = chunk.await.map_err(|_| Refusal::internal("reading was interrupted"))??;
        Ok(FileChunk { data: chunk.data.into(), size_bytes: chunk.size_bytes })
    }
}

fn file_info(folder: &str, entry: &std::fs::DirEntry, owners: &mut Owners) -> Option<FileInfo> {
    use std::os::unix::fs::MetadataExt;
    let meta = entry.metadata().ok()?;
    let mtime = v1::TimeInfo { nanoseconds: meta.mtime().saturating_mul(1_000_000_000) };
    Some(FileInfo {
        path: format!("{}/{}", folder.trim_end_matches('/'), entry.file_name().to_string_lossy()),
        nlink: i32::try_from(meta.nlink()).ok(),
        size: Some(meta.len()),
        mtime: Some(mtime),
        mode: Some(meta.mode()),
        uid: Some(owners.user(meta.uid())),
        gid: Some(owners.group(meta.gid())),
    })
}
