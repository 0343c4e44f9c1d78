//! The agent as the wire sees it: executors' links become inputs of the mind; sandboxes can be read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdfast_agent::{AgentView, Input};
use holdfast_model::convert::{executor, machine, resource, Format};
use holdfast_model::{ExecutorKey, LinkId};
use holdfast_proto::mesos::v1::agent::response::{self, Type as Answered};
use holdfast_proto::mesos::v1::agent::{Call, Response};
use holdfast_proto::mesos::v1::executor::{Call as ExecutorCall, Event as ExecutorEvent};
use holdfast_proto::mesos::v1::{self, FileInfo, VersionInfo};
use holdfast_wire::agent::AgentPage;
use holdfast_wire::{
    AgentApi, Caller, FileChunk, JsonText, LinkEnd, LinkHead, Metric, Outbox, Query, Refusal,
};
use uuid::Uuid;

use super::metrics::Gauges;
use super::shell::AgentShell;
use crate::core_loop::Inbox;
use crate::links::Links;
use crate::views::Views;

/// See the module.
pub struct AgentServer {
    inbox: Inbox<Input>,
    views: Views<AgentView>,
    executors: Links<ExecutorEvent>,
    sessions: Arc<Mutex<HashMap<ExecutorKey, LinkId>>>,
    root: PathBuf,
    gauges: Gauges,
}

impl AgentServer {
    /// What serves this shell's links, and answers from its views.
    pub fn new(
        shell: &AgentShell,
        inbox: Inbox<Input>,
        views: Views<AgentView>,
        gauges: Gauges,
    ) -> AgentServer {
        let root = shell.containers.sandboxes().root().to_owned();
        AgentServer {
            inbox,
            views,
            executors: shell.executors.clone(),
            sessions: Arc::default(),
            root,
            gauges,
        }
    }

