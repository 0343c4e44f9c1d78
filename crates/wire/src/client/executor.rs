//! An executor's session with its agent: one stream of events, and calls beside it.
//!
//! It relies on `events`. It never subscribes again by itself: the agent says in the executor's
//! environment how long to try.

use holdfast_proto::mesos::v1::executor::{Call, Event};

use super::{events::EventStream, ClientError, MesosClient};

const PATH: &str = "/slave(1)/api/v1/executor";

/// An open subscription.
#[derive(Debug)]
pub struct ExecutorSession {
    /// The events from the agent.
    pub events: EventStream<Event>,
}

impl ExecutorSession {
    /// Subscribes with a call of type SUBSCRIBE at the agent at `address` (`host:port`, from
    /// `MESOS_AGENT_ENDPOINT`).
    ///
    /// # Errors
    /// When the agent does not answer, or refuses.
    pub async fn subscribe(
        client: &MesosClient,
        address: &str,
        call: &Call,
    ) -> Result<Self, ClientError> {
        let answered = client.http.send(address, &client.request(PATH, None, call)).await?;
        Ok(Self { events: EventStream::new(answered, &client.settings, None)? })
    }
}

impl MesosClient {
    /// Sends any call of an executor but SUBSCRIBE.
    ///
    /// # Errors
    /// When the agent does not answer, or refuses.
    pub async fn executor_call(&self, address: &str, call: &Call) -> Result<(), ClientError> {
        self.http.send_and_read(address, &self.request(PATH, None, call)).await.map(drop)
    }
}
