//! RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME of operators. A claim is answered once it is durable at its agent;
//! what is needed for it is taken out of offers in the same step, so that nobody can come in between.

use holdfast_model::{
    Action, AgentId, Asker, ClaimAction, ClaimId, ClaimState, Conversion, Identity, Invalid,
    MasterChange, MasterLedger, NamedOperation, OfferId, Operation, OperationUuid, Order,
    Ownership, PendingOperation, Resource, Resources,
};

use crate::flows::bookkeeping::is_shared_in_use;
use crate::flows::offers::rescind_each;
use crate::flows::operations::{check_names, speculate};
use crate::flows::ownership::{check_taken, ownership};
use crate::flows::telling::order;
use crate::parts::agents::{AgentHealth, AgentState};
use crate::parts::offers::{OfferRecord, OfferRows};
use crate::parts::operations::InFlight;
use crate::parts::tasks::TaskRows;
use crate::{Belief, Config, Refusal, RequestId, Step};

/// Whether an operator insists on destroying what a framework holds that was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is refused, and the holder named.
    No,
    /// It is done.
    Yes,
}

impl Force {
    /// As it was asked for.
    pub fn of(force: bool) -> Force {
        if force {
            Force::Yes
        } else {
            Force::No
        }
    }
}

/// Does it. The answer comes when the agent has done it.
///
/// # Errors
/// [`Refusal`] saying what is wrong with it, or in its way.
pub(super) fn operator_claim(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    agent: &AgentId,
    wish: Wish<'_>,
) -> Result<(), Refusal> {
    let Belief { agents, tasks, offers, operations, .. } = &*belief;
    let known = (step.out.ledger(), tasks.rows(), offers.rows());
    let under_way = operations.of_agent(agent).filter(|(_, it)| it.settled.is_none());
    let under_way = under_way.map(|(_, it)| &it.action);
    let state = agents.get(agent);
    let planned = plan(step.config, known, state, agent, wish, under_way, asked.1)?;
    rescind_each(step, belief, planned.rescinded);
    let (ownership, (request, principal)) = (Some(planned.ownership), asked);
    let waits = (Some(request), principal);
    order_claim(step, belief, waits, agent, wish.action, |uuid, operation, by| {
        let operations = vec![NamedOperation { uuid, operation }];
        Order::Apply { framework: None, role: None, by, operations, ownership }
    })
}

/// What an operator wants.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) action: &'a ClaimAction,
    pub(crate) force: Force,
    /// The one claim that is meant.
    pub(crate) claim: Option<ClaimId>,
}

impl Wish<'_> {
    /// Whose claims it may take from.
    pub(super) fn ownership(
        &self,
        config: &Config,
        ledger: &MasterLedger,
        agent: &AgentId,
    ) -> Ownership {
        let known = ownership(config, ledger, agent, self.action);
        let anybody = known.anybody || self.force == Force::Yes;
        Ownership { anybody, claim: self.claim, ..known }
    }
}

/// What it comes to.
pub(crate) struct Planned {
    /// The offers that are taken back for it.
    pub(crate) rescinded: Vec<OfferId>,
    /// Whose claims it may take from, as the agent is told.
    pub(crate) ownership: Ownership,
}

/// Says what it would come to, and does nothing. `under_way` are the actions that the agent has not settled yet.
///
/// # Errors
/// As for [`operator_claim`].
pub(crate) fn plan<'a>(
    config: &Config,
    (ledger, tasks, offers): (&MasterLedger, &TaskRows, &OfferRows),
    state: Option<&AgentState>,
    agent: &AgentId,
    wish: Wish<'_>,
    under_way: impl Iterator<Item = &'a ClaimAction>,
    principal: Option<&str>,
) -> Result<Planned, Refusal> {
    let action = wish.action;
    action.check(Asker::Operator { principal }).map_err(Refusal::Invalid)?;
    let there = known_agent(state, agent)?;
    let conversion = check_one(ledger, there, there.1.total(), (action, wish.force))?;
    let consumed = needs_free(offers, there, action, conversion).consumed;
    let ownership = wish.ownership(config, ledger, agent);
    check_taken(ledger, agent, (action, None), &ownership, under_way)
        .map_err(|(_, why)| Refusal::Conflict(why))?;
    match needed_offers(offers, there, &consumed) {
        Some(rescinded) => Ok(Planned { rescinded, ownership }),
        None => Err(why_not_free(tasks, offers, there, action, &consumed)),
    }
}

/// What an operation takes and gives, less what somebody may use meanwhile.
pub(super) fn needs_free(
    offers: &OfferRows,
    there: (&AgentId, &AgentState),
    action: &ClaimAction,
    conversion: Conversion,
) -> Conversion {
    match action {
        // J39: a volume grows under its task, which has more room then.
        ClaimAction::Grow { volume, addition } if is_in_use(offers, there, volume) => {
            Conversion { consumed: [addition].into_iter().collect(), converted: Resources::new() }
        }
        _ => conversion,
    }
}

