//! The endpoints of a framework's own port: what it shows of itself, and what it is asked to do.
//!
//! It relies on the API trait for every page. It never passes on a document that is not JSON, and
//! never takes a request that changes something by GET.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_proto::mesos::v1::VersionInfo;
use http::{Method, Request, StatusCode};

use crate::answer::{self, Answer, JsonText};
use crate::body::{self, Body};
use crate::connection::{Caller, Connection};
use crate::master;
use crate::metrics::{self, Metric};
use crate::query::{self, Query};
use crate::refusal::Refusal;

/// What a framework serves. Each method may be called from many tasks at once.
#[async_trait]
pub trait FrameworkApi: Send + Sync + 'static {
    /// The name of the framework, for the page that lists what is served.
    fn name(&self) -> String;

    /// The version of the program.
    fn version(&self) -> VersionInfo;

    /// Reads all metrics.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// What is served, with what it is: the list that `/` shows.
    fn pages(&self) -> Vec<(&'static str, &'static str)>;

    /// Reads a page (`/v1/...`).
    ///
    /// # Errors
    /// A refusal; 404 for a page that is not served.
    async fn read(&self, path: &str, query: &Query) -> Result<JsonText, Refusal>;

    /// Does what is posted to a page; the document is empty when none was sent.
    ///
    /// # Errors
    /// A refusal; 404 for a page that is not served.
    async fn act(
        &self,
        caller: &Caller,
        path: &str,
        query: &Query,
        document: &str,
    ) -> Result<JsonText, Refusal>;
}

/// Answers one request.
pub(crate) async fn answer(
    api: &Arc<dyn FrameworkApi>,
    connection: &Connection,
    request: Request<Body>,
) -> Answer {
    let path = query::decode(request.uri().path(), false);
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    if method == Method::POST {
        return match document(connection, request).await {
            Ok(document) => told(api.act(&connection.caller(), &path, &query, &document).await),
            Err(refusal) => answer::refusal(&refusal),
        };
    }
    if ![Method::GET, Method::HEAD].contains(&method) {
        return answer::method_not_allowed("GET, HEAD, POST", &method);
    }
    match path.as_str() {
        "/" => list(api),
        "/health" => answer::empty(StatusCode::OK),
        "/version" => answer::json(JsonText::of(&api.version()), None),
        "/metrics" => {
            let text = metrics::exposition(&all_metrics(api, connection));
            answer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        "/metrics/snapshot" => answer::json(metrics::snapshot(&all_metrics(api, connection)), None),
        _ => told(api.read(&path, &query).await),
    }
}

fn told(answered: Result<JsonText, Refusal>) -> Answer {
    match answered {
        Ok(text) => answer::json(text, None),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn all_metrics(api: &Arc<dyn FrameworkApi>, connection: &Connection) -> Vec<Metric> {
    api.metrics().into_iter().chain(connection.shared.counters.metrics()).collect()
}

fn list(api: &Arc<dyn FrameworkApi>) -> Answer {
    let own = [
        ("/health", "whether this process answers"),
        ("/version", "what program this is"),
        ("/metrics", "numbers, for Prometheus"),
        ("/metrics/snapshot", "numbers, as JSON"),
    ];
    let rows: Vec<(&str, &str)> = api.pages().into_iter().chain(own).collect();
    let plain: String =
        api.name().chars().filter(|it| it.is_ascii_alphanumeric() || "-_.".contains(*it)).collect();
    let page = master::page(&plain, &api.version().version, &rows);
    answer::text(StatusCode::OK, "text/html; charset=utf-8", page)
}

/// The document that is posted; an empty one need not say that it is JSON.
async fn document(connection: &Connection, request: Request<Body>) -> Result<String, Refusal> {
    let is_json = master::json_was_sent(request.headers());
    let bytes = body::read(&connection.shared, request.into_body()).await?;
    // Forms and plain text are what a page of another site can send unasked.
    if !is_json.unwrap_or(bytes.is_empty()) {
        return Err(Refusal::new(415, "only JSON is taken here; send it as application/json"));
    }
    String::from_utf8(bytes.into())
        .map_err(|_| Refusal::bad_request("the body is no UTF-8 text; send JSON"))
}
