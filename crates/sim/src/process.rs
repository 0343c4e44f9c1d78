//! A simulated process: it lives, pauses, dies between two effects and starts again with a new
//! life.
//!
//! It relies on nothing. It never knows what runs in it.

use holdfast_model::Instant;

use crate::rng::Rng;

/// What a fault does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessFault {
    /// It dies, and starts again after so many milliseconds.
    Die(u64),
    /// It stops for so many milliseconds, in the middle of what it does.
    Pause(u64),
}

/// A fault that strikes between two effects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    /// How many more effects (or commits) pass by.
    pub(crate) countdown: u32,
    /// Whether it strikes right before or after a commit only.
    pub(crate) at_commits: bool,
    pub(crate) blow: ProcessFault,
}

/// A simulated process.
#[derive(Debug)]
pub struct Process {
    /// The number of its starts and deaths.
    pub life: u64,
    /// Whether it runs.
    pub up: bool,
    /// The time until which it is paused.
    pub(crate) paused_until: Option<Instant>,
    pub(crate) tick_at: Option<Instant>,
    pub(crate) armed: Option<Armed>,
    pub(crate) ids: Rng,
}

impl Process {
    pub(crate) fn new(ids: Rng) -> Process {
        Process { life: 0, up: false, paused_until: None, tick_at: None, armed: None, ids }
    }

    pub(crate) fn start(&mut self) {
        self.life += 1;
        (self.up, self.paused_until, self.tick_at) = (true, None, None);
    }

    pub(crate) fn die(&mut self) {
        self.life += 1;
        (self.up, self.paused_until, self.tick_at, self.armed) = (false, None, None, None);
    }

    /// Whether a fault strikes before this effect.
    pub(crate) fn struck(&mut self, is_commit: bool, after_commit: bool) -> Option<ProcessFault> {
        let armed = self.armed.as_mut()?;
        if armed.at_commits && !is_commit && !after_commit {
            return None;
        }
        if 0 < armed.countdown {
            armed.countdown -= 1;
            return None;
        }
        self.armed.take().map(|it| it.blow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blow_waits_for_its_moment() {
        let mut process = Process::new(Rng::new(1));
        process.armed = Some(Armed { countdown: 1, at_commits: true, blow: ProcessFault::Die(5) });
        assert_eq!(process.struck(false, false), None);
        assert_eq!(process.struck(true, false), None);
        assert_eq!(process.struck(false, false), None);
        assert_eq!(process.struck(false, true), Some(ProcessFault::Die(5)));
        assert_eq!(process.struck(true, true), None);
    }
}
