//! What agents say. The first message of each link is a report; until then nothing else is heard.

use holdfast_model::{AgentId, Event, ExecutorId, FrameworkId, LinkId, ToMaster};

use super::operation_update::operation_updated;
use super::report::reported;
use super::task_update::task_updated;
use crate::flows::bookkeeping::release;
use crate::flows::resync::resync;
use crate::flows::telling::tell;
use crate::{Belief, Effect, Step};

/// A message of an agent.
pub(crate) fn agent_said(step: &mut Step, belief: &mut Belief, link: LinkId, message: ToMaster) {
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
        ToMaster::Pong(number) => belief.agents.at_mut(&agent).pong(number),
    }
}

fn executor_exited(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    key: (FrameworkId, ExecutorId),
    status: i32,
) {
    if let Some(view) = belief.agents.at_mut(agent).remove_executor(&key) {
        release(belief.counted(), agent, &key.0, &view.resources);
    }
    let (framework, executor) = key;
    let mut tasks = belief.tasks.of_both(&framework, agent);
    if tasks.any(|it| it.executor == executor && !it.state.is_terminal()) {
        drop(tasks);
        // They end with it, or it is another one of that name: the agent knows.
        resync(step, belief, agent);
    }
    let event = Event::Failure {
        agent: Some(agent.clone()),
        executor: Some(executor),
        status: Some(status),
    };
    tell(step, &belief.frameworks, &framework, event);
}
