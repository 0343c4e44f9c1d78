//! `/holdfast/v1/machines`: machines with planned downtime; and what a change of that would do.
//!
//! Relies on the checks of the master's core, which run on a view as they do there. Looks at the agents of the machines that are named.

use holdfast_master::InverseStatus;
use holdfast_model::{AgentId, MachineId, Schedule, Unavailability, Window};

use super::leaving::plan_down;
use crate::rows::{
    DowntimeAnswer, DowntimeAnswerRow, MachineMode, MachineRow, MaintenancePlan, Plan,
};
use crate::{MasterView, Refusal};

/// Machines with planned downtime.
pub fn machines(view: &MasterView) -> Vec<MachineRow> {
    rows(view, &view.ledger().maintenance)
}

fn rows(view: &MasterView, schedule: &Schedule) -> Vec<MachineRow> {
    let mode = |is_down| if is_down { MachineMode::Down } else { MachineMode::Draining };
    let all = schedule.machines();
    all.map(|(it, when)| row(view, &it.id, (mode(it.is_down), Some(when)))).collect()
}

/// What planning this downtime, and no other, would do: nothing ends by it.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn schedule_plan(view: &MasterView, windows: &[Window]) -> Result<Plan, Refusal> {
    let schedule = view.plan_downtime(windows.to_vec())?;
    let mut machines = rows(view, &schedule);
    let former = view.ledger().maintenance.machines();
    let dropped = former.filter(|(it, _)| schedule.get(&it.id).is_none());
    machines.extend(dropped.map(|(it, _)| row(view, &it.id, (MachineMode::Up, None))));
    let action = "UPDATE_MAINTENANCE_SCHEDULE".to_owned();
    Ok(Plan::Maintenance(MaintenancePlan { action, machines, leaving: Vec::new() }))
}

/// What taking machines down, or bringing them up, would do.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn mode_plan(view: &MasterView, ids: &[MachineId], down: bool) -> Result<Plan, Refusal> {
    view.check_machines(ids, !down)?;
    let when = |id: &MachineId| view.ledger().maintenance.get(id).map(|it| it.1);
    let machine = |id: &MachineId| match down {
        true => row(view, id, (MachineMode::Down, when(id))),
        false => row(view, id, (MachineMode::Up, None)),
    };
    let agents = ids.iter().flat_map(|it| view.ledger().agents_of_machine(it));
    let action = if down { "START_MAINTENANCE" } else { "STOP_MAINTENANCE" };
    Ok(Plan::Maintenance(MaintenancePlan {
        action: action.to_owned(),
        machines: ids.iter().map(machine).collect(),
        leaving: agents.filter(|_| down).map(|it| plan_down(view, it)).collect(),
    }))
}

fn row(
    view: &MasterView,
    id: &MachineId,
    (mode, when): (MachineMode, Option<Unavailability>),
) -> MachineRow {
    let agents: Vec<&AgentId> = view.ledger().agents_of_machine(id).collect();
    let tasks = agents.iter().flat_map(|it| view.tasks_of_agent(it));
    MachineRow {
        answers: agents.iter().flat_map(|it| answers(view, it)).collect(),
        claims: agents.iter().map(|it| view.ledger().claims_of(it).count()).sum(),
        tasks: tasks.filter(|it| !it.state.is_terminal()).count(),
        agents: agents.iter().map(ToString::to_string).collect(),
        duration_ns: when.and_then(|it| it.duration_ns),
        hostname: id.hostname.clone(),
        ip: id.ip.clone(),
        machine: if id.hostname.is_empty() { &id.ip } else { &id.hostname }.clone(),
        mode,
        start_ns: when.map(|it| it.start_ns),
    }
}

fn answers(view: &MasterView, agent: &AgentId) -> Vec<DowntimeAnswerRow> {
    let answer = |it: InverseStatus| match it {
        InverseStatus::Unknown => DowntimeAnswer::Unknown,
        InverseStatus::Accepted => DowntimeAnswer::Accept,
        InverseStatus::Declined => DowntimeAnswer::Decline,
    };
    let name = |it| view.ledger().frameworks.get(it).map(|it| it.info.name.clone());
    let said = view.said_of_downtime(agent);
    let row = |(framework, status, at): (_, InverseStatus, holdfast_model::Instant)| {
        let framework: &holdfast_model::FrameworkId = framework;
        DowntimeAnswerRow {
            agent: agent.to_string(),
            answer: answer(status),
            at_ms: at.0,
            framework: framework.to_string(),
            framework_name: name(framework).unwrap_or_default(),
        }
    };
    said.map(row).collect()
}
