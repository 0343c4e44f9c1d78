//! `/api/v1/executor`: SUBSCRIBE opens a stream of events in RecordIO, every other call is a
//! request of its own.
//!
//! It relies on the API trait to know executors. It never needs a stream id: an executor is named
//! by its framework's id and its own.

use std::sync::Arc;

use holdfast_proto::mesos::v1::executor::{call::Type, Call};
use http::{Request, StatusCode};

use super::{recovered, AgentApi};
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::call::{self, Received};
use crate::connection::Connection;
use crate::content::Content;
use crate::link::{self, Transport};
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
    let answered = match call::receive::<Call, Type>(connection, request, |call| call.r#type).await
    {
        Ok(received) if received.kind == Type::Subscribe => {
            subscribe(api, connection, received).await
        }
        Ok(received) => other(api, connection, received).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

async fn subscribe(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    if received.call.subscribe.is_none() {
        return Err(Refusal::bad_request(
            "subscribe: required for a call of type SUBSCRIBE; set it, even when it is empty",
        ));
    }
    let wanted = Content::wanted(&received.headers)?;
    let heartbeat = connection.shared.limits.executor_heartbeat_interval;
    let (head, outbox, outflow) = link::open(connection, Transport::Http, heartbeat);
    let stream_id = head.stream_id;
    let (acceptor, notified) = (api.clone(), api.clone());
    let take = async move { acceptor.executor_subscribe(head, received.call, outbox).await };
    let gone = move |end| async move { notified.executor_gone(stream_id, end).await };
    link::hold(connection, outflow.watch(), take, |()| async {}, gone).await?;
    Ok(answer::records(wanted, outflow, None))
}

async fn other(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    received: Received<Call, Type>,
) -> Result<Answer, Refusal> {
    recovered(api)?;
    let missing = match received.kind {
        Type::Update if received.call.update.is_none() => Some("update"),
        Type::Message if received.call.message.is_none() => Some("message"),
        _ => None,
    };
    if let Some(field) = missing {
        return Err(Refusal::bad_request(format!(
            "{field}: required for a call of this type; set it"
        )));
    }
    // Executors keep their side of the link alive with it; there is nothing to do.
    if received.kind != Type::Heartbeat {
        api.executor_call(&connection.caller(), received.call).await?;
    }
    Ok(answer::empty(StatusCode::ACCEPTED))
}
