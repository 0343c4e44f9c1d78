//! gRPC `AgentLink.Attach`: the link between an agent and this master.
//!
//! It relies on the API trait. It never asks whether this master leads: agents keep a link to every
//! master, so that a new leader has them at once.

use std::sync::Arc;

use holdfast_proto::holdfast::v1::agent_link_server::AgentLink;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use tonic::{Request, Response, Status, Streaming};

use super::MasterApi;
use crate::grpc::{self, BoxStream, GrpcFlow, LastWord};
use crate::link::{self, Transport};

/// The gRPC service of a master.
pub(super) struct Service {
    pub(super) api: Arc<dyn MasterApi>,
}

#[tonic::async_trait]
impl AgentLink for Service {
    type AttachStream = BoxStream<ToAgent>;

    async fn attach(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let connection = grpc::connection(&request)?;
        let inbound = request.into_inner();
        let heartbeat = connection.shared.limits.heartbeat_interval;
        let (head, outbox, outflow) = link::open(&connection, Transport::Grpc, heartbeat);
        let stream_id = head.stream_id;
        let (acceptor, notified, last) = (self.api.clone(), self.api.clone(), LastWord::default());
        let (watch, last_word) = (outflow.watch(), last.clone());
        let take = async move {
            acceptor.agent_attach(head, outbox).await?;
            Ok(acceptor)
        };
        let pump = move |api: Arc<dyn MasterApi>| async move {
            grpc::pump(inbound, watch, last_word, |message| api.agent_message(stream_id, message))
                .await;
        };
        let gone = move |end| async move { notified.agent_gone(stream_id, end).await };
        link::hold(&connection, outflow.watch(), take, pump, gone)
            .await
            .map_err(|refusal| refusal.to_grpc())?;
        Ok(Response::new(GrpcFlow::boxed(outflow, last)))
    }
}
