//! The master's port: the API trait that a master implements, and its routes.
//!
//! It relies on the rest of this crate. It never knows what a framework or an agent is: it carries
//! messages and answers.

mod agent_link;
mod forms;
mod health;
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
use crate::logging::LogWish;
use crate::metrics::Metric;
use crate::outbox::{LinkEnd, Outbox};
use crate::query::{self, Query};
use crate::refusal::Refusal;

pub(crate) use legacy::{json_was_sent, page, system_stats};
pub(crate) use scheduler_stream::LEADER_METADATA;

/// Whether this master may answer for the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeadershipState {
    /// This master leads.
    Leading {
        /// `host:port` where clients reach it.
        address: String,
    },
    /// It leads but does not know enough yet; calls are answered with 503.
    Recovering,
    /// Another master leads, or none.
    Standby {
        /// `host:port` of the leader, to which calls are redirected; without one they are answered
        /// with 503.
        leader: Option<String>,
    },
}

/// A read endpoint from before the v1 API.
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
    /// `/weights`: weights of roles.
    Weights,
    /// `/flags`: settings.
    Flags,
    /// `/quota`: what roles are guaranteed and limited to.
    Quota,
    /// `/maintenance/schedule`: planned downtime.
    MaintenanceSchedule,
    /// `/maintenance/status`: machines with planned downtime.
    MaintenanceStatus,
    /// `/registrar(1)/registry`: what the masters must not forget.
    Registry,
    /// `/files/debug`: which files are shown.
    FilesDebug,
}

/// A change that is asked for by an endpoint from before the v1 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MasterForm {
    /// `POST /teardown`: remove a framework.
    Teardown,
    /// `POST /reserve`: reserve resources of an agent.
    Reserve,
    /// `POST /unreserve`: undo reservations.
    Unreserve,
    /// `POST /create-volumes`: make volumes on an agent.
    CreateVolumes,
    /// `POST /destroy-volumes`: destroy volumes.
    DestroyVolumes,
    /// `PUT /weights`: set weights of roles.
    UpdateWeights,
    /// `POST /quota`: set a role's quota.
    SetQuota,
    /// `DELETE /quota/ROLE`: take a role's quota away.
    RemoveQuota,
    /// `POST /maintenance/schedule`: plan downtime.
    MaintenanceSchedule,
    /// `POST /machine/down`: begin the downtime of machines.
    MachineDown,
    /// `POST /machine/up`: end the downtime of machines.
    MachineUp,
}

/// The API of a master. Each method may be called from many tasks at once.
///
/// `subscribe` and `agent_attach` pass the outbox of a new link; when they return `Ok`,
/// `framework_gone` or `agent_gone` follows exactly once, whatever happens. Messages of one link
/// are passed in order, each after the one before was taken.
#[async_trait]
pub trait MasterApi: Send + Sync + 'static {
    /// Whether this master leads and answers calls.
    fn leadership_state(&self) -> LeadershipState;

    /// The version of the program. `version` must be digits `X.Y.Z`: clients compare it.
    fn version(&self) -> VersionInfo;

    /// Reads all metrics.
    fn metrics(&self) -> Vec<Metric>;

    /// Called when a scheduler subscribes; the type is SUBSCRIBE and `subscribe` is set. What is
    /// refused after the call itself was found valid (a removed framework, a role that is not
    /// allowed) is by Mesos's custom an ERROR event in a successful answer.
    ///
    /// # Errors
    /// A refusal, when the call itself is wrong.
    async fn subscribe(
        &self,
        head: LinkHead,
        call: api::Call,
        outbox: Outbox<api::Event>,
    ) -> Result<(), Refusal>;

    /// Called with any other call of a scheduler; `framework_id` is set, the type is known.
    /// `stream_id` is the one that the caller sent, or the link's over gRPC.
    ///
    /// # Errors 400 for an unknown framework, another stream id or a wrong call, 403 for a
    /// framework that is not subscribed (H7); over gRPC it ends the stream.
    async fn scheduler_call(
        &self,
        stream_id: Uuid,
        caller: &Caller,
        call: api::Call,
    ) -> Result<(), Refusal>;

    /// Called when a scheduler's link has ended.
    async fn framework_gone(&self, stream_id: Uuid, end: LinkEnd);

    /// Called when an agent opens a link. Masters that do not lead may take it too.
    ///
    /// # Errors
    /// A refusal, when agents are not accepted here.
    async fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) -> Result<(), Refusal>;

    /// Called with each message of an agent.
    ///
    /// # Errors
    /// A refusal ends the link.
    async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal>;

    /// Called when an agent's link has ended.
    async fn agent_gone(&self, stream_id: Uuid, end: LinkEnd);

    /// Called when an operator subscribes to what changes in the cluster.
    ///
    /// # Errors
    /// A refusal; 501 where that is not served, which is the default.
    async fn watch(&self, _head: LinkHead, _outbox: Outbox<master::Event>) -> Result<(), Refusal> {
        Err(Refusal::not_implemented("a stream of events is not served here"))
    }

    /// Called when the link of an operator that was subscribed has ended.
    async fn watcher_gone(&self, _stream_id: Uuid, _end: LinkEnd) {}

    /// Carries out a wish about the log of this process, if there is one; how much is logged then.
    ///
    /// # Errors
    /// A refusal; 501 where that cannot be changed, which is the default.
    fn logging(&self, _caller: &Caller, _wish: Option<LogWish>) -> Result<u32, Refusal> {
        Err(Refusal::not_implemented("the log of this process cannot be changed"))
    }

    /// Called with an operator's call of a known type; GET_HEALTH, GET_VERSION, GET_METRICS, those
    /// about the log and SUBSCRIBE never come here. `None` answers without a body: 202 for what is only accepted
    /// (H31), else 200.
    ///
    /// # Errors
    /// A refusal; 501 for a call that is not served.
    async fn operator(
        &self,
        caller: &Caller,
        call: master::Call,
    ) -> Result<Option<master::Response>, Refusal>;

    /// Renders a read endpoint.
    ///
    /// # Errors
    /// A refusal; 404 or 501 for a page that is not served.
    async fn page(
        &self,
        caller: &Caller,
        page: MasterPage,
        query: &Query,
    ) -> Result<JsonText, Refusal>;

    /// Carries out a form; `fields` are those of the form, and `document` is the body where that is
    /// JSON.
    ///
    /// # Errors
    /// A refusal; 501 for a form that is not served, which is the default for all.
    async fn act(
        &self,
        _caller: &Caller,
        form: MasterForm,
        _fields: &Query,
    ) -> Result<(), Refusal> {
        Err(Refusal::not_implemented(format!("{form:?} is not served here")))
    }

    /// Our own API, below `/holdfast/v1/`, for what Mesos has no calls for. `posted` says that the
    /// caller wants something changed.
    ///
    /// # Errors
    /// A refusal; 404 for a name that is not served, which is the default for all.
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
    Forms(forms::Forms),
    Files,
    Logging,
    SystemStats,
    Redirect,
    Health,
    Version,
    Snapshot,
    Exposition,
    Native,
}

