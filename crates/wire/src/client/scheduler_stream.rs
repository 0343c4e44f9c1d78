//! A scheduler's subscription over gRPC: one bidirectional stream.
//!
//! It relies on tonic. It never subscribes again by itself.

use holdfast_proto::holdfast::v1::scheduler_stream_client::SchedulerStreamClient as Grpc;
use holdfast_proto::mesos::v1::scheduler::{Call, Event};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::agent_link::{connect, LinkReceiver};
use super::{ClientError, ClientSettings};
use crate::limits::BODY_MAX_BYTES;

/// How many calls may wait for the connection; beyond that sending waits.
const QUEUE_MAX: usize = 256;

/// Subscribes over gRPC.
#[derive(Clone, Debug, Default)]
pub struct SchedulerStreamClient {
    settings: ClientSettings,
}

impl SchedulerStreamClient {
    /// Makes a client with these settings.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings }
    }

    /// Subscribes with a call of type SUBSCRIBE at the master at `address` (`host:port`). Dropping
    /// either half ends the subscription.
    ///
    /// # Errors
    /// When the master cannot be reached, or refuses; a standby's refusal names the leader.
    pub async fn subscribe(
        &self,
        address: &str,
        call: Call,
    ) -> Result<(mpsc::Sender<Call>, LinkReceiver<Event>), ClientError> {
        let channel = connect(&self.settings, address).await?;
        let mut grpc = Grpc::new(channel)
            .max_decoding_message_size(self.settings.event_max_bytes)
            .max_encoding_message_size(BODY_MAX_BYTES);
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let queued = sender.try_send(call);
        debug_assert!(queued.is_ok(), "the queue is new and empty");
        let attached = tokio::time::timeout(
            self.settings.call_timeout,
            grpc.attach(ReceiverStream::new(receiver)),
        )
        .await;
        let attached = attached.map_err(|_| ClientError::TimedOut {
            address: address.to_owned(),
            timeout: self.settings.call_timeout,
        })?;
        let inbound = attached.map_err(|status| ClientError::refused_stream(&status))?.into_inner();
        Ok((sender, LinkReceiver { inbound, cut: None }))
    }
}
