//! The API of our own for what Mesos has no words for: disks, claims, reasons. JSON; field names are a
//! promise. The CLI and the console read nothing else, so that all three say the same.

use holdfast_master::{AgentHealth, MasterView, TaskView};
use holdfast_model::convert::operator;
use holdfast_model::{AgentId, Claim, ClaimState, FrameworkId, OperatorCall, Resources, TaskId};
use holdfast_proto::json;
use holdfast_proto::mesos::v1;
use holdfast_wire::{Caller, JsonText, Query, Refusal};
use serde::Serialize;

use super::api::{invalid, refuse, LeaderApi};
use super::shell::Seen;
use super::{explain, views};

/// An agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentRow {
    /// Its id.
    pub id: String,
    /// Its host.
    pub hostname: String,
    /// `host:port` of its API.
    pub address: String,
    /// `well`, `joining`, `resyncing`, `away` or `fenced`.
    pub state: &'static str,
    /// Why it is not well.
    pub why: Option<String>,
    /// All it has.
    pub total: String,
    /// What is neither used nor offered.
    pub free: String,
    /// What tasks and executors use.
    pub used: String,
    /// How many tasks live there.
    pub tasks: usize,
    /// How many volumes it has.
    pub volumes: usize,
    /// The version of its ledger that the masters know.
    pub ledger_version: u64,
    /// When it last (re)registered, in milliseconds since 1970.
    pub reregistered_ms: u64,
}

/// A disk.
#[derive(Clone, Debug, Serialize)]
pub struct DiskRow {
    /// Its uuid; written on it.
    pub id: String,
    /// The agent that has it.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// `root`, `path` or `mount`.
    pub kind: String,
    /// Its path.
    pub root: String,
    /// Its size in MB (2^20 bytes).
    pub size_mb: u64,
    /// MB that volumes take.
    pub volumes_mb: i64,
    /// How many volumes it carries.
    pub volumes: usize,
    /// What is wrong with it.
    pub fault: Option<String>,
}

/// A claim.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimRow {
    /// Its uuid; a volume's directory bears it.
    pub id: String,
    /// `volume` or `reservation`.
    pub kind: &'static str,
    /// `making`, `ready`, `destroying`, or `missing` when it cannot be used now.
    pub state: &'static str,
    /// What is wrong with it.
    pub fault: Option<String>,
    /// The volume's name.
    pub volume: Option<String>,
    /// For whom.
    pub role: String,
    /// By whom.
    pub principal: Option<String>,
    /// What is held.
    pub resource: String,
    /// How much: MB for disk and memory, else a count.
    pub amount: f64,
    /// Where.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// Whether the agent is connected.
    pub agent_state: &'static str,
    /// The disk that carries it.
    pub disk: Option<String>,
    /// The framework that made it; `None` when an operator did, or several frameworks a part each.
    pub framework: Option<String>,
    /// Whether nobody in particular holds it: made by an operator or by several, or its framework was removed.
    pub unclaimed: bool,
    /// The task that uses it now.
    pub task: Option<String>,
    /// Grows with each change.
    pub generation: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// What happened to it, oldest first.
    pub history: Vec<EventRow>,
}

/// Something that happened to a claim.
#[derive(Clone, Debug, Serialize)]
pub struct EventRow {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The generation after it.
    pub generation: u64,
    /// What.
    pub what: String,
    /// Who asked.
    pub by: String,
}

/// A framework.
#[derive(Clone, Debug, Serialize)]
pub struct FrameworkRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `connected`, `away` or `removed`.
    pub state: &'static str,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its principal.
    pub principal: Option<String>,
    /// Live tasks.
    pub tasks: usize,
    /// Unanswered offers.
    pub offers: usize,
    /// Volumes that it made.
    pub volumes: usize,
    /// How long it may be away, in milliseconds.
    pub failover_timeout_ms: u64,
    /// When it will be removed, in milliseconds since 1970, if it is away.
    pub deadline_ms: Option<u64>,
    /// When it subscribed first, in milliseconds since 1970.
    pub registered_ms: u64,
}

/// A task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework: String,
    /// Its executor.
    pub executor: String,
    /// Its agent.
    pub agent: String,
    /// `host:port` of the agent's API, for logs.
    pub agent_address: Option<String>,
    /// Its state, such as `TASK_RUNNING`.
    pub state: &'static str,
    /// Why, such as `REASON_EXECUTOR_TERMINATED`.
    pub reason: Option<&'static str>,
    /// What was said last.
    pub message: Option<String>,
    /// What it uses.
    pub resources: String,
    /// Its volumes.
    pub volumes: Vec<String>,
    /// Whether it has ended.
    pub ended: bool,
    /// When its state was last reported, in milliseconds since 1970.
    pub updated_ms: u64,
}

