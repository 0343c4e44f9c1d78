//! Routes a request, gRPC or HTTP, to a master, an agent or a framework.
//!
//! It relies on tonic for gRPC and on tower-http for gzip. It never compresses a stream, and never
//! lets a body through that announces itself too large.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::Request;
use hyper::body::Incoming;
use tower::{Layer, Service, ServiceExt};
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::agent::{self, AgentApi};
use crate::answer::{self, Answer, Streamed};
use crate::body::{self, Body};
use crate::browsers;
use crate::connection::Connection;
use crate::framework::{self, FrameworkApi};
use crate::limits::Limits;
use crate::master::{self, MasterApi};
use crate::refusal::Refusal;

/// Below this size compression costs more than it saves, in bytes.
const COMPRESSED_MIN_BYTES: u64 = 1024;

/// The endpoints that a server serves.
#[derive(Clone)]
pub enum Routes {
    /// A master's endpoints and gRPC services.
    Master(Arc<dyn MasterApi>),
    /// An agent's endpoints.
    Agent(Arc<dyn AgentApi>),
    /// A framework's endpoints.
    Framework(Arc<dyn FrameworkApi>),
}

/// Routes prepared for serving.
#[derive(Clone)]
pub(crate) struct Site {
    routes: Routes,
    grpc: tonic::service::Routes,
}

/// Compresses responses of some size, but never streams.
#[derive(Clone, Copy)]
struct NoStreams(SizeAbove);

impl Predicate for NoStreams {
    fn should_compress<B: hyper::body::Body>(&self, response: &http::Response<B>) -> bool {
        response.extensions().get::<Streamed>().is_none() && self.0.should_compress(response)
    }
}

impl Site {
    pub(crate) fn new(routes: Routes, limits: &Limits) -> Self {
        let grpc = match &routes {
            Routes::Master(api) => master::services(api, limits),
            Routes::Agent(_) | Routes::Framework(_) => tonic::service::Routes::default(),
        };
        Self { routes, grpc }
    }

    /// Answers one request.
    pub(crate) async fn answer(self, request: Request<Incoming>, connection: Connection) -> Answer {
        connection.used.store(true, Ordering::Release);
        connection.shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        let policy = &connection.shared.limits.browsers;
        if let Err(refusal) = policy.check(&request) {
            body::linger(request.into_body());
            return answer::refusal(&refusal);
        }
        let reader = policy.reader(&request);
        let mut answer = match policy.preflight(&request) {
            Some(answer) => answer,
            None => self.answer_allowed(request, connection).await,
        };
        if let Some(reader) = reader {
            browsers::open_to(&mut answer, reader);
        }
        answer
    }

    async fn answer_allowed(
        self,
        mut request: Request<Incoming>,
        connection: Connection,
    ) -> Answer {
        if is_grpc(&request) {
            request.extensions_mut().insert(connection);
            return self.answer_grpc(request).await;
        }
        let limit_bytes = connection.shared.limits.body_max_bytes;
        if body::announces_more(request.headers(), limit_bytes) {
            let waits = body::waits_for_leave(request.headers());
            if !waits {
                body::linger(request.into_body());
            }
            return answer::refusal(&body::too_large(limit_bytes));
        }
        self.answer_http(request, connection).await
    }

    async fn answer_grpc(mut self, request: Request<Incoming>) -> Answer {
        match self.grpc.call(request.map(Body::new)).await {
            Ok(answer) => answer.map(Body::new),
            Err(never) => match never {},
        }
    }

    async fn answer_http(self, request: Request<Incoming>, connection: Connection) -> Answer {
        let plain = tower::service_fn(move |request: Request<_>| {
            let (site, connection) = (self.clone(), connection.clone());
            async move {
                Ok::<_, Infallible>(site.answer_plain(request.map(Body::new), &connection).await)
            }
        });
        let layered = CompressionLayer::new()
            .gzip(true)
            .compress_when(NoStreams(SizeAbove::new(COMPRESSED_MIN_BYTES)))
            .layer(RequestDecompressionLayer::new().gzip(true).layer(plain));
        match layered.oneshot(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => answer::refusal(&Refusal::internal(error.to_string())),
        }
    }

    async fn answer_plain(&self, request: Request<Body>, connection: &Connection) -> Answer {
        let what = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().path().to_owned()));
        let answer = match &self.routes {
            Routes::Master(api) => master::answer(api, connection, request).await,
            Routes::Agent(api) => agent::answer(api, connection, request).await,
            Routes::Framework(api) => framework::answer(api, connection, request).await,
        };
        if let Some((method, path)) = what {
            tracing::debug!(%method, path, status = answer.status().as_u16(), peer = %connection.peer, "answered");
        }
        answer
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
