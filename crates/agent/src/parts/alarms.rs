//! What is due, and when: one alarm of each name, and how often it rang in vain.
//!
//! Relies on nothing but order. Never looks at a clock; the time comes in.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{ClaimId, ExecutorKey, Instant, OperationUuid, TaskKey};

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// An executor that must subscribe, come back, or end.
    Executor(ExecutorKey),
    /// A task that must end after its kill.
    Kill(TaskKey),
    /// A task's update that must be acknowledged.
    Update(TaskKey),
    /// An operation's outcome that must be acknowledged.
    Operation(OperationUuid),
    /// A volume that would not go to the trash.
    Trash(ClaimId),
    /// Disks that are to be looked at again.
    Disks,
    /// News for the master, which wait for launches that a report would not name.
    News,
}

/// All alarms that are set.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    times: BTreeMap<Alarm, Instant>,
    order: BTreeSet<(Instant, Alarm)>,
    delays_ms: BTreeMap<Alarm, u64>,
}

impl Alarms {
    /// Sets an alarm, in place of an earlier one of that name.
    pub(crate) fn set(&mut self, alarm: Alarm, at: Instant) {
        if let Some(old) = self.times.insert(alarm.clone(), at) {
            self.order.remove(&(old, alarm.clone()));
        }
        self.order.insert((at, alarm));
    }

    /// Sets an alarm after `min_ms`, and each time after twice as long, up to `max_ms`.
    pub(crate) fn retry(&mut self, alarm: Alarm, now: Instant, min_ms: u64, max_ms: u64) {
        let delay_ms =
            self.delays_ms.get(&alarm).map_or(min_ms, |it| it.saturating_mul(2)).min(max_ms).max(1);
        self.delays_ms.insert(alarm.clone(), delay_ms);
        self.set(alarm, now.plus_ms(delay_ms));
    }

    /// Takes an alarm back, with its count of retries.
    pub(crate) fn clear(&mut self, alarm: &Alarm) {
        if let Some(at) = self.times.remove(alarm) {
            self.order.remove(&(at, alarm.clone()));
        }
        self.delays_ms.remove(alarm);
    }

    /// Takes back all alarms that `which` names.
    pub(crate) fn clear_all(&mut self, which: impl Fn(&Alarm) -> bool) {
        let named: Vec<Alarm> = self.times.keys().filter(|it| which(it)).cloned().collect();
        named.iter().for_each(|alarm| self.clear(alarm));
    }

    /// Sets an alarm unless one of that name rings earlier.
    pub(crate) fn set_earlier(&mut self, alarm: Alarm, at: Instant) {
        if self.at(&alarm).is_none_or(|it| at < it) {
            self.set(alarm, at);
        }
    }

    /// When an alarm of this name rings.
    pub(crate) fn at(&self, alarm: &Alarm) -> Option<Instant> {
        self.times.get(alarm).copied()
    }

    /// When the first one rings.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// When the first one rings, that of the disks, which are looked at for ever, aside.
    #[cfg(test)]
    pub(crate) fn next_beside_disks(&self) -> Option<Instant> {
        self.order.iter().find(|(_, alarm)| *alarm != Alarm::Disks).map(|(at, _)| *at)
    }

    /// Those that ring by now, in order; they are set no longer, but their retries are remembered.
    pub(crate) fn ring(&mut self, now: Instant) -> Vec<Alarm> {
        let mut due = Vec::new();
        while self.order.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, alarm)) = self.order.pop_first() else { break };
            self.times.remove(&alarm);
            due.push(alarm);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{FrameworkId, TaskId};

    fn alarm(name: &str) -> Alarm {
        Alarm::Kill((FrameworkId::made("f".to_owned()), TaskId::made(name.to_owned())))
    }

    #[test]
    fn an_alarm_of_a_name_rings_once_and_last_set_wins() {
        let mut alarms = Alarms::default();
        alarms.set(alarm("a"), Instant(10));
        alarms.set(alarm("a"), Instant(20));
        alarms.set(alarm("b"), Instant(15));
        assert_eq!(alarms.next(), Some(Instant(15)));
        assert_eq!(alarms.ring(Instant(14)), vec![]);
        assert_eq!(alarms.ring(Instant(20)), vec![alarm("b"), alarm("a")]);
        assert_eq!((alarms.next(), alarms.ring(Instant(99))), (None, vec![]));
    }

    #[test]
    fn retries_double_up_to_the_limit_and_start_again_when_cleared() {
        let (mut alarms, mut delays) = (Alarms::default(), Vec::new());
        for _ in 0..5 {
            alarms.retry(alarm("a"), Instant(0), 10, 60);
            delays.extend(alarms.next());
            assert_eq!(alarms.ring(Instant(60)).len(), 1);
        }
        assert_eq!(delays, [10, 20, 40, 60, 60].map(Instant));
        alarms.clear(&alarm("a"));
        alarms.retry(alarm("a"), Instant(0), 10, 60);
        assert_eq!(alarms.at(&alarm("a")), Some(Instant(10)));
    }
}
