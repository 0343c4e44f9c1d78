//! The list of every durable step, so that a test can crash after each of them.
//!
//! What it is for: each call that changes a disk announces itself here first. In tests a thread can
//! ask for a "crash" at step n, and can read back the order of the steps. What it relies on:
//! nothing. What it never does: anything at all in a build that is not a test.

#[cfg(not(test))]
use std::io;

/// Announces a step that is about to be done.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn step(_verb: &'static str, _on: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use watched::{crash_at, record, step};

#[cfg(test)]
mod watched {
    use std::cell::RefCell;
    use std::io;

    #[derive(Default)]
    struct Watch {
        steps: Vec<String>,
        crash_at: Option<usize>,
        crashed: bool,
    }

    thread_local! {
        static WATCH: RefCell<Watch> = RefCell::default();
    }

    /// Announces a step; fails if the test has the process crash just before it.
    pub(crate) fn step(verb: &'static str, on: &str) -> io::Result<()> {
        WATCH.with_borrow_mut(|watch| {
            if watch.crash_at == Some(watch.steps.len()) {
                watch.crashed = true;
                return Err(io::Error::other("simulated crash"));
            }
            watch.steps.push(format!("{verb} {on}"));
            Ok(())
        })
    }

    /// Runs `work` and returns the steps that it took.
    pub(crate) fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
        WATCH.with_borrow_mut(|watch| *watch = Watch::default());
        let result = work();
        (result, WATCH.with_borrow_mut(|watch| std::mem::take(watch).steps))
    }

    /// Runs `work` with a crash just before step `n` and each later one (a dead process does
    /// nothing more). Returns whether the crash happened.
    pub(crate) fn crash_at<T>(n: usize, work: impl FnOnce() -> T) -> (T, bool) {
        WATCH.with_borrow_mut(|watch| *watch = Watch { crash_at: Some(n), ..Watch::default() });
        let result = work();
        (result, WATCH.with_borrow_mut(|watch| std::mem::take(watch).crashed))
    }
}
