//! `/api/v1/scheduler`: SUBSCRIBE opens a stream of events in RecordIO, every other call is a
//! request of its own.
//!
//! It relies on the API trait for everything that needs the cluster's state, and checks only what a
//! call shows by itself: its form, its type, that it names its framework and stream.

use std::sync::Arc;

use holdfast_proto::mesos::v1::scheduler::{call::Type, Call};
use http::{HeaderMap, Request, StatusCode};
use uuid::Uuid;

use super::{unless_leading, MasterApi};
use crate::answer::{self, Answer, MESOS_STREAM_ID};
use crate::body::Body;
use crate::call::{self, Received};
use crate::connection::Connection;
use crate::content::Content;
use crate::link::{self, Transport};
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
    let received = match call::receive::<Call, Type>(connection, request, |call| call.r#type).await
    {
        Ok(received) => received,
        Err(refusal) => return answer::refusal(&refusal),
    };
    let answered = match received.kind {
        Type::Subscribe => subscribe(api, connection, received).await,
        _ => other(api, connection, received).await,
    };
    answered.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

async fn subscribe(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    check_subscribe(&received.call)?;
    let wanted = Content::wanted(&received.headers)?;
    if received.headers.contains_key(&MESOS_STREAM_ID) {
        return Err(Refusal::bad_request("SUBSCRIBE opens a new stream and must not carry the header Mesos-Stream-Id; leave it out"));
    }
    let heartbeat = connection.shared.limits.heartbeat_interval;
    let (head, outbox, outflow) = link::open(connection, Transport::Http, heartbeat);
    let stream_id = head.stream_id;
    let (acceptor, notified) = (api.clone(), api.clone());
    let take = async move { acceptor.subscribe(head, received.call, outbox).await };
    let gone = move |end| async move { notified.framework_gone(stream_id, end).await };
    link::hold(connection, outflow.watch(), take, |()| async {}, gone).await?;
    Ok(answer::records(wanted, outflow, Some(stream_id)))
}

async fn other(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    check_other(&received.call)?;
    let stream_id = stream_id(&received.headers)?;
    api.scheduler_call(stream_id, &connection.caller(), received.call).await?;
    // The one call whose answer is more than "received" (H6).
    Ok(answer::empty(if received.kind == Type::UpdateFramework {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    }))
}

/// Checks what SUBSCRIBE must have regardless of any state.
pub(super) fn check_subscribe(call: &Call) -> Result<(), Refusal> {
    match call.subscribe {
        Some(_) => Ok(()),
        None => Err(Refusal::bad_request(
            "subscribe: required for a call of type SUBSCRIBE; set it, with its framework_info",
        )),
    }
}

/// Checks what every other call must have regardless of any state.
pub(super) fn check_other(call: &Call) -> Result<(), Refusal> {
    match &call.framework_id {
        Some(id) if !id.value.is_empty() => Ok(()),
        _ => Err(Refusal::bad_request(
            "framework_id: required for every call but SUBSCRIBE; set the id that SUBSCRIBED told",
        )),
    }
}

fn stream_id(headers: &HeaderMap) -> Result<Uuid, Refusal> {
    let Some(value) = headers.get(&MESOS_STREAM_ID) else {
        let message = "the header Mesos-Stream-Id is missing; send the one that came with the answer to SUBSCRIBE";
        return Err(Refusal::bad_request(message));
    };
    let parsed = value.to_str().ok().and_then(|text| Uuid::parse_str(text).ok());
    parsed.ok_or_else(|| Refusal::bad_request("the header Mesos-Stream-Id is no uuid; send the one that came with the answer to SUBSCRIBE"))
}
