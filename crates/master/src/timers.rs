//! What is due, and when. Timers need not be taken back: what fires too early, or for what is no more, is a no-op.

use holdfast_model::Instant;

use crate::state::Timer;
use crate::Master;

impl Master {
    /// When the next [`crate::Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.filters.next_expiry()).min()
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        let offered_again = self.filters.expire(now);
        self.dirty.extend(offered_again);
        while let Some((at, _)) = self.timers.first() {
            if now < *at {
                break;
            }
            let Some((_, timer)) = self.timers.pop_first() else { break };
            self.fire(now, timer);
        }
    }

    fn fire(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Offer(offer) => {
                let due = |made: Instant| {
                    self.config.offer_timeout_ms.is_some_and(|ms| made.plus_ms(ms) <= now)
                };
                if self.offers.get(&offer).is_some_and(|it| due(it.made)) {
                    self.rescind(&offer);
                }
            }
            Timer::Framework(framework) => {
                let record = self.ledger.frameworks.get(&framework);
                if record.is_some_and(|it| {
                    !it.removed && it.deadline.is_some_and(|deadline| deadline <= now)
                }) {
                    self.log(format!("framework {framework} did not come back in time; it is removed, its claims stay"));
                    self.remove_framework(now, &framework);
                }
            }
            Timer::Agent(agent) => {
                if self.is_overdue(now, &agent) {
                    self.agent_unreachable(now, &agent);
                }
            }
            Timer::Ping(agent, link) => self.ping(now, &agent, link),
        }
    }

    pub(crate) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// Forgets a timer that nobody needs any more; for those that clients could pile up.
    pub(crate) fn clear_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.remove(&(at, timer));
    }
}
