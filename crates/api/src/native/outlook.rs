//! `/holdfast/v1/outlook`: what a framework of a role that is not there yet could be offered of each agent.
//!
//! Relies on the core for what is eligible. Nothing is offered by asking, and nobody's turn is taken.

use holdfast_master::Outlook;
use holdfast_model::convert::offer;
use holdfast_model::convert::resource::Format;
use holdfast_model::{AgentId, FrameworkId, Instant, Offer, OfferId, Resources, Role};
use holdfast_proto::json;

use super::hostname;
use crate::rows::OutlookRow;
use crate::MasterView;

/// A row for each agent.
pub fn outlook(view: &MasterView, now: Instant, role: &Role) -> Vec<OutlookRow> {
    view.outlook(now, role).into_iter().map(|it| row(view, role, it)).collect()
}

fn row(view: &MasterView, role: &Role, found: Outlook) -> OutlookRow {
    let Outlook { agent, resources, reasons } = found;
    OutlookRow {
        hostname: hostname(view, &agent),
        resources: resources.to_string(),
        offer: reasons.is_empty().then(|| as_offer(view, role, &agent, &resources)).flatten(),
        reasons: reasons.iter().map(ToString::to_string).collect(),
        agent: agent.to_string(),
    }
}

fn as_offer(
    view: &MasterView,
    role: &Role,
    agent: &AgentId,
    resources: &Resources,
) -> Option<String> {
    let state = view.agents().get(agent)?;
    let offer = Offer {
        unavailability: None,
        id: OfferId::made(format!("outlook-{agent}")),
        framework: FrameworkId::made("not-there-yet".to_owned()),
        role: role.clone(),
        agent: agent.clone(),
        resources: resources.allocated_to(role),
        executors: Vec::new(),
        hostname: state.machine().hostname.clone(),
        machine: state.machine().payload.clone(),
        claims: Vec::new(),
    };
    Some(json::to_string(&offer::to_proto(&offer, Format::WHOLE)))
}
