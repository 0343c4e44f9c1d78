//! Content types: the encoding that a peer sends, the one that it accepts, and both codecs.
//!
//! It relies on `proto` for both encodings. It never guesses: a body without a content type is
//! refused.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use holdfast_proto::{binary, json};

use crate::refusal::Refusal;

/// A message that travels in both encodings.
pub trait Wired:
    prost::Message + prost::Name + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<
        T: prost::Message
            + prost::Name
            + Default
            + Serialize
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    > Wired for T
{
}

/// How messages are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `application/json`, as Mesos speaks it.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Content {
    /// The media type of this encoding.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    pub(crate) fn named(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|content| essence.eq_ignore_ascii_case(content.media_type()))
    }

    /// The encoding of the body of a request.
    ///
    /// # Errors
    /// 400 when it is not said, 415 when it is something else.
    pub fn sent(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Err(Refusal::bad_request("the header Content-Type is missing; send application/json or application/x-protobuf"));
        };
        value.to_str().ok().and_then(Self::named).ok_or_else(|| {
            let found = String::from_utf8_lossy(value.as_bytes()).into_owned();
            Refusal::new(415, format!("Content-Type `{found}` is not served here; send application/json or application/x-protobuf"))
        })
    }

    /// The encoding of the answer: JSON when it is acceptable or nothing is said, else protobuf.
    ///
    /// # Errors
    /// 406 when neither is acceptable.
    pub fn wanted(headers: &HeaderMap) -> Result<Self, Refusal> {
        Self::wanted_in(headers, &ACCEPT)
    }

    /// Whether the header `name`, where it is there, allows a media type.
    pub(crate) fn allows(headers: &HeaderMap, name: &HeaderName, media_type: &str) -> bool {
        let accepted = lines(headers, name);
        accepted.trim().is_empty() || accepts(&accepted, media_type)
    }

    /// The same of another header.
    pub(crate) fn wanted_in(headers: &HeaderMap, name: &HeaderName) -> Result<Self, Refusal> {
        let accepted = lines(headers, name);
        if accepted.trim().is_empty() {
            return Ok(Self::Json);
        }
        let found = [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|content| accepts(&accepted, content.media_type()));
        found.ok_or_else(|| {
            let message = format!("{} `{accepted}` allows none of what is served here: application/json, application/x-protobuf", if *name == ACCEPT { "Accept" } else { name.as_str() });
            Refusal::new(406, message)
        })
    }

    /// Reads a message; the error names the field.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn decode<T: Wired>(self, bytes: &[u8]) -> Result<T, Refusal> {
        let decoded = match self {
            Self::Json => json::from_slice(bytes)
                .map_err(|error| format!("the body is not a {} in JSON: {error}", T::full_name())),
            Self::Protobuf => binary::decode(bytes).map_err(|error| error.to_string()),
        };
        decoded.map_err(Refusal::bad_request)
    }

    /// Writes a message; JSON is on a single line.
    pub fn encode<T: Wired>(self, message: &T) -> Vec<u8> {
        match self {
            Self::Json => json::to_vec(message),
            Self::Protobuf => binary::encode(message),
        }
    }

    /// The number of a call's type.
    ///
    /// # Errors
    /// 400 when the call does not say its type, 501 when it names one that does not exist.
    pub(crate) fn call_type(self, body: &[u8], decoded: Option<i32>) -> Result<i32, Refusal> {
        match decoded {
            Some(0) => Err(unknown_call("UNKNOWN")),
            Some(number) => Ok(number),
            None => Err(self.named_type(body).map_or_else(
                || {
                    Refusal::bad_request(
                        "type: a call must say what it is; set it to the name of a call",
                    )
                },
                |name| unknown_call(&name),
            )),
        }
    }

    /// Finds the name of a type that decoding dropped because it is not known, as Mesos does.
    fn named_type(self, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Typed {
            r#type: Option<serde_json::Value>,
        }
        match self {
            Self::Protobuf => None,
            Self::Json => {
                serde_json::from_slice::<Typed>(body).ok()?.r#type.map(|value| match value {
                    serde_json::Value::String(name) => name,
                    other => other.to_string(),
                })
            }
        }
    }
}

