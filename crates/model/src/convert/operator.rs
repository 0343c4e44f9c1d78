//! The operator calls that change what is claimed, or remove a framework.
//!
//! Relies on the conversion of resources. Never reads calls that only ask: they change nothing, so no core hears of them.

use holdfast_proto::mesos::v1;
use prost::Message;
use v1::master::call::{
    CreateVolumes, DeactivateAgent, DestroyVolumes, DrainAgent, GrowVolume, MarkAgentGone,
    ReactivateAgent, ReserveResources, ShrinkVolume, StartMaintenance, StopMaintenance, Teardown,
    Type, UnreserveResources, UpdateMaintenanceSchedule, UpdateQuota,
};
use v1::master::Call as Wire;

use super::field::{agent_id, agent_id_out, framework_id, framework_id_out, part, Place};
use super::limits::{check_bytes, DESCRIPTION_BYTES_MAX};
use super::maintenance;
use super::operation;
use super::quota;
use super::resource::{self, list_from_proto, list_to_proto, Format};
use crate::id::AgentId;
use crate::maintenance::{MachineId, Schedule};
use crate::message::OperatorCall;
use crate::operation::ClaimAction;
use crate::resource::Resource;
use crate::validate::Invalid;

/// Reads a call; `None` when it is of another kind.
///
/// # Errors
/// [`Invalid`] naming the field: wrong resources, or resources that are allocated.
pub fn from_proto(wire: Wire) -> Result<Option<OperatorCall>, Invalid> {
    let (agent, action) = match wire.r#type.map(Type::try_from) {
        Some(Ok(Type::ReserveResources)) => {
            let field = "reserve_resources";
            let it = part("RESERVE_RESOURCES", field, wire.reserve_resources)?;
            let resources = unallocated("resources", it.resources).under(field)?;
            let source = unallocated("source", it.source).under(field)?;
            (agent_id(&it.agent_id).under(field)?, ClaimAction::Reserve { resources, source })
        }
        Some(Ok(Type::UnreserveResources)) => {
            let field = "unreserve_resources";
            let it = part("UNRESERVE_RESOURCES", field, wire.unreserve_resources)?;
            let resources = unallocated("resources", it.resources).under(field)?;
            (agent_id(&it.agent_id).under(field)?, ClaimAction::Unreserve(resources))
        }
        Some(Ok(Type::CreateVolumes)) => {
            let field = "create_volumes";
            let it = part("CREATE_VOLUMES", field, wire.create_volumes)?;
            let volumes = unallocated("volumes", it.volumes).under(field)?;
            (agent_id(&it.agent_id).under(field)?, ClaimAction::Create(volumes))
        }
        Some(Ok(Type::DestroyVolumes)) => {
            let field = "destroy_volumes";
            let it = part("DESTROY_VOLUMES", field, wire.destroy_volumes)?;
            let volumes = unallocated("volumes", it.volumes).under(field)?;
            (agent_id(&it.agent_id).under(field)?, ClaimAction::Destroy(volumes))
        }
        Some(Ok(Type::GrowVolume)) => {
            let field = "grow_volume";
            let it = part("GROW_VOLUME", field, wire.grow_volume)?;
            let action = operation::grow(it.volume, it.addition).under(field)?;
            (agent_of(it.agent_id).under(field)?, not_allocated(action, field)?)
        }
        Some(Ok(Type::ShrinkVolume)) => {
            let field = "shrink_volume";
            let it = part("SHRINK_VOLUME", field, wire.shrink_volume)?;
            let action = operation::shrink(it.volume, it.subtract.value).under(field)?;
            (agent_of(it.agent_id).under(field)?, not_allocated(action, field)?)
        }
        Some(Ok(kind @ (Type::UpdateQuota | Type::SetQuota | Type::RemoveQuota))) => {
            return quota::from_proto(kind, wire).map(Some);
        }
        Some(Ok(
            kind @ (Type::MarkAgentGone
            | Type::DeactivateAgent
            | Type::ReactivateAgent
            | Type::DrainAgent),
        )) => return about_agent(kind, wire).map(Some),
        Some(Ok(
            kind @ (Type::UpdateMaintenanceSchedule
            | Type::StartMaintenance
            | Type::StopMaintenance),
        )) => return about_machines(kind, wire).map(Some),
        Some(Ok(Type::Teardown)) => {
            let it = part("TEARDOWN", "teardown", wire.teardown)?;
            return Ok(Some(OperatorCall::Teardown(
                framework_id(&it.framework_id).under("teardown")?,
            )));
        }
        _ => return Ok(None),
    };
    Ok(Some(OperatorCall::Claim { agent, action }))
}

