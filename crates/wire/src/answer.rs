//! Makes responses.
//!
//! It relies on `content` and `recordio`. It never writes HTML but for the one page that lists what
//! is served.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use uuid::Uuid;

use crate::body::Body;
use crate::content::{Content, Wired};
use crate::event::LinkMessage;
use crate::outbox::Outflow;
use crate::recordio;
use crate::refusal::{Refusal, EXACT_STATUS};

/// The header that names a scheduler's stream.
pub(crate) static MESOS_STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

/// An HTTP response of this crate.
pub(crate) type Answer = Response<Body>;

/// JSON text, encoded once: big dumps need no tree of values in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Vec<u8>);

impl JsonText {
    /// Writes a value.
    ///
    /// # Panics
    /// When the value has maps with keys that are no strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(
            serde_json::to_vec(value)
                .expect("maps have strings as keys, and memory does not fail to be written"),
        )
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Marks a response that is a stream: it must reach the peer record by record, so nothing may
/// compress it.
#[derive(Clone, Copy)]
pub(crate) struct Streamed;

/// Makes a response with a body of this media type.
pub(crate) fn text(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::new(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// Makes a response without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::new(Full::new(Bytes::new())));
    *answer.status_mut() = status;
    answer
}

/// JSON, or a call of the function `jsonp` with it.
///
/// A function's name that could be anything else is refused with 400.
pub(crate) fn json(json: JsonText, jsonp: Option<&str>) -> Answer {
    let Some(function) = jsonp else { return text(StatusCode::OK, "application/json", json.0) };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_$.".contains(letter);
    if function.is_empty() || !function.chars().all(plain) {
        return refusal(&Refusal::bad_request(
            "jsonp: the name of a function has letters, digits, `_`, `$` and `.`",
        ));
    }
    text(StatusCode::OK, "text/javascript", [function.as_bytes(), b"(", &json.0, b")"].concat())
}

/// Makes a response of one message.
pub(crate) fn message<T: Wired>(content: Content, message: &T) -> Answer {
    text(StatusCode::OK, content.media_type(), content.encode(message))
}

/// Makes a response of a refusal, as plain text.
pub(crate) fn refusal(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.mesos_status.unwrap_or(refusal.status))
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error());
    let mut answer = text(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        "text/plain; charset=utf-8",
        refusal.message.clone(),
    );
    if refusal.mesos_status.is_some() {
        answer.headers_mut().insert(EXACT_STATUS, HeaderValue::from(refusal.status));
    }
    answer
}

/// Makes a response 405 that names the allowed method.
pub(crate) fn method_not_allowed(allowed: &'static str, found: &http::Method) -> Answer {
    let mut answer =
        refusal(&Refusal::new(405, format!("{found} is not served here; use {allowed}")));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// 307 to the same path on another master, without a scheme: the peer keeps its own.
pub(crate) fn redirect(address: &str, path_and_query: &str) -> Answer {
    let mut answer = empty(StatusCode::TEMPORARY_REDIRECT);
    match HeaderValue::from_str(&format!("//{address}{path_and_query}")) {
        Ok(location) => {
            answer.headers_mut().insert(LOCATION, location);
            answer
        }
        Err(_) => refusal(&Refusal::unavailable(
            "the leading master's address cannot be written into a header; check its --advertise",
        )),
    }
}

/// A stream of records. Each is one frame, which HTTP/1.1 sends as one chunk.
pub(crate) fn records<E: LinkMessage + Wired>(
    content: Content,
    outflow: Outflow<E>,
    stream_id: Option<Uuid>,
) -> Answer {
    let frames = outflow.map(move |event| {
        Ok::<_, Infallible>(Frame::data(recordio::encode(&content.encode(&event))))
    });
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content.media_type()));
    if let Some(stream_id) = stream_id {
        let value = HeaderValue::from_str(&stream_id.to_string())
            .expect("a uuid is made of hex digits and dashes");
        answer.headers_mut().insert(MESOS_STREAM_ID.clone(), value);
    }
    answer.extensions_mut().insert(Streamed);
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn h12_jsonp_wraps_and_refuses_what_is_no_name() {
        let value = JsonText::of(&serde_json::json!({"a": 1}));
        assert_eq!(body(json(value.clone(), None)).await, r#"{"a":1}"#);
        assert_eq!(body(json(value.clone(), Some("f.g"))).await, r#"f.g({"a":1})"#);
        for bad in ["", "alert(1);f", "</script>"] {
            assert_eq!(json(value.clone(), Some(bad)).status(), 400, "{bad}");
        }
    }

    #[test]
    fn a_refusal_never_looks_like_success() {
        assert_eq!(refusal(&Refusal::new(200, "x")).status(), 500);
        assert_eq!(refusal(&Refusal::new(7, "x")).status(), 500);
        assert_eq!(refusal(&Refusal::conflict("x")).status(), 409);
    }

    #[test]
    fn h5_redirect_has_no_scheme() {
        assert_eq!(redirect("m2:5050", "/api/v1?x=1").headers()[LOCATION], "//m2:5050/api/v1?x=1");
        assert_eq!(redirect("m\n2", "/").status(), 503);
    }
}
