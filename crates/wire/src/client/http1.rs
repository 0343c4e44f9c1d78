//! Requests over HTTP/1.1, with redirects and deadlines.
//!
//! It relies on hyper-util's pooled client. It never follows more than [`REDIRECTS_MAX`] redirects,
//! and never reads an answer beyond its bound.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{ClientError, ClientSettings};
use crate::content::Content;
use crate::refusal::EXACT_STATUS;

/// One redirect leads from a standby to the leader; more are possible only while the leader
/// changes.
const REDIRECTS_MAX: usize = 4;
/// The length of a refusal's message that is read, in bytes.
const REFUSAL_MAX_BYTES: usize = 64 << 10;
/// How long an unused connection is kept; shorter than servers keep it, so that no call meets a
/// closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content: Content,
    pub(crate) extra: Option<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// An answer that is not a refusal, and the address that gave it in the end.
pub(crate) struct Answered {
    pub(crate) address: String,
    pub(crate) response: Response<Incoming>,
}

/// A client with a pool of connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    call_timeout: Duration,
    answer_max_bytes: usize,
}

impl Http {
    pub(crate) fn new(settings: &ClientSettings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.connect_timeout));
        connector.set_keepalive(Some(Duration::from_secs(30)));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT);
        Self {
            client: builder.build(connector),
            call_timeout: settings.call_timeout,
            answer_max_bytes: settings.answer_max_bytes,
        }
    }

    /// Sends a call, to wherever redirects lead; the answer's body is still to be read.
    pub(crate) async fn send(&self, address: &str, call: &Call) -> Result<Answered, ClientError> {
        let mut address = address.to_owned();
        let mut path = call.path.clone();
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send_once(&address, &path, call).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(Answered { address, response });
            }
            if status != StatusCode::TEMPORARY_REDIRECT && status != StatusCode::PERMANENT_REDIRECT
            {
                return Err(refused(status, response).await);
            }
            (address, path) = target(&address, &response)?;
        }
        Err(ClientError::NoLeader { address })
    }

    /// Sends a call and reads the whole answer.
    pub(crate) async fn send_and_read(
        &self,
        address: &str,
        call: &Call,
    ) -> Result<(String, Response<Bytes>), ClientError> {
        let timed_out =
            |_| ClientError::TimedOut { address: address.to_owned(), timeout: self.call_timeout };
        let all = async {
            let answered = self.send(address, call).await?;
            let (parts, body) = answered.response.into_parts();
            let malformed = |reason: String| ClientError::Malformed {
                address: answered.address.clone(),
                reason,
            };
            let read = Limited::new(body, self.answer_max_bytes)
                .collect()
                .await
                .map_err(|error| malformed(error.to_string()))?;
            Ok((answered.address.clone(), Response::from_parts(parts, read.to_bytes())))
        };
        tokio::time::timeout(self.call_timeout, all).await.map_err(timed_out)?
    }

    async fn send_once(
        &self,
        address: &str,
        path: &str,
        call: &Call,
    ) -> Result<Response<Incoming>, ClientError> {
        let media_type = call.content.media_type();
        let mut builder = Request::builder()
            .method(call.method.clone())
            .uri(format!("http://{address}{path}"))
            .header(ACCEPT, media_type);
        if call.method == Method::POST {
            builder = builder.header(CONTENT_TYPE, media_type);
        }
        if let Some((name, value)) = &call.extra {
            builder = builder.header(name, value);
        }
        let request = builder
            .body(Full::new(call.body.clone()))
            .map_err(|_| ClientError::BadAddress { address: address.to_owned() })?;
        let sent = tokio::time::timeout(self.call_timeout, self.client.request(request)).await;
        let sent = sent.map_err(|_| ClientError::TimedOut {
            address: address.to_owned(),
            timeout: self.call_timeout,
        })?;
        sent.map_err(|error| {
            let is_sent = call.method == Method::POST && !error.is_connect();
            let (address, source) = (address.to_owned(), error.into());
            match is_sent {
                true => ClientError::Lost { address, source },
                false => ClientError::Unreachable { address, source },
            }
        })
    }
}

pub(super) async fn refused(status: StatusCode, response: Response<Incoming>) -> ClientError {
    let exact = response.headers().get(EXACT_STATUS).and_then(|it| it.to_str().ok()?.parse().ok());
    let words = Limited::new(response.into_body(), REFUSAL_MAX_BYTES).collect();
    // When the message does not arrive, the status is still reported.
    let words = tokio::time::timeout(Duration::from_secs(5), words).await.ok().and_then(Result::ok);
    let message = words
        .map(|words| String::from_utf8_lossy(&words.to_bytes()).into_owned())
        .unwrap_or_default();
    ClientError::Refused { status: exact.unwrap_or(status.as_u16()), message }
}

/// The target of a redirect: `//host:port/path`, a full URL, or a path on the same machine.
fn target(address: &str, response: &Response<Incoming>) -> Result<(String, String), ClientError> {
    let location =
        response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let malformed = || ClientError::Malformed {
        address: address.to_owned(),
        reason: format!("it redirects to `{location}`"),
    };
    follow(address, location).ok_or_else(malformed)
}

fn follow(address: &str, location: &str) -> Option<(String, String)> {
    let rest = location.strip_prefix("http:").unwrap_or(location);
    match rest.strip_prefix("//") {
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = if path.is_empty() { "/" } else { path };
            (!host.is_empty()).then(|| (host.to_owned(), path.to_owned()))
        }
        None => rest.starts_with('/').then(|| (address.to_owned(), rest.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_on() {
        let to = |location| follow("a:1", location);
        let pair = |address: &str, path: &str| Some((address.to_owned(), path.to_owned()));
        assert_eq!(to("//m2:5050/api/v1"), pair("m2:5050", "/api/v1"));
        assert_eq!(to("http://m2:5050"), pair("m2:5050", "/"));
        assert_eq!(to("/master/state"), pair("a:1", "/master/state"));
        assert_eq!(to("https://m2:5050/"), None);
        assert_eq!(to(""), None);
        assert_eq!(to("///x"), None);
    }
}
