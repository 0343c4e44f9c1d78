//! The agent's port: the API trait that an agent implements, and its routes.
//!
//! It relies on the rest of this crate. It never opens a file itself: the API decides what may be
//! read.

mod executor;
mod files;
mod legacy;
mod operator;
pub(crate) mod streams;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_proto::mesos::v1::{
    agent as api, executor as executor_api, ContainerId, FileInfo, VersionInfo,
};
use http::Request;
use uuid::Uuid;

use crate::answer::{self, Answer, JsonText};
use crate::body::Body;
use crate::connection::{Caller, Connection};
use crate::link::LinkHead;
use crate::logging::LogWish;
use crate::metrics::Metric;
use crate::outbox::{LinkEnd, Outbox};
use crate::query::{self, Query};
use crate::refusal::Refusal;

pub use streams::{ProcessInput, ProcessOutput};

/// A read endpoint from before the v1 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentPage {
    /// `/state`: everything.
    State,
    /// `/monitor/statistics`: what each executor uses.
    Statistics,
    /// `/containers`: containers and what they use.
    Containers,
    /// `/flags`: settings.
    Flags,
    /// `/files/debug`: which folders are shown, and where they are.
    FilesDebug,
}

/// What an agent answers to an operator's call that it carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentAnswer {
    /// 200 with this.
    Message(Box<api::Response>),
    /// 200 without a body.
    Done,
    /// 202: what was asked for was there already.
    Already,
}

/// A chunk of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChunk {
    /// The bytes; fewer than asked for only at the end of the file.
    pub data: Bytes,
    /// Size of the whole file, in bytes.
    pub size_bytes: u64,
}

/// The API of an agent. Each method may be called from many tasks at once.
///
/// When `executor_subscribe` returns `Ok`, `executor_gone` follows exactly once, whatever happens.
#[async_trait]
pub trait AgentApi: Send + Sync + 'static {
    /// Whether the agent has recovered; before that all but health, version, metrics and SUBSCRIBE
    /// of executors is answered with 503.
    fn is_recovered(&self) -> bool;

    /// The version of the program. `version` must be digits `X.Y.Z`: clients compare it.
    fn version(&self) -> VersionInfo;

    /// Reads all metrics.
    fn metrics(&self) -> Vec<Metric>;

    /// Called when an executor subscribes; the type is SUBSCRIBE and `subscribe` is set.
    ///
    /// # Errors A refusal: 400 for a framework or executor that is not known here, 503 while the
    /// agent cannot tell yet.
    async fn executor_subscribe(
        &self,
        head: LinkHead,
        call: executor_api::Call,
        outbox: Outbox<executor_api::Event>,
    ) -> Result<(), Refusal>;

    /// Called with any other call of an executor, of a known type.
    ///
    /// # Errors A refusal: 400 for a framework or executor that is not known here, 403 for one that
    /// has not subscribed.
    async fn executor_call(&self, caller: &Caller, call: executor_api::Call)
        -> Result<(), Refusal>;

    /// Called when an executor's link has ended.
    async fn executor_gone(&self, stream_id: Uuid, end: LinkEnd);

    /// Called with an operator's call of a known type; GET_HEALTH, GET_VERSION, GET_METRICS,
    /// LIST_FILES, READ_FILE and the calls that stream never come here.
    ///
    /// # Errors
    /// A refusal; 501 for a call that is not served.
    async fn operator(&self, caller: &Caller, call: api::Call) -> Result<AgentAnswer, Refusal>;

    /// Called with LAUNCH_NESTED_CONTAINER_SESSION and ATTACH_CONTAINER_OUTPUT. What is returned is dropped when its connection breaks.
    ///
    /// # Errors
    /// A refusal.
    async fn attach_output(
        &self,
        caller: &Caller,
        call: api::Call,
    ) -> Result<ProcessOutput, Refusal>;

    /// Called with the beginning of ATTACH_CONTAINER_INPUT; returns once nothing more is to be read.
    ///
    /// # Errors
    /// A refusal.
    async fn attach_input(
        &self,
        caller: &Caller,
        container: ContainerId,
        input: ProcessInput,
    ) -> Result<(), Refusal>;

    /// Renders a read endpoint.
    ///
    /// # Errors
    /// A refusal; 404 or 501 for a page that is not served.
    async fn page(
        &self,
        caller: &Caller,
        page: AgentPage,
        query: &Query,
    ) -> Result<JsonText, Refusal>;

    /// Carries out a wish about the log of this process, if there is one; how much is logged then.
    ///
    /// # Errors
    /// A refusal; 501 where that cannot be changed, which is the default.
    fn logging(&self, _caller: &Caller, _wish: Option<LogWish>) -> Result<u32, Refusal> {
        Err(Refusal::not_implemented("the log of this process cannot be changed"))
    }

    /// Lists a folder. Paths are virtual, such as that of a sandbox.
    ///
    /// # Errors
    /// 404 when there is no such folder, 403 when the caller may not see it.
    async fn list_files(&self, caller: &Caller, path: &str) -> Result<Vec<FileInfo>, Refusal>;

    /// Reads at most `length_bytes` from `offset_bytes` on; beyond the end there is nothing, which
    /// is no error.
    ///
    /// # Errors
    /// 404 when there is no such file, 403 when the caller may not see it, 400 for a folder.
    async fn read_file(
        &self,
        caller: &Caller,
        path: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<FileChunk, Refusal>;
}

