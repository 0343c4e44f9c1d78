//! What the master is told, and told again until it says that it heard.
//!
//! Relies on [`MasterLink`] for whether anybody listens. Never tells what is not written down: it tells what the ledger says.

use holdfast_model::{
    Claim, OperationUpdate, OperationUuid, SpaceNews, StatusSource, TaskKey, TaskRecord, TaskState,
    TaskStatus, ToMaster, TrashNews,
};

use super::faults::disk_reports;
use super::Step;
use crate::contract::Effect;
use crate::parts::{Alarm, Disks, MasterLink, TerminationReason};

/// Says whether anybody was told.
pub(crate) fn tell_master(step: &mut Step<'_>, master: &mut MasterLink, message: ToMaster) -> bool {
    let link = master.address(&message);
    step.extend(link.map(|link| Effect::ToMaster(link, message)));
    link.is_some()
}

/// Tells the oldest unacknowledged status of a task, unless one is on its way.
pub(crate) fn forward(step: &mut Step<'_>, master: &mut MasterLink, key: &TaskKey) {
    if step.alarms().at(&Alarm::Update(key.clone())).is_none() {
        send_update(step, master, key);
    }
}

/// Tells the oldest unacknowledged status of a task, and again until it is acknowledged.
pub(crate) fn send_update(step: &mut Step<'_>, master: &mut MasterLink, key: &TaskKey) {
    let Some(task) = step.ledger().tasks.get(key) else { return };
    let Some(status) = task.updates.first().cloned() else { return };
    let message = ToMaster::TaskUpdate { framework: key.0.clone(), status, latest: task.state };
    if tell_master(step, master, message) {
        step.retry_update(Alarm::Update(key.clone()));
    }
}

/// Tells the outcome of a settled operation, now and again until it is acknowledged.
pub(crate) fn tell_operation(step: &mut Step<'_>, master: &mut MasterLink, uuid: OperationUuid) {
    let ledger = step.ledger();
    let Some(record) = ledger.operations.get(&uuid) else { return };
    let Some(status) = record.status else { return };
    let claims = record.claims.iter();
    let is_gone = |it: &&Claim| !ledger.claims.contains_key(&it.id);
    let update = OperationUpdate {
        uuid,
        id: record.operation.id.clone(),
        framework: record.framework.clone(),
        state: record.state,
        message: record.message.clone(),
        status,
        ledger_version: ledger.identity.version,
        ledger_checksum: Some(ledger.identity.checksum).filter(|it| *it != 0),
        claims: claims.clone().filter_map(|id| ledger.claims.get(id).cloned()).collect(),
        ended: claims.filter(|id| !ledger.claims.contains_key(id)).copied().collect(),
        endings: record.endings.iter().filter(is_gone).cloned().collect(),
        claims_generation: ledger.identity.claims_generation,
    };
    if tell_master(step, master, ToMaster::OperationUpdate(update)) {
        step.note_told();
        step.retry_update(Alarm::Operation(uuid));
    }
}

/// Tells everything that was not acknowledged, on a new link.
pub(crate) fn resend_all(step: &mut Step<'_>, master: &mut MasterLink) {
    if step.config().is_planted("agent-forgets-updates") {
        return;
    }
    let untold = step.ledger().tasks.iter().filter(|(_, it)| !it.updates.is_empty());
    let tasks: Vec<TaskKey> = untold.map(|(key, _)| key.clone()).collect();
    for key in tasks {
        send_update(step, master, &key);
    }
    tell_trash(step, master, true);
    let operations: Vec<OperationUuid> = step.ledger().operations.keys().copied().collect();
    for uuid in operations {
        tell_operation(step, master, uuid);
    }
}

/// Tells what lies in the trash: all of it, or what has changed since that was told.
pub(crate) fn tell_trash(step: &mut Step<'_>, master: &mut MasterLink, whole: bool) {
    let changed = step.take_changed_trash();
    let ledger = step.ledger();
    let (volumes, gone) = if whole {
        (ledger.trash.values().cloned().collect(), Vec::new())
    } else {
        let gone = changed.iter().filter(|it| !ledger.trash.contains_key(it)).copied().collect();
        (changed.iter().filter_map(|it| ledger.trash.get(it).cloned()).collect(), gone)
    };
    if !whole && changed.is_empty() {
        return;
    }
    let retention_ms = step.config().trash_retention_ms;
    let news = TrashNews { whole, retention_ms, volumes, gone };
    // Nobody who listens is told all after the next welcome.
    tell_master(step, master, ToMaster::TrashNews(news));
}

/// Tells what volumes were found to use: all of it, or what has changed since that was told.
pub(crate) fn tell_used(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    whole: bool,
) {
    let Some(news) = disks.take_used_news(step.ledger(), whole) else { return };
    // Nobody who listens is told all after the next welcome.
    tell_master(step, master, ToMaster::UsedNews(news));
}

/// Tells how much of the disks there is, unless a report is about to.
pub(crate) fn tell_space(step: &mut Step<'_>, disks: &Disks, master: &mut MasterLink) {
    if !master.is_report_wanted() {
        tell_space_now(step, disks, master);
    }
}

/// Tells how much of the disks there is, and which there are.
pub(crate) fn tell_space_now(step: &mut Step<'_>, disks: &Disks, master: &mut MasterLink) {
    let machine = disks.machine().expect("the disks are open when their space is told");
    let news = SpaceNews {
        resources: machine.resources.iter().collect(),
        disks: disk_reports(step, disks),
        full: disks.full().cloned(),
    };
    // Nobody who listens hears it with the next report.
    tell_master(step, master, ToMaster::SpaceNews(news));
}

/// Nothing is told again until the next welcome.
pub(crate) fn stop_resending(step: &mut Step<'_>) {
    step.alarms_mut().clear_all(|it| matches!(it, Alarm::Update(_) | Alarm::Operation(_)));
}

/// A status that the agent makes itself.
pub(crate) fn own_status(
    step: &mut Step<'_>,
    task: &TaskRecord,
    termination: &TerminationReason,
) -> TaskStatus {
    let status = TaskStatus::new(task.info.id.clone(), termination.state, step.now());
    let mut status =
        status.because(StatusSource::Agent, termination.reason, termination.why.clone());
    status.uuid = Some(step.fresh_status());
    status.agent.clone_from(&step.ledger().identity.agent);
    status.executor = Some(task.executor.clone());
    status
}

/// Whoever kills what is not here wants to know that it is not here.
pub(crate) fn tell_gone(step: &mut Step<'_>, master: &mut MasterLink, (framework, task): TaskKey) {
    let status = TaskStatus::new(task, TaskState::Gone, step.now());
    let mut status = status.because(
        StatusSource::Agent,
        holdfast_model::Reason::Reconciliation,
        "this agent does not know the task",
    );
    status.agent.clone_from(&step.ledger().identity.agent);
    tell_master(step, master, ToMaster::TaskUpdate { framework, status, latest: TaskState::Gone });
}
