//! The outgoing side of a link: the process puts messages into an [`Outbox`], the connection takes
//! them from its [`Outflow`].
//!
//! Sending never waits. What a slow reader leaves queued is bounded by number, bytes and time;
//! beyond that its connection is cut, so that one stalled framework costs the others nothing. It
//! never drops a message from the middle: a link delivers in order or ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::event::LinkMessage;
use crate::limits::LinkLimits;

/// The overhead of a waiting message beside its bytes.
const OVERHEAD_BYTES: usize = 64;

/// Why a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The peer closed it, or the connection broke.
    PeerGone,
    /// The peer did not keep up and was cut off.
    TooSlow,
    /// This process dropped the outbox, or sent a message that ends the link.
    Closed,
    /// This process refused a message of the peer.
    Refused,
    /// The server is stopping.
    Stopped,
}

/// Why a message was not queued. It and all later ones are lost; the API is notified that the link
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link has ended already.
    #[error("the link is over; wait for the peer to come back")]
    Gone,
    /// This message was one too many: the peer did not read, and is cut off now.
    #[error("the peer does not read its messages and was cut off; it may come back")]
    TooSlow,
}

/// State that both ends and the watch of a link share.
#[derive(Debug)]
struct Pipe {
    limits: LinkLimits,
    /// The number of bytes that wait, with overhead; zero only when nothing waits.
    waiting_bytes: AtomicUsize,
    /// The time when the reader last made progress or fell behind, in ms since `born`, plus one;
    /// zero when nothing waits.
    waiting_since_ms: AtomicU64,
    born: Instant,
    /// Cancelled when the link is over or the server stops.
    over: CancellationToken,
    end: OnceLock<LinkEnd>,
    is_cut: AtomicBool,
    /// Closes the whole connection: only that frees a writer that is stuck in a full socket.
    kill: CancellationToken,
}

impl Pipe {
    fn end(&self, why: LinkEnd) {
        // The first reason is the true one.
        let _ = self.end.set(why);
        self.over.cancel();
    }

    /// Ends the link together with its connection. The peer must not take that for a proper end, so
    /// the stream does not end: it stays silent until the connection is gone.
    fn cut(&self, why: LinkEnd) {
        self.is_cut.store(true, Ordering::Release);
        self.end(why);
        self.kill.cancel();
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn reason(&self) -> LinkEnd {
        self.end.get().copied().unwrap_or(LinkEnd::Stopped)
    }

    /// Whether the reader has left messages queued for too long.
    fn is_stalled(&self) -> bool {
        if self.waiting_bytes.load(Ordering::Acquire) == 0 {
            return false;
        }
        let now = self.now_ms();
        let since = self.waiting_since_ms.load(Ordering::Acquire);
        if since == 0 {
            // A message arrived just as the last one was taken: start counting.
            self.waiting_since_ms.store(now, Ordering::Release);
            return false;
        }
        u128::from(now.saturating_sub(since)) > self.limits.stall_timeout.as_millis()
    }
}

struct Queued<E> {
    message: E,
    size_bytes: usize,
}

/// The sending end of a link. Dropping it ends the link once everything sent has been taken.
#[derive(Debug)]
pub struct Outbox<E> {
    sender: mpsc::Sender<Queued<E>>,
    pipe: Arc<Pipe>,
}

impl<E: LinkMessage> Outbox<E> {
    /// Makes an outbox and the stream that empties it. The stream ends when `stop` is cancelled.
    /// `kill` is cancelled when the reader is cut off: the stream stays silent, and whoever holds
    /// `kill` must then close the connection. Heartbeats are added every `heartbeat` after the
    /// message that opens the link.
    pub fn open(
        limits: LinkLimits,
        heartbeat: Duration,
        stop: &CancellationToken,
        kill: CancellationToken,
    ) -> (Self, Outflow<E>) {
        let (sender, receiver) = mpsc::channel(limits.events_max.max(1));
        let over = stop.child_token();
        let pipe = Arc::new(Pipe {
            limits,
            waiting_bytes: AtomicUsize::new(0),
            waiting_since_ms: AtomicU64::new(0),
            born: Instant::now(),
            over: over.clone(),
            end: OnceLock::new(),
            is_cut: AtomicBool::new(false),
            kill,
        });
        let over = Box::pin(over.cancelled_owned());
        let outflow = Outflow {
            receiver,
            pipe: pipe.clone(),
            over,
            heartbeat,
            beat: None,
            beat_now: false,
            done: false,
        };
        (Self { sender, pipe }, outflow)
    }

