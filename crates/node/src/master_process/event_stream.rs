//! Operators who follow what happens: everything as it stands, then each change.
//!
//! Relies on the views that the core publishes: what changed between two of them is found on a reader's thread, once for all who follow,
//! and for at most a tenth of the time, so that the core never waits for it. What happened between two looks is told together; what came
//! and went between them, offers for example, may not be told at all. Never waits for a reader: one that is slow is cut off, and subscribes
//! again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_api::v1::{events, subscribed};
use holdfast_proto::mesos::v1::master::Event;
use holdfast_wire::Outbox;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::shell::Seen;
use crate::views::{ReadError, Views};

/// As many may follow as in Mesos; then the oldest has to go.
const WATCHERS_MAX: usize = 1000;

/// The shortest time between two looks.
const PACE: Duration = Duration::from_millis(10);

/// Who comes and goes.
enum Word {
    Joined(Uuid, Outbox<Event>),
    Left(Uuid),
}

/// The way to the stream. Cheap to clone.
#[derive(Clone)]
pub struct EventStream {
    words: mpsc::UnboundedSender<Word>,
    watchers: Arc<AtomicUsize>,
}

impl EventStream {
    /// Begins to follow what is published; ends when nobody can join any more.
    pub fn start(views: Views<Seen>, heartbeat_ms: u64) -> EventStream {
        let (sender, words) = mpsc::unbounded_channel();
        let stream = Stream { views, heartbeat_ms, watchers: VecDeque::new(), known: None };
        let watchers = Arc::new(AtomicUsize::new(0));
        tokio::spawn(stream.run(words, watchers.clone()));
        EventStream { words: sender, watchers }
    }

    /// How many follow it.
    pub fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// Somebody wants to follow.
    pub fn join(&self, stream: Uuid, outbox: Outbox<Event>) {
        // When it has ended, so does the process, and the outbox with it.
        let _ = self.words.send(Word::Joined(stream, outbox));
    }

    /// Somebody has left.
    pub fn leave(&self, stream: Uuid) {
        // As above.
        let _ = self.words.send(Word::Left(stream));
    }
}

struct Stream {
    views: Views<Seen>,
    heartbeat_ms: u64,
    /// Oldest first.
    watchers: VecDeque<(Uuid, Outbox<Event>)>,
    /// What all of them have been told; nothing while there are none, so that nothing old is kept.
    known: Option<Arc<Seen>>,
}

impl Stream {
    async fn run(mut self, mut words: mpsc::UnboundedReceiver<Word>, count: Arc<AtomicUsize>) {
        let mut published = self.views.published();
        loop {
            let done = tokio::select! {
                word = words.recv() => match word {
                    Some(word) => self.hear(word).await,
                    None => return,
                },
                seen = published.changed(), if !self.watchers.is_empty() => match seen {
                    Ok(()) => self.tell().await,
                    Err(_) => return,
                },
            };
            match done {
                Ok(()) => {}
                Err(ReadError::Stopping) => return,
                Err(error @ ReadError::Broken) => {
                    tracing::error!("the stream of events {error}; who follows subscribes again");
                    self.watchers.clear();
                }
            }
            count.store(self.watchers.len(), Ordering::Relaxed);
            if self.watchers.is_empty() {
                self.known = None;
            }
        }
    }

    async fn hear(&mut self, word: Word) -> Result<(), ReadError> {
        match word {
            Word::Left(stream) => self.watchers.retain(|(id, _)| *id != stream),
            Word::Joined(stream, outbox) => {
                let known = self.known.get_or_insert_with(|| self.views.latest()).clone();
                let heartbeat_ms = self.heartbeat_ms;
                let first = self.views.read(move |_| subscribed(&known.core, heartbeat_ms)).await?;
                if outbox.send(first).is_ok() {
                    self.watchers.push_back((stream, outbox));
                }
                if WATCHERS_MAX < self.watchers.len() {
                    self.watchers.pop_front();
                }
            }
        }
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), ReadError> {
        let Some(known) = self.known.take() else { return Ok(()) };
        let (began, latest) = (Instant::now(), self.views.latest());
        self.known = Some(latest.clone());
        let told = self.views.read(move |_| events(&known.core, &latest.core)).await?;
        self.watchers
            .retain(|(_, outbox)| told.iter().all(|event| outbox.send(event.clone()).is_ok()));
        // tidy: sleep is the point: what follows takes a tenth of a thread and not all of it
        tokio::time::sleep(PACE.max(9 * began.elapsed())).await;
        Ok(())
    }
}
