//! gRPC `SchedulerStream.Attach`: the scheduler API as one bidirectional stream.
//!
//! It relies on the same API trait and the same checks as the HTTP endpoint. A call that HTTP would
//! refuse ends the stream with that refusal.

use std::sync::Arc;

use holdfast_proto::holdfast::v1::scheduler_stream_server::SchedulerStream;
use holdfast_proto::mesos::v1::scheduler::{call::Type, Call, Event};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::{scheduler, LeadershipState, MasterApi};
use crate::content::{unknown_call, Content};
use crate::grpc::{self, BoxStream, GrpcFlow, LastWord};
use crate::link::{self, Transport};
use crate::refusal::Refusal;

/// The metadata key in which a standby names the leader.
pub(crate) const LEADER_METADATA: &str = "holdfast-leader";

/// The gRPC service of a master.
pub(super) struct Service {
    pub(super) api: Arc<dyn MasterApi>,
}

#[tonic::async_trait]
impl SchedulerStream for Service {
    type AttachStream = BoxStream<Event>;

    async fn attach(
        &self,
        request: Request<Streaming<Call>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        leading(&self.api)?;
        let connection = grpc::connection(&request)?;
        let mut inbound = request.into_inner();
        let limits = &connection.shared.limits;
        let first = tokio::time::timeout(limits.first_request_timeout, inbound.message()).await;
        let late = |_| {
            Status::deadline_exceeded(
                "the first call, SUBSCRIBE, did not come in time; send it at once",
            )
        };
        let first = first.map_err(late)??.ok_or_else(|| {
            Status::invalid_argument("the stream ended before its first call, SUBSCRIBE")
        })?;
        if kind(&first).map_err(|refusal| refusal.to_grpc())? != Type::Subscribe {
            return Err(Status::invalid_argument("the first call of a stream must be SUBSCRIBE"));
        }
        scheduler::check_subscribe(&first).map_err(|refusal| refusal.to_grpc())?;

        let heartbeat = connection.shared.limits.heartbeat_interval;
        let (head, outbox, outflow) = link::open(&connection, Transport::Grpc, heartbeat);
        let caller = head.caller.clone();
        let stream_id = head.stream_id;
        let (acceptor, notified, last) = (self.api.clone(), self.api.clone(), LastWord::default());
        let (watch, last_word) = (outflow.watch(), last.clone());
        let take = async move {
            acceptor.subscribe(head, first, outbox).await?;
            Ok(acceptor)
        };
        let pump = move |api: Arc<dyn MasterApi>| async move {
            grpc::pump(inbound, watch, last_word, |call| hand(&api, stream_id, &caller, call))
                .await;
        };
        let gone = move |end| async move { notified.framework_gone(stream_id, end).await };
        link::hold(&connection, outflow.watch(), take, pump, gone)
            .await
            .map_err(|refusal| refusal.to_grpc())?;
        Ok(Response::new(GrpcFlow::boxed(outflow, last)))
    }
}

async fn hand(
    api: &Arc<dyn MasterApi>,
    stream_id: Uuid,
    caller: &crate::connection::Caller,
    call: Call,
) -> Result<(), Refusal> {
    if kind(&call)? == Type::Subscribe {
        return Err(Refusal::bad_request(
            "this stream is subscribed already; open a new one to subscribe again",
        ));
    }
    scheduler::check_other(&call)?;
    api.scheduler_call(stream_id, caller, call).await
}

fn kind(call: &Call) -> Result<Type, Refusal> {
    let number = Content::Protobuf.call_type(&[], call.r#type)?;
    Type::try_from(number).map_err(|_| unknown_call(&number.to_string()))
}

fn leading(api: &Arc<dyn MasterApi>) -> Result<(), Status> {
    let (message, leader) = match api.leadership_state() {
        LeadershipState::Leading { .. } => return Ok(()),
        LeadershipState::Recovering => {
            ("this master is still reading its ledger; try again".to_owned(), None)
        }
        LeadershipState::Standby { leader: None } => {
            ("no master leads at the moment; try again".to_owned(), None)
        }
        LeadershipState::Standby { leader: Some(leader) } => {
            (format!("this master does not lead; subscribe at {leader}"), Some(leader))
        }
    };
    let mut status = Status::unavailable(message);
    if let Some(Ok(leader)) = leader.map(|leader| leader.parse()) {
        status.metadata_mut().insert(LEADER_METADATA, leader);
    }
    Err(status)
}
