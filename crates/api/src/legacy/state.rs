//! `/state` and `/state-summary`: the whole cluster as Mesos's pages show it.
//!
//! Relies on a published view and the other pages; never mixes two moments.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{FrameworkId, Presence, TaskState};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::agents::{agents, expected_agents, AgentEntry, ExpectedAgent};
use super::frameworks::{
    completed_frameworks, frameworks, summary as framework_summary, FrameworkEntry,
    FrameworkSummary, Holdings,
};
use crate::v1::MasterFacts;
use crate::MasterView;

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    activated_slaves: usize,
    build_date: String,
    build_time: f64,
    build_user: String,
    capabilities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    completed_frameworks: Vec<FrameworkEntry>,
    deactivated_slaves: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<v1::DomainInfo>,
    elected_time: f64,
    flags: BTreeMap<String, String>,
    frameworks: Vec<FrameworkEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_sha: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_tag: Option<String>,
    hostname: Option<String>,
    id: String,
    leader: Option<String>,
    leader_info: v1::MasterInfo,
    orphan_tasks: [(); 0],
    pid: Option<String>,
    recovered_slaves: Vec<ExpectedAgent>,
    slaves: Vec<AgentEntry>,
    start_time: f64,
    unreachable_slaves: usize,
    unregistered_frameworks: [(); 0],
    version: String,
}

/// Agents and frameworks, with how many tasks they have in each state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    frameworks: Vec<CountedFramework>,
    hostname: Option<String>,
    slaves: Vec<CountedAgent>,
}

/// How many tasks are in each state.
type Counts = BTreeMap<&'static str, usize>;

#[derive(Clone, Debug, PartialEq, Serialize)]
struct CountedAgent {
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    entry: AgentEntry,
    framework_ids: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct CountedFramework {
    #[serde(flatten)]
    counts: Counts,
    slave_ids: BTreeSet<String>,
    #[serde(flatten)]
    summary: FrameworkSummary,
}

/// Everything that the pages show.
pub fn state(view: &MasterView, facts: &MasterFacts) -> State {
    let (ledger, info, version) = (view.ledger(), &facts.info, facts.version.clone());
    let unreachable = ledger.agents.values().filter(|it| it.presence == Presence::Unreachable);
    let slaves = agents(view);
    let activated = slaves.iter().filter(|it| it.is_active()).count();
    State {
        activated_slaves: activated,
        build_date: version.build_date.unwrap_or_default(),
        build_time: version.build_time.unwrap_or_default(),
        build_user: version.build_user.unwrap_or_default(),
        capabilities: info.capabilities.iter().map(|it| it.r#type().as_str_name()).collect(),
        cluster: cluster(view),
        completed_frameworks: completed_frameworks(view, None),
        deactivated_slaves: slaves.len() - activated,
        domain: info.domain.clone(),
        elected_time: facts.started_s,
        flags: facts.flags.clone(),
        frameworks: frameworks(view, None),
        git_branch: version.git_branch,
        git_sha: version.git_sha,
        git_tag: version.git_tag,
        hostname: info.hostname.clone(),
        id: info.id.clone(),
        leader: info.pid.clone(),
        leader_info: info.clone(),
        orphan_tasks: [],
        pid: info.pid.clone(),
        recovered_slaves: expected_agents(view),
        slaves,
        start_time: facts.started_s,
        unreachable_slaves: unreachable.count(),
        unregistered_frameworks: [],
        version: version.version,
    }
}

/// Agents and frameworks with counts of their tasks.
pub fn summary(view: &MasterView, facts: &MasterFacts) -> Summary {
    let mut of_agents: BTreeMap<&str, (Counts, BTreeSet<String>)> = BTreeMap::new();
    let mut of_frameworks: BTreeMap<&FrameworkId, (Counts, BTreeSet<String>)> = BTreeMap::new();
    for task in view.tasks().values().chain(view.completed_tasks()) {
        let agent = of_agents.entry(task.agent.as_str()).or_default();
        *agent.0.entry(task.state.name()).or_default() += 1;
        agent.1.insert(task.framework.to_string());
        let framework = of_frameworks.entry(&task.framework).or_default();
        *framework.0.entry(task.state.name()).or_default() += 1;
        framework.1.insert(task.agent.to_string());
    }
    for (agent, state) in view.agents().iter() {
        for (framework, _) in state.executors().keys() {
            of_agents.entry(agent.as_str()).or_default().1.insert(framework.to_string());
            of_frameworks.entry(framework).or_default().1.insert(agent.to_string());
        }
    }
    let counted_agent = |entry: AgentEntry| {
        let (counts, framework_ids) = of_agents.get(entry.id()).cloned().unwrap_or_default();
        CountedAgent { counts: all_states(counts), entry, framework_ids }
    };
    let holdings = Holdings::of(view);
    let counted_framework = |(id, state): (&FrameworkId, &_)| {
        let (counts, slave_ids) = of_frameworks.get(id).cloned().unwrap_or_default();
        CountedFramework {
            counts: all_states(counts),
            slave_ids,
            summary: framework_summary(view, &holdings, id, state),
        }
    };
    Summary {
        cluster: cluster(view),
        frameworks: view.frameworks().iter().map(counted_framework).collect(),
        hostname: facts.info.hostname.clone(),
        slaves: agents(view).into_iter().map(counted_agent).collect(),
    }
}

/// The same with each state, be there none.
fn all_states(mut counts: Counts) -> Counts {
    for state in TaskState::ALL {
        counts.entry(state.name()).or_default();
    }
    counts
}

fn cluster(view: &MasterView) -> Option<String> {
    view.ledger().cluster.as_ref().map(|it| it.id.to_string())
}
