//! The operator API of an agent: settings, frameworks, executors, operations and containers.
//!
//! Relies on a published view, and on the process for what no view holds. Never measures or looks anything up itself.

use std::collections::BTreeMap;

use holdfast_model::convert::{self, framework, operation, operation_status, resource, Format};
use holdfast_model::{
    AgentId, ContainerId, ExecutorId, ExecutorRecord, FrameworkId, OperationRecord,
    OperationStatus, Resources,
};
use holdfast_proto::binary;
use holdfast_proto::mesos::v1::{self, agent::response as api};

use super::containers::granted;
use super::{AgentFacts, EndedRun};
use crate::{task_facts, AgentView};

/// What a process finds about its containers, beside the view.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The sandboxes that are kept of executors that are no more.
    pub ended: Vec<EndedRun>,
    /// What the executors' containers that run use.
    pub measured: BTreeMap<ContainerId, v1::ResourceStatistics>,
    /// The first process of the payload of each.
    pub pids: BTreeMap<ContainerId, u32>,
    /// The containers inside of those.
    pub nested: Vec<NestedRun>,
    /// The time, in seconds since 1970.
    pub now_s: f64,
}

/// A container that runs inside another.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedRun {
    /// The executor's container in which it is.
    pub root: ContainerId,
    /// Its id, with those of the containers around it.
    pub id: v1::ContainerId,
    /// The first process of its payload.
    pub pid: Option<u32>,
}

/// GET_AGENT: the machine, once its disks are open.
pub fn machine(view: &AgentView) -> api::GetAgent {
    let machine = view.status().machine;
    let id = view.ledger().identity.agent.as_ref();
    let agent_info = machine.map(|it| v1::AgentInfo {
        id: id.map(|it| v1::AgentId { value: it.to_string() }),
        ..convert::machine::to_proto(&it, Format::ENDPOINT)
    });
    api::GetAgent { agent_info, ..Default::default() }
}

/// GET_TASKS: tasks that wait for their executor, those that it was given, and those whose end was not acknowledged yet.
pub fn tasks(view: &AgentView) -> api::GetTasks {
    let mut answer = api::GetTasks::default();
    for record in view.ledger().tasks.values() {
        let list = match record.delivered {
            _ if record.state.is_terminal() => &mut answer.terminated_tasks,
            true => &mut answer.launched_tasks,
            false => &mut answer.queued_tasks,
        };
        let resources = resource::sum_to_proto(&record.info.own_resources(), Format::ENDPOINT);
        list.push(v1::Task { resources, ..task_facts::of_agent(record) });
    }
    answer
}

/// GET_FLAGS: the settings.
pub fn flags(facts: &AgentFacts) -> api::GetFlags {
    let flag = |(name, value): (&String, &String)| v1::Flag {
        name: name.clone(),
        value: Some(value.clone()),
    };
    api::GetFlags { flags: facts.flags.iter().map(flag).collect() }
}

/// GET_STATE: tasks, executors and frameworks at one moment.
pub fn state(view: &AgentView, found: &Surroundings) -> api::GetState {
    api::GetState {
        get_tasks: Some(super::tasks(view)),
        get_executors: Some(executors(view, found)),
        get_frameworks: Some(frameworks(view, found)),
    }
}

/// GET_FRAMEWORKS: those that have something here, and those of which only sandboxes are kept.
pub fn frameworks(view: &AgentView, found: &Surroundings) -> api::GetFrameworks {
    let known = &view.ledger().frameworks;
    let entry = |framework_info| api::get_frameworks::Framework { framework_info };
    let live = known.values().map(|info| entry(framework::to_proto(info)));
    let mut gone: Vec<&str> = found.ended.iter().map(|it| it.framework.as_str()).collect();
    gone.sort_unstable();
    gone.dedup();
    let is_gone = |id: &&str| known.keys().all(|it| it.as_str() != *id);
    let completed = gone.into_iter().filter(is_gone).map(|id| {
        let id = Some(v1::FrameworkId { value: id.to_owned() });
        entry(v1::FrameworkInfo { id, ..Default::default() })
    });
    api::GetFrameworks { frameworks: live.collect(), completed_frameworks: completed.collect() }
}

/// GET_EXECUTORS: those that live, and those of which only sandboxes are kept.
pub fn executors(view: &AgentView, found: &Surroundings) -> api::GetExecutors {
    let entry = |executor_info| api::get_executors::Executor { executor_info };
    let live = view.ledger().executors.values().map(|record| entry(executor(record)));
    let completed = found.ended.iter().map(|run| {
        entry(v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: run.executor.clone() },
            framework_id: Some(v1::FrameworkId { value: run.framework.clone() }),
            ..Default::default()
        })
    });
    api::GetExecutors { executors: live.collect(), completed_executors: completed.collect() }
}

