//! Weights that hold: two frameworks that always want more share busy machines as their roles' weights say, over many short tasks.
//!
//! Time is simulated: a framework answers an offer a moment after it came, and each task ends about a second after it was launched.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Call, FrameworkId, OfferId, OperatorCall, Resources, Scalar, TaskState};

use super::bed::*;
use crate::Config;

/// How long a framework thinks about an offer.
const ANSWER_MS: u64 = 2;
const TASK_MS: u64 = 1_000;
/// How much longer or shorter a task may run.
const JITTER_MS: u64 = 50;

/// What happens when its time has come.
enum Due {
    Answer(usize, OfferId),
    End(usize, FrameworkId, String),
}

/// Two frameworks that launch tasks of one cpu on whatever they are offered.
struct Race {
    bed: Bed,
    due: BTreeMap<(u64, u64), Due>,
    next: u64,
    known: BTreeSet<OfferId>,
    /// Tasks that one answer launches at most.
    greed: usize,
    refuse_ms: u64,
    launched: u64,
    ended: Vec<u64>,
}

impl Race {
    fn new(policy: &str, machines: usize, weights: [i64; 2], greed: usize, refuse_ms: u64) -> Race {
        let mut bed = Bed::with_policy(Config::default(), policy);
        bed.check_every = 997;
        for (name, weight) in ["a", "b"].into_iter().zip(weights) {
            bed.ask(OperatorCall::Weight(role(name), Scalar::whole(weight)));
            bed.add_scheduler(info(name, &[name]));
        }
        for _ in 0..machines {
            bed.add_machine(plenty());
        }
        bed.settle();
        let (due, known, ended) = (BTreeMap::new(), BTreeSet::new(), vec![0; 2]);
        let mut race = Race { bed, due, next: 0, known, greed, refuse_ms, launched: 0, ended };
        race.look();
        race
    }

    fn after(&mut self, ms: u64, due: Due) {
        self.due.insert((self.bed.now + ms, self.next), due);
        self.next += 1;
    }

    /// Offers that came will be answered.
    fn look(&mut self) {
        for scheduler in 0..self.bed.schedulers.len() {
            let fresh = self.bed.schedulers[scheduler].offers.keys();
            let fresh: Vec<OfferId> =
                fresh.filter(|it| !self.known.contains(*it)).cloned().collect();
            for offer in fresh {
                self.known.insert(offer.clone());
                self.after(ANSWER_MS, Due::Answer(scheduler, offer));
            }
        }
    }

    /// Time goes on to whatever comes next.
    fn step(&mut self) {
        let next = self.due.keys().next().map(|it| it.0);
        let tick = self.bed.master.next_deadline().map(|it| it.0);
        let now = next.into_iter().chain(tick).min().expect("something always comes");
        if self.bed.now < now {
            self.bed.pass_ms(now - self.bed.now);
            self.bed.settle();
        }
        while let Some(entry) = self.due.first_entry().filter(|it| it.key().0 <= self.bed.now) {
            match entry.remove() {
                Due::Answer(scheduler, offer) => self.answer(scheduler, &offer),
                Due::End(machine, framework, task) => self.end(machine, &framework, &task),
            }
        }
        self.look();
    }

    fn answer(&mut self, scheduler: usize, offer: &OfferId) {
        let Some(offer) = self.bed.schedulers[scheduler].offers.get(offer).cloned() else { return };
        let wanted = [amount("cpus", 1), amount("mem", 32)];
        let one: Resources = wanted.iter().collect();
        let mut left = offer.resources.unallocated();
        let machine = (0..self.bed.machines.len()).find(|it| self.bed.agent(*it) == offer.agent);
        let machine = machine.expect("the offer is of one of the machines");
        let mut tasks = Vec::new();
        while left.contains(&one) && tasks.len() < self.greed {
            left.subtract_all(&one);
            let id = format!("t{}", self.launched);
            self.launched += 1;
            tasks.push(task(&id, &offer.agent, &wanted));
            let ms = TASK_MS - JITTER_MS + (self.launched * 7919) % (2 * JITTER_MS + 1);
            self.after(ms, Due::End(machine, offer.framework.clone(), id));
        }
        let filters = holdfast_model::Filters { refuse_ms: self.refuse_ms };
        let offers = vec![offer.id];
        let call = match tasks.is_empty() {
            true => Call::Decline { offers, filters },
            false => Call::Accept { offers, operations: vec![launch(&tasks)], filters },
        };
        self.bed.call(scheduler, call);
        self.bed.settle();
    }

    fn end(&mut self, machine: usize, framework: &FrameworkId, task: &str) {
        self.bed.machines[machine].task_is(framework, task, TaskState::Finished);
        self.bed.settle();
        let scheduler = (0..2).find(|it| self.bed.id(*it) == *framework).expect("one of the two");
        self.bed.acknowledge_last(scheduler);
        self.bed.schedulers[scheduler].events.clear();
        self.bed.effects.clear();
        self.bed.machines[machine].obeyed.clear();
        self.ended[scheduler] += 1;
    }

    /// The cpu-seconds that the first framework had for each of the second, over so many tasks.
    fn ratio(mut self, tasks: u64) -> f64 {
        while self.ended.iter().sum::<u64>() < tasks {
            self.step();
        }
        self.ended[0] as f64 / self.ended[1] as f64
    }
}

/// How far `ratio` is from three to one.
fn error(ratio: f64) -> f64 {
    (ratio / 3.0 - 1.0).abs()
}

#[test]
fn three_to_one_is_three_to_one_over_ten_thousand_short_tasks() {
    let ratio = Race::new("drf", 4, [3, 1], 1, 0).ratio(10_000);
    assert!(error(ratio) < 0.05, "one task of each offer: {ratio}");
}

#[test]
fn weights_hold_whatever_part_of_an_offer_is_used() {
    for (greed, refuse_ms) in [(2, 0), (99, 0), (99, 5_000)] {
        let ratio = Race::new("drf", 4, [3, 1], greed, refuse_ms).ratio(1_500);
        assert!(error(ratio) < 0.05, "{greed} of each offer, then {refuse_ms} ms: {ratio}");
    }
}

#[test]
fn under_strict_priority_the_lower_gets_what_is_left() {
    let ratio = Race::new("priority", 4, [3, 1], 1, 0).ratio(1_000);
    assert!(200.0 < ratio, "it always wants more: {ratio}");
}

#[test]
fn one_who_takes_a_part_and_asks_for_no_filter_is_offered_the_rest_at_once() {
    let mut bed = Bed::usual();
    bed.launch(0, "t", &[amount("cpus", 1)]);
    assert_eq!(bed.offered(0).quantity("cpus"), Scalar::whole(7));
    assert_eq!(bed.master.filters_len(), 0);
    let offers = vec![bed.offer(0).id];
    let filters = holdfast_model::Filters { refuse_ms: 0 };
    bed.call(0, Call::Accept { offers, operations: Vec::new(), filters });
    assert!(bed.schedulers[0].offers.is_empty(), "one who takes nothing waits a moment");
    assert_eq!(bed.master.filters_len(), 1);
}
