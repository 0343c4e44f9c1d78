//! The master's read endpoints from before the v1 API, and metrics.
//!
//! It relies on the API trait for pages. Health, version and metrics are this process's own and are
//! answered whether it leads or not.

use std::sync::Arc;

use http::{Request, StatusCode};

use super::{elsewhere, unless_leading, Endpoint, MasterApi, MasterPage};
use crate::answer::{self, Answer, JsonText};
use crate::body::{self, Body};
use crate::call;
use crate::connection::Connection;
use crate::logging;
use crate::metrics;
use crate::query::Query;
use crate::refusal::Refusal;

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn MasterApi>,
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
        Endpoint::Page(page) => match unless_leading(api, &request) {
            None => read(api, connection, page, &query).await,
            Some(answer) => answer,
        },
        Endpoint::Files => answer::refusal(&files(&query)),
        Endpoint::Logging => {
            logging::toggle(&query, |wish| api.logging(&connection.caller(), wish))
        }
        Endpoint::SystemStats => answer::json(system_stats(&api.metrics()), jsonp),
        Endpoint::Redirect => elsewhere(&api.leadership_state(), ""),
        Endpoint::Version => answer::json(JsonText::of(&api.version()), jsonp),
        Endpoint::Snapshot => answer::json(metrics::snapshot(&all_metrics(api, connection)), jsonp),
        Endpoint::Exposition => {
            let text = metrics::exposition(&all_metrics(api, connection));
            answer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        Endpoint::Native => match unless_leading(api, &request) {
            None => {
                let posted = request.method() == http::Method::POST;
                let name = request
                    .uri()
                    .path()
                    .split_once("/holdfast/v1/")
                    .map_or("", |(_, name)| name)
                    .to_owned();
                match document(connection, posted, request).await {
                    Ok(document) => {
                        let query = query.with("document", document);
                        native(api, connection, posted, &name, &query).await
                    }
                    Err(refusal) => answer::refusal(&refusal),
                }
            }
            Some(answer) => answer,
        },
        Endpoint::Health | Endpoint::Scheduler | Endpoint::Operator | Endpoint::Forms(_) => {
            answer::empty(StatusCode::OK)
        }
    }
}

/// A master shows no files of its own.
fn files(query: &Query) -> Refusal {
    match query.get("path").filter(|it| !it.is_empty()) {
        None => {
            Refusal::bad_request("Expecting 'path=value' in query; sandboxes are on the agents")
        }
        Some(path) => Refusal::not_found(format!(
            "there is no file `{path}` on this master; sandboxes are on the agents"
        )),
    }
}

/// Mesos's numbers of the machine, which are metrics under older names.
pub(crate) fn system_stats(metrics: &[metrics::Metric]) -> JsonText {
    let old = |name: &str| name.replace("load_", "avg_load_");
    let stats =
        metrics.iter().filter_map(|it| Some((old(it.name.strip_prefix("system/")?), it.value)));
    JsonText::of(&stats.collect::<std::collections::BTreeMap<_, _>>())
}

/// Whether the body is said to be JSON; `None` when nothing is said of it. Forms are what pages of other sites can send unasked.
pub(crate) fn json_was_sent(headers: &http::HeaderMap) -> Option<bool> {
    let said = headers.get(http::header::CONTENT_TYPE)?;
    let essence = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    Some(essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The body of what is posted, if it has one.
async fn document(
    connection: &Connection,
    posted: bool,
    request: Request<Body>,
) -> Result<Option<String>, Refusal> {
    if !posted {
        return Ok(None);
    }
    let is_json = json_was_sent(request.headers());
    let bytes = body::read(&connection.shared, request.into_body()).await?;
    if !is_json.unwrap_or(bytes.is_empty()) {
        return Err(Refusal::new(415, "only JSON is taken here; send it as application/json"));
    }
    let text = String::from_utf8(bytes.into())
        .map_err(|_| Refusal::bad_request("the body is no UTF-8 text; send JSON"))?;
    Ok(Some(text).filter(|it| !it.is_empty()))
}

async fn read(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    page: MasterPage,
    query: &Query,
) -> Answer {
    match api.page(&connection.caller(), page, query).await {
        Ok(text) => answer::json(text, query.get("jsonp")),
        Err(refusal) => answer::refusal(&refusal),
    }
}

async fn native(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    posted: bool,
    name: &str,
    query: &Query,
) -> Answer {
    match api.native(&connection.caller(), posted, name, query).await {
        Ok(text) => answer::json(text, query.get("jsonp")),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn all_metrics(api: &Arc<dyn MasterApi>, connection: &Connection) -> Vec<metrics::Metric> {
    api.metrics().into_iter().chain(connection.shared.counters.metrics()).collect()
}

/// Answers `/` with the list of what is served.
pub(super) fn list(version: &str) -> Answer {
    let rows = [
        ("/api/v1/scheduler", "the scheduler API (POST)"),
        ("/api/v1", "the operator API (POST)"),
        ("/state", "everything, as JSON"),
        ("/slaves", "the agents"),
        ("/frameworks", "the frameworks"),
        ("/tasks", "the tasks"),
        ("/roles", "the roles"),
        ("/weights", "the weights of roles"),
        ("/flags", "the settings of this process"),
        (
            "/holdfast/v1/claims",
            "every claim; beside it agents, disks, frameworks, tasks, offers, roles, explain",
        ),
        ("/redirect", "to the leading master"),
        ("/health", "whether this process answers"),
        ("/version", "what program this is"),
        ("/metrics", "numbers, for Prometheus"),
        ("/metrics/snapshot", "numbers, as JSON"),
    ];
    answer::text(StatusCode::OK, "text/html; charset=utf-8", page("master", version, &rows))
}

/// A page with a list of links.
pub(crate) fn page(process: &str, version: &str, rows: &[(&str, &str)]) -> String {
    let plain: String = version
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || ".-+".contains(*letter))
        .collect();
    let items: String = rows
        .iter()
        .map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a>: {what}</li>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Holdfast {process}</title></head>\n\
         <body><h1>Holdfast {process} {plain}</h1>\n<ul>\n{items}</ul></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_no_markup_of_others() {
        let text = page("master", "1.0.0<script>", &[("/health", "whether it answers")]);
        assert!(text.contains("1.0.0script") && !text.contains("<script>"), "{text}");
        assert!(text.contains("<a href=\"/health\">"));
    }

    #[test]
    fn version_is_what_proto_says() {
        let info = holdfast_proto::mesos::v1::VersionInfo {
            version: "1.11.0".to_owned(),
            ..Default::default()
        };
        assert_eq!(JsonText::of(&info).as_bytes(), holdfast_proto::json::to_vec(&info));
    }
}
