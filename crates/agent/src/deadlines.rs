//! What happens when time has passed.
//!
//! Relies on `alarms`. An alarm for what is no more is a no-op.

use holdfast_model::{ExecutorKey, Reason, StepContext, TaskState};

use crate::alarms::Alarm;
use crate::soft::{Phase, TerminationReason};
use crate::Agent;

impl Agent {
    pub(crate) fn tick(&mut self, ctx: &mut StepContext<'_>) {
        for alarm in self.soft.alarms.ring(ctx.now) {
            match alarm {
                Alarm::Executor(key) => self.executor_overdue(ctx, &key),
                Alarm::Kill(key) => self.kill_overdue(ctx, key),
                Alarm::Update(key) => self.send_update(ctx, &key),
                Alarm::Operation(uuid) => self.tell_operation(ctx, uuid),
                Alarm::Trash(claim) => self.trash_again(claim),
                Alarm::Disks => self.open_disks(),
                Alarm::News => self.report(ctx, "news for the master could wait no longer"),
            }
        }
    }

    fn executor_overdue(&mut self, ctx: &mut StepContext<'_>, key: &ExecutorKey) {
        let registered = self.ledger.executors.get(key).is_some_and(|it| it.registered);
        let Some(run) = self.soft.runs.get_mut(key) else { return };
        let termination = match run.phase {
            Phase::Ending | Phase::Destroying => None,
            Phase::Running | Phase::Starting if run.link.is_none() && registered => {
                let why = "its executor did not come back after the agent was restarted";
                Some(TerminationReason::new(
                    TaskState::Gone,
                    Reason::ExecutorReregistrationTimeout,
                    why,
                ))
            }
            Phase::Running | Phase::Starting if run.link.is_none() => Some(TerminationReason::new(
                TaskState::Failed,
                Reason::ExecutorRegistrationTimeout,
                "its executor did not subscribe in time",
            )),
            Phase::Running | Phase::Starting | Phase::Waiting | Phase::Recovering => return,
        };
        run.termination = run.termination.take().or(termination);
        self.destroy(ctx, key);
    }
}
