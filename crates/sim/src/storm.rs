//! One storm, and its shortest trace: a seed is run through storm and calm, and a failing one is
//! told with as few faults as break the same rule.
//!
//! It relies on [`World`]. A core that panics has broken rule L2. It never runs two storms in one
//! world.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::faults::{plan, Fault};
use crate::frameworks::Performer;
use crate::plan_storm;
use crate::rng::Rng;
use crate::rules::Violation;
use crate::services::Records;
use crate::shape::Shape;
use crate::trace::Detail;
use crate::world::World;

/// The outcome of a storm.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed of the storm.
    pub seed: u64,
    /// The broken rule, if any, and when, in milliseconds from the beginning.
    pub violation: Option<(Violation, u64)>,
    /// The number of steps.
    pub steps: u64,
    /// The number of faults that struck.
    pub faults: u64,
    /// Records that were acknowledged to their writers.
    pub records: u64,
    /// The digest, which is equal for equal runs.
    pub digest: u64,
    /// The lines of the trace, oldest first.
    pub trace: Vec<String>,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the words of panics for [`run`] instead of printing them. Call it once, before the first
/// storm.
pub fn keep_panics_quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let storms = std::thread::current().name().is_some_and(|name| name.starts_with("storm"));
        PANIC.with_borrow_mut(|kept| *kept = Some(info.to_string()));
        if !storms {
            before(info);
        }
    }));
}

/// The services of a storm: they differ in role, principal, size and executor.
pub fn services(shape: &Shape, seed: u64) -> Vec<Box<dyn Performer>> {
    let mut rng = Rng::new(seed).fork(8);
    let mut all: Vec<Box<dyn Performer>> = Vec::new();
    for index in 0..shape.frameworks {
        let role = if rng.one_in(3) { "shared".to_owned() } else { format!("role{index}") };
        let mut service = Records::new(
            &format!("s{index}"),
            &role,
            shape.members,
            rng.between(1, 8) as i64 * 200,
        );
        if rng.one_in(2) {
            service = service.by("p");
        }
        if rng.one_in(3) {
            service = service.with_executor();
        }
        all.push(Box::new(service));
    }
    all
}

/// Runs one seed through storm and calm. Without faults given, the seed draws them.
pub fn run(seed: u64, shape: &Shape, faults: Option<Vec<Fault>>, detail: Detail) -> Outcome {
    let mut world = None;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(seed, shape.clone(), faults, services(shape, seed)));
        world.trace.detail = detail;
        let pods = shape.pods.then(|| plan_storm::add(world));
        if let Some(index) = pods {
            plan_storm::storm(world, index, seed, shape.storm_ms);
        }
        world.run_until(shape.storm_ms);
        world.calm();
        world.run_until(shape.storm_ms + shape.calm_ms);
        if let Some(index) = pods {
            plan_storm::heal(world, index);
        }
        if world.violation.is_none() {
            world.check_healed();
        }
    }));
    let mut outcome = Outcome {
        seed,
        violation: None,
        steps: 0,
        faults: 0,
        records: 0,
        digest: 0,
        trace: Vec::new(),
    };
    if let Some(world) = &world {
        (outcome.steps, outcome.faults, outcome.records, outcome.digest) =
            (world.steps, world.faults, world.records, world.digest());
        outcome.violation = world.violation.clone().map(|it| (it, world.elapsed_ms()));
        outcome.trace = world.trace.lines.iter().cloned().collect();
    }
    if ended.is_err() {
        let why =
            PANIC.with_borrow_mut(Option::take).unwrap_or_else(|| "a core panicked".to_owned());
        let at_ms = world.as_ref().map_or(0, World::elapsed_ms);
        outcome.violation = Some((Violation { rule: "L2", why: format!("panic: {why}") }, at_ms));
    }
    outcome
}

