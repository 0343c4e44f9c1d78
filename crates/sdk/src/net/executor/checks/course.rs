//! The course of a health check and of a check: when to look next, and what follows from what was
//! seen (I11).
//!
//! Pure: times are given as the time since the task's start. A course never ends a task itself; it
//! says that it is to be ended.

use std::time::Duration;

use holdfast_model::{HealthCheck, Probe, Seen, Timing};

/// The shortest pause between two looks, whatever is asked for: looking is not free.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The outcome of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Look {
    /// What was seen; `None` when it could not be made, or took too long.
    pub seen: Option<Seen>,
    /// What happened, for people.
    pub words: String,
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum News {
    /// The task is healthy, for the first time or again.
    Healthy,
    /// A look of the health check failed.
    Unhealthy {
        /// What happened, for people.
        words: String,
        /// Whether it was the last failure that is borne.
        is_enough: bool,
    },
    /// The check sees something else than before.
    Seen(Option<Seen>),
}

/// When a look is due.
#[derive(Debug)]
struct Pace {
    due: Duration,
    interval: Duration,
}

impl Pace {
    fn new(timing: &Timing) -> Pace {
        Pace { due: timing.delay, interval: timing.interval.max(INTERVAL_MIN) }
    }

    fn looked(&mut self, at: Duration) {
        self.due = at.saturating_add(self.interval);
    }
}

/// The course of a health check.
#[derive(Debug)]
pub(super) struct HealthCourse {
    pace: Pace,
    probe: Probe,
    failures_max: u32,
    grace: Duration,
    failures: u32,
    /// Whether it has not succeeded yet.
    is_new: bool,
}

/// The course of a check.
#[derive(Debug)]
pub(super) struct CheckCourse {
    pace: Pace,
    last: Option<Seen>,
}

impl HealthCourse {
    pub fn new(check: &HealthCheck) -> HealthCourse {
        HealthCourse {
            pace: Pace::new(&check.timing),
            probe: check.probe.clone(),
            failures_max: check.failures_max.max(1),
            grace: check.grace,
            failures: 0,
            is_new: true,
        }
    }

    fn looked(&mut self, at: Duration, look: &Look) -> Option<News> {
        self.pace.looked(at);
        if look.seen.is_some_and(|it| self.probe.is_well(it)) {
            let is_news = self.is_new || 0 < self.failures;
            (self.is_new, self.failures) = (false, 0);
            return is_news.then_some(News::Healthy);
        }
        if self.is_new && !self.grace.is_zero() && at <= self.grace {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        Some(News::Unhealthy {
            words: format!(
                "health check failed {} time{} in a row, {} end{} the task: {}",
                self.failures,
                if self.failures == 1 { "" } else { "s" },
                self.failures_max,
                if self.failures_max == 1 { "s" } else { "" },
                look.words
            ),
            is_enough: self.failures_max <= self.failures,
        })
    }
}

impl CheckCourse {
    pub fn new(timing: &Timing) -> CheckCourse {
        CheckCourse { pace: Pace::new(timing), last: None }
    }

    fn looked(&mut self, at: Duration, look: &Look) -> Option<News> {
        self.pace.looked(at);
        let is_news = self.last != look.seen;
        self.last = look.seen;
        is_news.then_some(News::Seen(look.seen))
    }
}

/// Either course.
#[derive(Debug)]
pub(super) enum Course {
    Health(HealthCourse),
    Check(CheckCourse),
}

impl Course {
    /// When to look next, since the task's start.
    pub fn due(&self) -> Duration {
        match self {
            Course::Health(it) => it.pace.due,
            Course::Check(it) => it.pace.due,
        }
    }

