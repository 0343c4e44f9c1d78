//! The connection on which a request came.
//!
//! It relies on `server`, which makes one per connection and puts it into each request. It never
//! outlives the connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
use crate::metrics::Metric;

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The authenticated principal; nobody is authenticated yet.
    pub principal: Option<String>,
    /// The address from which the connection comes.
    pub peer: SocketAddr,
}

/// State that all connections of a server share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    /// Cancelled when the server stops; every stream hangs on it.
    pub(crate) stop: CancellationToken,
    /// One permit for each large body that is on its way.
    pub(crate) large_bodies: Semaphore,
}

/// Counters of the server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) connections_silent: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) links: AtomicU64,
    pub(crate) links_cut: AtomicU64,
}

impl Counters {
    /// Lists the counters as metrics.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        vec![
            Metric::gauge("wire/connections", "Open connections.", read(&self.connections)),
            Metric::counter(
                "wire/connections_refused",
                "Connections closed because too many were open.",
                read(&self.connections_refused),
            ),
            Metric::counter(
                "wire/connections_silent",
                "Connections closed because no request came.",
                read(&self.connections_silent),
            ),
            Metric::counter("wire/requests", "Requests and streams begun.", read(&self.requests)),
            Metric::gauge(
                "wire/links",
                "Open links of frameworks, executors and agents.",
                read(&self.links),
            ),
            Metric::counter(
                "wire/links_cut",
                "Links cut because their reader did not keep up.",
                read(&self.links_cut),
            ),
        ]
    }
}

/// One connection. Cheap to clone; travels in the extensions of each request.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    /// Closes the connection at once.
    pub(crate) kill: CancellationToken,
    /// Whether a request was received on it.
    pub(crate) used: Arc<AtomicBool>,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, shared: Arc<Shared>) -> Self {
        Self {
            peer,
            shared,
            kill: CancellationToken::new(),
            used: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The caller on this connection. There is no authentication yet: an `Authorization` header is
    /// ignored.
    pub(crate) fn caller(&self) -> Caller {
        Caller { principal: None, peer: self.peer }
    }
}
