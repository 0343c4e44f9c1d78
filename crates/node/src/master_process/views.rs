//! What a look at the mind shows, as messages of the Mesos v1 operator API.

use holdfast_master::{AgentHealth, AgentState, FrameworkState, Master, TaskView};
use holdfast_model::convert::{framework, machine, offer, resource, status, Format};
use holdfast_model::{AgentId, FrameworkId, Instant, Resources, TaskState};
use holdfast_proto::mesos::v1::{self, master::response as api};

/// All of it, at one moment.
pub fn state(core: &Master) -> api::GetState {
    api::GetState {
        get_tasks: Some(tasks(core)),
        get_executors: Some(executors(core)),
        get_frameworks: Some(frameworks(core)),
        get_agents: Some(agents(core)),
    }
}

/// Agents that are here, and those that are expected.
pub fn agents(core: &Master) -> api::GetAgents {
    let mut answer = api::GetAgents::default();
    for (id, state) in core.agents() {
        if state.reregistered() == state.registered()
            && state.link().is_none()
            && state.machine().hostname.is_empty()
        {
            let hostname =
                core.ledger().agents.get(id).map(|it| it.hostname.clone()).unwrap_or_default();
            answer.recovered_agents.push(v1::AgentInfo {
                hostname,
                id: Some(agent_id(id)),
                ..Default::default()
            });
        } else {
            answer.agents.push(agent(core, id, state));
        }
    }
    answer
}

fn agent(core: &Master, id: &AgentId, state: &AgentState) -> api::get_agents::Agent {
    let offers = core.offers_of_agent(id);
    let offered: Resources =
        offers.flat_map(|it| it.resources.iter().collect::<Vec<_>>()).collect();
    let info = v1::AgentInfo {
        id: Some(agent_id(id)),
        ..machine::to_proto(state.machine(), Format::ENDPOINT)
    };
    api::get_agents::Agent {
        pid: Some(format!("slave(1)@{}:{}", state.machine().hostname, state.machine().port)),
        agent_info: info,
        active: *state.health() == AgentHealth::Well,
        deactivated: Some(false),
        version: state.version().to_owned(),
        registered_time: Some(time(state.registered())),
        reregistered_time: Some(time(state.reregistered())),
        total_resources: list(state.total()),
        allocated_resources: list(&allocated(core, id, state)),
        offered_resources: list(&offered),
        ..Default::default()
    }
}

/// What tasks and executors use, allocated.
pub fn allocated(core: &Master, id: &AgentId, state: &AgentState) -> Resources {
    let tasks = core.tasks_of_agent(id).filter(|it| !it.state.is_terminal());
    let mut used = Resources::new();
    tasks.for_each(|task| used.add_all(&task.resources));
    state.executors().values().for_each(|executor| used.add_all(&executor.resources));
    used
}

/// Frameworks, removed ones too.
pub fn frameworks(core: &Master) -> api::GetFrameworks {
    let present =
        core.frameworks().iter().map(|(id, state)| self::framework(core, id, state)).collect();
    let removed = core.ledger().frameworks.values().filter(|it| it.removed);
    let completed = removed.map(|record| api::get_frameworks::Framework {
        framework_info: framework::to_proto(&record.info),
        active: false,
        connected: false,
        recovered: false,
        registered_time: Some(time(record.registered)),
        ..Default::default()
    });
    api::GetFrameworks {
        frameworks: present,
        completed_frameworks: completed.collect(),
        ..Default::default()
    }
}

fn framework(
    core: &Master,
    id: &FrameworkId,
    state: &FrameworkState,
) -> api::get_frameworks::Framework {
    let offers: Vec<_> = core.offers_of_framework(id).collect();
    let offered: Resources =
        offers.iter().flat_map(|it| it.resources.iter().collect::<Vec<_>>()).collect();
    let tasks = core.tasks().values().filter(|it| it.framework == *id && !it.state.is_terminal());
    let used: Resources = tasks.flat_map(|it| it.resources.iter().collect::<Vec<_>>()).collect();
    let registered =
        core.ledger().frameworks.get(id).map_or(state.subscribed(), |it| it.registered);
    api::get_frameworks::Framework {
        framework_info: framework::to_proto(state.info()),
        active: state.link().is_some(),
        connected: state.link().is_some(),
        recovered: state.link().is_none() && state.subscribed() != registered,
        registered_time: Some(time(registered)),
        reregistered_time: Some(time(state.subscribed())),
        offers: offers.into_iter().map(|it| offer::to_proto(it, Format::ENDPOINT)).collect(),
        allocated_resources: list(&used),
        offered_resources: list(&offered),
        ..Default::default()
    }
}

/// Tasks, by how they are.
pub fn tasks(core: &Master) -> api::GetTasks {
    let mut answer = api::GetTasks::default();
    for view in core.tasks().values() {
        let list = match view.state {
            TaskState::Unreachable => &mut answer.unreachable_tasks,
            state if state.is_terminal() => &mut answer.completed_tasks,
            _ => &mut answer.tasks,
        };
        list.push(task(view));
    }
    answer.completed_tasks.extend(core.completed_tasks().map(task));
    answer
}