    /// Takes the outcome of a look that ended at this time since the task's start.
    pub fn looked(&mut self, at: Duration, look: &Look) -> Option<News> {
        match self {
            Course::Health(it) => it.looked(at, look),
            Course::Check(it) => it.looked(at, look),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMING: Timing =
        Timing { delay: Duration::from_secs(5), interval: Duration::from_secs(2), timeout: None };

    fn health(failures_max: u32, grace: Duration) -> Course {
        Course::Health(HealthCourse::new(&HealthCheck {
            probe: Probe::Tcp { port: 1, is_ipv6: false },
            timing: TIMING,
            failures_max,
            grace,
        }))
    }

    fn look(seen: Option<Seen>) -> Look {
        Look { seen, words: "it was so".to_owned() }
    }

    /// What is told of a row of looks: `+` healthy, `-` unhealthy, `!` enough, `.` nothing.
    fn told(mut course: Course, rows: &[(u32, bool)]) -> String {
        let mut told = String::new();
        for (at, well) in rows {
            let seen = look(Some(Seen::Connected(*well)));
            told.push(match course.looked(*at * SECOND, &seen) {
                None => '.',
                Some(News::Healthy) => '+',
                Some(News::Unhealthy { is_enough: false, .. }) => '-',
                Some(News::Unhealthy { is_enough: true, .. }) => '!',
                Some(News::Seen(_)) => '?',
            });
        }
        told
    }

    #[test]
    fn i11_the_first_look_is_due_after_the_delay_and_the_next_after_the_interval() {
        let mut course = health(3, Duration::ZERO);
        assert_eq!(course.due(), 5 * SECOND);
        course.looked(9 * SECOND, &look(None));
        assert_eq!(course.due(), 11 * SECOND, "from the end of the look");
        let timing = Timing { delay: Duration::ZERO, interval: Duration::ZERO, timeout: None };
        let mut course = Course::Check(CheckCourse::new(&timing));
        assert_eq!(course.due(), Duration::ZERO);
        course.looked(SECOND, &look(None));
        assert_eq!(course.due(), SECOND + INTERVAL_MIN);
    }

    #[test]
    fn i11_what_follows_from_an_outcome() {
        let (none, ten) = (Duration::ZERO, 10 * SECOND);
        for (failures_max, grace, rows, expected) in [
            // The first success is told, and the first after failures.
            (3, none, vec![(1, true), (2, true), (3, false), (4, true), (5, true)], "+.-+."),
            // Failures in a row end the task; a success in between begins anew.
            (3, none, vec![(1, false), (2, false), (3, false)], "--!"),
            (2, none, vec![(1, false), (2, true), (3, false), (4, false)], "-+-!"),
            (1, none, vec![(1, false)], "!"),
            (0, none, vec![(1, false)], "!"),
            // In the grace period failures do not count, until the first success.
            (1, ten, vec![(1, false), (10, false), (11, false)], "..!"),
            (2, ten, vec![(1, true), (2, false), (3, false)], "+-!"),
            (2, ten, vec![(1, false), (2, true)], ".+"),
        ] {
            assert_eq!(told(health(failures_max, grace), &rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn i11_a_look_that_could_not_be_made_is_a_failure_and_is_said_in_words() {
        let mut course = health(2, Duration::ZERO);
        let Some(News::Unhealthy { words, is_enough }) = course.looked(SECOND, &look(None)) else {
            panic!("it is unhealthy")
        };
        assert!(!is_enough);
        assert_eq!(words, "health check failed 1 time in a row, 2 end the task: it was so");
    }

    #[test]
    fn i11_a_check_tells_only_what_changed() {
        let mut course = Course::Check(CheckCourse::new(&TIMING));
        let (good, bad) = (Some(Seen::ExitCode(0)), Some(Seen::ExitCode(1)));
        for (seen, news) in [
            (None, None),
            (good, Some(News::Seen(good))),
            (good, None),
            (bad, Some(News::Seen(bad))),
            (None, Some(News::Seen(None))),
            (None, None),
        ] {
            assert_eq!(course.looked(SECOND, &look(seen)), news, "{seen:?}");
        }
    }
}