/// An offer.
#[derive(Clone, Debug, Serialize)]
pub struct OfferRow {
    /// Its id.
    pub id: String,
    /// To whom.
    pub framework: String,
    /// For which role.
    pub role: String,
    /// Where.
    pub agent: String,
    /// What.
    pub resources: String,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
}

/// A role, in the order in which roles are served.
#[derive(Clone, Debug, Serialize)]
pub struct RoleRow {
    /// The role.
    pub role: String,
    /// Its weight.
    pub weight: f64,
    /// Its dominant share, from 0 to 1.
    pub share: f64,
    /// What it has reserved.
    pub reserved: String,
    /// Frameworks that have it.
    pub frameworks: usize,
}

/// Answers `/holdfast/v1/{name}`.
///
/// # Errors
/// 404 for an unknown name or thing; for changes, as the operator API.
pub async fn answer(
    api: &LeaderApi,
    caller: &Caller,
    posted: bool,
    name: &str,
    query: &Query,
) -> Result<JsonText, Refusal> {
    match name {
        "agents" => api.look(|shell| JsonText::of(&agents(&shell.core))).await,
        "disks" => api.look(|shell| JsonText::of(&disks(&shell.core))).await,
        "claims" => api.look(|shell| JsonText::of(&claims(&shell.core))).await,
        "frameworks" => api.look(|shell| JsonText::of(&frameworks(&shell.core))).await,
        "tasks" => api.look(|shell| JsonText::of(&tasks(&shell.core))).await,
        "offers" => api.look(|shell| JsonText::of(&offers(&shell.core))).await,
        "roles" => api.look(|shell| JsonText::of(&roles(&shell.core))).await,
        "explain" => explain::answer(api, query).await,
        "kill" if posted => kill(api, caller, query).await,
        "kill" => Err(Refusal::new(405, "POST it: it ends a task")),
        "plan" => plan(api, caller, query).await,
        _ => Err(Refusal::not_found(format!(
            "there is no `/holdfast/v1/{name}`; there are agents, disks, claims, frameworks, tasks, offers, roles, explain, kill, plan"
        ))),
    }
}

async fn kill(api: &LeaderApi, caller: &Caller, query: &Query) -> Result<JsonText, Refusal> {
    let framework = FrameworkId::parse(needed(query, "framework")?).map_err(invalid)?;
    let task = TaskId::parse(needed(query, "task")?).map_err(invalid)?;
    api.ask(caller, OperatorCall::Kill(framework, task)).await?;
    Ok(JsonText::of(&serde_json::json!({ "accepted": true })))
}

/// Whether a change would work; `call` is the operator call as JSON.
async fn plan(api: &LeaderApi, caller: &Caller, query: &Query) -> Result<JsonText, Refusal> {
    let call = json::from_slice(needed(query, "call")?.as_bytes())
        .map_err(|error| Refusal::bad_request(error.to_string()))?;
    match operator::from_proto(call).map_err(invalid)? {
        Some(OperatorCall::Claim { agent, action }) => {
            let conversion = action.conversion();
            let (takes, gives) = (conversion.consumed.to_string(), conversion.converted.to_string());
            let change = serde_json::json!({ "agent": agent.as_str(), "action": action.name(), "takes": takes, "gives": gives });
            let principal = caller.principal.clone();
            let plan = move |seen: &Seen| seen.core.plan(&agent, &action, principal.as_deref());
            api.look(plan).await?.map_err(refuse)?;
            Ok(JsonText::of(&change))
        }
        Some(OperatorCall::Teardown(framework)) => teardown_plan(api, framework).await,
        _ => Err(Refusal::bad_request(
            "type: only RESERVE_RESOURCES, UNRESERVE_RESOURCES, CREATE_VOLUMES, DESTROY_VOLUMES and TEARDOWN can be planned",
        )),
    }
}

async fn teardown_plan(api: &LeaderApi, framework: FrameworkId) -> Result<JsonText, Refusal> {
    let plan = api.look(move |shell| {
        let core = &shell.core;
        core.frameworks().contains_key(&framework).then(|| {
            let tasks: Vec<&str> = live_tasks(core).filter(|it| it.framework == framework).map(|it| it.id.as_str()).collect();
            let held: Vec<String> = core.ledger().claims.values().filter(|it| it.framework.as_ref() == Some(&framework)).map(|it| it.id.to_string()).collect();
            JsonText::of(&serde_json::json!({ "action": "TEARDOWN", "framework": framework.as_str(), "ends_tasks": tasks, "leaves_unclaimed": held }))
        })
    });
    plan.await?.ok_or_else(|| Refusal::not_found("there is no such framework"))
}

