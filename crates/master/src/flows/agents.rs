//! Agents fall silent, and are called unreachable when they do not come back in time.

use holdfast_model::{
    AgentId, AgentRecord, Event, LinkId, MasterChange, Presence, Reason, StatusSource, TaskKey,
    TaskState, TaskStatus,
};

use super::bookkeeping::forget_holdings;
use super::inverse_offers::rescind_inverse_of;
use super::offers::rescind_all_of;
use super::operations::{answer_waiting, operations_unreachable};
use super::resync::drop_queued;
use super::tasks::{keys_of_agent, retire};
use super::telling::tell;
use crate::parts::timers::Timer;
use crate::{Belief, Step};

/// An agent's link broke, or it was hung up on.
pub(crate) fn agent_lost(step: &mut Step, belief: &mut Belief, link: LinkId) {
    belief.operations.end_recovery(link);
    let Some(id) = step.links.close_agent(link) else { return }; // It was nobody's, or closed before.
    if belief.agents.at(&id).link() != Some(link) {
        return; // It speaks on a newer one.
    }
    belief.agents.lost(&id, step.now);
    drop_queued(&mut belief.agents, &mut belief.tasks, &id);
    rescind_all_of(step, belief, &id);
    rescind_inverse_of(step, belief, &id);
    belief.allocator.touch(&id);
    let due = step.now.plus_ms(step.config.agent_timeout_ms);
    belief.timers.set(due, Timer::Agent(id.clone()));
    answer_waiting(step.out, &mut belief.operations, &id);
}

/// The agent did not come back in time. Its claims stay as they are; its tasks may still run.
pub(crate) fn agent_unreachable(step: &mut Step, belief: &mut Belief, id: &AgentId) {
    let record = step.out.ledger().agents.get(id).expect("an expected agent is in the ledger");
    if record.presence != Presence::Admitted {
        return; // A former leader has said so.
    }
    let record = AgentRecord { presence: Presence::Unreachable, since: step.now, ..record.clone() };
    step.out.commit(vec![MasterChange::Agent(record)]);
    step.out.log(format!("agent {id} is unreachable"));
    belief.agents.dismiss(id);
    forget_holdings(belief, id);
    for key in keys_of_agent(&belief.tasks, id) {
        task_unreachable(step, belief, id, &key);
    }
    for framework in belief.frameworks.states().keys() {
        let event = Event::Failure { agent: Some(id.clone()), executor: None, status: None };
        tell(step, &belief.frameworks, framework, event);
    }
    operations_unreachable(step, &belief.frameworks, &belief.operations, id);
    belief.allocator.forget_declined_of(id);
    belief.allocator.touch(id);
}

fn task_unreachable(step: &mut Step, belief: &mut Belief, id: &AgentId, key: &TaskKey) {
    if step.is_removed(&key.0) {
        // Nobody asks for it any more; should it come back, it is ended.
        return retire(&mut belief.agents, &mut belief.tasks, key);
    }
    if belief.tasks.get(key).expect("it was just listed").state.is_terminal() {
        return; // Its framework has yet to acknowledge how it ended.
    }
    let why = "the agent does not answer; the task may still run, and its volumes are kept";
    let mut status = TaskStatus::new(key.1.clone(), TaskState::Unreachable, step.now)
        .at_agent(id)
        .because(StatusSource::Master, Reason::AgentRemoved, why);
    status.unreachable = Some(step.now);
    belief.tasks.set_state(key, TaskState::Unreachable);
    belief.tasks.set_latest(key, status.clone());
    tell(step, &belief.frameworks, &key.0, Event::Update(status));
}
