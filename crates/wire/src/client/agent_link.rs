//! An agent's link to a master, over gRPC.
//!
//! It relies on tonic. It never reconnects by itself: a link is one connection, and how a new one
//! is introduced is up to the agent.

use std::time::Duration;

use holdfast_proto::holdfast::v1::agent_link_client::AgentLinkClient as Grpc;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::Streaming;

use super::cut_stream::CutStream;
use super::{ClientError, ClientSettings};
use crate::limits::MESSAGE_MAX_BYTES;
use crate::outbox::{LinkEnd, Outbox};
use crate::server::{PING_INTERVAL, PING_TIMEOUT};

/// Agents send no heartbeats: masters ping them.
const NO_HEARTBEAT: Duration = Duration::from_secs(24 * 3600);

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

    /// Connects to the master at `address` (`host:port`). Dropping the receiver ends the link;
    /// dropping the outbox ends it once what waits is sent.
    ///
    /// What the master leaves unread is bounded by the settings; beyond that the link is cut, and the
    /// receiver hears of it.
    ///
    /// # Errors
    /// When the master cannot be reached, or does not take the link.
    pub async fn connect(
        &self,
        address: &str,
    ) -> Result<(Outbox<FromAgent>, LinkReceiver<ToAgent>), ClientError> {
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let channel = connect_until(&self.settings, address, cut.clone()).await?;
        let mut grpc = Grpc::new(channel)
            .max_decoding_message_size(MESSAGE_MAX_BYTES)
            .max_encoding_message_size(MESSAGE_MAX_BYTES);
        let (outbox, outflow) = Outbox::open(self.settings.link, NO_HEARTBEAT, &stop, cut.clone());
        let watch = outflow.watch();
        let attached = tokio::time::timeout(self.settings.call_timeout, grpc.attach(outflow)).await;
        let attached = attached.map_err(|_| ClientError::TimedOut {
            address: address.to_owned(),
            timeout: self.settings.call_timeout,
        })?;
        let inbound = attached.map_err(|status| ClientError::refused_stream(&status))?.into_inner();
        let master = address.to_owned();
        tokio::spawn(async move {
            if watch.over().await == LinkEnd::TooSlow {
                tracing::warn!("master {master} does not read what this agent says; the link is cut, and another will be made");
            }
        });
        Ok((outbox, LinkReceiver { inbound, cut: Some((cut, address.to_owned())) }))
    }
}

/// A connection for gRPC, which notices within seconds that the other machine is gone.
pub(super) async fn connect(
    settings: &ClientSettings,
    address: &str,
) -> Result<Channel, ClientError> {
    let connected = endpoint(settings, address)?.connect().await;
    connected.map_err(|error| unreachable(address, error))
}

/// The same, but it breaks when `cut` is cancelled: only that frees a writer whose peer does not
/// read.
async fn connect_until(
    settings: &ClientSettings,
    address: &str,
    cut: CancellationToken,
) -> Result<Channel, ClientError> {
    let to = address.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let (to, cut) = (to.clone(), cut.clone());
        async move {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(TokioIo::new(CutStream::new(stream, cut)))
        }
    });
    let connected = endpoint(settings, address)?.connect_with_connector(connector).await;
    connected.map_err(|error| unreachable(address, error))
}

fn endpoint(settings: &ClientSettings, address: &str) -> Result<Endpoint, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|_| ClientError::BadAddress { address: address.to_owned() })?;
    Ok(endpoint
        .connect_timeout(settings.connect_timeout)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true))
}

fn unreachable(address: &str, error: tonic::transport::Error) -> ClientError {
    ClientError::Unreachable { address: address.to_owned(), source: error.into() }
}

/// What comes in on a link.
#[derive(Debug)]
pub struct LinkReceiver<T> {
    pub(super) inbound: Streaming<T>,
    /// Cancelled when the other side did not read and was cut off, with its address.
    pub(super) cut: Option<(CancellationToken, String)>,
}

impl<T> LinkReceiver<T> {
    /// The next message; `None` when the other side ended the link in order. May be dropped while
    /// it waits: nothing is lost.
    ///
    /// # Errors
    /// When the link broke, or the other side refused something.
    pub async fn recv(&mut self) -> Result<Option<T>, ClientError> {
        let heard = match &self.cut {
            None => self.inbound.message().await,
            Some((cut, address)) => tokio::select! {
                heard = self.inbound.message() => heard,
                () = cut.cancelled() => {
                    return Err(ClientError::CutOff { address: address.clone() })
                }
            },
        };
        heard.map_err(|status| ClientError::refused_stream(&status))
    }
}
