//! The master's port: the door that a master implements, and where each path leads.
//!
//! Relies on the room's plumbing. Never knows what a framework or an agent is: it carries messages and answers.

mod agent_link;
mod legacy;
mod operator;
mod scheduler;
mod scheduler_stream;

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_proto::holdfast::v1::agent_link_server::AgentLinkServer;
use holdfast_proto::holdfast::v1::scheduler_stream_server::SchedulerStreamServer;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::{master, scheduler as api, VersionInfo};
use http::Request;
use uuid::Uuid;

use crate::answer::{self, Answer, JsonText};
use crate::body::Body;
use crate::connection::{Caller, Connection};
use crate::limits::{Limits, MESSAGE_MAX_BYTES};
use crate::link::LinkHead;
use crate::metrics::Metric;
use crate::outbox::{LinkEnd, Outbox};
use crate::query::{self, Query};
use crate::refusal::Refusal;

pub(crate) use legacy::page;
pub(crate) use scheduler_stream::LEADER_METADATA;

/// Whether this master may answer for the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It leads.
    Leading {
        /// `host:port` where clients reach it.
        address: String,
    },
    /// It leads but does not know enough yet; calls are answered with 503.
    Recovering,
    /// Another leads, or none.
    Standby {
        /// `host:port` of the leader, to which calls are redirected; without one they are answered with 503.
        leader: Option<String>,
    },
}

/// A read endpoint of the time before the v1 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MasterPage {
    /// `/state`: everything.
    State,
    /// `/state-summary`: agents and frameworks with counts of tasks.
    StateSummary,
    /// `/slaves?slave_id=`: agents.
    Slaves,
    /// `/frameworks?framework_id=`: frameworks.
    Frameworks,
    /// `/tasks?limit=&offset=&order=&framework_id=&task_id=`: tasks.
    Tasks,
    /// `/roles`: roles.
    Roles,
    /// `/flags`: settings.
    Flags,
}

/// What a master answers. Each method may be called from many tasks at once.
///
/// Links: `subscribe` and `agent_attach` hand the door the way out; when they return `Ok`, `framework_gone` or `agent_gone` follows
/// exactly once, whatever happens. Messages of one link are handed over in order, each after the one before was taken.
#[async_trait]
pub trait MasterApi: Send + Sync + 'static {
    /// Whether this master answers calls.
    fn standing(&self) -> Standing;

    /// What program this is. `version` must be digits `X.Y.Z`: clients compare it.
    fn version(&self) -> VersionInfo;

    /// All metrics, now.
    fn metrics(&self) -> Vec<Metric>;

    /// A scheduler subscribes; its type is SUBSCRIBE and `subscribe` is set. What is refused after the call itself was found right
    /// (a removed framework, a role that is not allowed) is by Mesos's custom an ERROR event in a successful answer.
    ///
    /// # Errors
    /// A refusal, when the call itself is wrong.
    async fn subscribe(
        &self,
        head: LinkHead,
        call: api::Call,
        outbox: Outbox<api::Event>,
    ) -> Result<(), Refusal>;

    /// Any other call of a scheduler; `framework_id` is set, the type is known. `stream_id` is what the caller said, or the link itself
    /// over gRPC.
    ///
    /// # Errors
    /// 400 for an unknown framework, another stream id or a wrong call, 403 for a framework that is not subscribed (H7); over gRPC it
    /// ends the stream.
    async fn scheduler_call(
        &self,
        stream_id: Uuid,
        caller: &Caller,
        call: api::Call,
    ) -> Result<(), Refusal>;

    /// A scheduler's link is over.
    async fn framework_gone(&self, stream_id: Uuid, end: LinkEnd);

    /// An agent's link begins. Masters that do not lead may take it too.
    ///
    /// # Errors
    /// A refusal, when agents are not welcome here.
    async fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) -> Result<(), Refusal>;

    /// A message of an agent.
    ///
    /// # Errors
    /// A refusal ends the link.
    async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal>;

    /// An agent's link is over.
    async fn agent_gone(&self, stream_id: Uuid, end: LinkEnd);

    /// An operator's call of a known type; GET_HEALTH, GET_VERSION, GET_METRICS and SUBSCRIBE never come here. `None` answers without a
    /// body: 202 for what is only accepted (H31), else 200.
    ///
    /// # Errors
    /// A refusal; 501 for a call that is not served.
    async fn operator(
        &self,
        caller: &Caller,
        call: master::Call,
    ) -> Result<Option<master::Response>, Refusal>;

    /// A read endpoint.
    ///
    /// # Errors
    /// A refusal; 404 or 501 for a page that is not served.
    async fn page(
        &self,
        caller: &Caller,
        page: MasterPage,
        query: &Query,
    ) -> Result<JsonText, Refusal>;

    /// Our own API, below `/holdfast/v1/`, for what Mesos has no words for. `posted` says that the caller wants something changed.
    ///
    /// # Errors
    /// A refusal; 404 for a name that is not served, as everything is unless a door says otherwise.
    async fn native(
        &self,
        _caller: &Caller,
        _posted: bool,
        name: &str,
        _query: &Query,
    ) -> Result<JsonText, Refusal> {
        Err(Refusal::not_found(format!("there is no `/holdfast/v1/{name}` here")))
    }
}

