//! The life of a link: the door agrees, messages flow, the door is told once that it is over.
//!
//! Relies on `outbox`. Never forgets to tell: a door that agreed to a link hears of its end, even when the peer was gone before the
//! answer reached it.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::connection::{Caller, Shared};
use crate::outbox::{LinkEnd, LinkWatch};
use crate::refusal::Refusal;

/// What a link travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Mesos v1 over HTTP: events in RecordIO, calls as requests of their own.
    Http,
    /// A bidirectional gRPC stream.
    Grpc,
}

/// How a link introduces itself to the door.
#[derive(Clone, Debug)]
pub struct LinkHead {
    /// The link's own name, never used twice. For schedulers over HTTP it is the `Mesos-Stream-Id`.
    pub stream_id: Uuid,
    /// Who is at the other end.
    pub caller: Caller,
    /// What it travels on.
    pub transport: Transport,
}

/// Asks the door to take the link and, when it does, keeps watch until the link is over. Both happen on a task of their own, so that a
/// peer that leaves early cannot leave the door with a link whose end nobody reports.
pub(crate) async fn hold<T, P, G>(
    shared: Arc<Shared>,
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
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        match take.await {
            Ok(taken) => {
                // The asker may have left; the link's end is then already on its way.
                let _ = tell.send(Ok(()));
                shared.counters.links.fetch_add(1, Ordering::Relaxed);
                let ((), end) = tokio::join!(pump(taken), watch.over());
                shared.counters.links.fetch_sub(1, Ordering::Relaxed);
                if end == LinkEnd::TooSlow {
                    shared.counters.links_cut.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!("a peer did not read its messages and was cut off");
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
