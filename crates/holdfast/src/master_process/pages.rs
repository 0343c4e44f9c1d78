//! The read endpoints of the time before the v1 API: enough for the tools that still read them.

use holdfast_master::{AgentState, FrameworkState, Master, TaskView};
use holdfast_model::{AgentId, FrameworkId, Resources, TaskState};
use holdfast_wire::{JsonText, MasterPage, Query, Refusal};
use serde_json::{json, Map, Value};

use super::door::Door;
use super::views;

/// Answers a page.
///
/// # Errors
/// 501 for pages that are not served yet.
pub async fn answer(door: &Door, page: MasterPage, query: &Query) -> Result<JsonText, Refusal> {
    let info = door.gauges.master_info.clone();
    let started = door.gauges.started_s;
    let only = query.get("framework_id").or_else(|| query.get("slave_id")).map(str::to_owned);
    match page {
        MasterPage::State => door.look(move |shell| JsonText::of(&state(&shell.mind, &info, started))).await,
        MasterPage::StateSummary => door.look(move |shell| JsonText::of(&summary(&shell.mind, &info))).await,
        MasterPage::Slaves => door.look(move |shell| JsonText::of(&json!({ "slaves": slaves(&shell.mind, only.as_deref()) }))).await,
        MasterPage::Frameworks => {
            door.look(move |shell| JsonText::of(&json!({ "frameworks": frameworks(&shell.mind, only.as_deref()) }))).await
        }
        MasterPage::Tasks => {
            let wanted = TasksWanted::read(query)?;
            door.look(move |shell| JsonText::of(&json!({ "tasks": tasks(&shell.mind, &wanted) }))).await
        }
        MasterPage::Roles => door.look(|shell| JsonText::of(&json!({ "roles": roles(&shell.mind) }))).await,
        MasterPage::Flags => Err(Refusal::not_implemented("flags are not served yet")),
    }
}

fn state(mind: &Master, info: &holdfast_proto::mesos::v1::MasterInfo, started_s: f64) -> Value {
    let unreachable = mind.ledger().agents.values().filter(|it| it.presence == holdfast_model::Presence::Unreachable).count();
    let completed: Vec<Value> = mind
        .ledger()
        .frameworks
        .iter()
        .filter(|(_, it)| it.removed)
        .map(|(id, it)| json!({ "id": id.as_str(), "name": it.info.name }))
        .collect();
    json!({
        "version": crate::version::MESOS_VERSION,
        "build_user": format!("holdfast {}", env!("CARGO_PKG_VERSION")),
        "id": info.id,
        "pid": info.pid,
        "hostname": info.hostname,
        "cluster": mind.ledger().cluster.as_ref().map(|it| it.id.to_string()),
        "start_time": started_s,
        "elected_time": started_s,
        "leader": info.pid,
        "leader_info": { "id": info.id, "pid": info.pid, "port": info.port, "hostname": info.hostname },
        "activated_slaves": mind.agents().values().filter(|it| it.link.is_some()).count(),
        "deactivated_slaves": mind.agents().values().filter(|it| it.link.is_none()).count(),
        "unreachable_slaves": unreachable,
        "capabilities": [],
        "flags": {},
        "slaves": slaves(mind, None),
        "recovered_slaves": [],
        "frameworks": frameworks(mind, None),
        "completed_frameworks": completed,
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    })
}

fn summary(mind: &Master, info: &holdfast_proto::mesos::v1::MasterInfo) -> Value {
    json!({ "hostname": info.hostname, "cluster": mind.ledger().cluster.as_ref().map(|it| it.id.to_string()), "slaves": slaves(mind, None), "frameworks": frameworks(mind, None) })
}

/// Flat amounts, as the old endpoints give them.
fn flat(resources: &Resources) -> Value {
    let mut amounts = Map::new();
    for name in ["cpus", "gpus", "mem", "disk"] {
        amounts.insert(name.to_owned(), json!(resources.quantity(name).to_f64()));
    }
    for (identity, amount) in resources.entries().filter(|(identity, _)| identity.name == "ports") {
        amounts.insert(identity.name.clone(), json!(amount.value.to_string()));
    }
    Value::Object(amounts)
}

fn slaves(mind: &Master, only: Option<&str>) -> Vec<Value> {
    mind.agents().iter().filter(|(id, _)| only.is_none_or(|it| it == id.as_str())).map(|(id, state)| slave(mind, id, state)).collect()
}

