//! The agent's read endpoints from before the v1 API, and metrics.
//!
//! It relies on the API trait for pages. Health, version and metrics are answered even while the
//! agent recovers.

use std::sync::Arc;

use http::{Request, StatusCode};

use super::{recovered, AgentApi, AgentPage, Endpoint};
use crate::answer::{self, Answer, JsonText};
use crate::body::Body;
use crate::call;
use crate::connection::Connection;
use crate::logging;
use crate::master;
use crate::metrics;
use crate::query::Query;

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    endpoint: Endpoint,
    request: Request<Body>,
) -> Answer {
    if let Some(answer) = call::unless_reading(request.method()) {
        return answer;
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let jsonp = query.get("jsonp");
    match endpoint {
        Endpoint::Page(page) => read(api, connection, page, &query).await,
        Endpoint::Logging => {
            logging::toggle(&query, |wish| api.logging(&connection.caller(), wish))
        }
        Endpoint::SystemStats => answer::json(master::system_stats(&api.metrics()), jsonp),
        Endpoint::Version => answer::json(JsonText::of(&api.version()), jsonp),
        Endpoint::Snapshot => answer::json(metrics::snapshot(&all_metrics(api, connection)), jsonp),
        Endpoint::Exposition => {
            let text = metrics::exposition(&all_metrics(api, connection));
            answer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        Endpoint::Health | Endpoint::Executor | Endpoint::Operator | Endpoint::Files(_) => {
            answer::empty(StatusCode::OK)
        }
    }
}

async fn read(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    page: AgentPage,
    query: &Query,
) -> Answer {
    let read = match recovered(api) {
        Ok(()) => api.page(&connection.caller(), page, query).await,
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok(text) => answer::json(text, query.get("jsonp")),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn all_metrics(api: &Arc<dyn AgentApi>, connection: &Connection) -> Vec<metrics::Metric> {
    api.metrics().into_iter().chain(connection.shared.counters.metrics()).collect()
}

/// Answers `/` with the list of what is served.
pub(super) fn list(version: &str) -> Answer {
    let rows = [
        ("/api/v1/executor", "the executor API (POST)"),
        ("/api/v1", "the operator API (POST)"),
        ("/state", "everything, as JSON"),
        ("/containers", "the containers"),
        ("/monitor/statistics", "what executors use"),
        ("/flags", "the settings of this process"),
        ("/files/browse", "a folder of a sandbox (?path=)"),
        ("/files/read", "a part of a file (?path=, offset, length)"),
        ("/files/download", "a file (?path=)"),
        ("/health", "whether this process answers"),
        ("/version", "what program this is"),
        ("/metrics", "numbers, for Prometheus"),
        ("/metrics/snapshot", "numbers, as JSON"),
    ];
    answer::text(StatusCode::OK, "text/html; charset=utf-8", master::page("agent", version, &rows))
}
