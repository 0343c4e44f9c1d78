//! Reads one call from a request: its content type, its body, its type.
//!
//! It relies on `body` and `content`. It never passes on a call whose type is not one of the API's.

use http::{HeaderMap, Method, Request};

use crate::answer::{self, Answer};
use crate::body::{self, Body};
use crate::connection::Connection;
use crate::content::{unknown_call, Content, Wired};
use crate::refusal::Refusal;

/// A call as it was received.
pub(crate) struct Received<T, K> {
    /// The headers of the request.
    pub(crate) headers: HeaderMap,
    /// The decoded call.
    pub(crate) call: T,
    /// The type of the call, which is one of the API's.
    pub(crate) kind: K,
}

/// Answers anything but POST, by which calls come.
pub(crate) fn unless_post(method: &Method) -> Option<Answer> {
    (method != Method::POST).then(|| answer::method_not_allowed("POST", method))
}

/// Answers anything but GET, HEAD and (as some clients read with it) POST.
pub(crate) fn unless_reading(method: &Method) -> Option<Answer> {
    let reading = [Method::GET, Method::HEAD, Method::POST].contains(method);
    (!reading).then(|| answer::method_not_allowed("GET, HEAD, POST", method))
}

/// Reads the call; `number` finds the number of its type in it.
///
/// # Errors
/// 400, 408, 413, 415, 501 or 503, with what is wrong.
pub(crate) async fn receive<T, K>(
    connection: &Connection,
    request: Request<Body>,
    number: impl Fn(&T) -> Option<i32>,
) -> Result<Received<T, K>, Refusal>
where
    T: Wired,
    K: TryFrom<i32>,
{
    let (parts, body) = request.into_parts();
    let content = Content::sent(&parts.headers)?;
    let bytes = body::read(&connection.shared, body).await?;
    let call: T = content.decode(&bytes)?;
    let number = content.call_type(&bytes, number(&call))?;
    let kind = K::try_from(number).map_err(|_| unknown_call(&number.to_string()))?;
    Ok(Received { headers: parts.headers, call, kind })
}
