//! The read endpoints of the time before the v1 API: enough for the tools that still read them.

use holdfast_master::{AgentState, FrameworkState, Master, TaskView};
use holdfast_model::{AgentId, FrameworkId, Resources, TaskState};
use holdfast_wire::{JsonText, MasterPage, Query, Refusal};
use serde_json::{json, Map, Value};

use super::api::LeaderApi;
use super::views;

/// Answers a page.
///
/// # Errors
/// 501 for pages that are not served yet.
pub async fn answer(api: &LeaderApi, page: MasterPage, query: &Query) -> Result<JsonText, Refusal> {
    let info = api.gauges.master_info.clone();
    let started = api.gauges.started_s;
    let only = query.get("framework_id").or_else(|| query.get("slave_id")).map(str::to_owned);
    match page {
        MasterPage::State => {
            api.look(move |shell| JsonText::of(&state(&shell.core, &info, started))).await
        }
        MasterPage::StateSummary => {
            api.look(move |shell| JsonText::of(&summary(&shell.core, &info))).await
        }
        MasterPage::Slaves => {
            api.look(move |shell| {
                JsonText::of(&json!({ "slaves": slaves(&shell.core, only.as_deref()) }))
            })
            .await
        }
        MasterPage::Frameworks => {
            api.look(move |shell| {
                JsonText::of(&json!({ "frameworks": frameworks(&shell.core, only.as_deref()) }))
            })
            .await
        }
        MasterPage::Tasks => {
            let wanted = TasksWanted::read(query)?;
            api.look(move |shell| JsonText::of(&json!({ "tasks": tasks(&shell.core, &wanted) })))
                .await
        }
        MasterPage::Roles => {
            api.look(|shell| JsonText::of(&json!({ "roles": roles(&shell.core) }))).await
        }
        MasterPage::Flags => Err(Refusal::not_implemented("flags are not served yet")),
    }
}

fn state(core: &Master, info: &holdfast_proto::mesos::v1::MasterInfo, started_s: f64) -> Value {
    let unreachable = core
        .ledger()
        .agents
        .values()
        .filter(|it| it.presence == holdfast_model::Presence::Unreachable)
        .count();
    let completed: Vec<Value> = core
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
        "cluster": core.ledger().cluster.as_ref().map(|it| it.id.to_string()),
        "start_time": started_s,
        "elected_time": started_s,
        "leader": info.pid,
        "leader_info": { "id": info.id, "pid": info.pid, "port": info.port, "hostname": info.hostname },
        "activated_slaves": core.agents().values().filter(|it| it.link().is_some()).count(),
        "deactivated_slaves": core.agents().values().filter(|it| it.link().is_none()).count(),
        "unreachable_slaves": unreachable,
        "capabilities": [],
        "flags": {},
        "slaves": slaves(core, None),
        "recovered_slaves": [],
        "frameworks": frameworks(core, None),
        "completed_frameworks": completed,
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    })
}

