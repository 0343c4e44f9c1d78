//! Waiting for a condition, with a deadline. Relies on the clock; never waits longer than it said, and never without saying for what.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long anything may take that happens within a cluster on one machine, with plenty to spare for a busy one.
pub const SOON: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to see; `Err` says what was seen instead. Panics with the last of those after `limit`.
pub fn until_within<T, E: Display>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(why) if end <= Instant::now() => {
                panic!("{what}: not within {limit:?}; last seen: {why}")
            }
            // tidy: sleep is the point: other processes do not announce what is looked for here
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// [`until_within`] the usual time.
pub fn until<T, E: Display>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    until_within(what, SOON, look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_again_and_gives_up_in_time() {
        let mut left = 3;
        let look = || {
            left -= 1;
            if left == 0 {
                Ok(7)
            } else {
                Err(format!("{left} to go"))
            }
        };
        assert_eq!(until("a number", look), 7);
        let never =
            || until_within("nothing", Duration::from_millis(1), || Err::<(), _>("still nothing"));
        assert!(std::panic::catch_unwind(never).is_err());
    }
}
