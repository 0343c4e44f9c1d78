//! The server of a port: it accepts, bounds and ends connections.
//!
//! It relies on hyper for HTTP/1.1 and HTTP/2 on the same port. It never waits for a peer without a
//! deadline: a connection on which no request comes is closed, and so is one whose machine is gone.
//! It never ends without having ended every stream.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Counters, Shared};
use crate::limits::Limits;
use crate::routes::{Routes, Site};

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How often an HTTP/2 peer is asked whether it lives, and how long it may take to answer.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// After this time without an acknowledgement from the peer's machine the connection is broken.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The response to a connection beyond the limit.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 48\r\n\r\ntoo many connections are open here; try again...";

/// Why an address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}; is another process there, or is the address not this machine's?"
)]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

/// A server bound to a port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Binds an address; port 0 takes any free one. Connections wait until [`Server::serve`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, limits })
    }

    /// The address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled: then all streams end, requests that are being answered
    /// have the grace time, and this returns.
    pub async fn serve(self, routes: Routes, stop: CancellationToken) {
        let site = Site::new(routes, &self.limits);
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let shared = Arc::new(Shared {
            large_bodies: Semaphore::new(self.limits.large_bodies_max),
            limits: self.limits,
            counters: Counters::default(),
            stop,
        });
        let tracker = TaskTracker::new();
        let abort = CancellationToken::new();
        while let Some((stream, peer)) = accept(&self.listener, &shared.stop).await {
            let Ok(place) = places.clone().try_acquire_owned() else {
                shared.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
                // As much is written as fits without waiting.
                let _ = stream.try_write(TOO_MANY);
                continue;
            };
            tune(&stream);
            let (site, connection) = (site.clone(), Connection::new(peer, shared.clone()));
            let work =
                abort.clone().run_until_cancelled_owned(serve_connection(stream, site, connection));
            tracker.spawn(async move {
                work.await;
                drop(place);
            });
        }
        drop(self.listener);
        tracker.close();
        if tokio::time::timeout(shared.limits.stop_grace, tracker.wait()).await.is_err() {
            abort.cancel();
            tracker.wait().await;
        }
    }
}

/// Listens on an address, with a queue for connections as long as the system allows.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A successor on the same port need not wait for its predecessor's last connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // After a failover every agent and framework connects in the same moment. One that finds no
    // place in the queue waits a whole second for its next try. The system cuts this to
    // `net.core.somaxconn`.
    socket.listen(i32::MAX as u32)
}

/// Accepts the next connection; `None` when the server stops.
async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => return Some(connection),
            Err(error) => {
                // Connections that broke while waiting do not matter; without descriptors a tight
                // loop would only burn time.
                tracing::warn!(%error, "a connection could not be accepted");
                // tidy: sleep is the point: a descriptor becomes free when some other connection
                // ends, which nobody announces here
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sets socket options: small messages leave at once, and a machine that vanished is noticed.
fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    let socket = SockRef::from(stream);
    let tuned = stream.set_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let tuned = tuned.and_then(|()| socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a socket could not be tuned; the peer may be gone already");
    }
}

async fn serve_connection(stream: TcpStream, site: Site, connection: Connection) {
    let shared = connection.shared.clone();
    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
    if is_plain(&stream, &connection).await {
        speak_http(stream, site, connection).await;
    }
    shared.counters.connections.fetch_sub(1, Ordering::Relaxed);
}

/// Peeks at the first byte: TLS has a handshake of its own, which is not supported yet.
async fn is_plain(stream: &TcpStream, connection: &Connection) -> bool {
    let shared = &connection.shared;
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout(shared.limits.first_request_timeout, stream.peek(&mut first)) => peeked,
        () = shared.stop.cancelled() => return false,
    };
    match peeked {
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => {
            tracing::warn!(peer = %connection.peer, "a peer speaks TLS, which is not set up here; use http");
            false
        }
        Ok(Ok(1)) => true,
        Ok(_) => false,
        Err(_) => {
            shared.counters.connections_silent.fetch_add(1, Ordering::Relaxed);
            false
        }
    }
}

async fn speak_http(stream: TcpStream, site: Site, connection: Connection) {
    let shared = connection.shared.clone();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(shared.limits.idle_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let (kill, used) = (connection.kill.clone(), connection.used.clone());
    let peer = connection.peer;
    let service = service_fn(move |request| {
        let (site, connection) = (site.clone(), connection.clone());
        async move { Ok::<_, Infallible>(site.answer(request, connection).await) }
    });
    let speaking = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(speaking);
    // tidy: sleep is the point: it is the deadline for the first request
    let first_request = tokio::time::sleep(shared.limits.first_request_timeout);
    tokio::pin!(first_request);
    let (mut stopping, mut waiting) = (false, true);
    loop {
        tokio::select! {
            // The order matters: a request that has come counts even when its deadline passes at
            // the same time.
            biased;
            ended = &mut speaking => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error = &*error, "a connection broke");
                }
                return;
            }
            () = kill.cancelled() => return,
            () = shared.stop.cancelled(), if !stopping => {
                stopping = true;
                speaking.as_mut().graceful_shutdown();
            }
            () = &mut first_request, if waiting => {
                waiting = false;
                if !used.load(Ordering::Acquire) {
                    shared.counters.connections_silent.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_as_long_as_it_says() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
    }

    #[tokio::test]
    async fn an_address_in_use_is_explained() {
        let first = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).await.unwrap();
        let error = Server::bind(first.address(), Limits::default()).await.unwrap_err();
        assert!(error.to_string().contains(&first.address().to_string()), "{error}");
    }

    #[tokio::test]
    async fn as_many_connections_wait_as_the_system_allows() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let waiting = allowed.trim().parse::<usize>().unwrap().min(400);
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).await.unwrap();
        // Nobody accepts them; one that found no place would be told so a second later, or never.
        let connect = || TcpStream::connect(server.address());
        let mut held = Vec::new();
        for _ in 0..waiting {
            let connected = tokio::time::timeout(Duration::from_secs(30), connect()).await;
            held.push(connected.expect("a place in the queue").unwrap());
        }
        assert_eq!(held.len(), waiting);
    }
}