/// One task.
pub fn task(view: &TaskView) -> v1::Task {
    let info =
        holdfast_proto::binary::decode::<v1::TaskInfo>(&view.payload.0).ok().unwrap_or_default();
    v1::Task {
        name: view.name.clone(),
        task_id: v1::TaskId { value: view.id.as_str().to_owned() },
        framework_id: v1::FrameworkId { value: view.framework.as_str().to_owned() },
        executor_id: Some(v1::ExecutorId { value: view.executor.as_str().to_owned() }),
        agent_id: agent_id(&view.agent),
        state: view.state as i32,
        resources: list(&view.resources),
        statuses: view.latest.iter().map(status::to_proto).collect(),
        status_update_state: view.latest.as_ref().map(|it| it.state as i32),
        status_update_uuid: view
            .latest
            .as_ref()
            .and_then(|it| it.uuid)
            .map(|it| it.0.as_bytes().to_vec()),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        health_check: info.health_check,
        ..Default::default()
    }
}

/// Executors.
pub fn executors(core: &Master) -> api::GetExecutors {
    let all = core.agents().iter().flat_map(|(agent, state)| {
        state.executors().iter().map(move |(key, view)| (agent, key, view))
    });
    let executor = |(agent, key, view): (
        &AgentId,
        &holdfast_model::ExecutorKey,
        &holdfast_master::ExecutorView,
    )| {
        let info = holdfast_proto::binary::decode::<v1::ExecutorInfo>(&view.payload.0)
            .ok()
            .unwrap_or_default();
        let executor_info = v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: key.1.as_str().to_owned() },
            framework_id: Some(v1::FrameworkId { value: key.0.as_str().to_owned() }),
            resources: list(&view.resources),
            ..info
        };
        api::get_executors::Executor { executor_info, agent_id: agent_id(agent) }
    };
    api::GetExecutors { executors: all.map(executor).collect(), ..Default::default() }
}

/// Roles that frameworks have, that something is reserved for, or that have a weight.
pub fn roles(core: &Master) -> api::GetRoles {
    let mut roles: std::collections::BTreeMap<String, v1::Role> = std::collections::BTreeMap::new();
    let entry = |name: &str| v1::Role { name: name.to_owned(), weight: 1.0, ..Default::default() };
    for (id, state) in core.frameworks() {
        for view in state.roles() {
            let role =
                roles.entry(view.role.to_string()).or_insert_with(|| entry(view.role.as_str()));
            role.frameworks.push(v1::FrameworkId { value: id.as_str().to_owned() });
            let held =
                core.tasks().values().filter(|it| it.framework == *id && !it.state.is_terminal());
            let held: Resources = held
                .flat_map(|it| it.resources.iter().collect::<Vec<_>>())
                .filter(|it| it.identity.allocation.as_ref() == Some(&view.role))
                .collect();
            role.resources.extend(list(&held));
        }
    }
    for claim in core.ledger().claims.values() {
        let name = claim.resource.identity.role();
        roles.entry(name.to_string()).or_insert_with(|| entry(name.as_str()));
    }
    for (name, weight) in &core.ledger().weights {
        roles.entry(name.to_string()).or_insert_with(|| entry(name.as_str())).weight =
            weight.to_f64();
    }
    api::GetRoles { roles: roles.into_values().collect() }
}

/// Weights that are not 1.
pub fn weights(core: &Master) -> api::GetWeights {
    let info = |(role, weight): (&holdfast_model::Role, &holdfast_model::Scalar)| v1::WeightInfo {
        role: Some(role.to_string()),
        weight: weight.to_f64(),
    };
    api::GetWeights { weight_infos: core.ledger().weights.iter().map(info).collect() }
}

/// Operations not yet settled or acknowledged.
pub fn operations(core: &Master) -> api::GetOperations {
    use holdfast_model::convert::{operation, operation_status};
    use holdfast_model::{Action, Operation, OperationState, OperationStatus};
    let all = core.operations().iter().map(|(uuid, it)| {
        let pending = OperationStatus {
            id: it.id.clone(),
            state: OperationState::Pending,
            message: None,
            converted: Resources::new(),
            uuid: None,
            agent: Some(it.agent.clone()),
        };
        let latest =
            operation_status::to_proto(it.settled.as_ref().unwrap_or(&pending), Format::ENDPOINT);
        let action = Operation { id: it.id.clone(), action: Action::Claim(it.action.clone()) };
        v1::Operation {
            framework_id: it
                .framework
                .as_ref()
                .map(|id| v1::FrameworkId { value: id.as_str().to_owned() }),
            agent_id: Some(agent_id(&it.agent)),
            info: operation::to_proto(&action, Format::ENDPOINT),
            statuses: vec![latest.clone()],
            latest_status: latest,
            uuid: v1::Uuid { value: uuid.0.as_bytes().to_vec() },
        }
    });
    api::GetOperations { operations: all.collect() }
}

fn agent_id(id: &AgentId) -> v1::AgentId {
    v1::AgentId { value: id.as_str().to_owned() }
}

fn time(at: Instant) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(at.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX) }
}

fn list(resources: &Resources) -> Vec<v1::Resource> {
    resource::sum_to_proto(resources, Format::ENDPOINT)
}
