//! Storms of many seeds, several at once, with a bar and a summary.
//!
//! It relies on threads for speed alone: each seed is a world of its own, and the first failing one
//! is the lowest, whoever found it first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::words::Words;
use crate::shape::Shape;
use crate::storm::{run as storm, shrink, Outcome};
use crate::trace::Detail;

/// The number of failing seeds that are named.
const NAMED_MAX: usize = 20;

/// The sums of many storms.
#[derive(Debug, Default)]
pub struct Sum {
    /// The number of storms that ended.
    pub seeds: u64,
    /// The steps of all storms.
    pub steps: u64,
    /// The faults of all storms.
    pub faults: u64,
    /// Records acknowledged to their writers.
    pub records: u64,
    /// The storms that broke a rule, by seed.
    pub broken: Vec<Outcome>,
}

/// Runs seeds `start..start + seeds`; with `first_only` it stops after the first that breaks a
/// rule.
pub fn storms(
    shape: &Shape,
    start: u64,
    seeds: u64,
    jobs: u64,
    first_only: bool,
    tick: &(dyn Fn() + Sync),
) -> Sum {
    let (next, stop, sum) =
        (AtomicU64::new(start), AtomicBool::new(false), Mutex::new(Sum::default()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if start + seeds <= seed || stop.load(Ordering::Relaxed) {
            return;
        }
        let outcome = storm(seed, shape, None, Detail::Silent);
        let mut sum = sum.lock().expect("a storm's panic is caught inside of it");
        sum.seeds += 1;
        (sum.steps, sum.faults, sum.records) =
            (sum.steps + outcome.steps, sum.faults + outcome.faults, sum.records + outcome.records);
        if outcome.violation.is_some() {
            sum.broken.push(outcome);
            stop.store(first_only, Ordering::Relaxed);
        }
        tick();
    };
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let name = format!("storm-{job}");
            std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, work)
                .expect("the machine has room for a few threads");
        }
    });
    let mut sum = sum.into_inner().expect("a storm's panic is caught inside of it");
    sum.broken.sort_by_key(|it| it.seed);
    sum
}

/// Runs the command. Returns whether no rule was broken.
pub fn run(words: &Words) -> bool {
    let bar = ProgressBar::new(words.seeds);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left")
        .unwrap_or(ProgressStyle::default_bar());
    bar.set_style(style);
    let started = Instant::now();
    let sum = storms(&words.shape, words.start, words.seeds, words.jobs, false, &|| bar.inc(1));
    bar.finish_and_clear();
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    for outcome in sum.broken.iter().take(NAMED_MAX) {
        if let Some((violation, at_ms)) = &outcome.violation {
            println!(
                "seed {} at {}.{:03} s breaks {violation}",
                outcome.seed,
                at_ms / 1_000,
                at_ms % 1_000
            );
        }
    }
    if let Some(first) = sum.broken.first() {
        print_shortest(first, &words.shape);
    }
    println!(
        "{} seeds, {} steps, {} faults, {} records, {} violations, {:.0} seeds/min, {:.0} steps/s",
        sum.seeds,
        sum.steps,
        sum.faults,
        sum.records,
        sum.broken.len(),
        sum.seeds as f64 / minutes.max(1e-9),
        sum.steps as f64 / (60.0 * minutes).max(1e-9)
    );
    sum.broken.is_empty()
}

/// The first failing seed with as few faults as break the same rule.
fn print_shortest(first: &Outcome, shape: &Shape) {
    let Some((violation, _)) = &first.violation else { return };
    let (faults, outcome) = std::thread::scope(|scope| {
        let shrunk = std::thread::Builder::new()
            .name("storm-shrink".to_owned())
            .spawn_scoped(scope, || shrink(first.seed, shape, violation.rule));
        shrunk
            .expect("the machine has room for a thread")
            .join()
            .expect("a storm's panic is caught inside of it")
    });
    println!("\nThe shortest trace of seed {} ({} faults):", first.seed, faults.len());
    let lines = outcome.trace.len();
    outcome.trace.iter().skip(lines.saturating_sub(60)).for_each(|line| println!("  {line}"));
    println!("Replay it whole: holdfast-sim --replay {} --trace\n", first.seed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_do_not_change_what_storms_come_to() {
        let shape = Shape {
            storm_ms: 5_000,
            calm_ms: 20_000,
            agents: 3,
            frameworks: 1,
            members: 2,
            ..Shape::default()
        };
        let sum = |jobs| {
            let sum = storms(&shape, 0, 4, jobs, false, &|| {});
            (sum.seeds, sum.steps, sum.faults, sum.records)
        };
        assert_eq!(sum(1), sum(3));
    }
}