fn slave(mind: &Master, id: &AgentId, state: &AgentState) -> Value {
    let hostname = mind.ledger().agents.get(id).map(|it| it.hostname.clone()).unwrap_or_default();
    let offered: Resources =
        state.offers.iter().filter_map(|it| mind.offers().get(it)).flat_map(|it| it.offer.resources.iter().collect::<Vec<_>>()).collect();
    let mut reserved = Map::new();
    for role in state.total.entries().filter(|(it, _)| it.is_reserved()).map(|(it, _)| it.role()) {
        reserved.insert(role.to_string(), flat(&state.total.reserved_for(&role)));
    }
    json!({
        "id": id.as_str(),
        "pid": format!("slave(1)@{hostname}:{}", state.machine.port),
        "hostname": hostname,
        "port": state.machine.port,
        "registered_time": state.registered.0 as f64 / 1000.0,
        "reregistered_time": state.reregistered.0 as f64 / 1000.0,
        "resources": flat(&state.total),
        "used_resources": flat(&views::allocated(mind, state)),
        "offered_resources": flat(&offered),
        "reserved_resources": reserved,
        "unreserved_resources": flat(&state.total.unreserved()),
        "active": state.link.is_some(),
        "deactivated": false,
        "version": state.version,
        "capabilities": [],
    })
}

fn frameworks(mind: &Master, only: Option<&str>) -> Vec<Value> {
    mind.frameworks()
        .iter()
        .filter(|(id, _)| only.is_none_or(|it| it == id.as_str()))
        .map(|(id, state)| framework(mind, id, state))
        .collect()
}

fn framework(mind: &Master, id: &FrameworkId, state: &FrameworkState) -> Value {
    let of = |completed: bool| -> Vec<Value> {
        let live = mind.tasks().values().filter(|it| !it.state.is_terminal() && it.state != TaskState::Unreachable);
        let ended = mind.completed_tasks();
        let all: Vec<&TaskView> = if completed { ended.collect() } else { live.collect() };
        all.into_iter().filter(|it| it.framework == *id).map(task).collect()
    };
    let unreachable: Vec<Value> =
        mind.tasks().values().filter(|it| it.framework == *id && it.state == TaskState::Unreachable).map(task).collect();
    let used: Resources = mind
        .tasks()
        .values()
        .filter(|it| it.framework == *id && !it.state.is_terminal())
        .flat_map(|it| it.resources.iter().collect::<Vec<_>>())
        .collect();
    json!({
        "id": id.as_str(),
        "name": state.info.name,
        "user": state.info.user,
        "failover_timeout": state.info.failover_timeout_ms as f64 / 1000.0,
        "checkpoint": state.info.checkpoint,
        "hostname": state.info.hostname,
        "principal": state.info.principal,
        "roles": state.info.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "role": state.info.roles.first().map(ToString::to_string),
        "active": state.link.is_some(),
        "connected": state.link.is_some(),
        "recovered": state.link.is_none(),
        "used_resources": flat(&used),
        "tasks": of(false),
        "unreachable_tasks": unreachable,
        "completed_tasks": of(true),
        "offers": state.offers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "executors": [],
    })
}

fn task(view: &TaskView) -> Value {
    let statuses: Vec<Value> =
        view.latest.iter().map(|it| json!({ "state": it.state.name(), "timestamp": it.at.0 as f64 / 1000.0 })).collect();
    json!({
        "id": view.id.as_str(),
        "name": view.name,
        "framework_id": view.framework.as_str(),
        "executor_id": view.executor.as_str(),
        "slave_id": view.agent.as_str(),
        "state": view.state.name(),
        "resources": flat(&view.resources),
        "statuses": statuses,
    })
}

/// What `/tasks` is asked for.
struct TasksWanted {
    framework: Option<String>,
    task: Option<String>,
    offset: usize,
    limit: usize,
    newest_first: bool,
}

impl TasksWanted {
    /// Mesos's parameters, with its defaults: a hundred, the newest first.
    fn read(query: &Query) -> Result<TasksWanted, Refusal> {
        let number = |name: &str, default: usize| match query.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Refusal::bad_request(format!("{name}: `{text}` is no number; give 0 or more"))),
        };
        let newest_first = match query.get("order") {
            None | Some("des") => true,
            Some("asc") => false,
            Some(other) => return Err(Refusal::bad_request(format!("order: `{other}` is unknown; give `asc` or `des`"))),
        };
        let (framework, task) = (query.get("framework_id").map(str::to_owned), query.get("task_id").map(str::to_owned));
        Ok(TasksWanted { framework, task, offset: number("offset", 0)?, limit: number("limit", 100)?, newest_first })
    }
}

fn tasks(mind: &Master, wanted: &TasksWanted) -> Vec<Value> {
    let is = |given: &Option<String>, id: &str| given.as_ref().is_none_or(|it| it == id);
    let all = mind.tasks().values().chain(mind.completed_tasks());
    let mut all: Vec<&TaskView> =
        all.filter(|it| is(&wanted.framework, it.framework.as_str()) && is(&wanted.task, it.id.as_str())).collect();
    all.sort_by_key(|it| it.latest.as_ref().map(|status| status.at));
    if wanted.newest_first {
        all.reverse();
    }
    all.into_iter().skip(wanted.offset).take(wanted.limit).map(task).collect()
}

fn roles(mind: &Master) -> Vec<Value> {
    let of = |role: &holdfast_proto::mesos::v1::Role| {
        let ids: Vec<&str> = role.frameworks.iter().map(|it| it.value.as_str()).collect();
        json!({ "name": role.name, "weight": role.weight, "frameworks": ids })
    };
    views::roles(mind).roles.iter().map(of).collect()
}
