//! What tools ask any gRPC server: whether it serves (`grpc.health.v1.Health`), and what (reflection).
//!
//! It relies on the API's leadership state, asked each time: the process as a whole serves while it answers, and so do links of agents,
//! which every master takes; schedulers are served where it leads. It never says more than `/health` and the page of endpoints do.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{future, stream, StreamExt as _};
use holdfast_proto::FILE_DESCRIPTOR_SET;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::pb;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::server::Builder;

use super::{
    agent_link, scheduler_stream, AgentLinkServer, LeadershipState, MasterApi,
    SchedulerStreamServer,
};

const AGENT_LINK: &str = <AgentLinkServer<agent_link::Service> as NamedService>::NAME;
const SCHEDULER_STREAM: &str =
    <SchedulerStreamServer<scheduler_stream::Service> as NamedService>::NAME;
/// How often a watched state is looked at: it is a word in memory.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Adds health and reflection to a master's services.
pub(super) fn add(services: Routes, api: &Arc<dyn MasterApi>) -> Routes {
    let services = services.add_service(HealthServer::new(Service { api: api.clone() }));
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
    };
    // Both versions say the same: tools still ask in the older one, too.
    let (now, before) = (described().build_v1(), described().build_v1alpha());
    let why = "the descriptors are those that this program was built from";
    services.add_service(now.expect(why)).add_service(before.expect(why))
}

/// The answers of a master.
#[derive(Clone)]
struct Service {
    api: Arc<dyn MasterApi>,
}

impl Service {
    /// Whether a service serves; `None` if there is none of this name.
    fn status(&self, name: &str) -> Option<ServingStatus> {
        let leads = || matches!(self.api.leadership_state(), LeadershipState::Leading { .. });
        match name {
            "" | AGENT_LINK => Some(ServingStatus::Serving),
            SCHEDULER_STREAM if leads() => Some(ServingStatus::Serving),
            SCHEDULER_STREAM => Some(ServingStatus::NotServing),
            _ => None,
        }
    }
}

fn response(status: ServingStatus) -> pb::HealthCheckResponse {
    pb::HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<pb::HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        let unknown = || {
            Status::not_found(format!("there is no service `{name}`; ask reflection for the names, or with none for the process"))
        };
        self.status(&name).map(|it| Response::new(response(it))).ok_or_else(unknown)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::HealthCheckResponse, Status>> + Send>>;

    /// The state now, and each time that it is another; of a service that there is not, that it is unknown.
    async fn watch(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (service, name) = (self.clone(), request.into_inner().service);
        let looks = stream::unfold(tokio::time::interval(LOOK_INTERVAL), |mut interval| async {
            interval.tick().await;
            Some(((), interval))
        });
        let states =
            looks.map(move |()| service.status(&name).unwrap_or(ServingStatus::ServiceUnknown));
        let mut last = None;
        let news = states.filter(move |now| future::ready(last.replace(*now) != Some(*now)));
        Ok(Response::new(Box::pin(news.map(|it| Ok(response(it))))))
    }
}