/// An agent that can be asked for a change.
pub(super) fn known_agent<'a>(
    state: Option<&'a AgentState>,
    agent: &'a AgentId,
) -> Result<(&'a AgentId, &'a AgentState), Refusal> {
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    check_health((agent, state))?;
    Ok((agent, state))
}

/// What one operation takes and gives, of an agent that has `total`.
pub(super) fn check_one(
    ledger: &MasterLedger,
    there: (&AgentId, &AgentState),
    total: &Resources,
    (action, force): (&ClaimAction, Force),
) -> Result<Conversion, Refusal> {
    check_known(ledger, there, action)?;
    if force == Force::No {
        check_holders(ledger, there.0, action)?;
    }
    check_names(ledger, there, action).map_err(|it| Refusal::Conflict(it.to_string()))?;
    action.check_on(total).map_err(|it| Refusal::Conflict(it.to_string()))
}

/// Only an agent that is well can be asked for a change.
pub(super) fn check_health((agent, state): (&AgentId, &AgentState)) -> Result<(), Refusal> {
    match state.health() {
        AgentHealth::Well => Ok(()),
        AgentHealth::Away(_) => Err(Refusal::Conflict(format!(
            "agent {agent} is not connected; try again when it is back"
        ))),
        AgentHealth::Fenced(why) => Err(Refusal::Conflict(why.clone())),
        AgentHealth::Resyncing | AgentHealth::Joining => Err(Refusal::Conflict(format!(
            "agent {agent} is just reporting what it has; try again"
        ))),
    }
}

/// An operation on a volume that does not exist is wrong rather than early; one on a volume that cannot be found now has to wait
/// until it is back: its agent would try for ever, and nobody can say whether its bytes were meant.
fn check_known(
    ledger: &MasterLedger,
    (agent, state): (&AgentId, &AgentState),
    action: &ClaimAction,
) -> Result<(), Refusal> {
    for (index, volume) in action.volumes_touched().iter().enumerate() {
        let id = volume.identity.persistence.as_ref().map(ToString::to_string).unwrap_or_default();
        let Some(claim) = ledger.claims_with(agent, &volume.identity).next() else {
            let why = format!("agent {agent} has no such volume `{id}`; see its claims");
            let path = match action {
                ClaimAction::Destroy(_) => format!("volumes[{index}]"),
                _ => "volume".to_owned(),
            };
            return Err(Refusal::Invalid(Invalid::new(path, why)));
        };
        if let Some(fault) = state.faults().get(&claim.id) {
            let hint = match action {
                ClaimAction::Destroy(_) => "; if its disk is dead for good, give the claim up",
                _ => "",
            };
            return Err(Refusal::Conflict(format!(
                "volume `{id}` on agent {agent} cannot be used now: {fault}{hint}"
            )));
        }
    }
    Ok(())
}

/// Ends one claim, whichever others look the same. The answer comes when the agent has done it.
///
/// # Errors
/// [`Refusal`] saying what is wrong with it, or in its way.
pub(super) fn end_claim(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    (agent, claim): (&AgentId, ClaimId),
    force: Force,
) -> Result<(), Refusal> {
    let action = ending(step.out.ledger(), agent, claim)?;
    operator_claim(step, belief, asked, agent, Wish { action: &action, force, claim: Some(claim) })
}

/// What ends a claim.
///
/// # Errors
/// [`Refusal`] when there is no such claim, or nothing that can be undone.
pub(crate) fn ending(
    ledger: &MasterLedger,
    agent: &AgentId,
    id: ClaimId,
) -> Result<ClaimAction, Refusal> {
    let Some(claim) = ledger.claims.get(&(agent.clone(), id)) else {
        return Err(Refusal::NotFound(format!("agent {agent} has no claim {id}; see its claims")));
    };
    let resources = vec![claim.resource.clone()];
    match (claim.is_volume(), claim.state) {
        (_, ClaimState::Destroying) => {
            Err(Refusal::Conflict(format!("claim {id} is being destroyed already")))
        }
        (true, _) => Ok(ClaimAction::Destroy(resources)),
        (false, _) => Ok(ClaimAction::Unreserve(resources)),
    }
}

/// A framework that was not removed may come back for its volume, and nothing else tells it that it is gone.
fn check_holders(
    ledger: &MasterLedger,
    agent: &AgentId,
    action: &ClaimAction,
) -> Result<(), Refusal> {
    let ClaimAction::Destroy(volumes) = action else { return Ok(()) };
    for volume in volumes {
        let claims = ledger.claims_with(agent, &volume.identity);
        let holders = claims.filter_map(|it| ledger.frameworks.get(it.framework.as_ref()?));
        let Some(holder) = holders.into_iter().find(|it| !it.removed) else { continue };
        let standing = if holder.deadline.is_some() { "away" } else { "connected" };
        let id = holder.info.id.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Refusal::Conflict(format!(
            "{volume} on agent {agent} is held by framework `{}` ({id}), which is {standing} and was not removed; destroy it with force if its data are not needed",
            holder.info.name
        )));
    }
    Ok(())
}

