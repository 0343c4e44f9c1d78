//! The agent's numbers, under Mesos's names where Mesos has one.
//!
//! Relies on a published view; never counts anything that the view does not show.

use holdfast_model::TaskState;

use super::Sample;
use crate::groups::counts;
use crate::AgentView;

/// All numbers of an agent.
pub fn agent(view: &AgentView) -> Vec<Sample> {
    let (ledger, status) = (view.ledger(), view.status());
    let volumes = ledger.claims.values().filter(|it| it.is_volume()).count();
    let claims = |kind, count| {
        Sample::count("holdfast/claims", "Claims by kind.", count).label("kind", kind)
    };
    let mut samples = vec![
        Sample::count(
            "slave/registered",
            "Whether a master has welcomed this agent.",
            usize::from(status.registered),
        ),
        Sample::count(
            "slave/executors_running",
            "Executors whose containers may live.",
            ledger.executors.len(),
        ),
        claims("volume", volumes),
        claims("reservation", ledger.claims.len() - volumes),
        Sample::count(
            "holdfast/claims_unusable",
            "Claims that cannot be used now; `holdfast claim list` says why.",
            status.faults.len(),
        ),
        Sample::count("holdfast/disks", "Disks that carry claims or may.", ledger.disks.len()),
        Sample::count(
            "holdfast/operations_in_flight",
            "Operations not yet settled or acknowledged.",
            ledger.operations.len(),
        ),
        Sample::gauge(
            "holdfast/ledger_version",
            "The version of this agent's ledger; it only grows.",
            ledger.identity.version as f64,
        ),
    ];
    let states = counts(ledger.tasks.values().map(|it| it.state));
    for state in TaskState::ALL {
        let name =
            format!("slave/tasks_{}", state.name().trim_start_matches("TASK_").to_lowercase());
        let count = states.get(&state).copied().unwrap_or(0);
        samples.push(Sample::count(name, "Tasks that are remembered in this state.", count));
    }
    samples
}
