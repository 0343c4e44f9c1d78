//! What a failover costs a new leader: agents with five tasks and a volume each introduce themselves, and what is free is offered.
//!
//! `cargo xtask bench failover` runs it. Prints the CPU time for each agent at several sizes, and by which power of their number the whole
//! grows: 1 is linear. Relies on [`cluster`], and on `/proc` for the time of this thread alone, so
//! that a busy machine disturbs little. Never judges.

mod clock;
mod cluster;

use cluster::lead;
use holdfast_master::Effect;

const SIZES: [usize; 3] = [1_000, 4_000, 16_000];
const TASKS: usize = 5;

/// Nanoseconds that this thread has run.
pub fn ran_ns() -> u64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat");
    let said = said.ok().and_then(|it| it.split(' ').next().and_then(|it| it.parse().ok()));
    said.expect("this machine says how long a thread has run")
}

/// Fails over to a new leader; nanoseconds for all, the making of the reports included.
fn fail_over(agents: usize) -> u64 {
    let mut offers = 0;
    let before = ran_ns();
    let master =
        lead(agents, TASKS, |it| offers += usize::from(matches!(it, Effect::ToFramework(..))));
    let took = ran_ns() - before;
    drop(master);
    assert!(agents <= offers, "each agent is offered as soon as it has reported");
    took
}

/// Nanoseconds for all, in a process of its own: memory that a former run has left in pieces is no cost of a failover.
fn measured(agents: usize) -> u64 {
    let this = std::env::current_exe().expect("a program knows where it is");
    let output = std::process::Command::new(this).arg(agents.to_string()).output();
    let said = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    said.ok().and_then(|it| it.parse().ok()).expect("it prints one number")
}

fn main() {
    if let Some(agents) = std::env::args().nth(1).and_then(|it| it.parse().ok()) {
        println!("{}", (0..3).map(|_| fail_over(agents)).min().expect("it is measured"));
        return;
    }
    let mut figures = Vec::new();
    for agents in SIZES {
        let took = measured(agents);
        let each_us = took as f64 / agents as f64 / 1_000.0;
        println!("failover of {agents} agents\t{each_us:.1} us CPU each");
        figures.push(((agents as f64).ln(), (took as f64).ln()));
    }
    let ((small, little), (large, much)) = (figures[0], figures[figures.len() - 1]);
    println!("failover, exponent\t{:.3}", (much - little) / (large - small));
}