pub(super) fn needed<'a>(query: &'a Query, name: &str) -> Result<&'a str, Refusal> {
    query
        .get(name)
        .ok_or_else(|| Refusal::bad_request(format!("query parameter `{name}` is missing")))
}

pub(super) fn hostname(core: &MasterView, agent: &AgentId) -> String {
    core.ledger().agents.get(agent).map(|it| it.hostname.clone()).unwrap_or_default()
}

fn health(health: &AgentHealth) -> (&'static str, Option<String>) {
    match health {
        AgentHealth::Well => ("well", None),
        AgentHealth::Joining => ("joining", Some("it is opening its disks".to_owned())),
        AgentHealth::Resyncing => ("resyncing", Some("it was asked to report again".to_owned())),
        AgentHealth::Away(_) => ("away", Some("it is not connected".to_owned())),
        AgentHealth::Fenced(why) => ("fenced", Some(why.clone())),
    }
}

fn agents(core: &MasterView) -> Vec<AgentRow> {
    let row = |(id, state): (&AgentId, &holdfast_master::AgentState)| {
        let record = core.ledger().agents.get(id);
        let (word, why) = health(state.health());
        AgentRow {
            id: id.to_string(),
            hostname: hostname(core, id),
            address: address(core, id).unwrap_or_default(),
            state: word,
            why,
            total: state.total().to_string(),
            free: state.free().to_string(),
            used: views::allocated(core, id, state).unallocated().to_string(),
            tasks: core.tasks_of_agent(id).filter(|it| !it.state.is_terminal()).count(),
            volumes: core.ledger().claims_of(id).filter(|it| it.is_volume()).count(),
            ledger_version: record.map_or(0, |it| it.ledger_version),
            reregistered_ms: state.reregistered().0,
        }
    };
    core.agents().iter().map(row).collect()
}

fn address(core: &MasterView, agent: &AgentId) -> Option<String> {
    core.ledger().agents.get(agent).map(|it| format!("{}:{}", it.hostname, it.port))
}

fn disks(core: &MasterView) -> Vec<DiskRow> {
    let mut rows = Vec::new();
    for (agent, state) in core.agents() {
        for report in state.disks() {
            let on_it: Vec<&Claim> = core
                .ledger()
                .claims_of(agent)
                .filter(|it| it.disk == Some(report.disk.id))
                .collect();
            rows.push(DiskRow {
                id: report.disk.id.to_string(),
                agent: agent.to_string(),
                hostname: hostname(core, agent),
                kind: format!("{:?}", report.disk.kind).to_lowercase(),
                root: report.disk.root.clone(),
                size_mb: report.disk.size_mb,
                volumes_mb: on_it.iter().map(|it| it.resource.value.quantity().as_whole()).sum(),
                volumes: on_it.len(),
                fault: report.fault.clone(),
            });
        }
    }
    rows
}

fn claims(core: &MasterView) -> Vec<ClaimRow> {
    core.ledger().claims.iter().map(|((agent, _), claim)| claim_row(core, agent, claim)).collect()
}

