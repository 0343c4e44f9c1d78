//! `/state` of an agent.
//!
//! The order of fields, which is that of the alphabet, is as it always was.

use holdfast_model::{Claim, ClaimState, DiskRecord, ExecutorRecord};
use serde::Serialize;

use crate::groups::by;
use crate::AgentView;

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentPage {
    claims: Vec<ClaimEntry>,
    cluster: Option<String>,
    disks: Vec<DiskEntry>,
    executors: Vec<ExecutorEntry>,
    id: Option<String>,
    ledger_version: u64,
    node: String,
    term: u64,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ClaimEntry {
    generation: u64,
    id: String,
    resource: String,
    state: &'static str,
    /// Of a volume that was measured.
    used_bytes: Option<u64>,
    used_measured_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DiskEntry {
    id: String,
    root: String,
    size_mb: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ExecutorEntry {
    container: String,
    framework_id: String,
    id: String,
    tasks: Vec<String>,
}

/// The page of an agent that speaks this version of the Mesos API.
pub fn page(view: &AgentView, version: &str) -> AgentPage {
    let ledger = view.ledger();
    let tasks = by(ledger.tasks.values().map(|it| ((&it.framework, &it.executor), &it.info.id)));
    let executor = |it: &ExecutorRecord| ExecutorEntry {
        container: it.container.to_string(),
        framework_id: it.framework.to_string(),
        id: it.info.id.to_string(),
        tasks: tasks
            .get(&(&it.framework, &it.info.id))
            .map(|ids| ids.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    };
    AgentPage {
        claims: ledger.claims.values().map(|it| claim(view, it)).collect(),
        cluster: ledger.identity.cluster.map(|it| it.to_string()),
        disks: ledger.disks.values().map(disk).collect(),
        executors: ledger.executors.values().map(executor).collect(),
        id: ledger.identity.agent.as_ref().map(ToString::to_string),
        ledger_version: ledger.identity.version,
        node: ledger.identity.node.to_string(),
        term: ledger.identity.term.0,
        version: version.to_owned(),
    }
}

fn claim(view: &AgentView, claim: &Claim) -> ClaimEntry {
    let used = view.used(claim);
    ClaimEntry {
        generation: claim.generation,
        id: claim.id.to_string(),
        resource: claim.resource.to_string(),
        state: match claim.state {
            ClaimState::Making => "making",
            ClaimState::Ready => "ready",
            ClaimState::Destroying => "destroying",
        },
        used_bytes: used.map(|it| it.bytes),
        used_measured_ms: used.map(|it| it.measured.0),
    }
}

fn disk(disk: &DiskRecord) -> DiskEntry {
    DiskEntry { id: disk.id.to_string(), root: disk.root.clone(), size_mb: disk.size_mb }
}
