//! The common part of all gRPC streams: messages in, one by one, and messages out, with a status at
//! the end.
//!
//! It relies on `outbox` and tonic. It never reads the next message before the API has taken the
//! last one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_core::Stream;
use tonic::{Code, Request, Status, Streaming};

use crate::connection::Connection;
use crate::event::LinkMessage;
use crate::outbox::{LinkEnd, LinkWatch, Outflow};
use crate::refusal::Refusal;

/// The type of all outgoing streams.
pub(crate) type BoxStream<E> = Pin<Box<dyn Stream<Item = Result<E, Status>> + Send>>;

/// The status with which a stream will end, when it ends with an error.
pub(crate) type LastWord = Arc<OnceLock<Status>>;

/// The outgoing stream of a link, as tonic wants it.
pub(crate) struct GrpcFlow<E> {
    outflow: Outflow<E>,
    last: LastWord,
    ended: bool,
}

impl<E: LinkMessage> GrpcFlow<E> {
    pub(crate) fn boxed(outflow: Outflow<E>, last: LastWord) -> BoxStream<E> {
        Box::pin(Self { outflow, last, ended: false })
    }
}

impl<E: LinkMessage> Stream for GrpcFlow<E> {
    type Item = Result<E, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.outflow).poll_next(context) {
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(self.last.get().cloned().map(Err))
            }
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Passes each message of the peer to the API, in order, until the link ends on either side.
pub(crate) async fn pump<T, F>(
    mut inbound: Streaming<T>,
    watch: LinkWatch,
    last: LastWord,
    mut hand: impl FnMut(T) -> F,
) where
    F: Future<Output = Result<(), Refusal>>,
{
    loop {
        let message = tokio::select! {
            message = inbound.message() => message,
            () = watch.cancelled() => return,
        };
        match message {
            Ok(Some(message)) => {
                if let Err(refusal) = hand(message).await {
                    let _ = last.set(refusal.to_grpc());
                    return watch.end(LinkEnd::Refused);
                }
            }
            Ok(None) => return watch.end(LinkEnd::PeerGone),
            Err(status) => {
                let malformed = matches!(
                    status.code(),
                    Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted
                );
                let _ = last.set(status);
                return watch.end(if malformed { LinkEnd::Refused } else { LinkEnd::PeerGone });
            }
        }
    }
}

/// The connection that a request came on.
///
/// # Errors
/// When the request did not come through our server.
pub(crate) fn connection<T>(request: &Request<T>) -> Result<Connection, Status> {
    request
        .extensions()
        .get::<Connection>()
        .cloned()
        .ok_or_else(|| Status::internal("the request lost its connection on the way"))
}
