//! What a leader keeps in memory for each agent and each task: bytes that were allocated and not given back.
//!
//! `cargo xtask bench memory` runs it. Counts in the allocator, so that it says the same on every machine. A task here carries 300 bytes of its
//! own that nobody reads. Relies on [`cluster`]. Never judges.

mod clock;
mod cluster;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cluster::lead;

/// The system's allocator, and how much of it is in use.
struct Counting(AtomicUsize);

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code, reason = "a global allocator is unsafe by its trait; benches alone have one")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size(), Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATED: Counting = Counting(AtomicUsize::new(0));

fn in_use() -> usize {
    ALLOCATED.0.load(Ordering::Relaxed)
}

/// Bytes of a leader with so many agents, each with so many tasks and a volume.
fn bytes(agents: usize, tasks: usize) -> usize {
    let before = in_use();
    let master = lead(agents, tasks, |_| {});
    let after = in_use();
    drop(master);
    after - before
}

fn main() {
    const AGENTS: usize = 2_000;
    let (bare, little, much) = (bytes(AGENTS, 0), bytes(AGENTS, 5), bytes(AGENTS, 15));
    println!("agent with a volume, on offer\t{} B", bare / AGENTS);
    println!("task\t{} B", (much - little) / AGENTS / 10);
}
