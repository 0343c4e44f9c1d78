//! GET_AGENTS: agents that are here, and those that are expected.
//!
//! Relies on a published view; never calls one active that is not offered.

use holdfast_master::{AgentHealth, AgentState};
use holdfast_model::convert::{machine, Format};
use holdfast_model::{AgentId, Deactivation, Drain, Resources};
use holdfast_proto::mesos::v1::{self, master::response as api};

use v1::agent_info::{capability, Capability};

use super::{agent_id, list, time};
use crate::groups::{offered_on_agents, used_on_agents};
use crate::MasterView;

/// What agents of this program can do, in Mesos's terms.
pub const AGENT_CAPABILITIES: [capability::Type; 5] = [
    capability::Type::MultiRole,
    capability::Type::HierarchicalRole,
    capability::Type::ReservationRefinement,
    capability::Type::ResizeVolume,
    capability::Type::AgentOperationFeedback,
];

/// Agents that are here, and those that are expected.
pub fn agents(view: &MasterView) -> api::GetAgents {
    let (used, offered) = (used_on_agents(view), offered_on_agents(view));
    let nothing = Resources::new();
    let mut answer = api::GetAgents::default();
    for (id, state) in view.agents().iter() {
        if is_expected(state) {
            let record = view.ledger().agents.get(id);
            answer.recovered_agents.push(v1::AgentInfo {
                hostname: record.map(|it| it.hostname.clone()).unwrap_or_default(),
                id: Some(agent_id(id)),
                ..Default::default()
            });
        } else {
            let used = used.get(id).unwrap_or(&nothing);
            let offered = offered.get(id).unwrap_or(&nothing);
            let wish = view.ledger().deactivations.get(id);
            answer.agents.push(agent((id, state), wish, used, offered));
        }
    }
    answer
}

/// Whether this leader has not heard of the agent yet.
pub(crate) fn is_expected(state: &AgentState) -> bool {
    state.reregistered() == state.registered()
        && state.link().is_none()
        && state.machine().hostname.is_empty()
}

/// A drain, as Mesos tells of it.
pub(crate) fn drain_info(drain: &Drain) -> v1::DrainInfo {
    let state = if drain.is_drained { v1::DrainState::Drained } else { v1::DrainState::Draining };
    let nanoseconds = |ms: u64| i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    let period = |ms: u64| v1::DurationInfo { nanoseconds: nanoseconds(ms) };
    let config = v1::DrainConfig {
        max_grace_period: drain.max_grace_ms.map(period),
        mark_gone: Some(drain.mark_gone),
    };
    v1::DrainInfo { state: state.into(), config }
}

fn agent(
    (id, state): (&AgentId, &AgentState),
    wish: Option<&Deactivation>,
    used: &Resources,
    offered: &Resources,
) -> api::get_agents::Agent {
    let info = v1::AgentInfo {
        id: Some(agent_id(id)),
        ..machine::to_proto(state.machine(), Format::ENDPOINT)
    };
    api::get_agents::Agent {
        pid: Some(format!("slave(1)@{}:{}", state.machine().hostname, state.machine().port)),
        agent_info: info,
        active: *state.health() == AgentHealth::Well && wish.is_none(),
        deactivated: Some(wish.is_some()),
        drain_info: wish.and_then(|it| it.drain.as_ref()).map(drain_info),
        estimated_drain_start_time: wish.and_then(|it| Some(time(it.drain?.since))),
        version: state.version().to_owned(),
        registered_time: Some(time(state.registered())),
        reregistered_time: Some(time(state.reregistered())),
        total_resources: list(state.total()),
        allocated_resources: list(used),
        offered_resources: list(offered),
        capabilities: AGENT_CAPABILITIES
            .iter()
            .map(|it| Capability { r#type: Some(*it as i32) })
            .collect(),
        ..Default::default()
    }
}
