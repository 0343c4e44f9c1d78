//! What a leader may allocate for an offer, a launch, a report and an operation: the budgets of `crates/master/tests/budgets.tsv`.
//!
//! Allocations are counted in the core's steps alone, on this thread, so that the figures are the same on every machine and whatever else
//! it does. A figure above its budget fails, and so does one far below: the budget is to be lowered then, or it guards nothing. Each
//! figure is taken at two sizes, of which the larger must not cost more: cost follows the change. Relies on `examples/world`.

#[path = "../examples/world/mod.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;

use holdfast_master::{Effect, Input, Master};
use holdfast_model::StepContext;
use world::World;

thread_local! {
    /// How many allocations steps have made on this thread, and of how many bytes.
    static MADE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// Whether a step is on its way.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    /// The bytes that are in use.
    static IN_USE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code, reason = "a global allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        IN_USE.set(IN_USE.get() + size as i64);
        if COUNTS.get() {
            let (count, bytes) = MADE.get();
            MADE.set((count + 1, bytes + size as u64));
        }
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.set(IN_USE.get() - layout.size() as i64);
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How much more the larger size, at least eight times as large, may cost: maps are deeper by a level, and leaves are filled otherwise.
const GROWTH_MAX: f64 = 1.4;
/// A figure that is less than its budget by this factor asks for a lower one.
const SLACK_MAX: f64 = 1.3;

const BUDGETS: &str = include_str!("budgets.tsv");

fn counted(master: &mut Master, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
    COUNTS.set(true);
    let effects = master.handle(ctx, input);
    COUNTS.set(false);
    effects
}

/// Allocations and bytes of each of the pieces of work that is done, of which it says how many there were.
fn each(world: &mut World, work: impl FnOnce(&mut World) -> usize) -> (f64, f64) {
    let (count, bytes) = MADE.get();
    world.stepping = counted;
    let pieces = work(world) as f64;
    world.stepping = Master::handle;
    let (count_now, bytes_now) = MADE.get();
    ((count_now - count) as f64 / pieces, (bytes_now - bytes) as f64 / pieces)
}

/// Everybody declines in turn all that it is offered: an offer, and the answer to it.
fn offers(agents: usize, frameworks: usize) -> (f64, f64) {
    let mut world = World::new(agents, frameworks, true, false);
    each(&mut world, |world| {
        world.made = 0;
        (0..3 * frameworks).for_each(|it| world.decline(it % frameworks));
        world.made
    })
}

fn launches(frameworks: usize) -> (f64, f64) {
    const TASKS: usize = 60;
    let mut world = World::new(10, frameworks, false, false);
    each(&mut world, |world| {
        (0..TASKS).for_each(|number| world.launch_and_end(number));
        TASKS
    })
}

fn reserves(before: usize) -> (f64, f64) {
    const TIMES: usize = 60;
    let mut world = World::new(20, 20, false, false);
    (0..before).for_each(|number| world.reserve(0, number));
    each(&mut world, |world| {
        (before..before + TIMES).for_each(|number| world.reserve(0, number));
        TIMES
    })
}

fn reports(agents: usize) -> (f64, f64) {
    let mut world = World::elected(agents, 20);
    each(&mut world, |world| {
        world.come_back(agents, true, false);
        agents
    })
}

/// Bytes that stay in use for each agent with a volume, on offer.
fn kept(agents: usize) -> (f64, f64) {
    let before = IN_USE.get();
    let world = World::new(agents, 20, true, false);
    let bytes = (IN_USE.get() - before) as f64;
    drop(world);
    (0.0, bytes / agents as f64)
}

/// What is measured, at two sizes.
type Row = (&'static str, (f64, f64), (f64, f64));

fn rows() -> Vec<Row> {
    vec![
        ("an offer and its DECLINE", offers(100, 20), offers(800, 20)),
        ("an offer and its DECLINE, by frameworks", offers(400, 20), offers(400, 160)),
        ("a task launched, ended and offered again", launches(20), launches(200)),
        ("RESERVE and its outcome", reserves(100), reserves(800)),
        ("an agent that comes back", reports(100), reports(800)),
        ("an agent, kept", kept(200), kept(1_600)),
    ]
}

/// The allocations and bytes that a row may have.
fn budget_of(name: &str) -> Option<(f64, f64)> {
    let line = BUDGETS.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix('\t'))?;
    let (allocations, bytes) = line.split_once('\t')?;
    Some((allocations.parse().ok()?, bytes.parse().ok()?))
}

fn is_within(figure: f64, budget: f64) -> bool {
    figure <= budget && budget <= figure * SLACK_MAX + 1.0
}

#[test]
fn what_a_leader_allocates_stays_within_its_budget() {
    let (mut table, mut wrong) = (String::new(), String::new());
    for (name, small, large) in rows() {
        let (allocations, bytes) = large;
        writeln!(table, "{name}\t{:.0}\t{:.0}", (allocations * 1.03).ceil(), (bytes * 1.03).ceil())
            .expect("a string takes all that is written");
        let fits = budget_of(name).is_some_and(|(most, most_bytes)| {
            is_within(allocations, most) && is_within(bytes, most_bytes)
        });
        let grows = small.0 * GROWTH_MAX < large.0 || small.1 * GROWTH_MAX < large.1;
        if !fits || grows {
            writeln!(wrong, "{name}: {small:.1?} at the small size, {large:.1?} at the large one")
                .expect("a string takes all that is written");
        }
    }
    assert!(
        wrong.is_empty(),
        "allocations and bytes of each, not within the budget, or growing with the size:\n{wrong}\
         if that is meant, crates/master/tests/budgets.tsv becomes:\n{table}"
    );
}
