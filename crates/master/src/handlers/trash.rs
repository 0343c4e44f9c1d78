//! Destroyed volumes: what agents tell of them, and what operators want: one back, or its bytes gone.
//!
//! An undelete is an operation like a CREATE of the same volume, on the space that its reservation still has or that nobody has claimed
//! since: the agent brings the very claim back. Relies on the agent for what can still be brought back. Never takes space from anybody.

use holdfast_model::{
    AgentId, Claim, ClaimAction, ClaimId, ClaimState, MasterLedger, NamedOperation, OfferId, Order,
    Ownership, Reservation, ReservationKind, Resource, TrashNews, TrashedVolume,
};

use super::operator_claim::{check_health, needed_offers, order_claim, why_not_free};
use crate::flows::offers::rescind_each;
use crate::flows::operations::check_names;
use crate::flows::telling::order;
use crate::parts::agents::AgentState;
use crate::parts::offers::OfferRows;
use crate::parts::tasks::TaskRows;
use crate::{Belief, Effect, Refusal, RequestId, Step};

/// An agent says what lies in its trash.
pub(super) fn trash_changed(
    step: &mut Step,
    belief: &mut Belief,
    agent: &AgentId,
    news: TrashNews,
) {
    belief.agents.at_mut(agent).hear_trash(news);
    let trash = belief.agents.at(agent).trash().volumes();
    let is_going = |it: &ClaimId| trash.get(it).is_none_or(|it| it.purging);
    let going: Vec<ClaimId> = belief.operations.purges_of(agent).filter(is_going).collect();
    for claim in going {
        for request in belief.operations.take_purges(agent, claim) {
            step.out.send(Effect::Answer(request, Ok(())));
        }
    }
}

/// What bringing a volume back comes to.
pub(crate) struct Undelete {
    /// The offers that are taken back for it.
    pub(crate) rescinded: Vec<OfferId>,
    /// A reservation of the space, if it was given up since; then the volume. Nothing, when the volume is back already.
    pub(crate) actions: Vec<ClaimAction>,
}

/// Brings a volume back. The answer comes when the agent has done it; at once when it is back already.
///
/// # Errors
/// [`Refusal`] saying what stands in its way.
pub(super) fn undelete(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    claim: ClaimId,
) -> Result<(), Refusal> {
    let Belief { agents, tasks, offers, .. } = &*belief;
    let known = (step.out.ledger(), tasks.rows(), offers.rows());
    let Undelete { rescinded, actions } = plan_undelete(known, agents.get(agent), agent, claim)?;
    let Some((volume, reservation)) = actions.split_last() else {
        step.out.send(Effect::Answer(request, Ok(())));
        return Ok(());
    };
    rescind_each(step, belief, rescinded);
    for action in reservation {
        order_claim(step, belief, (None, principal), agent, action, |uuid, operation, by| {
            let operations = vec![NamedOperation { uuid, operation }];
            let ownership = Some(Ownership::default());
            Order::Apply { framework: None, role: None, by, operations, ownership }
        })?;
    }
    let waits = (Some(request), principal);
    order_claim(step, belief, waits, agent, volume, |uuid, _, by| Order::Undelete {
        uuid,
        claim,
        by,
    })
}

/// Says what bringing a volume back comes to, and does nothing.
///
/// # Errors
/// As for [`undelete`].
pub(crate) fn plan_undelete(
    (ledger, tasks, offers): (&MasterLedger, &TaskRows, &OfferRows),
    state: Option<&AgentState>,
    agent: &AgentId,
    claim: ClaimId,
) -> Result<Undelete, Refusal> {
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    check_health((agent, state))?;
    if let Some(there) = ledger.claims.get(&(agent.clone(), claim)) {
        check_stays(state, there)?;
        return Ok(Undelete { rescinded: Vec::new(), actions: Vec::new() });
    }
    let volume = find((agent, state), claim)?;
    let resource = &volume.claim.resource;
    let create = ClaimAction::Create(vec![resource.clone()]);
    check_names(ledger, (agent, state), &create).map_err(|it| Refusal::Conflict(it.to_string()))?;
    let mut total = state.total().clone();
    let mut actions = Vec::new();
    if !total.contains(&create.conversion().consumed) {
        let reserve = reservation(&resource.without_volume());
        let taken = reserve.filter(|it| it.apply(&mut total).is_ok());
        let why = || Refusal::Conflict(why_no_space(ledger, agent, resource));
        actions.push(taken.ok_or_else(why)?);
    }
    create.check_on(&total).map_err(|it| Refusal::Conflict(it.to_string()))?;
    actions.push(create);
    let consumed = actions[0].conversion().consumed;
    let rescinded = needed_offers(offers, (agent, state), &consumed)
        .ok_or_else(|| why_not_free(tasks, offers, (agent, state), &actions[0], &consumed))?;
    Ok(Undelete { rescinded, actions })
}