    /// Reads the latest view.
    async fn read<T: Send + 'static>(
        &self,
        render: impl FnOnce(&AgentView) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.views.read(render).await.map_err(|error| error.refusal("agent"))
    }

    /// Only what lies in a sandbox may be read, wherever links in it point.
    fn resolve(&self, path: &str) -> Result<PathBuf, Refusal> {
        let missing =
            || Refusal::not_found(format!("there is no `{path}` in any sandbox of this agent"));
        let wanted = PathBuf::from(path);
        let inside = if wanted.starts_with(&self.root) {
            wanted
        } else {
            self.root.join(path.trim_start_matches('/'))
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

fn wrong(invalid: holdfast_model::Invalid) -> Refusal {
    Refusal::bad_request(invalid.to_string())
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
        metrics.push(Metric::gauge(
            "slave/executors_connected",
            "Executors that are connected.",
            self.executors.count() as f64,
        ));
        metrics
    }

    async fn executor_subscribe(
        &self,
        head: LinkHead,
        call: ExecutorCall,
        outbox: Outbox<ExecutorEvent>,
    ) -> Result<(), Refusal> {
        let call = executor::call_from_proto(call)
            .map_err(wrong)?
            .ok_or_else(|| Refusal::not_implemented("unknown call"))?;
        let key = (call.framework.clone(), call.executor.clone());
        let known = key.clone();
        if !self.read(move |view| view.ledger().executors.contains_key(&known)).await? {
            return Err(Refusal::bad_request(format!(
                "there is no executor {} of framework {} here",
                key.1, key.0
            )));
        }
        let link = self.executors.open(head.stream_id, outbox);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, link);
        self.inbox.tell(Input::FromExecutor(link, call.framework, call.executor, call.call)).await;
        Ok(())
    }

    async fn executor_call(&self, _caller: &Caller, call: ExecutorCall) -> Result<(), Refusal> {
        let call = executor::call_from_proto(call)
            .map_err(wrong)?
            .ok_or_else(|| Refusal::not_implemented("unknown call"))?;
        let key = (call.framework.clone(), call.executor.clone());
        let link = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let link = link.ok_or_else(|| {
            Refusal::forbidden(format!("executor {} is not subscribed; subscribe first", key.1))
        })?;
        self.inbox.tell(Input::FromExecutor(link, call.framework, call.executor, call.call)).await;
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

    async fn operator(&self, _caller: &Caller, call: Call) -> Result<Option<Response>, Refusal> {
        use holdfast_proto::mesos::v1::agent::call::Type;
        match call.r#type() {
            Type::GetAgent => {
                let info = self
                    .read(|view| view.machine().map(|it| machine::to_proto(it, Format::ENDPOINT)))
                    .await?;
                let get_agent = Some(response::GetAgent { agent_info: info, ..Default::default() });
                Ok(Some(Response {
                    r#type: Some(Answered::GetAgent.into()),
                    get_agent,
                    ..Response::default()
                }))
            }
            Type::GetTasks => {
                let tasks = self.read(tasks).await?;
                Ok(Some(Response {
                    r#type: Some(Answered::GetTasks.into()),
                    get_tasks: Some(tasks),
                    ..Response::default()
                }))
            }
            other => Err(Refusal::not_implemented(format!(
                "{} is not served yet by this agent",
                other.as_str_name()
            ))),
        }
    }

    async fn page(
        &self,
        _caller: &Caller,
        page: AgentPage,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        match page {
            AgentPage::State => self.read(|view| JsonText::of(&state(view))).await,
            other => {
                Err(Refusal::not_implemented(format!("{other:?} is not served yet by this agent")))
            }
        }
    }

    async fn list_files(&self, _caller: &Caller, path: &str) -> Result<Vec<FileInfo>, Refusal> {
        let real = self.resolve(path)?;
        let entries = std::fs::read_dir(&real)
            .map_err(|_| Refusal::not_found(format!("`{path}` is no folder")))?;
        let mut files: Vec<FileInfo> =
            entries.flatten().filter_map(|it| file_info(path, &it)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn read_file(
        &self,
        _caller: &Caller,
        path: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<FileChunk, Refusal> {
        let real = self.resolve(path)?;
        let chunk = tokio::task::spawn_blocking(move || {
            crate::files::read_chunk(&real, offset_bytes, Some(length_bytes))
        });
        let chunk = chunk.await.map_err(|_| Refusal::internal("reading was interrupted"))??;
        Ok(FileChunk { data: chunk.data.into(), size_bytes: chunk.size_bytes })
    }
}

fn file_info(folder: &str, entry: &std::fs::DirEntry) -> Option<FileInfo> {
    use std::os::unix::fs::MetadataExt;
    let meta = entry.metadata().ok()?;
    let mtime = v1::TimeInfo { nanoseconds: meta.mtime().saturating_mul(1_000_000_000) };
    Some(FileInfo {
        path: format!("{}/{}", folder.trim_end_matches('/'), entry.file_name().to_string_lossy()),
        nlink: i32::try_from(meta.nlink()).ok(),
        size: Some(meta.len()),
        mtime: Some(mtime),
        mode: Some(meta.mode()),
        uid: Some(meta.uid().to_string()),
        gid: Some(meta.gid().to_string()),
    })
}

fn tasks(view: &AgentView) -> response::GetTasks {
    let task = |record: &holdfast_model::TaskRecord| v1::Task {
        name: record.info.name.clone(),
        task_id: v1::TaskId { value: record.info.id.to_string() },
        framework_id: v1::FrameworkId { value: record.framework.to_string() },
        executor_id: Some(v1::ExecutorId { value: record.executor.to_string() }),
        agent_id: v1::AgentId { value: record.info.agent.to_string() },
        state: record.state as i32,
        resources: resource::sum_to_proto(&record.info.own_resources(), Format::ENDPOINT),
        ..Default::default()
    };
    let mut answer = response::GetTasks::default();
    for record in view.ledger().tasks.values() {
        let list = if record.state.is_terminal() {
            &mut answer.terminated_tasks
        } else {
            &mut answer.launched_tasks
        };
        list.push(task(record));
    }
    answer
}

fn state(view: &AgentView) -> serde_json::Value {
    let ledger = view.ledger();
    let claim = |it: &holdfast_model::Claim| serde_json::json!({ "id": it.id.to_string(), "resource": it.resource.to_string(), "state": format!("{:?}", it.state).to_lowercase(), "generation": it.generation });
    let executor = |it: &holdfast_model::ExecutorRecord| {
        let tasks: Vec<&str> = ledger
            .tasks
            .values()
            .filter(|task| task.executor == it.info.id && task.framework == it.framework)
            .map(|task| task.info.id.as_str())
            .collect();
        serde_json::json!({ "id": it.info.id.as_str(), "framework_id": it.framework.as_str(), "container": it.container.to_string(), "tasks": tasks })
    };
    serde_json::json!({
        "version": crate::version::MESOS_VERSION,
        "id": ledger.identity.agent.as_ref().map(ToString::to_string),
        "node": ledger.identity.node.to_string(),
        "cluster": ledger.identity.cluster.map(|it| it.to_string()),
        "term": ledger.identity.term.0,
        "ledger_version": ledger.identity.version,
        "disks": ledger.disks.values().map(|it| serde_json::json!({ "id": it.id.to_string(), "root": it.root, "size_mb": it.size_mb })).collect::<Vec<_>>(),
        "claims": ledger.claims.values().map(claim).collect::<Vec<_>>(),
        "executors": ledger.executors.values().map(executor).collect::<Vec<_>>(),
    })
}