#[derive(Clone, Copy)]
enum Endpoint {
    Executor,
    Operator,
    Page(AgentPage),
    Files(files::Verb),
    Logging,
    SystemStats,
    Health,
    Version,
    Snapshot,
    Exposition,
}

const ENDPOINTS: [(&str, Endpoint); 18] = [
    ("/api/v1/executor", Endpoint::Executor),
    ("/api/v1", Endpoint::Operator),
    ("/state", Endpoint::Page(AgentPage::State)),
    ("/state.json", Endpoint::Page(AgentPage::State)),
    ("/monitor/statistics", Endpoint::Page(AgentPage::Statistics)),
    ("/monitor/statistics.json", Endpoint::Page(AgentPage::Statistics)),
    ("/containers", Endpoint::Page(AgentPage::Containers)),
    ("/flags", Endpoint::Page(AgentPage::Flags)),
    ("/files/debug", Endpoint::Page(AgentPage::FilesDebug)),
    ("/logging/toggle", Endpoint::Logging),
    ("/system/stats.json", Endpoint::SystemStats),
    ("/files/browse", Endpoint::Files(files::Verb::Browse)),
    ("/files/read", Endpoint::Files(files::Verb::Read)),
    ("/files/download", Endpoint::Files(files::Verb::Download)),
    ("/health", Endpoint::Health),
    ("/version", Endpoint::Version),
    ("/metrics/snapshot", Endpoint::Snapshot),
    ("/metrics", Endpoint::Exposition),
];

/// Answers one request.
pub(crate) async fn answer(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    let path = query::decode(request.uri().path(), false);
    let path = query::without_process(&path, is_agent_process);
    match query::longest(&ENDPOINTS, path) {
        Some(Endpoint::Executor) => executor::answer(api, connection, request).await,
        Some(Endpoint::Operator) => operator::answer(api, connection, request).await,
        Some(Endpoint::Files(verb)) => files::answer(api, connection, verb, request).await,
        Some(endpoint) => legacy::answer(api, connection, endpoint, request).await,
        None if path == "/" => legacy::list(&api.version().version),
        None => answer::refusal(&Refusal::not_found(format!(
            "there is no `{path}` on an agent; see `/` for what is served"
        ))),
    }
}

/// Mesos numbers agents within a process: `slave(1)`.
fn is_agent_process(name: &str) -> bool {
    let number = name.strip_prefix("slave(").and_then(|rest| rest.strip_suffix(')'));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Refuses what needs the agent's state until it has recovered (H37).
fn recovered(api: &Arc<dyn AgentApi>) -> Result<(), Refusal> {
    if api.is_recovered() {
        Ok(())
    } else {
        Err(Refusal::unavailable(
            "this agent is still recovering its executors and disks; try again",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_process_prefix() {
        assert!(is_agent_process("slave(1)") && is_agent_process("slave(12)"));
        assert!(
            !is_agent_process("slave()")
                && !is_agent_process("slave(x)")
                && !is_agent_process("slave")
        );
    }
}
