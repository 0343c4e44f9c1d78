//! UPDATE_MAINTENANCE_SCHEDULE, START_MAINTENANCE and STOP_MAINTENANCE. Each is answered once the schedule is durable; what runs on a
//! machine that goes down ends afterwards.
//!
//! Machines are up, or in the schedule and to be drained, or down. Refuses what Mesos refuses, with its words. Looks at the agents of the
//! machines that are named, and at no others.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentId, Invalid, MachineId, MasterChange, MasterLedger, Schedule, Unavailability, Window,
};

use crate::flows::inverse_offers::rescind_inverse_of;
use crate::flows::maintenance::{agent_down, why_down};
use crate::flows::offers::rescind_all_of;
use crate::{Belief, Refusal, Step};

/// Plans this downtime, and no other.
///
/// # Errors
/// [`Refusal`] when a machine that is down is not in it, or an agent of one that is new in it is being drained.
pub(super) fn plan_downtime(
    step: &mut Step,
    belief: &mut Belief,
    windows: Vec<Window>,
) -> Result<(), Refusal> {
    let schedule = planned(step.out.ledger(), windows)?;
    let former = step.out.ledger().maintenance.clone();
    if former == schedule {
        return Ok(());
    }
    let changed = differences(&former, &schedule);
    step.out.commit(vec![MasterChange::Maintenance(schedule)]);
    renew(step, belief, &changed);
    Ok(())
}

/// The schedule that comes of these windows: machines that are down stay so.
///
/// # Errors
/// See [`plan_downtime`].
pub(crate) fn planned(ledger: &MasterLedger, windows: Vec<Window>) -> Result<Schedule, Refusal> {
    let former = &ledger.maintenance;
    let mut windows = windows;
    for machine in windows.iter_mut().flat_map(|it| &mut it.machines) {
        machine.is_down = former.get(&machine.id).is_some_and(|(it, _)| it.is_down);
    }
    let schedule = Schedule::new(windows);
    for (machine, _) in former.machines().filter(|(it, _)| it.is_down) {
        if schedule.get(&machine.id).is_none() {
            return Err(wrong(format!(
                "Machine '{}' is deactivated and cannot be removed from the schedule",
                machine.id
            )));
        }
    }
    for (machine, _) in schedule.machines().filter(|(it, _)| former.get(&it.id).is_none()) {
        let mut agents = ledger.agents_of_machine(&machine.id);
        let draining =
            |it: &&AgentId| ledger.deactivations.get(*it).is_some_and(|it| it.drain.is_some());
        if let Some(agent) = agents.find(draining) {
            return Err(wrong(format!(
                "Machine '{}' has agent {agent}, which is drained; an agent is either drained or in a maintenance schedule: `holdfast agent reactivate {agent}` first",
                machine.id
            )));
        }
    }
    Ok(schedule)
}

/// Takes machines of the schedule down.
///
/// # Errors
/// [`Refusal`] when one is not in it, or is down already.
pub(super) fn machines_down(
    step: &mut Step,
    belief: &mut Belief,
    ids: &[MachineId],
) -> Result<(), Refusal> {
    check_modes(step.out.ledger(), ids, false)?;
    let schedule = step.out.ledger().maintenance.with_down(ids);
    step.out.commit(vec![MasterChange::Maintenance(schedule)]);
    for agent in agents_of(step.out.ledger(), ids) {
        let hostname = step.out.ledger().agents[&agent].hostname.clone();
        let why = why_down(step.out.ledger(), &hostname);
        rescind_inverse_of(step, belief, &agent);
        agent_down(step, belief, &agent, &why.expect("its machine was just taken down"));
    }
    Ok(())
}

/// Machines are up again, and leave the schedule.
///
/// # Errors
/// [`Refusal`] when one is not in it, or is not down.
pub(super) fn machines_up(
    step: &mut Step,
    belief: &mut Belief,
    ids: &[MachineId],
) -> Result<(), Refusal> {
    check_modes(step.out.ledger(), ids, true)?;
    let schedule = step.out.ledger().maintenance.without(ids);
    step.out.commit(vec![MasterChange::Maintenance(schedule)]);
    renew(step, belief, ids);
    Ok(())
}

/// Whether all these machines are in the schedule, and in the mode from which they go.
///
/// # Errors
/// [`Refusal`] naming the first that is not.
pub(crate) fn check_modes(
    ledger: &MasterLedger,
    ids: &[MachineId],
    is_down: bool,
) -> Result<(), Refusal> {
    for id in ids {
        let Some((machine, _)) = ledger.maintenance.get(id) else {
            return Err(wrong(format!("Machine '{id}' is not part of a maintenance schedule")));
        };
        if machine.is_down != is_down {
            return Err(wrong(match is_down {
                true => format!("Machine '{id}' is not in DOWN mode and cannot be brought up"),
                false => {
                    format!("Machine '{id}' is not in DRAINING mode and cannot be brought down")
                }
            }));
        }
    }
    Ok(())
}

fn wrong(why: String) -> Refusal {
    Refusal::Invalid(Invalid::new("machines", why))
}

/// Machines whose downtime is not what it was, or that are in only one of the two.
fn differences(former: &Schedule, schedule: &Schedule) -> Vec<MachineId> {
    let all = |it: &Schedule| -> BTreeMap<String, (MachineId, Unavailability)> {
        let of = it.machines().map(|(it, when)| (it.id.key(), (it.id.clone(), when)));
        of.collect()
    };
    let (before, after) = (all(former), all(schedule));
    let when = |all: &BTreeMap<String, (MachineId, Unavailability)>, key: &str| {
        all.get(key).map(|it| it.1)
    };
    let either = before.iter().chain(after.iter().filter(|it| !before.contains_key(it.0)));
    let changed = either.filter(|(key, _)| when(&before, key) != when(&after, key));
    changed.map(|(_, (id, _))| id.clone()).collect()
}

fn agents_of(ledger: &MasterLedger, ids: &[MachineId]) -> Vec<AgentId> {
    ids.iter().flat_map(|it| ledger.agents_of_machine(it)).cloned().collect()
}

/// What is planned for the agents of these machines has changed: what was offered of them, and asked, said something else.
fn renew(step: &mut Step, belief: &mut Belief, ids: &[MachineId]) {
    for agent in agents_of(step.out.ledger(), ids) {
        rescind_all_of(step, belief, &agent);
        rescind_inverse_of(step, belief, &agent);
        belief.offers.inverse.forget_answers(&agent);
        belief.offers.inverse.touch(&agent);
        belief.allocator.touch(&agent);
    }
}
