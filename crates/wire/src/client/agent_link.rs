//! An agent's link to a master, over gRPC.
//!
//! It relies on tonic. It never reconnects by itself: a link is one connection, and how a new one
//! is introduced is up to the agent.

use holdfast_proto::holdfast::v1::agent_link_client::AgentLinkClient as Grpc;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::Streaming;

use super::{ClientError, ClientSettings};
use crate::limits::MESSAGE_MAX_BYTES;
use crate::server::{PING_INTERVAL, PING_TIMEOUT};

/// How many messages may wait for the connection; beyond that sending waits.
const QUEUE_MAX: usize = 1024;

/// Opens links to masters.
#[derive(Clone, Debug, Default)]
pub struct AgentLinkClient {
    settings: ClientSettings,
}

impl AgentLinkClient {
    /// Makes a client with these settings.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings }
    }

    /// Connects to the master at `address` (`host:port`). Dropping either half ends the link.
    ///
    /// # Errors
    /// When the master cannot be reached, or does not take the link.
    pub async fn connect(
        &self,
        address: &str,
    ) -> Result<(mpsc::Sender<FromAgent>, LinkReceiver<ToAgent>), ClientError> {
        let channel = connect(&self.settings, address).await?;
        let mut grpc = Grpc::new(channel)
            .max_decoding_message_size(MESSAGE_MAX_BYTES)
            .max_encoding_message_size(MESSAGE_MAX_BYTES);
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
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
        Ok((sender, LinkReceiver { inbound }))
    }
}

/// A connection for gRPC, which notices within seconds that the other machine is gone.
pub(super) async fn connect(
    settings: &ClientSettings,
    address: &str,
) -> Result<Channel, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|_| ClientError::BadAddress { address: address.to_owned() })?;
    let endpoint = endpoint
        .connect_timeout(settings.connect_timeout)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    endpoint.connect().await.map_err(|error| ClientError::Unreachable {
        address: address.to_owned(),
        source: error.into(),
    })
}

/// What comes in on a link.
#[derive(Debug)]
pub struct LinkReceiver<T> {
    pub(super) inbound: Streaming<T>,
}

impl<T> LinkReceiver<T> {
    /// The next message; `None` when the other side ended the link in order. May be dropped while
    /// it waits: nothing is lost.
    ///
    /// # Errors
    /// When the link broke, or the other side refused something.
    pub async fn recv(&mut self) -> Result<Option<T>, ClientError> {
        self.inbound.message().await.map_err(|status| ClientError::refused_stream(&status))
    }
}
