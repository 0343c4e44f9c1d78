//! `/holdfast/v1/explain`: why a framework or a task is where it is, or is not.
//!
//! Relies on the mind for the reasons, which are those that decided. Never guesses: where nothing is in the way, it gives no reason.

use holdfast_allocator::{Reason, WhyNot};
use holdfast_master::{Master, TaskView};
use holdfast_model::convert::text;
use holdfast_model::{FrameworkId, Identity, Instant, Resources, Role, TaskState};
use holdfast_wire::{JsonText, Query, Refusal};
use serde::Serialize;

use super::api::{invalid, LeaderApi};
use super::native::{claim_row, hostname, needed, offers, task, ClaimRow, OfferRow, TaskRow};
use super::shell::Seen;

/// Why one agent is not enough, or is not offered.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainRow {
    /// The agent.
    pub agent: String,
    /// Its host.
    pub hostname: String,
    /// The role.
    pub role: String,
    /// The offer that is not enough; `None` where it was offered nothing.
    pub offer: Option<String>,
    /// Why not.
    pub reason: String,
}

/// An answer to "why".
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// About whom.
    pub framework: String,
    /// Its name.
    pub name: String,
    /// The task that was asked about; `None` when it was the whole framework.
    pub task: Option<String>,
    /// How it stands, in a sentence.
    pub summary: String,
    /// The task in question, or all of the framework's.
    pub tasks: Vec<TaskRow>,
    /// The volumes of the task in question, and where they are.
    pub volumes: Vec<ClaimRow>,
    /// Offers that it holds.
    pub offers: Vec<OfferRow>,
    /// For each agent that it is not offered, or not enough of: why.
    pub reasons: Vec<ExplainRow>,
}

/// Answers the page: `about` is a framework or a task, `resources` what is wanted.
///
/// # Errors
/// 400 for resources that are none, 404 when nothing is called so.
pub(super) async fn answer(api: &LeaderApi, query: &Query) -> Result<JsonText, Refusal> {
    let about = needed(query, "about")?.to_owned();
    let wanted: Option<Resources> = match query.get("resources") {
        Some(given) => {
            Some(text::resources(given, &Role::any()).map_err(invalid)?.into_iter().collect())
        }
        None => None,
    };
    let look = move |shell: &Seen| {
        let explained = explained(&shell.core, crate::core_loop::now(), &about, wanted.as_ref());
        explained.map(|it| JsonText::of(&it)).ok_or(about)
    };
    api.look(look)
        .await?
        .map_err(|about| Refusal::not_found(format!("there is no framework or task `{about}`")))
}

fn explained(
    core: &Master,
    now: Instant,
    about: &str,
    wanted: Option<&Resources>,
) -> Option<Explained> {
    let named = |it: &&FrameworkId| {
        it.as_str() == about
            || core.frameworks().get(*it).is_some_and(|state| state.info().name == about)
    };
    if let Some(framework) = core.frameworks().keys().find(named) {
        return Some(of_framework(core, now, framework, wanted));
    }
    let ended: Vec<&TaskView> = core.completed_tasks().collect();
    let known = core.tasks().values().chain(ended.into_iter().rev()); // Of those that have ended, the newest.
    let found = known.into_iter().find(|it| it.id.as_str() == about)?;
    Some(of_task(core, now, found, wanted))
}

fn of_framework(
    core: &Master,
    now: Instant,
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Explained {
    let all =
        core.tasks().values().chain(core.completed_tasks()).filter(|it| it.framework == *framework);
    let tasks: Vec<TaskRow> = all.map(|it| task(core, it)).collect();
    let mut explained = bare(core, framework);
    let live = tasks.iter().filter(|it| !it.ended).count();
    explained.summary = format!(
        "framework {}: {live} live tasks, {} unanswered offers",
        explained.name,
        explained.offers.len()
    );
    explained.tasks = tasks;
    explained.reasons = reasons(core, now, framework, wanted);
    if wanted.is_some() {
        let enough = |it: &&OfferRow| {
            explained.reasons.iter().all(|row| row.agent != it.agent || row.role != it.role)
        };
        let enough: Vec<&str> =
            explained.offers.iter().filter(enough).map(|it| it.id.as_str()).collect();
        if !enough.is_empty() {
            explained.summary += &format!(
                "; all that is asked is in offer {}, which its scheduler may accept",
                enough.join(", ")
            );
        }
    }
    explained
}

/// A task that does not run is explained by what it would use.
fn of_task(core: &Master, now: Instant, view: &TaskView, wanted: Option<&Resources>) -> Explained {
    let row = task(core, view);
    let own = view.resources.unallocated();
    let is_down = view.state.is_terminal() || view.state == TaskState::Unreachable;
    let mut explained = bare(core, &view.framework);
    let because = row.reason.map(|it| format!(" ({it})")).unwrap_or_default();
    let message = row.message.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    explained.summary = format!("task {} is {}{because}{message}", view.id, row.state);
    let volumes = own.volumes();
    let claim_of = |it: &Identity| {
        core.ledger().claims_of(&view.agent).find(|claim| claim.resource.identity == *it)
    };
    for (identity, _) in volumes.entries() {
        match claim_of(identity) {
            Some(claim) => explained.volumes.push(claim_row(core, &view.agent, claim)),
            None => {
                explained.summary +=
                    &format!("; agent {} has its volume {identity} no more", view.agent)
            }
        }
    }
    explained.task = Some(view.id.to_string());
    explained.tasks = vec![row];
    if let Some(wanted) = wanted.or(Some(&own).filter(|_| is_down)) {
        explained.reasons = reasons(core, now, &view.framework, Some(wanted));
    }
    explained
}

fn bare(core: &Master, framework: &FrameworkId) -> Explained {
    Explained {
        framework: framework.to_string(),
        name: core
            .ledger()
            .frameworks
            .get(framework)
            .map(|it| it.info.name.clone())
            .unwrap_or_default(),
        task: None,
        summary: String::new(),
        tasks: Vec::new(),
        volumes: Vec::new(),
        offers: offers(core).into_iter().filter(|it| it.framework == framework.as_str()).collect(),
        reasons: Vec::new(),
    }
}

fn reasons(
    core: &Master,
    now: Instant,
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Vec<ExplainRow> {
    let row = |it: &WhyNot| {
        let own = core
            .offers()
            .values()
            .map(|it| &it.offer)
            .filter(|offer| offer.framework == *framework);
        let here = own.filter(|offer| offer.agent == it.agent && offer.role == it.role);
        let ids: Vec<&str> = here.map(|offer| offer.id.as_str()).collect();
        let offer = Some(ids.join(" and ")).filter(|it| !it.is_empty());
        let reason = match (&it.reason, &offer) {
            (Reason::OfferLacks { name, wanted, offered }, Some(offer)) => {
                format!("offer {offer} has {name} {offered} of {wanted} asked")
            }
            (reason, _) => reason.to_string(),
        };
        let (agent, role) = (it.agent.to_string(), it.role.to_string());
        ExplainRow { agent, hostname: hostname(core, &it.agent), role, offer, reason }
    };
    core.explain(now, framework, wanted).reasons.iter().map(row).collect()
}
