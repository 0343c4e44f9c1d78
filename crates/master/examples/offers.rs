//! What offers cost a leader, by the names of the grids of Mesos's own benchmarks: `PersistentVolumes`, `DeclineOffers`,
//! `SuppressOffers`, and rows of our own for REVIVE, filters that expire all at once, launches, one changed agent among many, and RESERVE.
//!
//! `cargo run --release -p holdfast-master --example offers [row [agents [frameworks]]]`; without arguments, the whole table. Each
//! line gives CPU time of this process, and the longest step by the wall's clock; under `valgrind --tool=callgrind
//! --toggle-collect='offers::measured'` the same run counts instructions, of what a row measures and nothing else.
//! Relies on the real core, and on nothing else: no clock but to measure, no thread, no disk.

mod world;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast_master::{Effect, Input, Master};
use holdfast_model::{Call, Filters, StepContext};
use world::{framework, info, World, REFUSE_MS};

/// The CPU time that this process has used.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default();
    Duration::from_nanos(ns)
}

/// How many bytes this process keeps in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|it| it.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// The longest step of a row, in nanoseconds.
static LONGEST_NS: AtomicU64 = AtomicU64::new(0);

/// A step that belongs to what a row is about.
#[inline(never)]
fn measured(master: &mut Master, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
    let before = Instant::now();
    let effects = black_box(master.handle(ctx, input));
    LONGEST_NS.fetch_max(before.elapsed().as_nanos() as u64, Ordering::Relaxed);
    effects
}

/// Everybody declines until nobody is offered anything.
fn decline_all(world: &mut World) {
    while world.offers.values().any(|it| !it.is_empty()) {
        (0..world.frameworks).for_each(|it| world.decline(it));
    }
}

fn row(name: &str, world: &mut World, per: &str, count: usize, work: impl FnOnce(&mut World)) {
    let agents = world.master.agents().len();
    (world.made, world.stepping) = (0, measured);
    LONGEST_NS.store(0, Ordering::Relaxed);
    let before = cpu();
    work(world);
    world.stepping = Master::handle;
    let spent = cpu() - before;
    let count = if count == 0 { world.made } else { count }.max(1);
    println!(
        "{name} {agents} x {}\t{:.1} ms, {:.2} us per {per}, {} offers, longest step {:.2} ms",
        world.frameworks,
        spent.as_secs_f64() * 1e3,
        spent.as_secs_f64() * 1e6 / count as f64,
        world.made,
        LONGEST_NS.load(Ordering::Relaxed) as f64 / 1e6,
    );
}

/// Each framework in turn declines all that it is offered, and others are offered it, volumes and all.
fn offers(name: &str, agents: usize, frameworks: usize, volumes: bool) {
    let mut world = World::new(agents, frameworks, volumes, false);
    row(name, &mut world, "offer", 0, |world| {
        for _ in 0..3 {
            (0..frameworks).for_each(|it| world.decline(it));
        }
    });
}

fn suppress_offers(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, true);
    row("SuppressOffers, one revives", &mut world, "offer", 0, |world| {
        world.call(0, Call::Revive(BTreeSet::new()));
        world.settle();
    });
}

fn filters(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, false);
    let before = resident();
    decline_all(&mut world);
    let filters = world.master.filters_len();
    let grown = resident().saturating_sub(before);
    println!("memory\t{} bytes per filter, offers that ended included", grown / filters.max(1));
    row(&format!("UPDATE_FRAMEWORK, {filters} filters"), &mut world, "cycle", 1, |world| {
        let (info, suppressed) = (Box::new(info(1)), BTreeSet::new());
        world.call(1, Call::UpdateFramework { info, suppressed });
        world.settle();
    });
    row(&format!("REVIVE, {filters} filters"), &mut world, "revive", 1, |world| {
        world.call(1, Call::Revive(BTreeSet::new()));
        world.settle();
    });
    world.decline(1);
    row(&format!("{filters} filters expire"), &mut world, "filter", filters, |world| {
        world.now += 2 * REFUSE_MS;
        world.settle();
    });
}

/// Tasks are launched one after the other, each on a part of what is offered, and end.
fn launches(frameworks: usize) {
    const TASKS: usize = 200;
    let mut world = World::new(10, frameworks, false, false);
    row("launch and end", &mut world, "task", TASKS, |world| {
        (0..TASKS).for_each(|number| world.launch_and_end(number));
    });
}

/// An operator reserves on an agent that has so many reservations already.
fn reserves(agents: usize, frameworks: usize) {
    const TIMES: usize = 200;
    for before in [0, 400, 1_600] {
        let mut world = World::new(agents, frameworks, false, false);
        (0..before).for_each(|number| world.reserve(0, number));
        row(&format!("RESERVE after {before}"), &mut world, "operation", TIMES, |world| {
            (before..before + TIMES).for_each(|number| world.reserve(0, number));
        });
    }
}

/// One offer among many agents is declined: how soon is the agent offered again?
fn one_agent(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, false);
    row("one changed agent", &mut world, "offer", 100, |world| {
        for _ in 0..100 {
            let holder = world.holder();
            let known = world.offers.get_mut(&framework(holder)).expect("it was just found");
            let (offer, _) = known.pop_first().expect("it was just found");
            let filters = Filters { refuse_ms: REFUSE_MS };
            world.call(holder, Call::Decline { offers: vec![offer], filters });
        }
    });
}

fn main() {
    let mut args = std::env::args().skip(1);
    let which = args.next();
    let mut number = |usual: usize| args.next().and_then(|it| it.parse().ok()).unwrap_or(usual);
    if let Some(which) = which {
        let (agents, frameworks) = (number(1_000), number(50));
        return match which.as_str() {
            "PersistentVolumes" => offers("PersistentVolumes", agents, frameworks, true),
            "DeclineOffers" => offers("DeclineOffers", agents, frameworks, false),
            "SuppressOffers" => suppress_offers(agents, frameworks),
            "filters" => filters(agents, frameworks),
            "launches" => launches(frameworks),
            "one" => one_agent(agents, frameworks),
            "reserves" => reserves(agents, frameworks),
            _ => eprintln!(
                "rows: PersistentVolumes, DeclineOffers, SuppressOffers, filters, launches, one, reserves"
            ),
        };
    }
    for (agents, frameworks) in [(1_000, 50), (1_000, 200), (1_000, 1_000), (10_000, 200)] {
        offers("PersistentVolumes", agents, frameworks, true);
    }
    for (agents, frameworks) in [(1_000, 50), (1_000, 200), (1_000, 1_000)] {
        offers("DeclineOffers", agents, frameworks, false);
    }
    for agents in [1_000, 10_000] {
        suppress_offers(agents, 200);
    }
    filters(1_000, 200);
    for frameworks in [50, 200, 1_000] {
        launches(frameworks);
    }
    for agents in [1_000, 50_000] {
        one_agent(agents, 50);
    }
    reserves(100, 50);
}
