//! Kills that were asked for: when they are due, and telling them to executors that may not have heard.
//!
//! Never ends a task; its executor does, or the end of its container.

use holdfast_model::{ExecutorEvent, ExecutorKey, TaskKey, TaskRecord};

use crate::bookkeeping::records::live_tasks;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{Alarm, Containers, Tasks};

pub(crate) use holdfast_model::task::KILL_GRACE_DEFAULT_MS;

/// How long a killed task has until its container is looked to.
pub(crate) fn kill_alarm_ms(step: &Step<'_>, grace_ms: u64) -> u64 {
    grace_ms.saturating_add(step.config().shutdown_grace_ms)
}

/// Sets a task's time to end, unless it has less already.
pub(crate) fn arm_kill(step: &mut Step<'_>, task: TaskKey, grace_ms: u64) {
    let at = step.now().plus_ms(kill_alarm_ms(step, grace_ms));
    step.alarms_mut().set_earlier(Alarm::Kill(task), at);
}

/// After a restart, tasks that were being killed get their time again.
pub(crate) fn rearm_kills(step: &mut Step<'_>, key: &ExecutorKey) {
    let killed =
        |it: &TaskRecord| (it.key(), it.info.kill_grace_ms.unwrap_or(KILL_GRACE_DEFAULT_MS));
    let killed: Vec<(TaskKey, u64)> = killed_tasks(step, key).into_iter().map(killed).collect();
    for (task, grace_ms) in killed {
        arm_kill(step, task, grace_ms);
    }
}

/// Kills that the executor may not have heard.
pub(crate) fn send_kills(
    step: &mut Step<'_>,
    containers: &Containers,
    tasks: &Tasks,
    key: &ExecutorKey,
) {
    let Some(link) = containers.of(key).link() else { return };
    let event = |it: &TaskRecord| {
        let grace_ms = tasks.kill_grace_ms(&it.key()).or(it.info.kill_grace_ms);
        Effect::ToExecutor(link, ExecutorEvent::Kill(it.info.id.clone(), grace_ms))
    };
    let events: Vec<Effect> = killed_tasks(step, key).into_iter().map(event).collect();
    step.extend(events);
}

fn killed_tasks<'a>(step: &'a Step<'_>, key: &'a ExecutorKey) -> Vec<&'a TaskRecord> {
    let live = live_tasks(step.ledger(), key).into_iter();
    live.filter(|it| it.killed && it.delivered).collect()
}
