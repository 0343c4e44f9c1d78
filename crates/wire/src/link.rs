//! The life of a link: the API accepts it, messages flow, and the API is notified once of its end.
//!
//! It relies on `outbox`. It never omits that: an API that accepted a link is notified of its end,
//! even when the peer was gone before the answer reached it.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::connection::{Caller, Connection};
use crate::event::LinkMessage;
use crate::outbox::{LinkEnd, LinkWatch, Outbox, Outflow};
use crate::refusal::Refusal;

/// The transport of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Mesos v1 over HTTP: events in RecordIO, calls as requests of their own.
    Http,
    /// A bidirectional gRPC stream.
    Grpc,
}

/// The introduction of a link to the API.
#[derive(Clone, Debug)]
pub struct LinkHead {
    /// The link's own id, never used twice. For schedulers over HTTP it is the `Mesos-Stream-Id`.
    pub stream_id: Uuid,
    /// The peer at the other end.
    pub caller: Caller,
    /// The transport of the link.
    pub transport: Transport,
}

/// A new link on a connection: how it introduces itself, and its two ends.
pub(crate) fn open<E: LinkMessage>(
    connection: &Connection,
    transport: Transport,
    heartbeat: Duration,
) -> (LinkHead, Outbox<E>, Outflow<E>) {
    let (shared, kill) = (&connection.shared, connection.kill.clone());
    let (outbox, outflow) = Outbox::open(shared.limits.link, heartbeat, &shared.stop, kill);
    let head = LinkHead { stream_id: Uuid::new_v4(), caller: connection.caller(), transport };
    (head, outbox, outflow)
}

/// Asks the API to take the link and, when it does, keeps watch until the link ends. Both happen on
/// a task of their own, so that a peer that leaves early cannot leave the API with a link whose end
/// nobody reports.
pub(crate) async fn hold<T, P, G>(
    connection: &Connection,
    watch: LinkWatch,
    take: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    pump: impl FnOnce(T) -> P + Send + 'static,
    gone: impl FnOnce(LinkEnd) -> G + Send + 'static,
) -> Result<(), Refusal>
where
    T: Send + 'static,
    P: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let (shared, peer) = (connection.shared.clone(), connection.peer);
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        match take.await {
            Ok(taken) => {
                // The requester may have left; the link's end is then already on its way.
                let _ = tell.send(Ok(()));
                shared.counters.links.fetch_add(1, Ordering::Relaxed);
                let ((), end) = tokio::join!(pump(taken), watch.over());
                shared.counters.links.fetch_sub(1, Ordering::Relaxed);
                if end == LinkEnd::TooSlow {
                    shared.counters.links_cut.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(
                        "{peer} did not read its messages and was cut off; it may come back"
                    );
                }
                gone(end).await;
            }
            Err(refusal) => {
                let _ = tell.send(Err(refusal));
            }
        }
    });
    told.await.unwrap_or_else(|_| {
        Err(Refusal::internal("the process behind this port failed at this call; see its log"))
    })
}