/// Whether a task or an executor uses a volume; an offer of it can be taken back.
fn is_in_use(
    offers: &OfferRows,
    (agent, state): (&AgentId, &AgentState),
    volume: &Resource,
) -> bool {
    let identity = &volume.identity;
    state.held().get(identity).is_some() && offers.held_of(agent).get(identity).is_none()
}

/// The offers that have to be taken back so that `needed` is free; nothing when that is not enough.
pub(super) fn needed_offers(
    offers: &OfferRows,
    (agent, state): (&AgentId, &AgentState),
    needed: &Resources,
) -> Option<Vec<OfferId>> {
    let (mut free, mut rescinded) = (state.free(), Vec::new());
    if needed.shared().any(|(it, _)| is_shared_in_use(offers, (agent, state), it)) {
        return None;
    }
    for OfferRecord { offer, resources: offered, .. } in offers.records_of_agent(agent) {
        // A shared volume is free while it is offered, and nobody keeps an offer of one that is no more.
        let is_short = |identity: &Identity| {
            identity.shared || !free.contains(&needed.filter(|it| it == identity))
        };
        let gives = |identity: &Identity| offered.get(identity).is_some() && is_short(identity);
        if needed.entries().any(|(identity, _)| gives(identity)) {
            free.add_all(offered);
            rescinded.push(offer.id.clone());
        }
    }
    free.contains(needed).then_some(rescinded)
}

/// Why not even all offers together free `needed`.
pub(super) fn why_not_free(
    tasks: &TaskRows,
    offers: &OfferRows,
    (agent, state): (&AgentId, &AgentState),
    action: &ClaimAction,
    needed: &Resources,
) -> Refusal {
    let mut free = state.free();
    free.add_all(&offers.held_of(agent));
    let is_used = |it: &Identity| it.shared && is_shared_in_use(offers, (agent, state), it);
    let missing = needed
        .iter()
        .find(|it| !free.contains_one(it) || is_used(&it.identity))
        .map_or_else(|| needed.to_string(), |it| it.to_string());
    let users: Vec<String> = users_of(tasks, agent, needed);
    let gives_up = matches!(action, ClaimAction::Destroy(_) | ClaimAction::Shrink { .. });
    if gives_up && !users.is_empty() {
        let why =
            format!("{missing} on agent {agent} is in use by {}; end it first", users.join(", "));
        let path = if let ClaimAction::Shrink { .. } = action { "volume" } else { "volumes" };
        return Refusal::Invalid(Invalid::new(path, why));
    }
    let by =
        if users.is_empty() { String::new() } else { format!(", used by {}", users.join(", ")) };
    Refusal::Conflict(format!("{missing} is not free on agent {agent}{by}"))
}

/// The first few tasks that use some of `needed`, in words.
pub(super) fn users_of(tasks: &TaskRows, agent: &AgentId, needed: &Resources) -> Vec<String> {
    let uses = |resources: &Resources| {
        resources.unallocated().entries().any(|(identity, _)| needed.get(identity).is_some())
    };
    let users = tasks.of_agent(agent).filter(|it| !it.state.is_terminal() && uses(&it.resources));
    users.take(5).map(|it| format!("task `{}` of framework {}", it.id, it.framework)).collect()
}

/// Has an agent do what was found to be possible, in the words that `say` finds for it.
pub(super) fn order_claim(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (Option<RequestId>, Option<&str>),
    agent: &AgentId,
    action: &ClaimAction,
    say: impl FnOnce(OperationUuid, Operation, String) -> Order,
) -> Result<(), Refusal> {
    let uuid = OperationUuid(step.ids.fresh());
    let action = speculate(step.out, &mut belief.agents, agent, (uuid, uuid), action)
        .map_err(Refusal::Invalid)?;
    let operation = Operation { id: None, action: Action::Claim(action.clone()) };
    let in_flight = InFlight {
        framework: None,
        id: None,
        agent: agent.clone(),
        action,
        request,
        settled: None,
    };
    belief.operations.put(uuid, in_flight);
    let pending = PendingOperation {
        uuid,
        framework: None,
        agent: agent.clone(),
        operation: operation.clone(),
    };
    let by = principal.unwrap_or("operator").to_owned();
    order(step, &mut belief.agents, agent, say(uuid, operation, by));
    step.out.commit(vec![MasterChange::Pending(pending)]);
    belief.allocator.touch_free(agent);
    Ok(())
}
