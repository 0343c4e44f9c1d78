//! What a process has counted since its start, under Mesos's names.
//!
//! Relies on whoever handles a message to count it. Never counts what a process that was before this one handled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use holdfast_wire::Metric;
use sysinfo::System;

/// Names and what they mean.
pub type Table = &'static [(&'static str, &'static str)];

/// The counters of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counts {
    table: Table,
    counters: Arc<BTreeMap<&'static str, AtomicU64>>,
}

impl Counts {
    /// All of these names, nothing counted yet.
    pub fn new(table: Table) -> Counts {
        let counters = table.iter().map(|(name, _)| (*name, AtomicU64::new(0))).collect();
        Counts { table, counters: Arc::new(counters) }
    }

    /// Counts one more.
    ///
    /// # Panics
    /// When the name is not in the table.
    pub fn add(&self, name: &'static str) {
        self.add_all(name, 1);
    }

    /// Counts some more.
    ///
    /// # Panics
    /// When the name is not in the table.
    pub fn add_all(&self, name: &'static str, count: u64) {
        let counter = self.counters.get(name).expect("only names of the table are counted");
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// What was counted.
    pub fn metrics(&self) -> Vec<Metric> {
        let read = |name: &str| self.counters[name].load(Ordering::Relaxed) as f64;
        self.table.iter().map(|(name, help)| Metric::counter(*name, *help, read(name))).collect()
    }
}

/// Mesos's numbers of the machine that a process runs on. What the machine does not tell is left out.
pub fn machine() -> Vec<Metric> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut metrics =
        vec![Metric::gauge("system/cpus_total", "Processors of this machine.", cores as f64)];
    if let Ok(load) = System::load_average() {
        let of = |name, value| Metric::gauge(name, "The machine's load, over this time.", value);
        metrics.extend([
            of("system/load_1min", load.one),
            of("system/load_5min", load.five),
            of("system/load_15min", load.fifteen),
        ]);
    }
    if let Ok(mut system) = System::new() {
        system.refresh_memory();
        let (total, free) = (system.total_memory() as f64, system.free_memory() as f64);
        metrics.extend([
            Metric::gauge("system/mem_total_bytes", "The machine's memory.", total),
            Metric::gauge("system/mem_free_bytes", "Of that, what is free.", free),
        ]);
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_and_the_rest_is_0() {
        let counts = Counts::new(&[("a/b", "One."), ("a/c", "Another.")]);
        counts.add("a/c");
        counts.add_all("a/c", 2);
        let told: Vec<(String, f64)> =
            counts.metrics().into_iter().map(|it| (it.name, it.value)).collect();
        assert_eq!(told, [("a/b".to_owned(), 0.0), ("a/c".to_owned(), 3.0)]);
    }

    #[test]
    fn the_machine_has_processors_and_memory() {
        let machine = machine();
        let of = |name: &str| machine.iter().find(|it| it.name == name).unwrap().value;
        assert!(1.0 <= of("system/cpus_total"));
        assert!(0.0 < of("system/mem_free_bytes"));
        assert!(of("system/mem_free_bytes") < of("system/mem_total_bytes"));
    }
}
