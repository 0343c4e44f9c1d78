//! A core that cannot publish views yet: it is lent to readers between two batches, and taken back for the next one.
//!
//! Readers see what they would see in a view (nothing is lent before it is durable), but hold the loop while they read. Each use goes once
//! its core makes views of its own; then this file does.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The loop's side.
pub struct Lent<C> {
    place: Reader<C>,
    /// The core, while the loop has it.
    taken: RefCell<Option<Box<C>>>,
}

/// A reader's side.
pub struct Reader<C>(Arc<Place<C>>);

struct Place<C> {
    core: Mutex<Option<Box<C>>>,
    is_back: Condvar,
}

impl<C> Lent<C> {
    /// Lends this core from the start.
    pub fn new(core: C) -> Lent<C> {
        let place = Place { core: Mutex::new(Some(Box::new(core))), is_back: Condvar::new() };
        Lent { place: Reader(Arc::new(place)), taken: RefCell::new(None) }
    }

    /// Takes the core back, once nobody reads it, until [`Lent::lend`].
    pub fn take(&mut self) -> &mut C {
        let place = &self.place;
        self.taken
            .get_mut()
            .get_or_insert_with(|| place.lock().take().expect("only the loop takes it"))
    }

    /// Lends the core.
    pub fn lend(&self) -> Reader<C> {
        if let Some(core) = self.taken.take() {
            *self.place.lock() = Some(core);
            self.place.0.is_back.notify_all();
        }
        Reader(self.place.0.clone())
    }

    /// Looks at the core, wherever it is.
    pub fn with<T>(&self, look: impl FnOnce(&C) -> T) -> T {
        match &*self.taken.borrow() {
            Some(core) => look(core),
            None => self.place.with(look),
        }
    }
}

impl<C> Reader<C> {
    /// Looks at the core, once it is lent.
    pub fn with<T>(&self, look: impl FnOnce(&C) -> T) -> T {
        let core = self.0.is_back.wait_while(self.lock(), |core| core.is_none());
        look(core.unwrap_or_else(PoisonError::into_inner).as_ref().expect("it was waited for"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<C>>> {
        // A reader that panicked has changed nothing.
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