/// Reads a call that takes an agent out of service, or back into it.
fn about_agent(kind: Type, wire: Wire) -> Result<OperatorCall, Invalid> {
    Ok(match kind {
        Type::MarkAgentGone => {
            let field = "mark_agent_gone";
            let it = part("MARK_AGENT_GONE", field, wire.mark_agent_gone)?;
            let agent = agent_id(&it.agent_id).under(field)?;
            OperatorCall::MarkAgentGone { agent, reason: None }
        }
        Type::DeactivateAgent => {
            let field = "deactivate_agent";
            let it = part("DEACTIVATE_AGENT", field, wire.deactivate_agent)?;
            OperatorCall::DeactivateAgent(agent_id(&it.agent_id).under(field)?)
        }
        Type::ReactivateAgent => {
            let field = "reactivate_agent";
            let it = part("REACTIVATE_AGENT", field, wire.reactivate_agent)?;
            let agent = agent_id(&it.agent_id).under(field)?;
            OperatorCall::ReactivateAgent { agent, cancel_drain: false }
        }
        _ => {
            let it = part("DRAIN_AGENT", "drain_agent", wire.drain_agent)?;
            drain(it).under("drain_agent")?
        }
    })
}

/// Reads a call about planned downtime.
fn about_machines(kind: Type, wire: Wire) -> Result<OperatorCall, Invalid> {
    Ok(match kind {
        Type::UpdateMaintenanceSchedule => {
            let field = "update_maintenance_schedule";
            let it = part("UPDATE_MAINTENANCE_SCHEDULE", field, wire.update_maintenance_schedule)?;
            let windows = maintenance::schedule_from_proto(it.schedule);
            OperatorCall::Schedule(windows.under(format_args!("{field}.schedule"))?)
        }
        Type::StartMaintenance => {
            let field = "start_maintenance";
            let it = part("START_MAINTENANCE", field, wire.start_maintenance)?;
            let machines = maintenance::machines_from_proto(it.machines).under(field)?;
            OperatorCall::MachinesDown(machines)
        }
        _ => {
            let field = "stop_maintenance";
            let it = part("STOP_MAINTENANCE", field, wire.stop_maintenance)?;
            let machines = maintenance::machines_from_proto(it.machines).under(field)?;
            OperatorCall::MachinesUp(machines)
        }
    })
}

/// Writes a call about planned downtime.
fn machines_to_proto(wire: &mut Wire, call: &OperatorCall) -> Option<Type> {
    let ids = |all: &[MachineId]| all.iter().map(maintenance::machine_id_to_proto).collect();
    Some(match call {
        OperatorCall::Schedule(windows) => {
            let schedule = maintenance::schedule_to_proto(&Schedule::new(windows.clone()));
            wire.update_maintenance_schedule = Some(UpdateMaintenanceSchedule { schedule });
            Type::UpdateMaintenanceSchedule
        }
        OperatorCall::MachinesDown(machines) => {
            wire.start_maintenance = Some(StartMaintenance { machines: ids(machines) });
            Type::StartMaintenance
        }
        OperatorCall::MachinesUp(machines) => {
            wire.stop_maintenance = Some(StopMaintenance { machines: ids(machines) });
            Type::StopMaintenance
        }
        _ => return None,
    })
}

fn drain(it: DrainAgent) -> Result<OperatorCall, Invalid> {
    let max_grace_ms = it.max_grace_period.map(|it| {
        let ms = i128::from(it.seconds) * 1_000 + i128::from(it.nanos) / 1_000_000;
        let wrong = || Invalid::new("max_grace_period", "must not be less than nothing");
        if ms < 0 || it.nanos < 0 {
            return Err(wrong());
        }
        u64::try_from(ms).map_err(|_| wrong())
    });
    Ok(OperatorCall::DrainAgent {
        agent: agent_id(&it.agent_id)?,
        max_grace_ms: max_grace_ms.transpose()?,
        mark_gone: it.mark_gone.unwrap_or_default(),
    })
}

fn drain_out(agent: &AgentId, max_grace_ms: Option<u64>, mark_gone: bool) -> DrainAgent {
    let period = |ms: u64| holdfast_proto::google::protobuf::Duration {
        seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1_000 * 1_000_000).expect("it is less than a second"),
    };
    DrainAgent {
        agent_id: agent_id_out(agent),
        max_grace_period: max_grace_ms.map(period),
        mark_gone: Some(mark_gone),
    }
}

