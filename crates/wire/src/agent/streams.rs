//! The streams of a container's payload: what it prints as the answer to a call, what it reads as the body of one.
//!
//! It relies on `recordio`; each record is one message. It never holds more of a body than one record, and never knows what a container
//! is. An answer lives as long as its connection: when that breaks, the API's stream is dropped.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{stream, StreamExt};
use holdfast_proto::mesos::v1::agent::call::{attach_container_input, Type};
use holdfast_proto::mesos::v1::agent::process_io::{self, control};
use holdfast_proto::mesos::v1::agent::{Call, ProcessIo};
use holdfast_proto::mesos::v1::{ContainerId, DurationInfo};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::{recovered, AgentApi};
use crate::answer::{self, Answer, Streamed};
use crate::body::Body;
use crate::connection::Connection;
use crate::content::Content;
use crate::recordio::{self, Decoder};
use crate::refusal::Refusal;

/// The media type of a stream of records.
pub(crate) const RECORDIO: &str = "application/recordio";
/// Says how the records of a request's body are encoded.
pub(crate) static MESSAGE_CONTENT_TYPE: HeaderName =
    HeaderName::from_static("message-content-type");
/// Says how the records of the answer may be encoded.
pub(crate) static MESSAGE_ACCEPT: HeaderName = HeaderName::from_static("message-accept");
/// How often a stream without output carries a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The largest record of a body, in bytes.
const RECORD_MAX_BYTES: usize = 4 << 20;

/// What a payload prints, piece by piece. It ends when the payload does.
pub type ProcessOutput = Pin<Box<dyn Stream<Item = ProcessIo> + Send>>;

/// What is sent to a payload, as it arrives.
pub struct ProcessInput {
    records: Records,
}

impl ProcessInput {
    /// The next piece; `None` at the end of the body.
    ///
    /// # Errors
    /// 400 when the body breaks off or is not what it should be.
    pub async fn next(&mut self) -> Result<Option<ProcessIo>, Refusal> {
        let Some(call) = self.records.next().await? else { return Ok(None) };
        let wrong = || {
            Refusal::bad_request("attach_container_input.type: after the first record each is a PROCESS_IO, with a process_io")
        };
        let asked = attached(call)?;
        if asked.r#type() != attach_container_input::Type::ProcessIo {
            return Err(wrong());
        }
        asked.process_io.ok_or_else(wrong).map(Some)
    }
}

fn attached(
    call: Call,
) -> Result<holdfast_proto::mesos::v1::agent::call::AttachContainerInput, Refusal> {
    if call.r#type() != Type::AttachContainerInput {
        return Err(Refusal::bad_request(
            "type: each record of such a body is a call of type ATTACH_CONTAINER_INPUT",
        ));
    }
    call.attach_container_input.ok_or_else(|| {
        Refusal::bad_request(
            "attach_container_input: required for a call of type ATTACH_CONTAINER_INPUT; set it",
        )
    })
}

/// The calls in a body.
struct Records {
    body: Body,
    decoder: Decoder,
    content: Content,
}

impl Records {
    async fn next(&mut self) -> Result<Option<Call>, Refusal> {
        loop {
            let record = self.decoder.next_record();
            let record = record.map_err(|error| Refusal::bad_request(error.to_string()))?;
            if let Some(record) = record {
                return self.content.decode(&record).map(Some);
            }
            match self.body.frame().await {
                None if self.decoder.is_inside_record() => {
                    return Err(Refusal::bad_request("the body ends in the middle of a record"))
                }
                None => return Ok(None),
                Some(Err(error)) => {
                    let message = format!("the body could not be read: {}", error.message());
                    return Err(Refusal::bad_request(message));
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.decoder.push(data);
                    }
                }
            }
        }
    }
}

/// Whether the body of a request is a stream of records.
pub(super) fn is_recordio(headers: &HeaderMap) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = sent.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(RECORDIO)
}

/// Answers a request whose body is a stream: once all of it is passed on, or the payload takes no more.
pub(super) async fn input(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let answered = async {
        recovered(api)?;
        let content = message_content(&parts.headers)?;
        let mut records = Records { body, decoder: Decoder::new(RECORD_MAX_BYTES), content };
        let first = records.next().await?.ok_or_else(|| {
            Refusal::bad_request("the body is empty; its first record names the container")
        })?;
        let container = container(first)?;
        api.attach_input(&connection.caller(), container, ProcessInput { records }).await
    };
    match answered.await {
        Ok(()) => answer::empty(StatusCode::OK),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn container(first: Call) -> Result<ContainerId, Refusal> {
    let asked = attached(first)?;
    if asked.r#type() != attach_container_input::Type::ContainerId {
        return Err(Refusal::bad_request(
            "attach_container_input.type: the first record is a CONTAINER_ID",
        ));
    }
    asked.container_id.ok_or_else(|| {
        Refusal::bad_request("attach_container_input.container_id: name the container")
    })
}

fn message_content(headers: &HeaderMap) -> Result<Content, Refusal> {
    let Some(value) = headers.get(&MESSAGE_CONTENT_TYPE) else {
        return Err(Refusal::bad_request("the header Message-Content-Type is missing; say how records are encoded: application/json or application/x-protobuf"));
    };
    let found = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Content::named(&found).ok_or_else(|| {
        Refusal::new(415, format!("Message-Content-Type `{found}` is not served here; send application/json or application/x-protobuf"))
    })
}

/// How the records of an answer are encoded.
///
/// # Errors
/// 406 when the answer may not be a stream of records, or those may not be encoded in any way that is served.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Content, Refusal> {
    if !Content::allows(headers, &http::header::ACCEPT, RECORDIO) {
        return Err(Refusal::new(406, "the answer to this call is a stream: send Accept: application/recordio, and Message-Accept for its records"));
    }
    Content::wanted_in(headers, &MESSAGE_ACCEPT)
}

/// An answer of records, for as long as there is output.
pub(super) fn output(connection: &Connection, content: Content, output: ProcessOutput) -> Answer {
    let clock = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    let heartbeats = stream::unfold(clock, |mut clock| async {
        clock.tick().await;
        Some((heartbeat(), clock))
    });
    let pieces = output.map(Some).chain(stream::once(ready(None)));
    let all = stream::select(pieces, heartbeats.map(Some))
        .take_while(|piece| ready(piece.is_some()))
        .filter_map(ready)
        .take_until(connection.shared.stop.clone().cancelled_owned());
    let frames = all.map(move |piece| {
        Ok::<_, Infallible>(Frame::data(recordio::encode(&content.encode(&piece))))
    });
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(RECORDIO));
    headers.insert(MESSAGE_CONTENT_TYPE.clone(), HeaderValue::from_static(content.media_type()));
    answer.extensions_mut().insert(Streamed);
    answer
}

fn heartbeat() -> ProcessIo {
    let nanoseconds = i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX);
    let control = process_io::Control {
        r#type: Some(control::Type::Heartbeat.into()),
        heartbeat: Some(control::Heartbeat { interval: Some(DurationInfo { nanoseconds }) }),
        ..process_io::Control::default()
    };
    ProcessIo {
        r#type: Some(process_io::Type::Control.into()),
        control: Some(control),
        ..ProcessIo::default()
    }
}
