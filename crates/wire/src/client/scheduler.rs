//! A scheduler's session with the leading master: one stream of events, and calls beside it.
//!
//! It relies on `events`. It never subscribes again by itself.

use bytes::Bytes;
use holdfast_proto::mesos::v1::scheduler::{Call, Event};
use http::{HeaderValue, Method};
use uuid::Uuid;

use super::{events::EventStream, http1, ClientError, MesosClient};
use crate::answer::MESOS_STREAM_ID;

const PATH: &str = "/api/v1/scheduler";

/// An open subscription.
#[derive(Debug)]
pub struct SchedulerSession {
    /// The events from the master.
    pub events: EventStream<Event>,
    /// Sends calls of this subscription; may be cloned.
    pub caller: SchedulerCaller,
}

/// Sends calls that belong to a subscription.
#[derive(Clone, Debug)]
pub struct SchedulerCaller {
    client: MesosClient,
    address: String,
    stream_id: Uuid,
}

impl SchedulerSession {
    /// Subscribes with a call of type SUBSCRIBE at the master at `address` (`host:port`), or at the
    /// leader it names.
    ///
    /// # Errors
    /// When no master answers, or it refuses.
    pub async fn subscribe(
        client: &MesosClient,
        address: &str,
        call: &Call,
    ) -> Result<Self, ClientError> {
        let answered = client.http.send(address, &client.request(PATH, None, call)).await?;
        let stream_id = answered
            .response
            .headers()
            .get(&MESOS_STREAM_ID)
            .and_then(|value| Uuid::parse_str(value.to_str().ok()?).ok());
        let stream_id = stream_id.ok_or_else(|| ClientError::Malformed {
            address: answered.address.clone(),
            reason: "it has no Mesos-Stream-Id".to_owned(),
        })?;
        let caller = SchedulerCaller {
            client: client.clone(),
            address: answered.address.clone(),
            stream_id,
        };
        let events =
            EventStream::new(answered, &client.settings, Some(client.settings.silence_timeout))?;
        Ok(Self { events, caller })
    }
}

impl SchedulerCaller {
    /// The id of the subscription.
    pub fn stream_id(&self) -> Uuid {
        self.stream_id
    }

    /// `host:port` of the master that holds the subscription.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends any call but SUBSCRIBE. That it returns means that the master received it, not that it
    /// did it.
    ///
    /// # Errors
    /// When the master does not answer or refuses.
    pub async fn call(&self, call: &Call) -> Result<(), ClientError> {
        let stream_id = HeaderValue::from_str(&self.stream_id.to_string())
            .expect("a uuid is made of hex digits and dashes");
        let request = self.client.request(PATH, Some((MESOS_STREAM_ID.clone(), stream_id)), call);
        self.client.http.send_and_read(&self.address, &request).await.map(drop)
    }
}

impl MesosClient {
    /// Makes a POST of this message.
    pub(super) fn request<T: crate::Wired>(
        &self,
        path: &str,
        extra: Option<(http::HeaderName, HeaderValue)>,
        message: &T,
    ) -> http1::Call {
        let content = self.settings.content;
        let body = Bytes::from(content.encode(message));
        http1::Call { method: Method::POST, path: path.to_owned(), content, extra, body }
    }
}
