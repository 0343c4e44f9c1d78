//! `/holdfast/v1/claims`: a row for each reservation and volume, also of agents that are away.
//!
//! Relies on the masters' ledger in the view; never forgets a claim.

use std::collections::BTreeMap;

use holdfast_master::TaskView;
use holdfast_model::ended::operation_of;
use holdfast_model::{AgentId, Claim, ClaimEvent, ClaimState, Identity, Labels};

use super::{hostname, standing};
use crate::groups::live_tasks;
use crate::rows::{AgentStanding, ClaimKind, ClaimRow, ClaimStanding, EventRow, UserRow};
use crate::MasterView;

/// Every claim that the masters know of.
pub fn claims(view: &MasterView) -> Vec<ClaimRow> {
    let users = VolumeUsers::of(live_tasks(view));
    let row =
        |((agent, _), claim): (&(AgentId, _), &Claim)| self::claim(view, agent, claim, &users);
    let mut rows: Vec<ClaimRow> = view.ledger().claims.iter().map(row).collect();
    keep_together(&mut rows);
    rows
}

/// What one operation made stands together, where the first of it stands.
fn keep_together(rows: &mut Vec<ClaimRow>) {
    let (mut first, mut placed) = (BTreeMap::new(), Vec::with_capacity(rows.len()));
    for (at, row) in rows.drain(..).enumerate() {
        let operation = row.made_by_operation.clone();
        let place = operation.map_or(at, |it| *first.entry(it).or_insert(at));
        placed.push((place, row));
    }
    placed.sort_by_key(|(place, _)| *place);
    rows.extend(placed.into_iter().map(|(_, row)| row));
}

/// The live tasks that use each volume, in the order of their names; of a volume that is not shared that is one.
pub(super) struct VolumeUsers<'a>(BTreeMap<(&'a AgentId, Identity), Vec<&'a TaskView>>);

impl<'a> VolumeUsers<'a> {
    /// Those among these tasks.
    pub fn of(tasks: impl IntoIterator<Item = &'a TaskView>) -> VolumeUsers<'a> {
        let mut users: BTreeMap<_, Vec<&TaskView>> = BTreeMap::new();
        for task in tasks {
            let volumes = task.resources.entries().filter(|(it, _)| it.persistence.is_some());
            for (identity, _) in volumes {
                users.entry((&task.agent, identity.unallocated())).or_default().push(task);
            }
        }
        VolumeUsers(users)
    }

    fn of_volume(&self, agent: &'a AgentId, volume: &Identity) -> &[&'a TaskView] {
        self.0.get(&(agent, volume.clone())).map(Vec::as_slice).unwrap_or_default()
    }
}

/// One claim.
pub(super) fn claim<'a>(
    view: &'a MasterView,
    agent: &'a AgentId,
    claim: &Claim,
    users: &VolumeUsers<'a>,
) -> ClaimRow {
    let identity = &claim.resource.identity;
    let state = view.agents().get(agent);
    let fault = state.and_then(|it| it.faults().get(&claim.id)).cloned();
    let frameworks = &view.ledger().frameworks;
    let is_there = |id| frameworks.get(id).is_some_and(|it| !it.removed);
    let used = state.and_then(|it| it.used().of(&claim.id));
    let users = if claim.is_volume() { users.of_volume(agent, identity) } else { &[] };
    ClaimRow {
        id: claim.id.to_string(),
        kind: if claim.is_volume() { ClaimKind::Volume } else { ClaimKind::Reservation },
        state: match claim.state {
            _ if fault.is_some() => ClaimStanding::Missing,
            ClaimState::Making => ClaimStanding::Making,
            ClaimState::Ready => ClaimStanding::Ready,
            ClaimState::Destroying => ClaimStanding::Destroying,
        },
        fault,
        volume: identity.persistence.as_ref().map(ToString::to_string),
        role: identity.role().to_string(),
        principal: identity.reservations.last().and_then(|it| it.principal.clone()),
        labels: identity.reservations.last().map(|it| labels(&it.labels)).unwrap_or_default(),
        resource: identity.name.clone(),
        amount: claim.resource.value.quantity().to_f64(),
        used_bytes: used.map(|it| it.bytes),
        used_measured_ms: used.map(|it| it.measured.0),
        agent: agent.to_string(),
        hostname: hostname(view, agent),
        agent_state: state.map_or(AgentStanding::Away, |it| standing(view, agent, it)),
        disk: claim.disk.map(|it| it.to_string()),
        disk_root: identity.source.as_ref().and_then(|it| it.root.clone()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        unclaimed: !claim.framework.as_ref().is_some_and(is_there),
        shared: identity.shared,
        task: users.first().map(|it| it.id.to_string()),
        users: users.iter().copied().map(user).collect(),
        generation: claim.generation,
        created_ms: claim.created.0,
        made_by_operation: claim.operation.map(|it| it.to_string()),
        history: claim.history.iter().map(|it| event(it, claim.is_volume())).collect(),
    }
}

fn user(task: &TaskView) -> UserRow {
    UserRow { task: task.id.to_string(), framework: task.framework.to_string() }
}

pub(super) fn labels(labels: &Labels) -> Vec<String> {
    let text = |(key, value): &(String, Option<String>)| match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    };
    labels.iter().map(text).collect()
}

/// An event of the history of a volume, or of a reservation.
pub(super) fn event(event: &ClaimEvent, is_volume: bool) -> EventRow {
    EventRow {
        at_ms: event.at.0,
        generation: event.generation,
        what: event.what.clone(),
        by: event.by.clone(),
        operation: operation_of(event, is_volume).map(str::to_owned),
    }
}
