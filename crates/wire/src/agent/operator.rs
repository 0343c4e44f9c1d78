//! `/api/v1` of the agent: the operator's calls.
//!
//! It relies on the API trait for all but health, version and metrics, which need no core. It never
//! answers with more of a file than its bound.

use std::sync::Arc;

use holdfast_proto::mesos::v1::agent::call::Type;
use holdfast_proto::mesos::v1::agent::{response, Call, Response};
use holdfast_proto::mesos::v1::Metric as FlatMetric;
use http::{Request, StatusCode};

use super::{files, recovered, streams, AgentAnswer, AgentApi};
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::call::{self, Received};
use crate::connection::Connection;
use crate::content::Content;
use crate::logging;
use crate::refusal::Refusal;

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    if let Some(answer) = call::unless_post(request.method()) {
        return answer;
    }
    if streams::is_recordio(request.headers()) {
        return streams::input(api, connection, request).await;
    }
    let answered = match call::receive::<Call, Type>(connection, request, |call| call.r#type).await
    {
        Ok(received) => carry_out(api, connection, received).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

async fn carry_out(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    if received.kind == Type::AttachContainerInput {
        return Err(Refusal::new(415, "the body of ATTACH_CONTAINER_INPUT is a stream: send Content-Type: application/recordio, and Message-Content-Type for its records"));
    }
    let is_stream =
        matches!(received.kind, Type::LaunchNestedContainerSession | Type::AttachContainerOutput);
    if is_stream {
        let content = streams::wanted(&received.headers)?;
        recovered(api)?;
        let output = api.attach_output(&connection.caller(), received.call).await?;
        return Ok(streams::output(connection, content, output));
    }
    let wanted = Content::wanted(&received.headers)?;
    if !matches!(received.kind, Type::GetHealth | Type::GetVersion | Type::GetMetrics) {
        recovered(api)?;
    }
    let response = match received.kind {
        Type::GetHealth => health(),
        Type::GetVersion => version(api),
        Type::GetMetrics => metrics(api, connection),
        Type::GetLoggingLevel => level(api.logging(&connection.caller(), None)?),
        Type::SetLoggingLevel => {
            let asked = received.call.set_logging_level.map(|it| (it.level, it.duration));
            api.logging(&connection.caller(), Some(logging::wish(asked)?))?;
            return Ok(answer::empty(StatusCode::OK));
        }
        Type::ListFiles => list_files(api, connection, received.call).await?,
        Type::ReadFile => read_file(api, connection, received.call).await?,
        _ => match api.operator(&connection.caller(), received.call).await? {
            AgentAnswer::Message(response) => *response,
            AgentAnswer::Done => return Ok(answer::empty(StatusCode::OK)),
            AgentAnswer::Already => return Ok(answer::empty(StatusCode::ACCEPTED)),
        },
    };
    Ok(answer::message(wanted, &response))
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

fn version(api: &Arc<dyn AgentApi>) -> Response {
    let get_version = Some(response::GetVersion { version_info: api.version() });
    Response { r#type: Some(response::Type::GetVersion.into()), get_version, ..Response::default() }
}

fn metrics(api: &Arc<dyn AgentApi>, connection: &Connection) -> Response {
    let all = api.metrics().into_iter().chain(connection.shared.counters.metrics());
    let metrics = all
        .map(|metric| FlatMetric { name: metric.flat_name(), value: Some(metric.value) })
        .collect();
    let get_metrics = Some(response::GetMetrics { metrics });
    Response { r#type: Some(response::Type::GetMetrics.into()), get_metrics, ..Response::default() }
}

async fn list_files(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    call: Call,
) -> Result<Response, Refusal> {
    let missing = || {
        Refusal::bad_request(
            "list_files: required for a call of type LIST_FILES; set it, with a path",
        )
    };
    let asked = call.list_files.ok_or_else(missing)?;
    let file_infos = api.list_files(&connection.caller(), &asked.path).await?;
    let list_files = Some(response::ListFiles { file_infos });
    Ok(Response {
        r#type: Some(response::Type::ListFiles.into()),
        list_files,
        ..Response::default()
    })
}

async fn read_file(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    call: Call,
) -> Result<Response, Refusal> {
    let missing = || {
        Refusal::bad_request(
            "read_file: required for a call of type READ_FILE; set it, with a path and an offset",
        )
    };
    let asked = call.read_file.ok_or_else(missing)?;
    let length_bytes = asked.length.unwrap_or(files::READ_MAX_BYTES).min(files::READ_MAX_BYTES);
    let chunk =
        api.read_file(&connection.caller(), &asked.path, asked.offset, length_bytes).await?;
    let read_file = Some(response::ReadFile { size: chunk.size_bytes, data: chunk.data.into() });
    Ok(Response { r#type: Some(response::Type::ReadFile.into()), read_file, ..Response::default() })
}
