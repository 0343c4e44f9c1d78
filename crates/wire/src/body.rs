//! Reads bodies within their limits.
//!
//! It relies on `limits`. It never holds more of a body than the limit, and never reads a body that
//! is announced to be larger; what is left of a refused body is discarded for a while, because a
//! peer that is still sending would otherwise miss the answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::HeaderMap;
use http_body_util::BodyExt;

use crate::connection::Shared;
use crate::refusal::Refusal;

/// The body of requests and answers.
pub(crate) use tonic::body::Body;

/// A body above this size, in bytes, needs one of the server's permits.
const LARGE_BYTES: usize = 256 << 10;
/// The time for which a refused body is read and discarded.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// The amount of a refused body that is read and discarded, in bytes.
const LINGER_BYTES: usize = 256 << 20;

/// Makes the refusal of a body that is too large.
pub(crate) fn too_large(limit_bytes: usize) -> Refusal {
    Refusal::new(413, format!("the body is larger than the {limit_bytes} bytes that are read here; send several smaller calls"))
}

/// Whether the headers announce more than the limit, in bytes.
pub(crate) fn announces_more(headers: &HeaderMap, limit_bytes: usize) -> bool {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    announced.is_some_and(|length| length > limit_bytes as u64)
}

/// Whether the peer waits for leave to send its body.
pub(crate) fn waits_for_leave(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}

/// Reads a body.
///
/// # Errors 413 when it is too large, 408 when it takes too long, 400 when it breaks off, 503 when
/// too many large ones are being read.
pub(crate) async fn read(shared: &Shared, body: Body) -> Result<Bytes, Refusal> {
    let limits = &shared.limits;
    let reading = tokio::time::timeout(limits.body_timeout, read_within(shared, body));
    reading.await.unwrap_or_else(|_| {
        let message = format!(
            "the body did not arrive within {} s; send it faster or in parts",
            limits.body_timeout.as_secs_f64()
        );
        Err(Refusal::new(408, message))
    })
}

async fn read_within(shared: &Shared, mut body: Body) -> Result<Bytes, Refusal> {
    let limit = shared.limits.body_max_bytes;
    let mut read = BytesMut::new();
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refusal::bad_request(format!("the body could not be read: {}", error.message()))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit {
            linger(body);
            return Err(too_large(limit));
        }
        if permit.is_none() && read.len() + data.len() > LARGE_BYTES {
            let busy = || Refusal::unavailable("too many large bodies are being read; try again");
            permit = Some(shared.large_bodies.acquire().await.map_err(|_| busy())?);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Reads and discards the rest of a refused body, in the background and within bounds.
pub(crate) fn linger<B>(mut body: B)
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    tokio::spawn(tokio::time::timeout(LINGER_TIMEOUT, async move {
        let mut thrown = 0;
        while let Some(Ok(frame)) = body.frame().await {
            thrown += frame.data_ref().map_or(0, Bytes::len);
            if thrown > LINGER_BYTES {
                break;
            }
        }
    }));
}
