//! What agents say. The first message of each link is a report; until then nothing else is heard.

use holdfast_model::{AgentId, Event, ExecutorId, FrameworkId, LinkId, TaskState, ToMaster};

use super::disks::disk_answered;
use super::operation_update::operation_updated;
use super::report::reported;
use super::space::space_changed;
use super::task_update::task_updated;
use super::trash::trash_changed;
use crate::flows::bookkeeping::release;
use crate::flows::drain::check_drained;
use crate::flows::telling::tell;
use crate::parts::tasks::TaskView;
use crate::{Belief, Effect, Step};

/// A message of an agent.
pub(crate) fn agent_said(step: &mut Step, belief: &mut Belief, link: LinkId, message: ToMaster) {
    heard(step, belief, link, message);
    if let Some(agent) = step.links.agent_at(link).cloned() {
        check_drained(step, belief, &agent);
    }
}

fn heard(step: &mut Step, belief: &mut Belief, link: LinkId, message: ToMaster) {
    let message = match message {
        ToMaster::Report(report) => return reported(step, belief, link, *report),
        message => message,
    };
    let Some(agent) = step.links.agent_at(link).cloned() else {
        return step.out.send(Effect::CloseAgent(link)); // It has to introduce itself first.
    };
    if belief.agents.at(&agent).link() != Some(link) {
        return; // An older link's last words.
    }
    match message {
        ToMaster::Report(_) => unreachable!("reports were taken above"),
        ToMaster::TaskUpdate { framework, status, latest } => {
            task_updated(step, belief, &agent, &framework, status, latest)
        }
        ToMaster::OperationUpdate(update) => operation_updated(step, belief, &agent, update),
        ToMaster::ExecutorMessage(framework, executor, data) => {
            tell(step, &belief.frameworks, &framework, Event::Message(agent, executor, data));
        }
        ToMaster::ExecutorExited { framework, executor, status } => {
            executor_exited(step, belief, &agent, (framework, executor), status)
        }
        ToMaster::SpaceNews(news) => space_changed(step, belief, &agent, news),
        ToMaster::TrashNews(news) => trash_changed(step, belief, &agent, news),
        ToMaster::UsedNews(news) => belief.agents.at_mut(&agent).hear_used(news),
        ToMaster::DiskAnswer { uuid, refusal } => {
            disk_answered(step, belief, &agent, uuid, refusal)
        }
        ToMaster::Pong(number) => belief.agents.pong(&agent, number),
    }
}

/// An executor is gone. What had begun ended with it, and its end is told by the agent: at once, or behind a status that its framework
/// has yet to acknowledge. What the agent has told nothing about never reached that executor: the agent begins it in another one of that
/// name, which uses the same. Nobody else is concerned.
fn executor_exited(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    key: (FrameworkId, ExecutorId),
    status: i32,
) {
    let is_on_its_way = |it: &TaskView| {
        it.executor == key.1 && it.state == TaskState::Staging && it.latest.is_none()
    };
    if !belief.tasks.of_both(&key.0, agent).any(is_on_its_way) {
        if let Some(view) = belief.agents.at_mut(agent).remove_executor(&key) {
            release(belief.counted(), agent, &key.0, &view.resources);
        }
    }
    let (framework, executor) = key;
    let event = Event::Failure {
        agent: Some(agent.clone()),
        executor: Some(executor),
        status: Some(wait_status(status)),
    };
    tell(step, &belief.frameworks, &framework, event);
}

/// An exit code, or 128 + the signal, as `waitpid` tells it. What is above the greatest signal is a code, as of a program that exits with -1.
fn wait_status(status: i32) -> i32 {
    match status {
        129..=192 => status - 128,
        code => code << 8,
    }
}

#[cfg(test)]
mod tests {
    use super::wait_status;

    #[test]
    fn h22_ends_are_told_as_waitpid_tells_them() {
        for (status, told) in
            [(0, 0), (7, 0x700), (128, 0x8000), (137, 9), (192, 64), (255, 0xff00)]
        {
            assert_eq!(wait_status(status), told, "{status}");
        }
    }
}
