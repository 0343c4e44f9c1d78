//! The agent's numbers, under Mesos's names where Mesos has one. They are copied out of the mind about once a second, so that whoever
//! scrapes never makes it wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_agent::AgentView;
use holdfast_model::TaskState;
use holdfast_wire::Metric;
use tokio_util::sync::CancellationToken;

use crate::core_loop::now;
use crate::views::Views;

/// How often they are copied.
const EVERY: Duration = Duration::from_secs(1);

/// What was read last. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    latest: Arc<Mutex<Vec<Metric>>>,
    started_ms: u64,
}

impl Gauges {
    /// Nothing read yet.
    pub fn new() -> Gauges {
        Gauges { latest: Arc::default(), started_ms: now().0 }
    }

    /// What was read last, with the time that has passed.
    pub fn read(&self) -> Vec<Metric> {
        let mut metrics = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let up_s = now().0.saturating_sub(self.started_ms) as f64 / 1000.0;
        metrics.push(Metric::gauge(
            "slave/uptime_secs",
            "How long this agent has run, in seconds.",
            up_s,
        ));
        metrics
    }

    /// Copies them out of the mind until told to stop.
    pub(super) async fn keep(self, views: Views<AgentView>, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if let Ok(read) = views.read(read).await {
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = read;
            }
        }
    }
}

/// Reads the mind.
fn read(view: &AgentView) -> Vec<Metric> {
    let ledger = view.ledger();
    let count = |n: usize| n as f64;
    let volumes = ledger.claims.values().filter(|it| it.is_volume()).count();
    let claims =
        |kind, n| Metric::gauge("holdfast/claims", "Claims by kind.", count(n)).label("kind", kind);
    let mut metrics = vec![
        Metric::gauge(
            "slave/registered",
            "Whether a master has welcomed this agent.",
            if view.is_registered() { 1.0 } else { 0.0 },
        ),
        Metric::gauge(
            "slave/executors_running",
            "Executors whose containers may live.",
            count(ledger.executors.len()),
        ),
        claims("volume", volumes),
        claims("reservation", ledger.claims.len() - volumes),
        Metric::gauge(
            "holdfast/claims_unusable",
            "Claims that cannot be used now; `holdfast claim list` says why.",
            count(view.faults().len()),
        ),
        Metric::gauge(
            "holdfast/disks",
            "Disks that carry claims or may.",
            count(ledger.disks.len()),
        ),
        Metric::gauge(
            "holdfast/operations_in_flight",
            "Operations not yet settled or acknowledged.",
            count(ledger.operations.len()),
        ),
        Metric::gauge(
            "holdfast/ledger_version",
            "The version of this agent's ledger; it only grows.",
            ledger.identity.version as f64,
        ),
    ];
    for state in TaskState::ALL {
        let name =
            format!("slave/tasks_{}", state.name().trim_start_matches("TASK_").to_lowercase());
        let there = ledger.tasks.values().filter(|it| it.state == state).count();
        metrics.push(Metric::gauge(name, "Tasks that are remembered in this state.", count(there)));
    }
    metrics
}