/// Writes a call; `None` for those that the Mesos API does not have, or only for several things at once.
pub fn to_proto(call: &OperatorCall) -> Option<Wire> {
    let mut wire = Wire::default();
    let kind = match call {
        OperatorCall::Kill(..)
        | OperatorCall::Weight(..)
        | OperatorCall::Undelete { .. }
        | OperatorCall::PurgeTrash { .. }
        | OperatorCall::EndClaim { .. }
        | OperatorCall::Apply { .. }
        | OperatorCall::AddDisk { .. }
        | OperatorCall::AdoptDisk { .. }
        | OperatorCall::MoveDisk { .. }
        | OperatorCall::CancelMove { .. }
        | OperatorCall::RecoverAgent { .. }
        | OperatorCall::RemoveDisk { .. }
        | OperatorCall::AdoptVolume { .. }
        | OperatorCall::RemoveOrphan { .. }
        | OperatorCall::GiveUp { .. } => return None,
        OperatorCall::Quota { quotas, force } => {
            let configs = quotas.iter().map(|(role, it)| quota::config_to_proto(role, it));
            let quota_configs = configs.collect();
            wire.update_quota = Some(UpdateQuota { force: Some(*force), quota_configs });
            Type::UpdateQuota
        }
        OperatorCall::Teardown(framework) => {
            wire.teardown = Some(Teardown { framework_id: framework_id_out(framework) });
            Type::Teardown
        }
        OperatorCall::DeactivateAgent(agent) => {
            wire.deactivate_agent = Some(DeactivateAgent { agent_id: agent_id_out(agent) });
            Type::DeactivateAgent
        }
        OperatorCall::ReactivateAgent { agent, cancel_drain: _ } => {
            wire.reactivate_agent = Some(ReactivateAgent { agent_id: agent_id_out(agent) });
            Type::ReactivateAgent
        }
        OperatorCall::DrainAgent { agent, max_grace_ms, mark_gone } => {
            wire.drain_agent = Some(drain_out(agent, *max_grace_ms, *mark_gone));
            Type::DrainAgent
        }
        OperatorCall::MarkAgentGone { agent, reason: _ } => {
            wire.mark_agent_gone = Some(MarkAgentGone { agent_id: agent_id_out(agent) });
            Type::MarkAgentGone
        }
        OperatorCall::Schedule(_) | OperatorCall::MachinesDown(_) | OperatorCall::MachinesUp(_) => {
            machines_to_proto(&mut wire, call)?
        }
        OperatorCall::Claim { agent, action } => claim_to_proto(&mut wire, agent, action)?,
    };
    wire.r#type = Some(kind.into());
    Some(wire)
}

/// Writes a change of what is claimed; `None` for several together.
fn claim_to_proto(wire: &mut Wire, agent: &AgentId, action: &ClaimAction) -> Option<Type> {
    let agent_id = agent_id_out(agent);
    let list = |it: &[Resource]| list_to_proto(it, Format::WHOLE);
    let one = |it: &Resource| resource::to_proto(it, Format::WHOLE);
    Some(match action {
        ClaimAction::Reserve { resources, source } => {
            let it =
                ReserveResources { agent_id, source: list(source), resources: list(resources) };
            wire.reserve_resources = Some(it);
            Type::ReserveResources
        }
        ClaimAction::Unreserve(resources) => {
            wire.unreserve_resources =
                Some(UnreserveResources { agent_id, resources: list(resources) });
            Type::UnreserveResources
        }
        ClaimAction::Create(volumes) => {
            wire.create_volumes = Some(CreateVolumes { agent_id, volumes: list(volumes) });
            Type::CreateVolumes
        }
        ClaimAction::Destroy(volumes) => {
            wire.destroy_volumes = Some(DestroyVolumes { agent_id, volumes: list(volumes) });
            Type::DestroyVolumes
        }
        ClaimAction::Grow { volume, addition } => {
            let (volume, addition) = (one(volume), one(addition));
            let agent_id = Some(agent_id);
            wire.grow_volume = Some(GrowVolume { agent_id, volume, addition });
            Type::GrowVolume
        }
        ClaimAction::Shrink { volume, subtract } => {
            let subtract = v1::value::Scalar { value: subtract.to_f64() };
            let (agent_id, volume) = (Some(agent_id), one(volume));
            wire.shrink_volume = Some(ShrinkVolume { agent_id, volume, subtract });
            Type::ShrinkVolume
        }
        ClaimAction::Together(_) => return None,
    })
}