#[derive(Clone, Copy)]
enum Endpoint {
    Scheduler,
    Operator,
    Page(MasterPage),
    Redirect,
    Health,
    Version,
    Snapshot,
    Exposition,
    Native,
}

const ENDPOINTS: [(&str, Endpoint); 15] = [
    ("/holdfast/v1", Endpoint::Native),
    ("/api/v1/scheduler", Endpoint::Scheduler),
    ("/api/v1", Endpoint::Operator),
    ("/state", Endpoint::Page(MasterPage::State)),
    ("/state.json", Endpoint::Page(MasterPage::State)),
    ("/state-summary", Endpoint::Page(MasterPage::StateSummary)),
    ("/slaves", Endpoint::Page(MasterPage::Slaves)),
    ("/frameworks", Endpoint::Page(MasterPage::Frameworks)),
    ("/tasks", Endpoint::Page(MasterPage::Tasks)),
    ("/roles", Endpoint::Page(MasterPage::Roles)),
    ("/flags", Endpoint::Page(MasterPage::Flags)),
    ("/redirect", Endpoint::Redirect),
    ("/health", Endpoint::Health),
    ("/version", Endpoint::Version),
    ("/metrics", Endpoint::Exposition),
];

/// Answers one request.
pub(crate) async fn answer(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    let path = query::decode(request.uri().path(), false);
    let path = query::without_process(&path, |name| name == "master");
    // `/metrics` alone is ours; what lies below it is Mesos's.
    let endpoint = if path == "/metrics/snapshot" {
        Some(Endpoint::Snapshot)
    } else {
        query::longest(&ENDPOINTS, path)
    };
    match endpoint {
        Some(Endpoint::Scheduler) => scheduler::answer(api, connection, request).await,
        Some(Endpoint::Operator) => operator::answer(api, connection, request).await,
        Some(endpoint) => legacy::answer(api, connection, endpoint, request).await,
        None if path == "/" => legacy::list(&api.version().version),
        None => answer::refusal(&Refusal::not_found(format!(
            "there is no `{path}` on a master; see `/` for what is served"
        ))),
    }
}

/// H5: what answers for the cluster is answered by the leader alone; what any other master answers.
fn unless_leading(api: &Arc<dyn MasterApi>, request: &Request<Body>) -> Option<Answer> {
    match api.standing() {
        Standing::Leading { .. } => None,
        standing => Some(elsewhere(
            &standing,
            request.uri().path_and_query().map_or("/", |path| path.as_str()),
        )),
    }
}

/// Where to go instead, or that there is nowhere to go yet.
fn elsewhere(standing: &Standing, path_and_query: &str) -> Answer {
    let unavailable = |message| answer::refusal(&Refusal::unavailable(message));
    match standing {
        Standing::Leading { address } | Standing::Standby { leader: Some(address) } => {
            answer::redirect(address, path_and_query)
        }
        Standing::Recovering => unavailable(
            "this master has just become the leader and is still reading its ledger; try again",
        ),
        Standing::Standby { leader: None } => {
            unavailable("no master leads at the moment; try again")
        }
    }
}

/// The gRPC services of a master.
pub(crate) fn services(api: &Arc<dyn MasterApi>, limits: &Limits) -> tonic::service::Routes {
    let agents = AgentLinkServer::new(agent_link::Service { api: api.clone() })
        .max_decoding_message_size(MESSAGE_MAX_BYTES)
        .max_encoding_message_size(MESSAGE_MAX_BYTES);
    let schedulers = SchedulerStreamServer::new(scheduler_stream::Service { api: api.clone() })
        .max_decoding_message_size(limits.body_max_bytes)
        .max_encoding_message_size(MESSAGE_MAX_BYTES);
    tonic::service::Routes::new(agents).add_service(schedulers)
}
