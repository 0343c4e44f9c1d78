//! Links of one kind: the wire names them by stream id, the core by growing numbers.
//!
//! Never reuses a number. An outbox stays until its link is over or the core hangs up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_model::LinkId;
use holdfast_wire::Outbox;
use uuid::Uuid;

/// The links of one kind. Cheap to clone.
#[derive(Debug)]
pub struct Links<E>(Arc<Mutex<Table<E>>>);

#[derive(Debug)]
struct Table<E> {
    last: u64,
    by_stream: HashMap<Uuid, LinkId>,
    outboxes: HashMap<LinkId, Outbox<E>>,
}

impl<E> Clone for Links<E> {
    fn clone(&self) -> Self {
        Links(self.0.clone())
    }
}

impl<E> Default for Links<E> {
    /// None yet.
    fn default() -> Links<E> {
        Links(Arc::new(Mutex::new(Table {
            last: 0,
            by_stream: HashMap::new(),
            outboxes: HashMap::new(),
        })))
    }
}

impl<E> Links<E> {
    /// A new link.
    pub fn open(&self, stream: Uuid, outbox: Outbox<E>) -> LinkId {
        self.with(|table| {
            table.last += 1;
            let link = LinkId(table.last);
            table.by_stream.insert(stream, link);
            table.outboxes.insert(link, outbox);
            link
        })
    }

    /// The link of a stream, if it is open.
    pub fn of(&self, stream: Uuid) -> Option<LinkId> {
        self.with(|table| table.by_stream.get(&stream).copied())
    }

    /// The stream is over; returns its link.
    pub fn over(&self, stream: Uuid) -> Option<LinkId> {
        self.with(|table| {
            let link = table.by_stream.remove(&stream)?;
            table.outboxes.remove(&link);
            Some(link)
        })
    }

    /// Hangs up once everything sent before has been taken.
    pub fn close(&self, link: LinkId) {
        drop(self.with(|table| table.outboxes.remove(&link)));
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.with(|table| table.outboxes.len())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table<E>) -> T) -> T {
        // Nothing in here can panic half-way.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<E: holdfast_wire::LinkMessage> Links<E> {
    /// Sends, if the link is open. A reader that does not keep up is cut off by its outbox; its end is heard of in due time.
    pub fn send(&self, link: LinkId, message: E) {
        self.with(|table| {
            if let Some(outbox) = table.outboxes.get(&link) {
                // Too slow or gone: the wire reports the end of the link by itself.
                let _ = outbox.send(message);
            }
        });
    }
}
