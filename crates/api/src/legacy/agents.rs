//! `/slaves`: the agents as Mesos's page shows them.
//!
//! Relies on a published view; never says more of an agent than its last report did.

use std::collections::BTreeMap;

use holdfast_master::{AgentHealth, AgentState};
use holdfast_model::convert::{machine, resource, Format};
use holdfast_model::{AgentId, Resources, Role};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use super::Amounts;
use crate::groups::{offered_on_agents, used_on_agents};
use crate::v1::{drain_info, is_expected, AGENT_CAPABILITIES};
use crate::MasterView;

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentEntry {
    active: bool,
    attributes: BTreeMap<String, serde_json::Value>,
    capabilities: Vec<&'static str>,
    deactivated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<v1::DrainInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_drain_start_time_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<v1::DomainInfo>,
    hostname: String,
    id: String,
    offered_resources: Amounts,
    pid: String,
    port: u16,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    reserved_resources: BTreeMap<String, Amounts>,
    resources: Amounts,
    unreserved_resources: Amounts,
    used_resources: Amounts,
    version: String,
}

impl AgentEntry {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is offered.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }
}

/// An agent with all words of its resources, which whoever undoes a reservation has to say again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FullAgentEntry {
    #[serde(flatten)]
    entry: AgentEntry,
    offered_resources_full: Vec<v1::Resource>,
    reserved_resources_full: BTreeMap<String, Vec<v1::Resource>>,
    unreserved_resources_full: Vec<v1::Resource>,
    used_resources_full: Vec<v1::Resource>,
}

/// An agent that is known to the cluster and has not come back to this leader yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectedAgent {
    attributes: BTreeMap<String, serde_json::Value>,
    hostname: String,
    id: String,
    port: u16,
}

/// The agents that have come back, with what they have.
struct Known<'a> {
    id: &'a AgentId,
    state: &'a AgentState,
    used: Resources,
    offered: Resources,
}

/// Visits all agents that have come back, or the one of this id.
fn known<'a>(view: &'a MasterView, only: Option<&'a str>) -> impl Iterator<Item = Known<'a>> {
    let (mut used, mut offered) = (used_on_agents(view), offered_on_agents(view));
    let wanted = view
        .agents()
        .iter()
        .filter(move |(id, state)| !is_expected(state) && only.is_none_or(|it| it == id.as_str()));
    wanted.map(move |(id, state)| Known {
        id,
        state,
        used: used.remove(id).unwrap_or_default(),
        offered: offered.remove(id).unwrap_or_default(),
    })
}

/// All agents that have come back.
pub fn agents(view: &MasterView) -> Vec<AgentEntry> {
    known(view, None).map(|it| entry(view, &it)).collect()
}

/// All agents that have come back, or the one of this id, with all words of their resources.
pub fn full_agents(view: &MasterView, only: Option<&str>) -> Vec<FullAgentEntry> {
    known(view, only)
        .map(|it| FullAgentEntry {
            entry: entry(view, &it),
            offered_resources_full: list(&it.offered),
            reserved_resources_full: by_role(it.state.total(), list),
            unreserved_resources_full: list(&it.state.total().unreserved()),
            used_resources_full: list(&it.used),
        })
        .collect()
}

/// Agents that this leader has not heard of yet.
pub fn expected_agents(view: &MasterView) -> Vec<ExpectedAgent> {
    let expected = view.agents().iter().filter(|(_, state)| is_expected(state));
    let entry = |(id, _): (&AgentId, _)| {
        let record = view.ledger().agents.get(id);
        ExpectedAgent {
            attributes: BTreeMap::new(),
            hostname: record.map(|it| it.hostname.clone()).unwrap_or_default(),
            id: id.to_string(),
            port: record.map(|it| it.port).unwrap_or_default(),
        }
    };
    expected.map(entry).collect()
}

fn entry(view: &MasterView, agent: &Known<'_>) -> AgentEntry {
    let (id, state) = (agent.id, agent.state);
    let info = machine::to_proto(state.machine(), Format::ENDPOINT);
    let record = view.ledger().agents.get(id);
    let hostname = record.map(|it| it.hostname.clone()).unwrap_or_default();
    let (registered, again) = (state.registered(), state.reregistered());
    let seconds = |it: holdfast_model::Instant| it.0 as f64 / 1000.0;
    let wish = view.ledger().deactivations.get(id);
    let drain = wish.and_then(|it| it.drain.as_ref());
    AgentEntry {
        active: *state.health() == AgentHealth::Well && wish.is_none(),
        attributes: attributes(&info.attributes),
        capabilities: AGENT_CAPABILITIES.iter().map(|it| it.as_str_name()).collect(),
        deactivated: wish.is_some(),
        drain_info: drain.map(drain_info),
        estimated_drain_start_time_seconds: drain.map(|it| seconds(it.since)),
        domain: info.domain,
        id: id.to_string(),
        offered_resources: Amounts::of(&agent.offered),
        pid: format!("slave(1)@{hostname}:{}", state.machine().port),
        hostname,
        port: state.machine().port,
        registered_time: seconds(registered),
        reregistered_time: (registered != again).then(|| seconds(again)),
        reserved_resources: by_role(state.total(), Amounts::of),
        resources: Amounts::of(state.total()),
        unreserved_resources: Amounts::of(&state.total().unreserved()),
        used_resources: Amounts::of(&agent.used),
        version: state.version().to_owned(),
    }
}

/// What is reserved, role by role.
pub(crate) fn by_role<T>(
    resources: &Resources,
    show: impl Fn(&Resources) -> T,
) -> BTreeMap<String, T> {
    let mut roles: BTreeMap<Role, Resources> = BTreeMap::new();
    for resource in resources.reserved().iter() {
        roles.entry(resource.identity.role()).or_default().add(&resource);
    }
    roles.into_iter().map(|(role, reserved)| (role.to_string(), show(&reserved))).collect()
}

/// Resources with all their words.
pub(crate) fn list(resources: &Resources) -> Vec<v1::Resource> {
    resource::sum_to_proto(resources, Format::ENDPOINT)
}

/// Attributes by name: a number, or text. Of a name that comes twice the last one is shown, as in Mesos.
pub(crate) fn attributes(attributes: &[v1::Attribute]) -> BTreeMap<String, serde_json::Value> {
    let value = |it: &v1::Attribute| {
        if let Some(scalar) = &it.scalar {
            return serde_json::Value::from(scalar.value);
        }
        if let Some(text) = &it.text {
            return serde_json::Value::from(text.value.clone());
        }
        if let Some(ranges) = &it.ranges {
            let one = |it: &v1::value::Range| format!("{}-{}", it.begin, it.end);
            let all: Vec<String> = ranges.range.iter().map(one).collect();
            return serde_json::Value::from(format!("[{}]", all.join(", ")));
        }
        let items = it.set.as_ref().map(|it| it.item.join(", ")).unwrap_or_default();
        serde_json::Value::from(format!("{{{items}}}"))
    };
    attributes.iter().map(|it| (it.name.clone(), value(it))).collect()
}
