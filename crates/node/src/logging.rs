//! How much this process logs, which operators can change for a while.
//!
//! Relies on whoever started the log to say how it is changed. The log is the process's, and so is this.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use holdfast_wire::{LogWish, Refusal};

/// The longest time that a level lasts: a week.
const LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How the log of this process is changed.
static CONTROL: OnceLock<LogControl> = OnceLock::new();

/// A log whose level can be changed.
struct LogControl {
    /// Logs at this level from now on; 0 is what it was started with.
    apply: Box<dyn Fn(u32) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    level: u32,
    /// How often it was changed.
    changes: u64,
}

impl LogControl {
    fn new(apply: Box<dyn Fn(u32) + Send + Sync>) -> LogControl {
        LogControl { apply, state: Mutex::default() }
    }

    fn level(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).level
    }

    /// Changes the level; the number of this change.
    fn set(&self, level: u32) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { level, changes: state.changes + 1 };
        (self.apply)(level);
        state.changes
    }

    /// Back to how it was started, unless the level was changed again since.
    fn end(&self, change: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.changes == change {
            state.level = 0;
            (self.apply)(0);
        }
    }
}

/// The log of this process can be changed by this from now on; the first one who says so is believed.
pub fn install(apply: Box<dyn Fn(u32) + Send + Sync>) {
    CONTROL.get_or_init(|| LogControl::new(apply));
}

/// Carries out a wish, if there is one; how much is logged now.
///
/// # Errors
/// 501 in a process whose log was not started by this program, 400 for a time that is too long.
pub fn change(wish: Option<LogWish>) -> Result<u32, Refusal> {
    let Some(control) = CONTROL.get() else {
        return Err(Refusal::not_implemented("the log of this process cannot be changed"));
    };
    let Some(LogWish { level, lasts }) = wish else { return Ok(control.level()) };
    if LASTS_MAX < lasts {
        return Err(Refusal::bad_request(
            "duration: is longer than a week; start the process with RUST_LOG instead",
        ));
    }
    let change = control.set(level);
    tracing::info!(level, seconds = lasts.as_secs(), "the level of the log was set by an operator");
    tokio::spawn(async move {
        // tidy: sleep is the point: the level lasts so long as an operator said
        tokio::time::sleep(lasts).await;
        control.end(change);
    });
    Ok(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn only_the_last_change_ends_what_it_began() {
        let applied: Arc<Mutex<Vec<u32>>> = Arc::default();
        let noted = applied.clone();
        let control = LogControl::new(Box::new(move |level| noted.lock().unwrap().push(level)));
        let first = control.set(1);
        let second = control.set(2);
        control.end(first);
        assert_eq!(control.level(), 2);
        control.end(second);
        assert_eq!((control.level(), applied.lock().unwrap().clone()), (0, vec![1, 2, 0]));
    }
}
