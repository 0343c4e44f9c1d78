//! `/api/v1` of the master: the operator's calls.
//!
//! It relies on the API trait for all but health, version and metrics, which need no core. It never
//! answers a call with a success that the API did not give.

use std::sync::Arc;

use holdfast_proto::mesos::v1::master::call::Type;
use holdfast_proto::mesos::v1::master::{response, Call, Response};
use holdfast_proto::mesos::v1::Metric as FlatMetric;
use http::{Request, StatusCode};

use super::{unless_leading, MasterApi};
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::call::{self, Received};
use crate::connection::Connection;
use crate::content::Content;
use crate::link::{self, Transport};
use crate::logging;
use crate::refusal::Refusal;

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    if let Some(answer) =
        unless_leading(api, &request).or_else(|| call::unless_post(request.method()))
    {
        return answer;
    }
    let answered = match call::receive::<Call, Type>(connection, request, |call| call.r#type).await
    {
        Ok(received) => carry_out(api, connection, received).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

async fn carry_out(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    let wanted = Content::wanted(&received.headers)?;
    let response = match received.kind {
        Type::GetHealth => Some(health()),
        Type::GetVersion => Some(version(api)),
        Type::GetMetrics => Some(metrics(api, connection)),
        Type::GetLoggingLevel => Some(level(api.logging(&connection.caller(), None)?)),
        Type::SetLoggingLevel => {
            let asked = received.call.set_logging_level.map(|it| (it.level, it.duration));
            api.logging(&connection.caller(), Some(logging::wish(asked)?))?;
            None
        }
        Type::Subscribe => return watch(api, connection, wanted).await,
        _ => api.operator(&connection.caller(), received.call).await?,
    };
    Ok(match response {
        Some(response) => answer::message(wanted, &response),
        None => answer::empty(if is_only_accepted(received.kind) {
            StatusCode::ACCEPTED
        } else {
            StatusCode::OK
        }),
    })
}

/// H32: SUBSCRIBE opens a stream that lasts until one of both leaves.
async fn watch(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    wanted: Content,
) -> Result<Answer, Refusal> {
    let heartbeat = connection.shared.limits.heartbeat_interval;
    let (head, outbox, outflow) = link::open(connection, Transport::Http, heartbeat);
    let stream_id = head.stream_id;
    let (acceptor, notified) = (api.clone(), api.clone());
    let take = async move { acceptor.watch(head, outbox).await };
    let gone = move |end| async move { notified.watcher_gone(stream_id, end).await };
    link::hold(connection, outflow.watch(), take, |()| async {}, gone).await?;
    Ok(answer::records(wanted, outflow, None))
}

/// H31: these are carried out by an agent, later.
fn is_only_accepted(kind: Type) -> bool {
    use Type::{
        CreateVolumes, DestroyVolumes, GrowVolume, ReserveResources, ShrinkVolume,
        UnreserveResources,
    };
    matches!(
        kind,
        ReserveResources
            | UnreserveResources
            | CreateVolumes
            | DestroyVolumes
            | GrowVolume
            | ShrinkVolume
    )
}

fn level(level: u32) -> Response {
    let get_logging_level = Some(response::GetLoggingLevel { level });
    let kind = Some(response::Type::GetLoggingLevel.into());
    Response { r#type: kind, get_logging_level, ..Response::default() }
}

fn health() -> Response {
    let get_health = Some(response::GetHealth { healthy: true });
    Response { r#type: Some(response::Type::GetHealth.into()), get_health, ..Response::default() }
}

fn version(api: &Arc<dyn MasterApi>) -> Response {
    let get_version = Some(response::GetVersion { version_info: api.version() });
    Response { r#type: Some(response::Type::GetVersion.into()), get_version, ..Response::default() }
}

fn metrics(api: &Arc<dyn MasterApi>, connection: &Connection) -> Response {
    let all = api.metrics().into_iter().chain(connection.shared.counters.metrics());
    let metrics = all
        .map(|metric| FlatMetric { name: metric.flat_name(), value: Some(metric.value) })
        .collect();
    let get_metrics = Some(response::GetMetrics { metrics });
    Response { r#type: Some(response::Type::GetMetrics.into()), get_metrics, ..Response::default() }
}
