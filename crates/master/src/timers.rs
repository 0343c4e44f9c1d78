//! What is due, and when. Timers are never taken back: what fires too early, or for what is no more, is a no-op.

use holdfast_model::Instant;

use crate::state::{AgentHealth, Timer};
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
                let due = |made: Instant| self.config.offer_timeout_ms.is_some_and(|ms| made.plus_ms(ms) <= now);
                if self.offers.get(&offer).is_some_and(|it| due(it.made)) {
                    self.rescind(&offer);
                }
            }
            Timer::Framework(framework) => {
                let record = self.ledger.frameworks.get(&framework);
                if record.is_some_and(|it| !it.removed && it.deadline.is_some_and(|deadline| deadline <= now)) {
                    self.log(format!("framework {framework} did not come back in time; it is removed, its claims stay"));
                    self.remove_framework(&framework);
                }
            }
            Timer::Agent(agent) => {
                let away = self.agents.get(&agent).map(|it| it.health.clone());
                if let Some(AgentHealth::Away(since)) = away {
                    if since.plus_ms(self.config.agent_timeout_ms.min(self.config.reregister_timeout_ms)) <= now {
                        self.agent_unreachable(now, &agent);
                    }
                }
            }
            Timer::Ping(agent, link) => self.ping(now, &agent, link),
        }
    }

    pub(crate) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, timer));
    }
}
