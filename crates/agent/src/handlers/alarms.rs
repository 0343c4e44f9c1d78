//! What happens when time has passed.
//!
//! Relies on [`Alarm`]s that were set. An alarm for what is no more is a no-op.

use holdfast_model::{ExecutorKey, Reason, TaskState};

use super::kill::kill_overdue;
use super::volumes::trash_again;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::telling::{send_update, tell_operation};
use crate::bookkeeping::Step;
use crate::flows::ending::destroy;
use crate::parts::{
    Alarm, Containers, Disks, MasterLink, Phase, ReportWish, Tasks, TerminationReason,
};

pub(crate) fn tick(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &Tasks,
    master: &mut MasterLink,
) {
    let now = step.now();
    for alarm in step.alarms_mut().ring(now) {
        match alarm {
            Alarm::Executor(key) => executor_overdue(step, containers, &key),
            Alarm::Kill(key) => kill_overdue(step, containers, tasks, key),
            Alarm::Update(key) => send_update(step, master, &key),
            Alarm::Operation(uuid) => tell_operation(step, master, uuid),
            Alarm::Trash(claim) => trash_again(step, claim),
            Alarm::Disks => open_disks(step, disks),
            Alarm::News => {
                let when = "news for the master could wait no longer";
                master.want_report(ReportWish::Now { when });
            }
        }
    }
}

fn executor_overdue(step: &mut Step<'_>, containers: &mut Containers, key: &ExecutorKey) {
    let registered = step.ledger().executors.get(key).is_some_and(|it| it.registered);
    let Some(live) = containers.get_mut(key) else { return };
    let termination = match live.phase() {
        Phase::Ending | Phase::Destroying => None,
        Phase::Running | Phase::Starting if live.link().is_some() => return,
        Phase::Running | Phase::Starting if registered => {
            let why = "its executor did not come back after the agent was restarted";
            Some(TerminationReason::new(
                TaskState::Gone,
                Reason::ExecutorReregistrationTimeout,
                why,
            ))
        }
        Phase::Running | Phase::Starting => Some(TerminationReason::new(
            TaskState::Failed,
            Reason::ExecutorRegistrationTimeout,
            "its executor did not subscribe in time",
        )),
        Phase::Waiting | Phase::Recovering => return,
    };
    live.note_termination(termination);
    destroy(step, containers, key);
}
