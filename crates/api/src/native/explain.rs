//! `/holdfast/v1/explain`: why a framework or a task is where it is, or is not.
//!
//! Relies on the core for the reasons, which are those that decided. Never guesses: where nothing is in the way, it gives no reason.

use std::collections::BTreeSet;

use holdfast_master::{Reason, TaskView, WhyNot};
use holdfast_model::{FrameworkId, Instant, Resources, TaskState};

use super::claims::{claim, VolumeUsers};
use super::hostname;
use super::offers::offer;
use super::tasks::task;
use crate::groups::{by, live_tasks};
use crate::rows::{ClaimRow, ExplainRow, Explained, OfferRow, TaskRow};
use crate::{MasterView, Refusal};

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A framework or a task: its id, or a framework's name.
    pub about: String,
    /// What it wants, when that is asked about.
    pub wanted: Option<Resources>,
}

/// Explains.
///
/// # Errors
/// [`Refusal::NotFound`] when nothing is called so.
pub fn explain(view: &MasterView, now: Instant, question: &Question) -> Result<Explained, Refusal> {
    let (about, wanted) = (&question.about, question.wanted.as_ref());
    let mut frameworks = view.frameworks().iter();
    let named = frameworks.find(|(id, state)| id.as_str() == about || state.info().name == *about);
    if let Some((framework, _)) = named {
        return Ok(of_framework(view, now, framework, wanted));
    }
    let is_it = |it: &&TaskView| it.id.as_str() == about;
    // Of those that have ended, the newest.
    let ended = || view.completed_tasks().filter(is_it).last();
    match view.tasks().values().find(is_it).or_else(ended) {
        Some(found) => Ok(of_task(view, now, found, wanted)),
        None => Err(Refusal::NotFound(format!("there is no framework or task `{about}`"))),
    }
}

fn of_framework(
    view: &MasterView,
    now: Instant,
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Explained {
    let all = view.tasks().values().chain(view.completed_tasks());
    let own = all.filter(|it| it.framework == *framework);
    let tasks: Vec<TaskRow> = own.map(|it| task(view, it)).collect();
    let mut explained = bare(view, framework);
    let live = tasks.iter().filter(|it| !it.ended).count();
    explained.summary = format!(
        "framework {}: {live} live tasks, {} unanswered offers",
        explained.name,
        explained.offers.len()
    );
    explained.tasks = tasks;
    let unusable = unusable_volumes(view, framework);
    if let [first, ..] = unusable.as_slice() {
        explained.summary += &format!(
            "; {} of its volumes cannot be used: {}",
            unusable.len(),
            first.fault.as_deref().unwrap_or_default()
        );
    }
    explained.volumes = unusable;
    explained.reasons = reasons(view, now, framework, wanted);
    if wanted.is_some() {
        let lacking: BTreeSet<(&str, &str)> =
            explained.reasons.iter().map(|it| (it.agent.as_str(), it.role.as_str())).collect();
        let is_enough = |it: &&OfferRow| !lacking.contains(&(it.agent.as_str(), it.role.as_str()));
        let enough: Vec<&str> =
            explained.offers.iter().filter(is_enough).map(|it| it.id.as_str()).collect();
        if !enough.is_empty() {
            explained.summary += &format!(
                "; all that is asked is in offer {}, which its scheduler may accept",
                enough.join(", ")
            );
        }
    }
    explained
}

/// The volumes of a framework that it cannot be offered, whatever is free.
fn unusable_volumes(view: &MasterView, framework: &FrameworkId) -> Vec<ClaimRow> {
    let faulty = view.agents().iter().flat_map(|(agent, state)| {
        let claims = &view.ledger().claims;
        state
            .faults()
            .keys()
            .filter_map(move |id| Some((agent, claims.get(&(agent.clone(), *id))?)))
    });
    let own = faulty.filter(|(_, it)| it.is_volume() && it.framework.as_ref() == Some(framework));
    let users =
        VolumeUsers::of(view.tasks_of_framework(framework).filter(|it| !it.state.is_terminal()));
    own.map(|(agent, it)| claim(view, agent, it, &users)).collect()
}

/// A task that does not run is explained by what it would use.
fn of_task(
    view: &MasterView,
    now: Instant,
    found: &TaskView,
    wanted: Option<&Resources>,
) -> Explained {
    let row = task(view, found);
    let own = found.resources.unallocated();
    let is_down = found.state.is_terminal() || found.state == TaskState::Unreachable;
    let mut explained = bare(view, &found.framework);
    let because = row.reason.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let message = row.message.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    explained.summary = format!("task {} is {}{because}{message}", found.id, row.state.name());
    let neighbours = live_tasks(view).filter(|it| it.agent == found.agent);
    let users = VolumeUsers::of(neighbours);
    for (identity, _) in own.entries().filter(|(it, _)| it.persistence.is_some()) {
        match view.ledger().claims_with(&found.agent, identity).next() {
            Some(held) => explained.volumes.push(claim(view, &found.agent, held, &users)),
            None => {
                explained.summary +=
                    &format!("; agent {} has its volume {identity} no more", found.agent)
            }
        }
    }
    explained.task = Some(found.id.to_string());
    explained.tasks = vec![row];
    if let Some(wanted) = wanted.or(Some(&own).filter(|_| is_down)) {
        explained.reasons = reasons(view, now, &found.framework, Some(wanted));
    }
    explained
}

fn bare(view: &MasterView, framework: &FrameworkId) -> Explained {
    let record = view.ledger().frameworks.get(framework);
    let offers = view.offers().values().filter(|it| it.offer.framework == *framework);
    Explained {
        framework: framework.to_string(),
        name: record.map(|it| it.info.name.clone()).unwrap_or_default(),
        task: None,
        summary: String::new(),
        tasks: Vec::new(),
        volumes: Vec::new(),
        offers: offers.map(offer).collect(),
        reasons: Vec::new(),
    }
}

fn reasons(
    view: &MasterView,
    now: Instant,
    framework: &FrameworkId,
    wanted: Option<&Resources>,
) -> Vec<ExplainRow> {
    let own = view.offers().values().map(|it| &it.offer).filter(|it| it.framework == *framework);
    let own = by(own.map(|it| ((&it.agent, &it.role), it.id.as_str())));
    let row = |it: &WhyNot| {
        let offer = own.get(&(&it.agent, &it.role)).map(|ids| ids.join(" and "));
        let reason = match (&it.reason, &offer) {
            (Reason::OfferLacks { name, wanted, offered }, Some(offer)) => {
                format!("offer {offer} has {name} {offered} of {wanted} asked")
            }
            (reason, _) => reason.to_string(),
        };
        let (agent, role) = (it.agent.to_string(), it.role.to_string());
        ExplainRow { agent, hostname: hostname(view, &it.agent), role, offer, reason }
    };
    view.explain(now, framework, wanted).reasons.iter().map(row).collect()
}
