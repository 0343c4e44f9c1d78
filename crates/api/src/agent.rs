//! Answers of an agent, from its view: the operator API and its page.

mod page;

use holdfast_model::convert::{machine, resource, Format};
use holdfast_model::TaskRecord;
use holdfast_proto::mesos::v1::{self, agent::response as api};

pub use page::{page, AgentPage};

use crate::AgentView;

/// GET_AGENT: the machine, once its disks are open.
pub fn machine(view: &AgentView) -> api::GetAgent {
    let machine = view.status().machine;
    let agent_info = machine.map(|it| machine::to_proto(&it, Format::ENDPOINT));
    api::GetAgent { agent_info, ..Default::default() }
}

/// GET_TASKS: tasks that live and those whose end was not acknowledged yet.
pub fn tasks(view: &AgentView) -> api::GetTasks {
    let mut answer = api::GetTasks::default();
    for record in view.ledger().tasks.values() {
        let list = match record.state.is_terminal() {
            true => &mut answer.terminated_tasks,
            false => &mut answer.launched_tasks,
        };
        list.push(task(record));
    }
    answer
}

fn task(record: &TaskRecord) -> v1::Task {
    v1::Task {
        name: record.info.name.clone(),
        task_id: v1::TaskId { value: record.info.id.to_string() },
        framework_id: v1::FrameworkId { value: record.framework.to_string() },
        executor_id: Some(v1::ExecutorId { value: record.executor.to_string() }),
        agent_id: v1::AgentId { value: record.info.agent.to_string() },
        state: record.state as i32,
        resources: resource::sum_to_proto(&record.info.own_resources(), Format::ENDPOINT),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