/// The same violation with as few faults as possible, and the faults.
pub fn shrink(seed: u64, shape: &Shape, rule: &str) -> (Vec<Fault>, Outcome) {
    let breaks = |faults: &[Fault]| {
        let outcome = run(seed, shape, Some(faults.to_vec()), Detail::Silent);
        outcome.violation.as_ref().is_some_and(|(it, _)| it.rule == rule).then_some(outcome)
    };
    let mut faults = plan(shape, Rng::new(seed).fork(3));
    if let Some((_, at_ms)) = breaks(&faults).and_then(|it| it.violation) {
        let before: Vec<Fault> = faults.iter().filter(|it| it.at_ms <= at_ms).copied().collect();
        if breaks(&before).is_some() {
            faults = before;
        }
    }
    let mut chunk = faults.len().div_ceil(2).max(1);
    loop {
        let (mut at, mut cut) = (0, false);
        while at < faults.len() {
            let fewer: Vec<Fault> = faults
                .iter()
                .enumerate()
                .filter(|(i, _)| *i < at || at + chunk <= *i)
                .map(|(_, it)| *it)
                .collect();
            if breaks(&fewer).is_some() {
                (faults, cut) = (fewer, true);
            } else {
                at += chunk;
            }
        }
        if chunk == 1 && !cut {
            break;
        }
        chunk = if cut { chunk } else { chunk.div_ceil(2) };
        chunk = chunk.min(faults.len().max(1));
    }
    let outcome = run(seed, shape, Some(faults.clone()), Detail::Plot);
    (faults, outcome)
}

impl World {
    /// The storm is over: whoever is down starts, whoever stands still goes on, disks are mounted,
    /// and nothing more fails.
    pub fn calm(&mut self) {
        use crate::agenda::{Heal, Node};
        self.calmed = true;
        self.note(|| "the storm is over".to_owned());
        for index in 0..self.machines.len() {
            for disk in 0..self.machines[index].disks.len() {
                self.machines[index].disks[disk].troubled = false;
                self.thaw(index, disk);
                if self.machines[index].disks[disk].mounted
                    != crate::drivers::disks::Mounted::Itself
                {
                    self.heal(Heal::Mount(index, disk));
                }
            }
            self.heal(Heal::Hidden(index));
            self.machines[index].ledger_disk.heal();
        }
        self.frameworks.iter_mut().for_each(|it| it.ledger_disk.heal());
        self.links.slow.clear();
        let nodes: Vec<Node> =
            (0..self.masters.len()).map(Node::Master).chain(self.clients()).collect();
        for node in nodes {
            if let Some(process) = self.process(node) {
                process.armed = None;
            }
            self.masters.iter_mut().for_each(|it| it.loses_answer = false);
            self.restart(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Shape {
        Shape { storm_ms: 15_000, calm_ms: 60_000, ..Shape::default() }
    }

    #[test]
    fn a_few_storms_break_no_rule_and_a_seed_repeats_itself() {
        for seed in 0..6 {
            let once = run(seed, &small(), None, Detail::Silent);
            assert_eq!(once.violation, None, "seed {seed}");
            assert!(1_000 < once.steps && 50 < once.records, "seed {seed} did little: {once:?}");
            let twice = run(seed, &small(), None, Detail::Messages);
            assert_eq!(
                (once.digest, once.steps),
                (twice.digest, twice.steps),
                "a trace changes nothing, and the seed decides all"
            );
        }
    }

    #[test]
    fn disks_that_hang_break_no_rule_and_change_no_other_fault() {
        let hanging = Shape { hangs: true, ..small() };
        for seed in 0..6 {
            let all = plan(&hanging, Rng::new(seed).fork(3));
            let hangs = |it: &&Fault| matches!(it.trouble, crate::faults::Trouble::Hang(..));
            let others: Vec<Fault> = all.iter().filter(|it| !hangs(it)).copied().collect();
            assert_eq!(others, plan(&small(), Rng::new(seed).fork(3)));
            assert!(others.len() < all.len(), "seed {seed} has no hang");
            let outcome = run(seed, &hanging, None, Detail::Silent);
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert!(50 < outcome.records, "seed {seed} did little: {outcome:?}");
        }
    }

    #[test]
    fn masters_that_lose_their_journal_break_no_rule() {
        let losing = Shape { loses_journal: true, ..small() };
        for seed in 0..6 {
            let all = plan(&losing, Rng::new(seed).fork(3));
            let loses =
                |it: &Fault| matches!(it.trouble, crate::faults::Trouble::LoseJournal { .. });
            assert!(all.iter().any(loses), "seed {seed} loses nothing");
            let outcome = run(seed, &losing, None, Detail::Silent);
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert!(50 < outcome.records, "seed {seed} did little: {outcome:?}");
        }
    }

    #[test]
    fn seeds_differ() {
        let digests: std::collections::BTreeSet<u64> =
            (0..4).map(|seed| run(seed, &small(), None, Detail::Silent).digest).collect();
        assert_eq!(digests.len(), 4);
    }
}
