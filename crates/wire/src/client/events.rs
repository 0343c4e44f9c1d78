//! Decodes a stream of events.
//!
//! It relies on `recordio`. It never waits for longer than the stream may be silent.

use std::marker::PhantomData;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::http1::Answered;
use super::{ClientError, ClientSettings};
use crate::content::{Content, Wired};
use crate::recordio::Decoder;

/// The events of a subscription. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream<E> {
    address: String,
    content: Content,
    body: Incoming,
    decoder: Decoder,
    heard_at: Instant,
    silence_timeout: Option<Duration>,
    of: PhantomData<fn() -> E>,
}

impl<E: Wired> EventStream<E> {
    pub(super) fn new(
        answered: Answered,
        settings: &ClientSettings,
        silence_timeout: Option<Duration>,
    ) -> Result<Self, ClientError> {
        let content =
            Content::sent(answered.response.headers()).map_err(|_| ClientError::Malformed {
                address: answered.address.clone(),
                reason: format!(
                    "its events come as {:?}",
                    answered.response.headers().get(CONTENT_TYPE)
                ),
            })?;
        let body = answered.response.into_body();
        Ok(Self::of_body((answered.address, body), content, settings, silence_timeout))
    }

    /// The records of a body that are encoded so.
    pub(super) fn of_body(
        (address, body): (String, Incoming),
        content: Content,
        settings: &ClientSettings,
        silence_timeout: Option<Duration>,
    ) -> Self {
        Self {
            address,
            content,
            body,
            decoder: Decoder::new(settings.event_max_bytes),
            heard_at: Instant::now(),
            silence_timeout,
            of: PhantomData,
        }
    }

    /// `host:port` of who sends them: the leader, after redirects.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next event, heartbeats among them; `None` when the other side ended the stream in order.
    /// May be dropped while it waits: nothing is lost.
    ///
    /// # Errors When the stream broke, was silent for too long, or cannot be read. It cannot be
    /// used after that.
    pub async fn next(&mut self) -> Result<Option<E>, ClientError> {
        loop {
            if let Some(record) = self.decoder.next_record()? {
                let malformed =
                    |reason| ClientError::Malformed { address: self.address.clone(), reason };
                return self
                    .content
                    .decode(&record)
                    .map(Some)
                    .map_err(|refusal| malformed(refusal.message));
            }
            let frame = match self.silence_timeout {
                Some(silence) => {
                    tokio::time::timeout_at(self.heard_at + silence, self.body.frame())
                        .await
                        .map_err(|_| ClientError::Silent { silence })?
                }
                None => self.body.frame().await,
            };
            match frame {
                Some(Ok(frame)) => {
                    self.heard_at = Instant::now();
                    if let Some(data) = frame.data_ref() {
                        self.decoder.push(data);
                    }
                }
                Some(Err(error)) => return Err(ClientError::Broken { reason: error.to_string() }),
                None if self.decoder.is_inside_record() => {
                    return Err(ClientError::Broken {
                        reason: "it ended within an event".to_owned(),
                    });
                }
                None => return Ok(None),
            }
        }
    }
}