fn executor(record: &ExecutorRecord) -> v1::ExecutorInfo {
    let described = binary::decode::<v1::ExecutorInfo>(record.info.payload.bytes()).ok();
    let own: Resources = record.info.resources.iter().collect();
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: record.info.id.to_string() },
        framework_id: Some(framework_id(&record.framework)),
        resources: resource::sum_to_proto(&own, Format::ENDPOINT),
        ..described.unwrap_or_default()
    }
}

/// GET_OPERATIONS: those that are not settled, and those whose end was not acknowledged yet.
pub fn operations(view: &AgentView) -> api::GetOperations {
    let ledger = view.ledger();
    let agent = ledger.identity.agent.as_ref();
    let all = ledger.operations.values().map(|it| self::operation(agent, it));
    api::GetOperations { operations: all.collect() }
}

fn operation(agent: Option<&AgentId>, record: &OperationRecord) -> v1::Operation {
    let status = OperationStatus {
        id: record.operation.id.clone(),
        state: record.state,
        message: record.message.clone(),
        converted: Resources::new(),
        uuid: record.status,
        agent: agent.cloned(),
    };
    let latest = operation_status::to_proto(&status, Format::ENDPOINT);
    v1::Operation {
        framework_id: record.framework.as_ref().map(framework_id),
        agent_id: agent.map(|it| v1::AgentId { value: it.as_str().to_owned() }),
        info: operation::to_proto(&record.operation, Format::ENDPOINT),
        statuses: vec![latest.clone()],
        latest_status: latest,
        uuid: v1::Uuid { value: record.uuid.0.as_bytes().to_vec() },
    }
}

/// GET_CONTAINERS: those of executors and, if asked for, those inside them. None stands alone here.
pub fn all_containers(
    view: &AgentView,
    facts: &AgentFacts,
    found: &Surroundings,
    show_nested: bool,
) -> api::GetContainers {
    let roots = granted(view, &found.measured, found.now_s).map(|(record, usage)| {
        let id = v1::ContainerId { value: record.container.to_string(), parent: None };
        let pid = found.pids.get(&record.container).copied();
        let status = container_status(facts, id.clone(), pid);
        container(record, id, status, Some(usage))
    });
    let mut containers: Vec<_> = roots.collect();
    if show_nested {
        let by_container: BTreeMap<ContainerId, &ExecutorRecord> =
            view.ledger().executors.values().map(|it| (it.container, it)).collect();
        containers.extend(found.nested.iter().filter_map(|run| {
            let status = container_status(facts, run.id.clone(), run.pid);
            Some(container(by_container.get(&run.root)?, run.id.clone(), status, None))
        }));
    }
    api::GetContainers { containers }
}

fn container(
    record: &ExecutorRecord,
    container_id: v1::ContainerId,
    status: v1::ContainerStatus,
    usage: Option<v1::ResourceStatistics>,
) -> api::get_containers::Container {
    let name = super::frameworks::ExecutorWords::of(record).name;
    api::get_containers::Container {
        framework_id: Some(framework_id(&record.framework)),
        executor_id: Some(v1::ExecutorId { value: record.info.id.to_string() }),
        executor_name: Some(name),
        container_id,
        container_status: Some(status),
        resource_statistics: usage,
    }
}

/// Containers have the network of their agent.
fn container_status(
    facts: &AgentFacts,
    container_id: v1::ContainerId,
    executor_pid: Option<u32>,
) -> v1::ContainerStatus {
    let address =
        v1::network_info::IpAddress { ip_address: Some(facts.ip.clone()), ..Default::default() };
    let network = v1::NetworkInfo { ip_addresses: vec![address], ..Default::default() };
    v1::ContainerStatus {
        container_id: Some(container_id),
        network_infos: vec![network],
        executor_pid,
        ..Default::default()
    }
}

/// Adds to the statuses in a call of an executor where it runs: which container, and at which address, unless it says that itself.
pub fn place_statuses(view: &AgentView, facts: &AgentFacts, call: &mut v1::executor::Call) {
    let updates = call.update.iter_mut().map(|it| &mut it.status);
    let repeated = call.subscribe.iter_mut().flat_map(|it| &mut it.unacknowledged_updates);
    let mut statuses: Vec<_> = updates.chain(repeated.map(|it| &mut it.status)).collect();
    if statuses.is_empty() {
        return;
    }
    // A name that cannot be one is refused when the call is read.
    let framework = FrameworkId::parse(&call.framework_id.value).ok();
    let executor = ExecutorId::parse(&call.executor_id.value).ok();
    let Some(key) = framework.zip(executor) else { return };
    let Some(record) = view.ledger().executors.get(&key) else { return };
    for status in &mut statuses {
        let id = v1::ContainerId { value: record.container.to_string(), parent: None };
        let ours = container_status(facts, id, None);
        let said = status.container_status.get_or_insert_with(Default::default);
        said.container_id = said.container_id.take().or(ours.container_id);
        if said.network_infos.is_empty() {
            said.network_infos = ours.network_infos;
        }
    }
}

fn framework_id(id: &FrameworkId) -> v1::FrameworkId {
    v1::FrameworkId { value: id.to_string() }
}
