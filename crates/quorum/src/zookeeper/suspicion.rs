//! Whether a standby has seen enough to depose the leader (S6).
//!
//! Pure: time and what was seen come in, a word comes out. It never takes the silence of one side for evidence: the leader must be
//! silent on the direct link *and* overdue in the ensemble. It never counts time in which the standby itself was not there to look.

use std::time::Duration;

use tokio::time::Instant;

use super::beat::Beat;
use crate::leadership::DirectAnswer;

/// Beats in the time after which a silent leader is deposed.
pub(crate) const BEATS_IN_LIMIT: u32 = 10;
/// A leader whose process is seen to be gone is overdue after this part of that time.
const PART_FOR_BROKEN: u32 = 4;
/// Beats of a leader that must be missed at least, however short the time is that was set.
const BEATS_MISSED_MIN: u32 = 2;
/// How often the time is doubled, at most.
const DOUBLINGS_MAX: u32 = 5;
/// A leader who was well for so many times the limit shows that deposing has helped.
const WELL_FOR: u32 = 10;

/// What was seen at one look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The lowest election node.
    pub leader: String,
    /// The last beat, and the version of its node.
    pub beat: Option<(Beat, i32)>,
    /// What the direct link says.
    pub link: DirectAnswer,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    Wait,
    /// Nothing was heard for so long; the node of beats must still have this version.
    Depose {
        silent_for: Duration,
        beat_version: i32,
    },
}

/// What is known of the leader. See the module.
#[derive(Debug)]
pub(crate) struct Suspicion {
    limit: Duration,
    leader: String,
    /// Since when it leads, as far as was seen.
    since: Instant,
    beat_version: Option<i32>,
    beaten_at: Instant,
    answered_at: Instant,
    looked_at: Instant,
    /// The last term that was ended from here.
    deposed_term: u64,
    doublings: u32,
}

impl Suspicion {
    pub fn new(limit: Duration, now: Instant) -> Suspicion {
        Suspicion {
            limit,
            leader: String::new(),
            since: now,
            beat_version: None,
            beaten_at: now,
            answered_at: now,
            looked_at: now,
            deposed_term: 0,
            doublings: 0,
        }
    }

    /// The leader may have been heard while nobody here was there to hear it.
    pub fn begin_anew(&mut self, now: Instant) {
        (self.beaten_at, self.answered_at, self.looked_at) = (now, now, now);
    }

    /// What a look tells.
    pub fn see(&mut self, now: Instant, look: &Look) -> Advice {
        if look.leader != self.leader {
            self.leader.clone_from(&look.leader);
            (self.since, self.beat_version) = (now, None);
            self.begin_anew(now);
        }
        if self.limit / 2 < now.saturating_duration_since(self.looked_at) {
            self.begin_anew(now);
        }
        self.looked_at = now;
        if look.link == DirectAnswer::Answers {
            self.answered_at = now;
        }
        let version = look.beat.as_ref().map(|it| it.1);
        if self.beat_version != version {
            (self.beat_version, self.beaten_at) = (version, now);
        }
        let silent_for = now.saturating_duration_since(self.beaten_at.max(self.answered_at));
        if silent_for.is_zero() && self.limit * WELL_FOR < now.saturating_duration_since(self.since)
        {
            self.doublings = 0;
        }
        // Who has not opened a term, or is of a version that sends no beats, is left to its session's end.
        let Some((beat, version)) = look.beat.as_ref().filter(|it| it.0.candidate == self.leader)
        else {
            return Advice::Wait;
        };
        let is_due = self.limit_for(look.link, beat.every) <= silent_for;
        match is_due && self.deposed_term < beat.term {
            true => Advice::Depose { silent_for, beat_version: *version },
            false => Advice::Wait,
        }
    }

    /// The leader of this term was deposed: that is done once.
    pub fn deposed(&mut self, term: u64, link: DirectAnswer) {
        self.deposed_term = term;
        // A process that is gone is no false alarm.
        if link == DirectAnswer::Silent {
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
        }
    }

