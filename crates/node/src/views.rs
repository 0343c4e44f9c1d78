//! What a loop published last, for everybody who reads: a read renders on a thread of its own, and holds neither the loop nor a thread that
//! serves others.
//!
//! Relies on the loop to publish only what is durable, and on views that cost little to make and to keep. Never lets more reads render at
//! once than leave a core of the machine to the loop; the others wait for their turn.

use std::sync::{Arc, Mutex, PoisonError};

use holdfast_wire::Refusal;
use thiserror::Error;
use tokio::sync::{watch, Semaphore};

/// Why a read has no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// The process ends.
    #[error("stops")]
    Stopping,
    /// The rendering panicked, which is a bug; the state is as it was.
    #[error("could not render the answer; its log says why, please report it")]
    Broken,
}

impl ReadError {
    /// As the caller of `process`, which is a master or an agent, is told.
    pub fn refusal(self, process: &str) -> Refusal {
        match self {
            ReadError::Stopping => Refusal::unavailable(format!("the {process} stops")),
            ReadError::Broken => Refusal::internal(format!("the {process} {self}")),
        }
    }
}

/// The way to the latest view of a core. Cheap to clone.
#[derive(Debug)]
pub struct Views<V>(Arc<Shared<V>>);

#[derive(Debug)]
struct Shared<V> {
    latest: Mutex<Arc<V>>,
    published: watch::Sender<()>,
    readers: Arc<Semaphore>,
}

impl<V> Clone for Views<V> {
    fn clone(&self) -> Self {
        Views(self.0.clone())
    }
}

impl<V: Send + Sync + 'static> Views<V> {
    /// Begins with this view. As many reads render at once as there are cores beside the loop's own.
    pub fn new(first: V) -> Views<V> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Views::with_readers(first, cores.saturating_sub(1).max(1))
    }

    fn with_readers(first: V, readers_max: usize) -> Views<V> {
        let readers = Arc::new(Semaphore::new(readers_max));
        let published = watch::Sender::new(());
        Views(Arc::new(Shared { latest: Mutex::new(Arc::new(first)), published, readers }))
    }

    /// The latest view, for a look that costs next to nothing; what renders an answer is a [`Views::read`].
    pub fn latest(&self) -> Arc<V> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells when there is a later view than at the last look.
    pub fn published(&self) -> watch::Receiver<()> {
        self.0.published.subscribe()
    }

    /// Renders something from the view that is the latest when its turn comes, on a thread that may take its time.
    ///
    /// # Errors
    /// When the process ends, or the rendering panics.
    pub async fn read<T: Send + 'static>(
        &self,
        render: impl FnOnce(&V) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = self.0.readers.clone().acquire_owned().await.map_err(|_| ReadError::Stopping)?;
        let view = self.latest();
        let rendered = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            render(&view)
        });
        rendered.await.map_err(|error| match error.is_panic() {
            true => ReadError::Broken,
            false => ReadError::Stopping,
        })
    }

    /// Makes this the latest view; gives the former one back, whose drop may be the last.
    pub(crate) fn publish(&self, view: V) -> Arc<V> {
        let view = Arc::new(view);
        let former = {
            let mut latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *latest, view)
        };
        self.0.published.send_replace(());
        former
    }
}

/// Drops something large on a thread that nobody waits for.
pub fn drop_elsewhere(large: impl Send + 'static) {
    // Without a thread it is dropped here: that is only slow.
    let _ = std::thread::Builder::new().name("dropper".to_owned()).spawn(move || drop(large));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{channel, Sender};
    use std::thread::ThreadId;

    #[tokio::test]
    async fn a_read_renders_elsewhere_from_the_latest_view() {
        let views = Views::new(1);
        views.publish(2);
        let here = std::thread::current().id();
        let read = views.read(move |view| (*view, std::thread::current().id() == here)).await;
        assert_eq!(read, Ok((2, false)));
    }

    #[tokio::test]
    async fn a_read_that_panics_harms_nobody_else() {
        let views = Views::with_readers(1, 1);
        assert_eq!(views.read(|_| panic!("on purpose")).await, Err::<(), _>(ReadError::Broken));
        assert_eq!(views.read(|view| *view).await, Ok(1), "its turn is over");
    }

    #[tokio::test]
    async fn no_more_reads_render_at_once_than_may() {
        let (views, rendering) = (Views::with_readers((), 2), Arc::new(AtomicUsize::new(0)));
        let reads: Vec<_> = (0..8)
            .map(|_| {
                let (views, rendering) = (views.clone(), rendering.clone());
                tokio::spawn(async move {
                    views
                        .read(move |()| {
                            let at_once = rendering.fetch_add(1, Ordering::SeqCst) + 1;
                            std::thread::yield_now();
                            rendering.fetch_sub(1, Ordering::SeqCst);
                            at_once
                        })
                        .await
                })
            })
            .collect();
        for read in reads {
            assert!((1..=2).contains(&read.await.unwrap().unwrap()));
        }
    }

    /// Tells on which thread it was dropped.
    struct Told(Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(std::thread::current().id());
        }
    }

    #[test]
    fn what_is_large_is_dropped_on_another_thread() {
        let (said, heard) = channel();
        drop_elsewhere(Told(said));
        assert_ne!(heard.recv().unwrap(), std::thread::current().id());
    }
}
