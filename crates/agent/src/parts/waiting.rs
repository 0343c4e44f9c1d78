//! What waits for something that is under way: operations for the space of a volume on its way to the trash or for a container that
//! ends, launches for such operations, containers for their volumes. Each says what it waits for, and only that wakes it.
//!
//! Operations that wait are in the ledger. Launches that wait are not; they are ended, with a status, before any report that would not
//! name them. Who is woken is asked again in a fixed order: operations, launches, containers; the oldest first, containers by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use holdfast_model::{ClaimId, ExecutorKey, OperationUuid};

use super::Launch;

/// Something that may change, and that somebody may wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// Any claim, what is under way on claims, and so the total.
    Claims,
    /// Any disk, or what is wrong with it.
    Disks,
    /// One volume: its claim, what is wrong with it, or that somebody new holds it.
    Volume(ClaimId),
    /// One executor: its phase, its tasks, what it may see, its end.
    Executor(ExecutorKey),
}

/// One that waits. Their order is the order in which the woken are asked again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    /// By when it came.
    Operation(u64),
    /// By when it came.
    Launch(u64),
    Container(ExecutorKey),
}

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Operations, and who asked.
    operations: BTreeMap<u64, (OperationUuid, String)>,
    launches: BTreeMap<u64, Launch>,
    /// What each waits for.
    topics: BTreeMap<Waiter, BTreeSet<Topic>>,
    /// The same, the other way round.
    waiters: BTreeMap<Topic, BTreeSet<Waiter>>,
    woken: BTreeSet<Waiter>,
    next: u64,
}

impl Waiting {
    /// How many operations may wait.
    pub(crate) const OPERATIONS_MAX: usize = 1024;
    /// How many launches may wait.
    pub(crate) const LAUNCHES_MAX: usize = 256;

    pub(crate) fn add_operation(
        &mut self,
        uuid: OperationUuid,
        by: String,
        topics: BTreeSet<Topic>,
    ) {
        let number = self.number();
        self.operations.insert(number, (uuid, by));
        self.wait(Waiter::Operation(number), topics);
    }

    pub(crate) fn add_launch(&mut self, launch: Launch, topics: BTreeSet<Topic>) {
        let number = self.number();
        self.launches.insert(number, launch);
        self.wait(Waiter::Launch(number), topics);
    }

    /// A container is to be started as soon as it can be; it is asked at the end of this step.
    pub(crate) fn add_container(&mut self, key: ExecutorKey) {
        let waiter = Waiter::Container(key);
        self.wait(waiter.clone(), BTreeSet::new());
        self.woken.insert(waiter);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One waits for these topics from now on, and for no others.
    pub(crate) fn wait(&mut self, waiter: Waiter, topics: BTreeSet<Topic>) {
        self.forget_topics(&waiter);
        for topic in &topics {
            self.waiters.entry(topic.clone()).or_default().insert(waiter.clone());
        }
        self.topics.insert(waiter, topics);
    }

    fn forget_topics(&mut self, waiter: &Waiter) {
        for topic in self.topics.remove(waiter).unwrap_or_default() {
            let others = self.waiters.get_mut(&topic).expect("a topic names who waits for it");
            others.remove(waiter);
            if others.is_empty() {
                self.waiters.remove(&topic);
            }
        }
    }

    /// One waits no longer.
    pub(crate) fn remove(&mut self, waiter: &Waiter) {
        self.forget_topics(waiter);
        self.woken.remove(waiter);
        match waiter {
            Waiter::Operation(number) => drop(self.operations.remove(number)),
            Waiter::Launch(number) => drop(self.launches.remove(number)),
            Waiter::Container(_) => {}
        }
    }

    /// These have changed.
    pub(crate) fn wake(&mut self, topics: BTreeSet<Topic>) {
        for topic in topics {
            self.woken.extend(self.waiters.get(&topic).into_iter().flatten().cloned());
        }
    }

    /// The first of the woken behind `last`, or the very first; it is taken for asleep again.
    pub(crate) fn next_woken(&mut self, last: Option<&Waiter>) -> Option<Waiter> {
        let behind = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.woken.range((behind, Bound::Unbounded)).next();
        let next = next.or_else(|| self.woken.first())?.clone();
        self.woken.remove(&next);
        Some(next)
    }

    /// Operations that wait, oldest first.
    pub(crate) fn operations(&self) -> impl ExactSizeIterator<Item = OperationUuid> + '_ {
        self.operations.values().map(|(uuid, _)| *uuid)
    }