    /// Queues a message, at once.
    ///
    /// # Errors
    /// [`SendError`] when the link is over, or when this message makes the reader too slow.
    pub fn send(&self, message: E) -> Result<(), SendError> {
        if self.pipe.over.is_cancelled() {
            return Err(SendError::Gone);
        }
        let size_bytes = message.encoded_len() + OVERHEAD_BYTES;
        let before = self.pipe.waiting_bytes.fetch_add(size_bytes, Ordering::AcqRel);
        if before > 0 && before + size_bytes > self.pipe.limits.bytes_max {
            self.pipe.cut(LinkEnd::TooSlow);
            return Err(SendError::TooSlow);
        }
        if before == 0 {
            self.pipe.waiting_since_ms.store(self.pipe.now_ms(), Ordering::Release);
        }
        match self.sender.try_send(Queued { message, size_bytes }) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.pipe.cut(LinkEnd::TooSlow);
                Err(SendError::TooSlow)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::Gone),
        }
    }

    /// Whether the link has ended.
    pub fn is_gone(&self) -> bool {
        self.pipe.over.is_cancelled()
    }

    /// Waits until the link has ended.
    pub async fn gone(&self) {
        self.pipe.over.cancelled().await;
    }

    /// Ends the link now, and its connection with it; what waits is lost.
    pub fn cut(self) {
        self.pipe.cut(LinkEnd::Closed);
    }
}

/// The connection's end of a link: a stream of messages, heartbeats among them. Dropping it ends
/// the link.
pub struct Outflow<E> {
    receiver: mpsc::Receiver<Queued<E>>,
    pipe: Arc<Pipe>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    heartbeat: Duration,
    beat: Option<Interval>,
    beat_now: bool,
    done: bool,
}

impl<E: LinkMessage> Outflow<E> {
    /// Makes the watch of this link.
    pub(crate) fn watch(&self) -> LinkWatch {
        LinkWatch { pipe: self.pipe.clone() }
    }

    fn taken(&mut self, queued: Queued<E>) -> E {
        let before = self.pipe.waiting_bytes.fetch_sub(queued.size_bytes, Ordering::AcqRel);
        let since = if before > queued.size_bytes { self.pipe.now_ms() } else { 0 };
        self.pipe.waiting_since_ms.store(since, Ordering::Release);
        if queued.message.ends() {
            self.finish(LinkEnd::Closed);
        } else if queued.message.opens() && self.beat.is_none() {
            let mut beat =
                tokio::time::interval_at(Instant::now() + self.heartbeat, self.heartbeat);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.beat = Some(beat);
            self.beat_now = E::HEARTBEAT_AT_ONCE;
        }
        queued.message
    }

    fn finish(&mut self, why: LinkEnd) {
        self.done = true;
        self.receiver.close();
        self.pipe.end(why);
    }
}

impl<E: LinkMessage> Stream for Outflow<E> {
    type Item = E;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<E>> {
        if self.pipe.is_cut.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        if self.done || self.pipe.end.get().is_some() {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.beat_now) {
            return Poll::Ready(E::heartbeat());
        }
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(queued)) => return Poll::Ready(Some(self.taken(queued))),
            Poll::Ready(None) => {
                self.finish(LinkEnd::Closed);
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        if self.over.as_mut().poll(context).is_ready() {
            self.finish(LinkEnd::Stopped);
            return Poll::Ready(None);
        }
        match self.beat.as_mut().map(|beat| beat.poll_tick(context)) {
            Some(Poll::Ready(_)) => Poll::Ready(E::heartbeat()),
            _ => Poll::Pending,
        }
    }
}

