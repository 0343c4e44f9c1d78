//! The process that fetches what a task wants, the hidden verb `fetch-worker`. It runs in a container of its own, as the task's user.
//!
//! Relies on `containers` for all that it does. Never decides what is fetched: the plan in its environment does.

/// Fetches; returns the exit code.
pub fn main() -> i32 {
    holdfast_containers::fetch_main()
}