/// A claim that is known, and is on its way to the trash, is not back.
fn check_stays(state: &AgentState, claim: &Claim) -> Result<(), Refusal> {
    // What is being destroyed is in the total no more; nor is what cannot be used, which stays.
    let is_there = state.total().contains_one(&claim.resource);
    if claim.state != ClaimState::Destroying && (is_there || state.faults().contains_key(&claim.id))
    {
        return Ok(());
    }
    let why = format!("{} is just being destroyed; try again", claim.resource);
    Err(Refusal::Conflict(why))
}

fn find<'a>(
    (agent, state): (&AgentId, &'a AgentState),
    claim: ClaimId,
) -> Result<&'a TrashedVolume, Refusal> {
    let volume = state.trash().volumes().get(&claim).ok_or_else(|| {
        Refusal::NotFound(format!("volume {claim} is not in the trash of agent {agent}"))
    })?;
    let resource = &volume.claim.resource;
    if volume.purging {
        let why = format!("the removal of {resource} has begun; it cannot be brought back");
        return Err(Refusal::Conflict(why));
    }
    let disk = state.disks().iter().find(|it| Some(it.disk.id) == volume.claim.disk);
    match disk.map(|it| &it.fault) {
        Some(None) => Ok(volume),
        Some(Some(fault)) => Err(Refusal::Conflict(format!(
            "{resource} cannot be brought back: its disk cannot be used now: {fault}"
        ))),
        None => Err(Refusal::Conflict(format!(
            "{resource} cannot be brought back: its disk is not there; attach it again"
        ))),
    }
}

/// The reservation that the space of a volume needs when nobody holds it; static ones belong to the agent's settings.
fn reservation(reserved: &Resource) -> Option<ClaimAction> {
    let is_dynamic = |it: &Reservation| it.kind == ReservationKind::Dynamic;
    let innermost = reserved.identity.reservations.last()?;
    is_dynamic(innermost)
        .then(|| ClaimAction::Reserve { resources: vec![reserved.clone()], source: Vec::new() })
}

/// Who has the space by now.
fn why_no_space(ledger: &MasterLedger, agent: &AgentId, volume: &Resource) -> String {
    let base = volume.identity.base();
    let here = ledger.claims.iter().filter(|((its, _), _)| its == agent);
    let holders = here.filter(|(_, it)| it.resource.identity.base() == base);
    let holders: Vec<String> = holders.take(5).map(|(_, it)| it.resource.to_string()).collect();
    let by = match holders.is_empty() {
        true => String::new(),
        false => format!(": the disk holds {}", holders.join(", ")),
    };
    format!("{volume} cannot be brought back, because its space is not there any more{by}; destroy or unreserve what can go, then try again")
}

/// Has the bytes of a destroyed volume removed. The answer comes when it is written down that they go.
///
/// # Errors
/// [`Refusal`] saying why they cannot be.
pub(super) fn purge(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    claim: ClaimId,
) -> Result<(), Refusal> {
    let state = belief.agents.get(agent);
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    check_health((agent, state))?;
    let volume = state.trash().volumes().get(&claim).ok_or_else(|| {
        Refusal::NotFound(format!("volume {claim} is not in the trash of agent {agent}"))
    })?;
    if step.out.ledger().claims.contains_key(&(agent.clone(), claim)) {
        let why = format!("{} is being brought back", volume.claim.resource);
        return Err(Refusal::Conflict(why));
    }
    if volume.purging {
        step.out.send(Effect::Answer(request, Ok(())));
        return Ok(());
    }
    belief.operations.await_purge(agent.clone(), claim, request);
    let by = principal.unwrap_or("operator").to_owned();
    order(step, &mut belief.agents, agent, Order::PurgeTrash { claim, by });
    Ok(())
}
