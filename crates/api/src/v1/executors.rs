//! GET_EXECUTORS: the executors that agents reported.
//!
//! Relies on a published view; never reads a payload before it is asked for.

use holdfast_master::ExecutorView;
use holdfast_model::ExecutorKey;
use holdfast_proto::binary;
use holdfast_proto::mesos::v1::{self, master::response as api};

use super::{agent_id, framework_id, list};
use crate::MasterView;

/// Executors, agent by agent.
pub fn executors(view: &MasterView) -> api::GetExecutors {
    let all = view.agents().iter().flat_map(|(agent, state)| {
        state.executors().iter().map(move |(key, executor)| api::get_executors::Executor {
            executor_info: info(key, executor),
            agent_id: agent_id(agent),
        })
    });
    api::GetExecutors { executors: all.collect(), ..Default::default() }
}

fn info((framework, id): &ExecutorKey, executor: &ExecutorView) -> v1::ExecutorInfo {
    let described = binary::decode::<v1::ExecutorInfo>(executor.payload.bytes()).ok();
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: id.as_str().to_owned() },
        framework_id: Some(framework_id(framework)),
        resources: list(&executor.resources),
        ..described.unwrap_or_default()
    }
}
