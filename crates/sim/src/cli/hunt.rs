//! The hunt: each planted bug must be found within its number of seeds.
//!
//! Each is a line that can be counted: `planted NAME ... found`, or `... NOT FOUND`. It relies on
//! the feature `planted`; without it only the bugs in the simulator's own shells can be hunted, and
//! this says so.

use super::many::storms;
use super::words::Words;
use crate::planted::{is_compiled, Planted, PLANTED};
use crate::shape::Shape;

/// Runs the hunt. Returns whether every bug was found in time.
pub fn run(words: &Words) -> bool {
    if !is_compiled() {
        eprintln!(
            "holdfast-sim: no bugs are planted in this build; build it with `--features planted`"
        );
        return false;
    }
    let hunted = PLANTED.iter().filter(|it| words.bug.is_none_or(|bug| bug == it.name));
    let mut well = true;
    for planted in hunted {
        well &= hunt(planted, words);
    }
    well
}

fn hunt(planted: &Planted, words: &Words) -> bool {
    let pods = words.shape.pods || planted.name.starts_with("plans-");
    let shape = Shape { planted: Some(planted.name), pods, ..words.shape.clone() };
    let sum = storms(&shape, words.start, planted.seeds_max, words.jobs, true, &|| {});
    let found = sum.broken.first().and_then(|it| Some((it.seed, it.violation.clone()?)));
    match found {
        Some((seed, (violation, _))) => {
            let seeds = seed - words.start + 1;
            println!(
                "planted {:<36} ... found after {seeds} seeds (of {} allowed): {}",
                planted.name,
                planted.seeds_max,
                short(&violation.to_string())
            );
            true
        }
        None => {
            println!(
                "planted {:<36} ... NOT FOUND within {} seeds: {}",
                planted.name, planted.seeds_max, planted.about
            );
            false
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(140) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