const ENDPOINTS: [(&str, Endpoint); 34] = [
    ("/holdfast/v1", Endpoint::Native),
    ("/api/v1/scheduler", Endpoint::Scheduler),
    ("/api/v1", Endpoint::Operator),
    ("/state", Endpoint::Page(MasterPage::State)),
    ("/state.json", Endpoint::Page(MasterPage::State)),
    ("/state-summary", Endpoint::Page(MasterPage::StateSummary)),
    ("/slaves", Endpoint::Page(MasterPage::Slaves)),
    ("/frameworks", Endpoint::Page(MasterPage::Frameworks)),
    ("/tasks", Endpoint::Page(MasterPage::Tasks)),
    ("/tasks.json", Endpoint::Page(MasterPage::Tasks)),
    ("/roles", Endpoint::Page(MasterPage::Roles)),
    ("/roles.json", Endpoint::Page(MasterPage::Roles)),
    ("/flags", Endpoint::Page(MasterPage::Flags)),
    ("/maintenance/status", Endpoint::Page(MasterPage::MaintenanceStatus)),
    ("/registrar(1)/registry", Endpoint::Page(MasterPage::Registry)),
    ("/files/debug", Endpoint::Page(MasterPage::FilesDebug)),
    ("/files", Endpoint::Files),
    ("/weights", Endpoint::Forms(forms::WEIGHTS)),
    ("/quota", Endpoint::Forms(forms::QUOTA)),
    ("/maintenance/schedule", Endpoint::Forms(forms::MAINTENANCE_SCHEDULE)),
    ("/machine/down", Endpoint::Forms(forms::MACHINE_DOWN)),
    ("/machine/up", Endpoint::Forms(forms::MACHINE_UP)),
    ("/teardown", Endpoint::Forms(forms::TEARDOWN)),
    ("/reserve", Endpoint::Forms(forms::RESERVE)),
    ("/unreserve", Endpoint::Forms(forms::UNRESERVE)),
    ("/create-volumes", Endpoint::Forms(forms::CREATE_VOLUMES)),
    ("/destroy-volumes", Endpoint::Forms(forms::DESTROY_VOLUMES)),
    ("/logging/toggle", Endpoint::Logging),
    ("/system/stats.json", Endpoint::SystemStats),
    ("/redirect", Endpoint::Redirect),
    ("/health", Endpoint::Health),
    ("/version", Endpoint::Version),
    ("/metrics/snapshot", Endpoint::Snapshot),
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
    match query::longest(&ENDPOINTS, path) {
        Some(Endpoint::Scheduler) => scheduler::answer(api, connection, request).await,
        Some(Endpoint::Operator) => operator::answer(api, connection, request).await,
        Some(Endpoint::Forms(forms)) => forms::answer(api, connection, forms, request).await,
        Some(endpoint) => legacy::answer(api, connection, endpoint, request).await,
        None if path == "/" => legacy::list(&api.version().version),
        None => answer::refusal(&Refusal::not_found(format!(
            "there is no `{path}` on a master; see `/` for what is served"
        ))),
    }
}

/// Answers for a master that does not lead: only the leader answers for the cluster (H5).
fn unless_leading(api: &Arc<dyn MasterApi>, request: &Request<Body>) -> Option<Answer> {
    match api.leadership_state() {
        LeadershipState::Leading { .. } => None,
        leadership_state => Some(elsewhere(
            &leadership_state,
            request.uri().path_and_query().map_or("/", |path| path.as_str()),
        )),
    }
}

/// Redirects to the leader, or refuses when there is none yet.
fn elsewhere(leadership_state: &LeadershipState, path_and_query: &str) -> Answer {
    let unavailable = |message| answer::refusal(&Refusal::unavailable(message));
    match leadership_state {
        LeadershipState::Leading { address }
        | LeadershipState::Standby { leader: Some(address) } => {
            answer::redirect(address, path_and_query)
        }
        LeadershipState::Recovering => unavailable(
            "this master has just become the leader and is still reading its ledger; try again",
        ),
        LeadershipState::Standby { leader: None } => {
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
    health::add(tonic::service::Routes::new(agents).add_service(schedulers), api)
}
