//! Frameworks that quota left short of something that is there: they are asked again when something has moved, but not more than once a
//! second, since that looks at all agents.
//!
//! Relies on being told that something has moved. It never decides what anybody may have.

use std::collections::BTreeSet;

use holdfast_model::{FrameworkId, Instant};

/// How long they wait at least, in milliseconds.
const WAIT_MS: u64 = 1_000;

/// Those that were left short.
#[derive(Debug, Default)]
pub(super) struct ShortOfQuota {
    frameworks: BTreeSet<FrameworkId>,
    /// Whether somebody may have less, or something may be free, since they were asked last.
    has_moved: bool,
    due: Option<Instant>,
}

impl ShortOfQuota {
    pub(super) fn add(&mut self, frameworks: BTreeSet<FrameworkId>) {
        self.frameworks.extend(frameworks);
    }

    /// What somebody has, or what is free, has changed.
    pub(super) fn moved(&mut self) {
        self.has_moved = true;
    }

    /// When they are to be asked next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn end_step(&mut self, now: Instant) {
        if self.due.is_none() && self.has_moved && !self.frameworks.is_empty() {
            self.due = Some(now.plus_ms(WAIT_MS));
        }
    }

    /// Those that are to be asked now.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeSet<FrameworkId> {
        if self.due.is_none_or(|due| now < due) {
            return BTreeSet::new();
        }
        (self.due, self.has_moved) = (None, false);
        std::mem::take(&mut self.frameworks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_asked_after_a_while_if_something_has_moved() {
        let one = || BTreeSet::from([FrameworkId::made("F1".to_owned())]);
        let mut short = ShortOfQuota::default();
        short.add(one());
        short.end_step(Instant(0));
        assert_eq!(short.due(), None, "nothing has moved");
        short.moved();
        short.end_step(Instant(100));
        short.end_step(Instant(700));
        assert_eq!(short.take_due(Instant(1_099)), BTreeSet::new());
        assert_eq!(short.take_due(Instant(1_100)), one());
        short.add(one());
        short.end_step(Instant(1_100));
        assert_eq!(short.due(), None, "being asked moves nothing");
    }
}