/// All lines of one header as one.
fn lines(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.join(",")
}

/// 501 for a call type that nobody knows.
pub(crate) fn unknown_call(name: &str) -> Refusal {
    let shown: String = name.chars().take(64).collect();
    Refusal::not_implemented(format!(
        "there is no call of type `{shown}` here; see the Mesos v1 API for those that are"
    ))
}

/// Whether an `Accept` header allows this media type. The most specific range that fits decides.
fn accepts(header: &str, media_type: &str) -> bool {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let (mut best, mut allowed) = (0, false);
    for range in header.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specificity = match name.as_str() {
            exact if exact == media_type => 3,
            any_of_kind if any_of_kind.strip_suffix("/*") == Some(kind) => 2,
            "*/*" => 1,
            _ => continue,
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok())
            .unwrap_or(1.0);
        if specificity > best {
            (best, allowed) = (specificity, quality > 0.0);
        } else if specificity == best {
            allowed |= quality > 0.0;
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use holdfast_proto::mesos::v1::scheduler::Call;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn h3_content_type() {
        let sent = |value| Content::sent(&headers(CONTENT_TYPE, value));
        assert_eq!(sent("application/json"), Ok(Content::Json));
        assert_eq!(sent("Application/JSON; charset=utf-8"), Ok(Content::Json));
        assert_eq!(sent("application/x-protobuf"), Ok(Content::Protobuf));
        assert_eq!(sent("application/recordio").unwrap_err().status, 415);
        assert_eq!(sent("").unwrap_err().status, 415);
        assert_eq!(Content::sent(&HeaderMap::new()).unwrap_err().status, 400);
    }

    #[test]
    fn h4_accept() {
        let cases = [
            ("*/*", Ok(Content::Json)),
            ("", Ok(Content::Json)),
            ("application/json", Ok(Content::Json)),
            ("application/x-protobuf", Ok(Content::Protobuf)),
            ("application/x-protobuf, application/json", Ok(Content::Json)),
            ("text/html, application/*;q=0.1", Ok(Content::Json)),
            ("application/json;q=0, application/x-protobuf", Ok(Content::Protobuf)),
            ("application/json;q=0, */*", Ok(Content::Protobuf)),
            ("text/html", Err(406)),
            ("*/*;q=0", Err(406)),
        ];
        for (accept, expected) in cases {
            assert_eq!(
                Content::wanted(&headers(ACCEPT, accept)).map_err(|refusal| refusal.status),
                expected,
                "{accept}"
            );
        }
        assert_eq!(Content::wanted(&HeaderMap::new()), Ok(Content::Json));
    }

    proptest! {
        #[test]
        fn any_body_is_a_call_or_a_400(body in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
            for content in [Content::Json, Content::Protobuf] {
                for bytes in [body.as_slice(), text.as_bytes()] {
                    match content.decode::<Call>(bytes) {
                        Ok(call) => drop(content.call_type(bytes, call.r#type)),
                        Err(refusal) => prop_assert_eq!(refusal.status, 400),
                    }
                }
            }
        }
    }

    #[test]
    fn h24_unknown_types() {
        let of = |content: Content, body: &str, decoded| {
            content.call_type(body.as_bytes(), decoded).map_err(|refusal| refusal.status)
        };
        assert_eq!(of(Content::Json, r#"{"type":"DANCE"}"#, None), Err(501));
        assert_eq!(of(Content::Json, r#"{"type":null}"#, None), Err(400));
        assert_eq!(of(Content::Json, "{}", None), Err(400));
        assert_eq!(of(Content::Protobuf, "", None), Err(400));
        assert_eq!(of(Content::Protobuf, "", Some(0)), Err(501));
        assert_eq!(of(Content::Protobuf, "", Some(7)), Ok(7));
    }
}
