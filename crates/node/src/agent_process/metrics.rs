//! The agent's numbers. They are read from the core about once a second, so that whoever scrapes never makes it wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_agent::AgentView;
use holdfast_api::metrics::Sample;
use holdfast_wire::Metric;
use tokio_util::sync::CancellationToken;

use crate::core_loop::now;
use crate::views::Views;

/// How often they are copied.
const EVERY: Duration = Duration::from_secs(1);

/// What was read last. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    latest: Arc<Mutex<Vec<Sample>>>,
    started_ms: u64,
}

impl Gauges {
    /// Nothing read yet.
    pub fn new() -> Gauges {
        Gauges { latest: Arc::default(), started_ms: now().0 }
    }

    /// What was read last, with the time that has passed.
    pub fn read(&self) -> Vec<Metric> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut metrics: Vec<Metric> = latest.into_iter().map(crate::samples::metric).collect();
        let up_s = now().0.saturating_sub(self.started_ms) as f64 / 1000.0;
        metrics.push(Metric::gauge(
            "slave/uptime_secs",
            "How long this agent has run, in seconds.",
            up_s,
        ));
        metrics
    }

    /// Copies them out of the core until told to stop.
    pub(super) async fn keep(self, views: Views<AgentView>, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if let Ok(read) = views.read(holdfast_api::metrics::agent).await {
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = read;
            }
        }
    }
}