/// The agent is optional on the wire, for volumes of resource providers, which nobody has here.
fn agent_of(id: Option<v1::AgentId>) -> Result<AgentId, Invalid> {
    let missing = || Invalid::new("agent_id", "is missing; name the agent that has the volume");
    agent_id(&id.ok_or_else(missing)?)
}

fn not_allocated(action: ClaimAction, field: &str) -> Result<ClaimAction, Invalid> {
    let (volume, addition) = match &action {
        ClaimAction::Grow { volume, addition } => (volume, Some(addition)),
        other => (&other.resources()[0], None),
    };
    let named = [("volume", Some(volume)), ("addition", addition)];
    let is_allocated = |it: &Resource| it.identity.allocation.is_some();
    match named.iter().find(|(_, it)| it.is_some_and(is_allocated)) {
        None => Ok(action),
        Some((name, _)) => Err(Invalid::new(
            format!("{field}.{name}.allocation_info"),
            "an operator's resources must not be allocated; leave it out",
        )),
    }
}

fn unallocated(field: &str, wire: Vec<v1::Resource>) -> Result<Vec<Resource>, Invalid> {
    check_bytes(field, wire.iter().map(Message::encoded_len).sum(), DESCRIPTION_BYTES_MAX)?;
    let list = list_from_proto(field, wire)?;
    match list.iter().position(|it| it.identity.allocation.is_some()) {
        None => Ok(list),
        Some(index) => Err(Invalid::new(
            format!("{field}[{index}].allocation_info"),
            "an operator's resources must not be allocated; leave it out",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::samples;
    use proptest::prelude::*;

    fn path(json: &str) -> String {
        let call: Wire = holdfast_proto::json::from_slice(json.as_bytes())
            .unwrap_or_else(|error| panic!("{json}: {error}"));
        from_proto(call).unwrap_err().path
    }

    #[test]
    fn wrong_calls_are_named() {
        let cpus = r#""name":"cpus","type":"SCALAR","scalar":{"value":1}"#;
        let agent = r#""agent_id":{"value":"a"}"#;
        for (bad, expected) in [
            (r#"{"type":"RESERVE_RESOURCES"}"#.to_owned(), "reserve_resources"),
            (r#"{"type":"TEARDOWN"}"#.to_owned(), "teardown"),
            (r#"{"type":"TEARDOWN","teardown":{"framework_id":{"value":""}}}"#.to_owned(), "teardown.framework_id"),
            (
                format!(
                    r#"{{"type":"RESERVE_RESOURCES","reserve_resources":{{{agent},"resources":[{{{cpus},"allocation_info":{{"role":"a"}}}}]}}}}"#
                ),
                "reserve_resources.resources[0].allocation_info",
            ),
            (
                format!(
                    r#"{{"type":"UNRESERVE_RESOURCES","unreserve_resources":{{{agent},"resources":[{{{cpus}}},{{{cpus},"role":"/"}}]}}}}"#
                ),
                "unreserve_resources.resources[1].role",
            ),
            (r#"{"type":"CREATE_VOLUMES","create_volumes":{"agent_id":{"value":"/"},"volumes":[]}}"#.to_owned(), "create_volumes.agent_id"),
        ] {
            assert_eq!(path(&bad), expected, "{bad}");
        }
    }

    #[test]
    fn calls_that_only_ask_are_not_ours() {
        let health = Wire { r#type: Some(Type::GetHealth.into()), ..Wire::default() };
        assert_eq!(from_proto(health), Ok(None));
        assert_eq!(from_proto(Wire::default()), Ok(None));
    }

    proptest! {
        #[test]
        fn orders_come_back(agent in samples::agent(), action in samples::claim_action(), framework in samples::framework_id()) {
            let action = action.map(|it| it.clone().unallocated());
            let gone = OperatorCall::MarkAgentGone { agent: agent.clone(), reason: None };
            let drain = OperatorCall::DrainAgent { agent: agent.clone(), max_grace_ms: Some(5_250), mark_gone: true };
            let off = OperatorCall::DeactivateAgent(agent.clone());
            let on = OperatorCall::ReactivateAgent { agent: agent.clone(), cancel_drain: false };
            for order in [gone, drain, off, on, OperatorCall::Claim { agent, action }, OperatorCall::Teardown(framework)] {
                prop_assert_eq!(from_proto(to_proto(&order).unwrap()), Ok(Some(order)));
            }
        }
    }
}
