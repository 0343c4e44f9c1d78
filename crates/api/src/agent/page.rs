//! `/state` of an agent: Mesos's fields, by which tools find sandboxes, and our own of its ledger.
//!
//! The order of fields, which is that of the alphabet, is as it always was.

use std::collections::BTreeMap;

use holdfast_model::convert::{machine, Format};
use holdfast_model::{Claim, ClaimState, DiskRecord, ExecutorRecord, Resources};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::frameworks::{completed, live, PageFramework};
use super::{AgentFacts, EndedRun};
use crate::groups::by;
use crate::legacy::{attributes, by_role, list, Amounts};
use crate::v1::AGENT_CAPABILITIES;
use crate::AgentView;

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentPage {
    attributes: BTreeMap<String, serde_json::Value>,
    build_date: String,
    build_time: f64,
    build_user: String,
    capabilities: Vec<&'static str>,
    claims: Vec<ClaimEntry>,
    cluster: Option<String>,
    completed_frameworks: Vec<PageFramework>,
    disks: Vec<DiskEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<v1::DomainInfo>,
    executors: Vec<ExecutorEntry>,
    flags: BTreeMap<String, String>,
    frameworks: Vec<PageFramework>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_sha: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_tag: Option<String>,
    hostname: String,
    id: Option<String>,
    ledger_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    master_hostname: Option<String>,
    node: String,
    pid: String,
    port: u16,
    reserved_resources: BTreeMap<String, Amounts>,
    reserved_resources_allocated: BTreeMap<String, Amounts>,
    reserved_resources_full: BTreeMap<String, Vec<v1::Resource>>,
    resources: Amounts,
    start_time: f64,
    term: u64,
    unreserved_resources: Amounts,
    unreserved_resources_allocated: Amounts,
    unreserved_resources_full: Vec<v1::Resource>,
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

/// The page of an agent; `ended` are the sandboxes that are kept of executors that are no more.
pub fn page(view: &AgentView, facts: &AgentFacts, ended: &[EndedRun]) -> AgentPage {
    let ledger = view.ledger();
    let info = view.machine().map(|it| machine::to_proto(it, Format::ENDPOINT)).unwrap_or_default();
    let used = used(view);
    let total = view.total();
    let version = facts.version.clone();
    AgentPage {
        attributes: attributes(&info.attributes),
        build_date: version.build_date.unwrap_or_default(),
        build_time: version.build_time.unwrap_or_default(),
        build_user: version.build_user.unwrap_or_default(),
        capabilities: AGENT_CAPABILITIES.iter().map(|it| it.as_str_name()).collect(),
        claims: ledger.claims.values().map(|it| claim(view, it)).collect(),
        cluster: ledger.identity.cluster.map(|it| it.to_string()),
        completed_frameworks: completed(view, ended),
        disks: ledger.disks.values().map(disk).collect(),
        domain: info.domain,
        executors: executors(view),
        flags: facts.flags.clone(),
        frameworks: live(view, facts, ended),
        git_branch: version.git_branch,
        git_sha: version.git_sha,
        git_tag: version.git_tag,
        hostname: facts.hostname.clone(),
        id: ledger.identity.agent.as_ref().map(ToString::to_string),
        ledger_version: ledger.identity.version,
        master_hostname: facts.master_hostname.clone(),
        node: ledger.identity.node.to_string(),
        pid: format!("slave(1)@{}:{}", facts.ip, facts.port),
        port: facts.port,
        reserved_resources: by_role(total, Amounts::of),
        reserved_resources_allocated: by_role(&used, Amounts::of),
        reserved_resources_full: by_role(total, list),
        resources: Amounts::of(total),
        start_time: facts.started_s,
        term: ledger.identity.term.0,
        unreserved_resources: Amounts::of(&total.unreserved()),
        unreserved_resources_allocated: Amounts::of(&used.unreserved()),
        unreserved_resources_full: list(&total.unreserved()),
        version: version.version,
    }
}

/// What executors and live tasks use.
fn used(view: &AgentView) -> Resources {
    let ledger = view.ledger();
    let live = ledger.tasks.values().filter(|it| !it.state.is_terminal());
    let of_tasks = live.flat_map(|it| &it.info.resources);
    let of_executors = ledger.executors.values().flat_map(|it| &it.info.resources);
    let all: Resources = of_tasks.chain(of_executors).collect();
    all.unallocated()
}

fn executors(view: &AgentView) -> Vec<ExecutorEntry> {
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
    ledger.executors.values().map(executor).collect()
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