impl<E> Drop for Outflow<E> {
    fn drop(&mut self) {
        let stopped = self.pipe.over.is_cancelled();
        self.pipe.end(if stopped { LinkEnd::Stopped } else { LinkEnd::PeerGone });
    }
}

/// Watches one link: cuts it when it stalls, and reports when and why it ended.
#[derive(Clone)]
pub(crate) struct LinkWatch {
    pipe: Arc<Pipe>,
}

impl LinkWatch {
    /// Waits until the link has ended.
    pub(crate) async fn over(&self) -> LinkEnd {
        let pipe = &self.pipe;
        let pause = (pipe.limits.stall_timeout / 4).max(Duration::from_millis(10));
        while tokio::time::timeout(pause, pipe.over.cancelled()).await.is_err() {
            if pipe.is_stalled() {
                pipe.cut(LinkEnd::TooSlow);
            }
        }
        pipe.reason()
    }

    /// Ends the link for this reason, unless it has ended for another.
    pub(crate) fn end(&self, why: LinkEnd) {
        self.pipe.end(why);
    }

    /// Resolves when the link is over, without watching for stalls.
    pub(crate) async fn cancelled(&self) {
        self.pipe.over.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use holdfast_proto::mesos::v1::scheduler::{event::Type, Event};

    use super::*;

    fn event(kind: Type) -> Event {
        Event { r#type: Some(kind.into()), ..Event::default() }
    }

    fn open(
        limits: LinkLimits,
        heartbeat_ms: u64,
    ) -> (Outbox<Event>, Outflow<Event>, CancellationToken, CancellationToken) {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (outbox, outflow) =
            Outbox::open(limits, Duration::from_millis(heartbeat_ms), &stop, kill.clone());
        (outbox, outflow, stop, kill)
    }

    #[tokio::test(start_paused = true)]
    async fn d1_heartbeat_follows_subscribed_and_repeats() {
        let (outbox, mut outflow, _stop, _kill) = open(LinkLimits::default(), 15_000);
        outbox.send(event(Type::Subscribed)).unwrap();
        outbox.send(event(Type::Offers)).unwrap();
        let begun = Instant::now();
        let mut seen = Vec::new();
        for _ in 0..5 {
            let next = outflow.next().await.unwrap();
            seen.push((next.r#type(), begun.elapsed().as_secs()));
        }
        let beats = [(Type::Heartbeat, 15), (Type::Heartbeat, 30)];
        assert_eq!(seen[..3], [(Type::Subscribed, 0), (Type::Heartbeat, 0), (Type::Offers, 0)]);
        assert_eq!(seen[3..], beats);
    }

    #[tokio::test]
    async fn h23_nothing_follows_an_error() {
        let (outbox, mut outflow, ..) = open(LinkLimits::default(), 15_000);
        outbox.send(event(Type::Error)).unwrap();
        outbox.send(event(Type::Offers)).unwrap();
        assert_eq!(outflow.next().await.unwrap().r#type(), Type::Error);
        assert!(outflow.next().await.is_none());
        assert_eq!(outflow.watch().over().await, LinkEnd::Closed);
        assert_eq!(outbox.send(event(Type::Offers)), Err(SendError::Gone));
    }

    #[tokio::test]
    async fn too_many_messages_cut_the_reader() {
        let (outbox, outflow, _stop, kill) =
            open(LinkLimits { events_max: 2, ..LinkLimits::default() }, 15_000);
        assert_eq!(outbox.send(event(Type::Offers)), Ok(()));
        assert_eq!(outbox.send(event(Type::Offers)), Ok(()));
        assert_eq!(outbox.send(event(Type::Offers)), Err(SendError::TooSlow));
        assert_eq!(outbox.send(event(Type::Offers)), Err(SendError::Gone));
        assert!(kill.is_cancelled() && outbox.is_gone());
        assert_eq!(outflow.watch().over().await, LinkEnd::TooSlow);
    }

    #[tokio::test]
    async fn too_many_bytes_cut_the_reader_but_one_large_message_passes() {
        let (outbox, mut outflow, ..) =
            open(LinkLimits { bytes_max: 10, ..LinkLimits::default() }, 15_000);
        for _ in 0..3 {
            assert_eq!(outbox.send(event(Type::Offers)), Ok(()));
            assert!(outflow.next().await.is_some());
        }
        assert_eq!(outbox.send(event(Type::Offers)), Ok(()));
        assert_eq!(outbox.send(event(Type::Offers)), Err(SendError::TooSlow));
        assert!(
            outflow.next().now_or_never().is_none(),
            "a cut link delivers nothing more, not even its end"
        );
    }

    #[tokio::test]
    async fn an_agent_may_owe_its_largest_report_and_all_its_updates_but_not_without_end() {
        use holdfast_proto::holdfast::v1::{from_agent::Message, ExecutorMessage, FromAgent};
        let said = |bytes: usize| FromAgent {
            message: Some(Message::ExecutorMessage(ExecutorMessage {
                data: vec![0; bytes],
                ..Default::default()
            })),
        };
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let beat = Duration::from_secs(3600);
        let (outbox, outflow) = Outbox::open(LinkLimits::OF_AGENT, beat, &stop, kill.clone());
        assert_eq!(outbox.send(said(crate::limits::MESSAGE_MAX_BYTES - 100)), Ok(()));
        for _ in 0..100_000 {
            assert_eq!(outbox.send(said(1000)), Ok(()), "an update");
        }
        let more = (0..1_000_000).find_map(|_| outbox.send(said(1000)).err());
        assert_eq!(more, Some(SendError::TooSlow));
        assert!(kill.is_cancelled());
        drop(outflow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_for_too_long_is_cut() {
        let (outbox, mut outflow, _stop, kill) = open(LinkLimits::default(), 15_000);
        outbox.send(event(Type::Offers)).unwrap();
        outbox.send(event(Type::Offers)).unwrap();
        let watch = outflow.watch();
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(outflow.next().await.is_some());
        let begun = Instant::now();
        assert_eq!(watch.over().await, LinkEnd::TooSlow);
        assert!(
            begun.elapsed() >= Duration::from_secs(60) && begun.elapsed() < Duration::from_secs(80),
            "{:?}",
            begun.elapsed()
        );
        assert!(kill.is_cancelled());
    }

    #[tokio::test]
    async fn stopping_delivers_what_waits_and_ends() {
        let (outbox, mut outflow, stop, kill) = open(LinkLimits::default(), 15_000);
        outbox.send(event(Type::Offers)).unwrap();
        stop.cancel();
        assert!(outflow.next().await.is_some());
        assert!(outflow.next().await.is_none());
        assert_eq!(outflow.watch().over().await, LinkEnd::Stopped);
        assert!(!kill.is_cancelled(), "other requests of the connection may finish");
    }

    #[tokio::test]
    async fn both_ends_notice_the_other() {
        let (outbox, outflow, ..) = open(LinkLimits::default(), 15_000);
        let watch = outflow.watch();
        drop(outflow);
        outbox.gone().await;
        assert_eq!(watch.over().await, LinkEnd::PeerGone);
        let (outbox, mut outflow, ..) = open(LinkLimits::default(), 15_000);
        outbox.send(event(Type::Offers)).unwrap();
        drop(outbox);
        assert!(outflow.next().await.is_some());
        assert!(outflow.next().await.is_none());
        assert_eq!(outflow.watch().over().await, LinkEnd::Closed);
    }
}