    /// An operation that waits, and who asked.
    pub(crate) fn operation(&self, number: u64) -> (OperationUuid, String) {
        self.operations.get(&number).expect("who is woken waits").clone()
    }

    /// Launches that wait, oldest first.
    pub(crate) fn launches(&self) -> impl ExactSizeIterator<Item = &Launch> {
        self.launches.values()
    }

    pub(crate) fn launch(&self, number: u64) -> &Launch {
        self.launches.get(&number).expect("who is woken waits")
    }

    /// Takes out the launches that `which` names.
    pub(crate) fn take_launches(&mut self, which: impl Fn(&Launch) -> bool) -> Vec<Launch> {
        let named = self.launches.iter().filter(|(_, it)| which(it)).map(|(number, _)| *number);
        let named: Vec<u64> = named.collect();
        let take = |number| {
            self.forget_topics(&Waiter::Launch(number));
            self.woken.remove(&Waiter::Launch(number));
            self.launches.remove(&number)
        };
        named.into_iter().filter_map(take).collect()
    }

    /// Everyone that waits, for checks.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Waiter> {
        self.topics.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::framework_id;
    use holdfast_model::ExecutorId;
    use uuid::Uuid;

    fn executor(name: &str) -> ExecutorKey {
        (framework_id(), ExecutorId::made(name.to_owned()))
    }

    fn add(waiting: &mut Waiting, number: u128, topics: impl Into<BTreeSet<Topic>>) {
        let uuid = OperationUuid(Uuid::from_u128(number));
        waiting.add_operation(uuid, "tester".to_owned(), topics.into());
    }

    fn woken(waiting: &mut Waiting) -> Vec<Waiter> {
        let mut all: Vec<Waiter> = Vec::new();
        while let Some(next) = waiting.next_woken(all.last()) {
            all.push(next);
        }
        all
    }

    #[test]
    fn only_what_was_waited_for_wakes() {
        let mut waiting = Waiting::default();
        let volume = |it| Topic::Volume(ClaimId(Uuid::from_u128(it)));
        add(&mut waiting, 1, [Topic::Claims, volume(1)]);
        add(&mut waiting, 2, [volume(2)]);
        waiting.wake(BTreeSet::from([volume(3), Topic::Disks]));
        assert_eq!(woken(&mut waiting), []);
        waiting.wake(BTreeSet::from([volume(1), Topic::Claims]));
        assert_eq!(woken(&mut waiting), [Waiter::Operation(1)]);
        waiting.wait(Waiter::Operation(1), BTreeSet::from([volume(2)]));
        waiting.wake(BTreeSet::from([Topic::Claims]));
        assert_eq!(woken(&mut waiting), [], "it waits for something else now");
        waiting.remove(&Waiter::Operation(2));
        waiting.wake(BTreeSet::from([volume(2)]));
        assert_eq!(woken(&mut waiting), [Waiter::Operation(1)]);
        waiting.remove(&Waiter::Operation(1));
        assert!(waiting.topics.is_empty() && waiting.waiters.is_empty(), "nothing is left behind");
    }

    #[test]
    fn the_woken_are_asked_in_turn_and_who_is_woken_meanwhile_behind_or_in_the_next_round() {
        let mut waiting = Waiting::default();
        waiting.add_container(executor("b"));
        waiting.add_container(executor("a"));
        add(&mut waiting, 1, [Topic::Disks]);
        add(&mut waiting, 2, [Topic::Disks, Topic::Claims]);
        waiting.wake(BTreeSet::from([Topic::Claims]));
        let first = waiting.next_woken(None);
        assert_eq!(first, Some(Waiter::Operation(2)));
        waiting.wake(BTreeSet::from([Topic::Disks]));
        let (a, b) = (Waiter::Container(executor("a")), Waiter::Container(executor("b")));
        let mut last = first;
        for expected in [&a, &b, &Waiter::Operation(1), &Waiter::Operation(2)] {
            last = waiting.next_woken(last.as_ref());
            assert_eq!(last.as_ref(), Some(expected));
        }
        assert_eq!(waiting.next_woken(last.as_ref()), None);
    }
}
