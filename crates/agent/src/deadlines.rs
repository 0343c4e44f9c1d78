//! What happens when time has passed.
//!
//! Relies on `alarms`. An alarm for what is no more is a no-op.

use holdfast_model::{ExecutorKey, Moment, Reason, TaskState};

use crate::alarms::Alarm;
use crate::soft::{Phase, Verdict};
use crate::Agent;

impl Agent {
    pub(crate) fn tick(&mut self, moment: &mut Moment<'_>) {
        for alarm in self.soft.alarms.ring(moment.now) {
            match alarm {
                Alarm::Executor(key) => self.executor_overdue(moment, &key),
                Alarm::Kill(key) => self.kill_overdue(moment, key),
                Alarm::Update(key) => self.send_update(moment, &key),
                Alarm::Operation(uuid) => self.tell_operation(moment, uuid),
                Alarm::Trash(claim) => self.trash_again(claim),
                Alarm::Disks => self.open_disks(),
                Alarm::News => self.report(moment, "news for the master could wait no longer"),
            }
        }
    }

    fn executor_overdue(&mut self, moment: &mut Moment<'_>, key: &ExecutorKey) {
        let registered = self.ledger.executors.get(key).is_some_and(|it| it.registered);
        let Some(run) = self.soft.runs.get_mut(key) else { return };
        let verdict = match run.phase {
            Phase::Ending | Phase::Destroying => None,
            Phase::Running | Phase::Starting if run.link.is_none() && registered => {
                let why = "its executor did not come back after the agent was restarted";
                Some(Verdict::new(TaskState::Gone, Reason::ExecutorReregistrationTimeout, why))
            }
            Phase::Running | Phase::Starting if run.link.is_none() => {
                Some(Verdict::new(TaskState::Failed, Reason::ExecutorRegistrationTimeout, "its executor did not subscribe in time"))
            }
            Phase::Running | Phase::Starting | Phase::Waiting | Phase::Recovering => return,
        };
        run.verdict = run.verdict.take().or(verdict);
        self.destroy(moment, key);
    }
}