    fn limit_for(&self, link: DirectAnswer, beats_every: Duration) -> Duration {
        let limit = match link {
            DirectAnswer::Broken => self.limit / PART_FOR_BROKEN,
            DirectAnswer::Answers | DirectAnswer::Silent => self.limit * (1 << self.doublings),
        };
        limit.max(beats_every * BEATS_MISSED_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);
    const STEP: Duration = Duration::from_millis(200);

    struct Watch {
        suspicion: Suspicion,
        now: Instant,
        beat: Beat,
        version: i32,
    }

    impl Watch {
        fn new() -> Watch {
            let now = Instant::now();
            let beat = Beat { candidate: "a".to_owned(), term: 1, every: STEP };
            Watch { suspicion: Suspicion::new(LIMIT, now), now, beat, version: 1 }
        }

        fn see_after(&mut self, step: Duration, link: DirectAnswer, beats: bool) -> Advice {
            self.now += step;
            self.version += i32::from(beats);
            let leader = self.beat.candidate.clone();
            let beat = Some((self.beat.clone(), self.version));
            self.suspicion.see(self.now, &Look { leader, beat, link })
        }

        /// How long until it is deposed; `None` when it is not within so many looks.
        fn deposed_after(
            &mut self,
            looks: u32,
            link: DirectAnswer,
            beats: bool,
        ) -> Option<Duration> {
            let begin = self.now;
            (0..looks)
                .any(|_| self.see_after(STEP, link, beats) != Advice::Wait)
                .then(|| self.now - begin)
        }

        /// The next one leads.
        fn succeeded(&mut self) {
            self.beat.candidate.push('a');
            self.beat.term += 1;
            assert_eq!(self.see_after(STEP, DirectAnswer::Answers, true), Advice::Wait);
        }
    }

    #[test]
    fn one_sides_silence_is_no_evidence() {
        let mut watch = Watch::new();
        for link in [DirectAnswer::Silent, DirectAnswer::Broken] {
            assert_eq!(watch.deposed_after(1_000, link, true), None, "it beats in the ensemble");
        }
        let answers = watch.deposed_after(1_000, DirectAnswer::Answers, false);
        assert_eq!(
            answers, None,
            "it answers, and does not reach the ensemble: it stops by itself"
        );
    }

    #[test]
    fn who_is_silent_on_both_sides_is_deposed_and_sooner_when_its_process_is_gone() {
        let mut watch = Watch::new();
        watch.see_after(STEP, DirectAnswer::Answers, true);
        assert_eq!(watch.deposed_after(50, DirectAnswer::Silent, false), Some(LIMIT));
        let mut watch = Watch::new();
        watch.see_after(STEP, DirectAnswer::Answers, true);
        let gone = watch.deposed_after(50, DirectAnswer::Broken, false).unwrap();
        assert!(LIMIT / 4 <= gone && gone < LIMIT / 2, "{gone:?}");
    }

    #[test]
    fn a_standby_that_was_not_there_to_look_begins_anew() {
        let mut watch = Watch::new();
        watch.see_after(STEP, DirectAnswer::Answers, true);
        assert_eq!(watch.deposed_after(9, DirectAnswer::Silent, false), None);
        let after_a_gap = watch.see_after(LIMIT * 30, DirectAnswer::Silent, false);
        assert_eq!(after_a_gap, Advice::Wait, "the machine slept, not the leader");
        assert_eq!(watch.deposed_after(50, DirectAnswer::Silent, false), Some(LIMIT));
    }

    #[test]
    fn a_term_is_ended_once_and_each_time_that_is_slower() {
        let mut watch = Watch::new();
        watch.see_after(STEP, DirectAnswer::Answers, true);
        let mut took = Vec::new();
        for _ in 0..4 {
            took.extend(watch.deposed_after(1_000, DirectAnswer::Silent, false));
            watch.suspicion.deposed(watch.beat.term, DirectAnswer::Silent);
            let again = watch.deposed_after(1_000, DirectAnswer::Silent, false);
            assert_eq!(again, None, "this term was ended already");
            watch.succeeded();
        }
        assert_eq!(took, [LIMIT, LIMIT * 2, LIMIT * 4, LIMIT * 8]);
        assert_eq!(watch.deposed_after(200, DirectAnswer::Answers, true), None);
        let later = watch.deposed_after(1_000, DirectAnswer::Silent, false);
        assert_eq!(later, Some(LIMIT), "a leader was well for long: it had helped");
    }

    #[test]
    fn who_has_never_sent_a_beat_is_left_to_its_sessions_end() {
        let mut watch = Watch::new();
        for beat in [None, Some((Beat { candidate: "b".to_owned(), ..watch.beat.clone() }, 1))] {
            for _ in 0..100 {
                watch.now += STEP;
                let (leader, link) = ("a".to_owned(), DirectAnswer::Broken);
                let look = Look { leader, beat: beat.clone(), link };
                assert_eq!(watch.suspicion.see(watch.now, &look), Advice::Wait);
            }
        }
    }

    #[test]
    fn a_leader_that_was_told_to_beat_seldom_is_given_the_time() {
        let mut watch = Watch::new();
        watch.beat.every = LIMIT;
        watch.see_after(STEP, DirectAnswer::Answers, true);
        let gone = watch.deposed_after(1_000, DirectAnswer::Broken, false);
        assert_eq!(gone, Some(LIMIT * BEATS_MISSED_MIN));
    }
}