fn summary(core: &Master, info: &holdfast_proto::mesos::v1::MasterInfo) -> Value {
    json!({ "hostname": info.hostname, "cluster": core.ledger().cluster.as_ref().map(|it| it.id.to_string()), "slaves": slaves(core, None), "frameworks": frameworks(core, None) })
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

fn slaves(core: &Master, only: Option<&str>) -> Vec<Value> {
    core.agents()
        .iter()
        .filter(|(id, _)| only.is_none_or(|it| it == id.as_str()))
        .map(|(id, state)| slave(core, id, state))
        .collect()
}

fn slave(core: &Master, id: &AgentId, state: &AgentState) -> Value {
    let hostname = core.ledger().agents.get(id).map(|it| it.hostname.clone()).unwrap_or_default();
    let offers = core.offers_of_agent(id);
    let offered: Resources =
        offers.flat_map(|it| it.resources.iter().collect::<Vec<_>>()).collect();
    let mut reserved = Map::new();
    for role in state.total().entries().filter(|(it, _)| it.is_reserved()).map(|(it, _)| it.role())
    {
        reserved.insert(role.to_string(), flat(&state.total().reserved_for(&role)));
    }
    json!({
        "id": id.as_str(),
        "pid": format!("slave(1)@{hostname}:{}", state.machine().port),
        "hostname": hostname,
        "port": state.machine().port,
        "registered_time": state.registered().0 as f64 / 1000.0,
        "reregistered_time": state.reregistered().0 as f64 / 1000.0,
        "resources": flat(state.total()),
        "used_resources": flat(&views::allocated(core, id, state)),
        "offered_resources": flat(&offered),
        "reserved_resources": reserved,
        "unreserved_resources": flat(&state.total().unreserved()),
        "active": state.link().is_some(),
        "deactivated": false,
        "version": state.version(),
        "capabilities": [],
    })
}

fn frameworks(core: &Master, only: Option<&str>) -> Vec<Value> {
    core.frameworks()
        .iter()
        .filter(|(id, _)| only.is_none_or(|it| it == id.as_str()))
        .map(|(id, state)| framework(core, id, state))
        .collect()
}

fn framework(core: &Master, id: &FrameworkId, state: &FrameworkState) -> Value {
    let of = |completed: bool| -> Vec<Value> {
        let live = core
            .tasks()
            .values()
            .filter(|it| !it.state.is_terminal() && it.state != TaskState::Unreachable);
        let ended = core.completed_tasks();
        let all: Vec<&TaskView> = if completed { ended.collect() } else { live.collect() };
        all.into_iter().filter(|it| it.framework == *id).map(task).collect()
    };
    let unreachable: Vec<Value> = core
        .tasks()
        .values()
        .filter(|it| it.framework == *id && it.state == TaskState::Unreachable)
        .map(task)
        .collect();
    let used: Resources = core
        .tasks()
        .values()
        .filter(|it| it.framework == *id && !it.state.is_terminal())
        .flat_map(|it| it.resources.iter().collect::<Vec<_>>())
        .collect();
    json!({
        "id": id.as_str(),
        "name": state.info().name,
        "user": state.info().user,
        "failover_timeout": state.info().failover_timeout_ms as f64 / 1000.0,
        "checkpoint": state.info().checkpoint,
        "hostname": state.info().hostname,
        "principal": state.info().principal,
        "roles": state.info().roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "role": state.info().roles.first().map(ToString::to_string),
        "active": state.link().is_some(),
        "connected": state.link().is_some(),
        "recovered": state.link().is_none(),
        "used_resources": flat(&used),
        "tasks": of(false),
        "unreachable_tasks": unreachable,
        "completed_tasks": of(true),
        "offers": core.offers_of_framework(id).map(|it| it.id.to_string()).collect::<Vec<_>>(),
        "executors": [],
    })
}

fn task(view: &TaskView) -> Value {
    let statuses: Vec<Value> = view
        .latest
        .iter()
        .map(|it| json!({ "state": it.state.name(), "timestamp": it.at.0 as f64 / 1000.0 }))
        .collect();
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
            Some(text) => text.parse().map_err(|_| {
                Refusal::bad_request(format!("{name}: `{text}` is no number; give 0 or more"))
            }),
        };
        let newest_first = match query.get("order") {
            None | Some("des") => true,
            Some("asc") => false,
            Some(other) => {
                return Err(Refusal::bad_request(format!(
                    "order: `{other}` is unknown; give `asc` or `des`"
                )))
            }
        };
        let (framework, task) =
            (query.get("framework_id").map(str::to_owned), query.get("task_id").map(str::to_owned));
        Ok(TasksWanted {
            framework,
            task,
            offset: number("offset", 0)?,
            limit: number("limit", 100)?,
            newest_first,
        })
    }
}

fn tasks(core: &Master, wanted: &TasksWanted) -> Vec<Value> {
    let is = |given: &Option<String>, id: &str| given.as_ref().is_none_or(|it| it == id);
    let all = core.tasks().values().chain(core.completed_tasks());
    let mut all: Vec<&TaskView> = all
        .filter(|it| {
            is(&wanted.framework, it.framework.as_str()) && is(&wanted.task, it.id.as_str())
        })
        .collect();
    all.sort_by_key(|it| it.latest.as_ref().map(|status| status.at));
    if wanted.newest_first {
        all.reverse();
    }
    all.into_iter().skip(wanted.offset).take(wanted.limit).map(task).collect()
}

fn roles(core: &Master) -> Vec<Value> {
    let of = |role: &holdfast_proto::mesos::v1::Role| {
        let ids: Vec<&str> = role.frameworks.iter().map(|it| it.value.as_str()).collect();
        json!({ "name": role.name, "weight": role.weight, "frameworks": ids })
    };
    views::roles(core).roles.iter().map(of).collect()
}