pub(super) fn claim_row(core: &MasterView, agent: &AgentId, claim: &Claim) -> ClaimRow {
    let identity = &claim.resource.identity;
    let state = core.agents().get(agent);
    let fault = state.and_then(|it| it.faults().get(&claim.id)).cloned();
    let holder = claim
        .framework
        .as_ref()
        .filter(|id| core.ledger().frameworks.get(id).is_some_and(|it| !it.removed));
    let uses = |it: &&TaskView| {
        it.agent == *agent
            && it.resources.entries().any(|(used, _)| used.unallocated() == *identity)
    };
    let word = match claim.state {
        _ if fault.is_some() => "missing",
        ClaimState::Making => "making",
        ClaimState::Ready => "ready",
        ClaimState::Destroying => "destroying",
    };
    ClaimRow {
        id: claim.id.to_string(),
        kind: if claim.is_volume() { "volume" } else { "reservation" },
        state: word,
        fault,
        volume: identity.persistence.as_ref().map(ToString::to_string),
        role: identity.role().to_string(),
        principal: identity.reservations.last().and_then(|it| it.principal.clone()),
        resource: identity.name.clone(),
        amount: claim.resource.value.quantity().to_f64(),
        agent: agent.to_string(),
        hostname: hostname(core, agent),
        agent_state: state.map_or("away", |it| health(it.health()).0),
        disk: claim.disk.map(|it| it.to_string()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        unclaimed: holder.is_none(),
        task: live_tasks(core).find(uses).filter(|_| claim.is_volume()).map(|it| it.id.to_string()),
        generation: claim.generation,
        created_ms: claim.created.0,
        history: claim
            .history
            .iter()
            .map(|it| EventRow {
                at_ms: it.at.0,
                generation: it.generation,
                what: it.what.clone(),
                by: it.by.clone(),
            })
            .collect(),
    }
}

fn live_tasks(core: &MasterView) -> impl Iterator<Item = &TaskView> {
    core.tasks().values().filter(|it| !it.state.is_terminal())
}

fn frameworks(core: &MasterView) -> Vec<FrameworkRow> {
    let row = |(id, record): (&FrameworkId, &holdfast_model::FrameworkRecord)| {
        let state = core.frameworks().get(id);
        let word = match state {
            _ if record.removed => "removed",
            Some(state) if state.link().is_some() => "connected",
            _ => "away",
        };
        FrameworkRow {
            id: id.to_string(),
            name: record.info.name.clone(),
            state: word,
            roles: record.info.roles.iter().map(ToString::to_string).collect(),
            principal: record.info.principal.clone(),
            tasks: core.tasks_of_framework(id).filter(|it| !it.state.is_terminal()).count(),
            offers: core.offers_of_framework(id).count(),
            volumes: core
                .ledger()
                .claims
                .values()
                .filter(|it| it.is_volume() && it.framework.as_ref() == Some(id))
                .count(),
            failover_timeout_ms: record.info.failover_timeout_ms,
            deadline_ms: record.deadline.map(|it| it.0),
            registered_ms: record.registered.0,
        }
    };
    core.ledger().frameworks.iter().map(row).collect()
}

fn tasks(core: &MasterView) -> Vec<TaskRow> {
    core.tasks().values().chain(core.completed_tasks()).map(|it| task(core, it)).collect()
}

pub(super) fn task(core: &MasterView, view: &TaskView) -> TaskRow {
    TaskRow {
        id: view.id.to_string(),
        name: view.name.clone(),
        framework: view.framework.to_string(),
        executor: view.executor.to_string(),
        agent: view.agent.to_string(),
        agent_address: address(core, &view.agent),
        state: view.state.name(),
        reason: view.latest.as_ref().and_then(|it| reason_name(it.reason?)),
        message: view.latest.as_ref().and_then(|it| it.message.clone()),
        resources: view.resources.unallocated().to_string(),
        volumes: view
            .resources
            .volumes()
            .iter()
            .filter_map(|it| it.identity.persistence)
            .map(|it| it.to_string())
            .collect(),
        ended: view.state.is_terminal(),
        updated_ms: view.latest.as_ref().map_or(0, |it| it.at.0),
    }
}

/// The wire's name; an executor may give any number.
fn reason_name(number: i32) -> Option<&'static str> {
    v1::task_status::Reason::try_from(number).ok().map(|it| it.as_str_name())
}

pub(super) fn offers(core: &MasterView) -> Vec<OfferRow> {
    let row = |it: &holdfast_master::OfferRecord| OfferRow {
        id: it.offer.id.to_string(),
        framework: it.offer.framework.to_string(),
        role: it.offer.role.to_string(),
        agent: it.offer.agent.to_string(),
        resources: it.offer.resources.unallocated().to_string(),
        made_ms: it.made.0,
    };
    core.offers().values().map(row).collect()
}

fn roles(core: &MasterView) -> Vec<RoleRow> {
    let nobody = FrameworkId::made(String::new());
    let order = core.explain(crate::core_loop::now(), &nobody, None).order;
    let row = |place: holdfast_allocator::policy::Place| {
        let reserved: Resources = core
            .ledger()
            .claims
            .values()
            .map(|it| &it.resource)
            .filter(|it| it.identity.role() == place.role)
            .collect();
        RoleRow {
            weight: place.weight.to_f64(),
            share: place.share,
            reserved: reserved.to_string(),
            frameworks: core
                .frameworks()
                .values()
                .filter(|it| it.info().roles.contains(&place.role))
                .count(),
            role: place.role.to_string(),
        }
    };
    order.into_iter().map(row).collect()
}
