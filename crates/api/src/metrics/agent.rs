//! The agent's numbers, under Mesos's names where Mesos has one.
//!
//! Relies on a published view; never counts anything that the view does not show.

use holdfast_model::{size_bytes, Resources, TaskState};

use super::{amounts, Sample};
use crate::groups::counts;
use crate::AgentView;

/// All numbers of an agent.
pub fn agent(view: &AgentView) -> Vec<Sample> {
    let (ledger, status) = (view.ledger(), view.status());
    let volume_count = ledger.claims.values().filter(|it| it.is_volume()).count();
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
        claims("volume", volume_count),
        claims("reservation", ledger.claims.len() - volume_count),
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
    samples.extend(volumes(view));
    samples.extend(executors(view));
    let live = ledger.tasks.values().filter(|it| !it.state.is_terminal());
    let of_tasks = live.flat_map(|it| &it.info.resources);
    let of_executors = ledger.executors.values().flat_map(|it| &it.info.resources);
    let used: Resources = of_tasks.chain(of_executors).collect();
    amounts("slave", &view.total().quantities(), &used.quantities(), &mut samples);
    let states = counts(ledger.tasks.values().map(|it| it.state));
    for state in TaskState::ALL {
        let name =
            format!("slave/tasks_{}", state.name().trim_start_matches("TASK_").to_lowercase());
        let count = states.get(&state).copied().unwrap_or(0);
        samples.push(Sample::count(name, "Tasks that are remembered in this state.", count));
    }
    samples
}

/// Executors by where they are in their lives, and frameworks.
fn executors(view: &AgentView) -> [Sample; 3] {
    let phases = view.executors();
    let ending = phases.iter().filter(|it| matches!(it.phase, "ending" | "destroying"));
    let registering = view.ledger().executors.values().filter(|it| !it.registered);
    [
        Sample::count(
            "slave/executors_registering",
            "Executors that have not subscribed yet.",
            registering.count(),
        ),
        Sample::count("slave/executors_terminating", "Executors that end.", ending.count()),
        Sample::count(
            "slave/frameworks_active",
            "Frameworks that have something here.",
            view.ledger().frameworks.len(),
        ),
    ]
}

/// Each volume's size and what it uses of it, and how old that figure is.
fn volumes(view: &AgentView) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut over_size = 0;
    for claim in view.ledger().claims.values().filter(|it| it.is_volume()) {
        let of_it = |name: &'static str, help: &'static str, bytes: u64| {
            let disk = claim.disk.map(|it| it.to_string()).unwrap_or_default();
            Sample::gauge(name, help, bytes as f64)
                .label("role", claim.resource.identity.role().to_string())
                .label("id", claim.id.to_string())
                .label("disk", disk)
        };
        let size = size_bytes(claim.resource.value.quantity());
        samples.push(of_it("holdfast/volume_size_bytes", "The size of a volume.", size));
        if let Some(used) = view.used(claim) {
            over_size += usize::from(size < used.bytes);
            let help = "What a volume was found to use of its disk, when it was measured last.";
            samples.push(of_it("holdfast/volume_used_bytes", help, used.bytes));
        }
    }
    samples.push(Sample::count(
        "holdfast/volumes_over_size",
        "Volumes that were found to use more than their size.",
        over_size,
    ));
    for (disk, used) in view.measured() {
        let at = Sample::gauge(
            "holdfast/disk_measured_timestamp_seconds",
            "When the volumes of a disk were measured last, in seconds since 1970.",
            used.at.0 as f64 / 1000.0,
        );
        samples.push(at.label("disk", disk.to_string()));
    }
    samples
}
