//! The master's numbers. They are read from the core about once a second, so that whoever scrapes never makes it wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_api::metrics::Sample;
use holdfast_wire::Metric;

use super::failover::Failover;

/// What was read last. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    latest: Arc<Mutex<Vec<Sample>>>,
    started_s: f64,
    /// Bytes that the journal takes in an ensemble.
    stored_bytes: Option<Arc<AtomicU64>>,
    failover: Failover,
}

impl Gauges {
    /// Nothing read yet, of a master that began to lead then (in seconds since 1970).
    pub fn new(started_s: f64, stored_bytes: Option<Arc<AtomicU64>>, failover: Failover) -> Gauges {
        Gauges { latest: Arc::default(), started_s, stored_bytes, failover }
    }

    /// What was read last, with the time that has passed.
    pub fn read(&self) -> Vec<Metric> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut metrics: Vec<Metric> = latest.into_iter().map(crate::samples::metric).collect();
        let up = crate::core_loop::now().0 as f64 / 1000.0 - self.started_s;
        metrics.push(Metric::gauge(
            "master/uptime_secs",
            "How long this master has led, in seconds.",
            up,
        ));
        let stored = self.stored_bytes.as_ref().map_or(0, |it| it.load(Ordering::Relaxed));
        metrics.push(Metric::gauge(
            "holdfast/journal_ensemble_bytes",
            "What the masters' journal takes in the ensemble, checkpoint and log, in bytes; 0 without one.",
            stored as f64,
        ));
        metrics.extend(self.failover.metrics());
        metrics
    }

    /// Keeps what was read.
    pub fn store(&self, samples: Vec<Sample>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }
}
