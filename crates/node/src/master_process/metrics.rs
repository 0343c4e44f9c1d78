//! The master's numbers. They are read from the core about once a second, so that whoever scrapes never makes it wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_api::metrics::Sample;
use holdfast_master::Input;
use holdfast_wire::Metric;

use super::event_stream::EventStream;
use super::failover::Failover;
use super::timed::Works;
use crate::core_loop::Inbox;

/// What was read last. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    latest: Arc<Mutex<Vec<Sample>>>,
    started_s: f64,
    /// Bytes that the journal takes in an ensemble.
    stored_bytes: Option<Arc<AtomicU64>>,
    failover: Failover,
    works: Works,
}

impl Gauges {
    /// Nothing read yet, of a master that began to lead then (in seconds since 1970).
    pub fn new(
        started_s: f64,
        stored_bytes: Option<Arc<AtomicU64>>,
        (failover, works): (Failover, Works),
    ) -> Gauges {
        Gauges { latest: Arc::default(), started_s, stored_bytes, failover, works }
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
        metrics.extend(self.works.metrics());
        // What others read is read through this leader, and its journal, once taken over, is whole.
        metrics.push(Metric::gauge(
            "registrar/log/recovered",
            "Whether the ledger was read; a master that leads has read it.",
            1.0,
        ));
        metrics.push(Metric::gauge(
            "registrar/queued_operations",
            "Changes that wait to be written; they go with the batch in which they are decided.",
            0.0,
        ));
        metrics
    }

    /// Keeps what was read.
    pub fn store(&self, samples: Vec<Sample>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }
}

/// What waits for a master, and who follows what it does, under Mesos's names.
pub fn queues(inbox: &Inbox<Input>, events: &EventStream) -> [Metric; 4] {
    let gauge = |name, help, it: usize| Metric::gauge(name, help, it as f64);
    [
        gauge(
            "master/event_queue_messages",
            "Calls of frameworks and operators and messages of agents that wait for the core.",
            inbox.waiting(),
        ),
        gauge(
            "master/event_queue_http_requests",
            "Requests that wait apart from those: none, since reads wait for nobody.",
            0,
        ),
        gauge(
            "master/event_queue_dispatches",
            "Works that wait apart from those: none, since the core has one queue.",
            0,
        ),
        gauge(
            "master/operator_event_stream_subscribers",
            "Operators who follow the stream of events.",
            events.watchers(),
        ),
    ]
}
