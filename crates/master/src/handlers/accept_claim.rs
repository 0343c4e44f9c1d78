//! RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME within an ACCEPT: checked, believed done, and noted until the agent
//! has settled them.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, AgentId, Asker, Capability, ClaimAction, FrameworkId, Identity, Invalid, MasterChange,
    OfferId, Operation, OperationUuid, PendingOperation, Resource,
};

use super::accept::Accepting;
use super::operator_claim::users_of;
use crate::flows::bookkeeping::is_shared_in_use;
use crate::flows::offers::rescind_each;
use crate::flows::operations::speculate;
use crate::flows::ownership::{check_taken, ownership};
use crate::parts::offers::Offers;
use crate::parts::operations::{InFlight, Operations};
use crate::parts::outbox::Outbox;
use crate::{Belief, Step};

/// Does an operation on claims on what is left of the offers.
///
/// # Errors
/// [`Invalid`] naming what is wrong with it; nothing is changed then.
pub(super) fn accept_claim(
    step: &mut Step,
    belief: &mut Belief,
    accepting: &mut Accepting,
    id: Option<String>,
    action: ClaimAction,
) -> Result<(), Invalid> {
    let (framework, agent) = (&accepting.framework, &accepting.agent);
    let is_taken = |id: &String| belief.operations.named(framework, id).is_some();
    if id.as_ref().is_some_and(is_taken) {
        return Err(Invalid::new(
            "id",
            "an operation of this id is still under way or unacknowledged; choose another",
        ));
    }
    let action = action.map(|it| match it.identity.allocation {
        None => it.clone().allocated_to(&accepting.role),
        Some(_) => it.clone(),
    });
    check_shared(belief, accepting, &action)?;
    let Belief { agents, frameworks, operations, .. } = belief;
    let made = volumes_made(step.out, operations, framework, agent, action.volumes_touched());
    let info = frameworks.at(framework).info();
    let principal = info.principal.as_deref();
    action.check(Asker::Framework { roles: &info.roles, principal, made: &made })?;
    let mut pool = accepting.pool.clone();
    let given = action.apply(&mut pool)?.converted;
    if let ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } = action {
        pool.subtract_all(&given); // B6: what it comes to is of the next offer.
    }
    let uuid = OperationUuid(step.ids.fresh());
    let group = *accepting.group.get_or_insert(uuid);
    let unallocated = unallocated(&action);
    let ownership = ownership(step.config, step.out.ledger(), agent, &unallocated);
    let asked = (&unallocated, Some(framework));
    let under_way = operations.of_agent(agent).filter(|(_, it)| it.settled.is_none());
    let under_way = under_way.map(|(_, it)| &it.action);
    check_taken(step.out.ledger(), agent, asked, &ownership, under_way)
        .map_err(|(_, why)| Invalid::new("resources", why))?;
    let bare = speculate(step.out, agents, agent, (group, uuid), &action)?;
    let operation = Operation { id: id.clone(), action: Action::Claim(bare.clone()) };
    let rescinded = offered_beside(&belief.offers, agent, &bare);
    let in_flight = InFlight {
        framework: Some(framework.clone()),
        id,
        agent: agent.clone(),
        action: bare,
        request: None,
        settled: None,
    };
    operations.put(uuid, in_flight);
    rescind_each(step, belief, rescinded);
    let pending = PendingOperation {
        uuid,
        framework: Some(framework.clone()),
        agent: agent.clone(),
        operation: operation.clone(),
    };
    accepting.pool = pool;
    accepting.pending.push(MasterChange::Pending(pending));
    accepting.removed.extend(ownership.removed);
    accepting.order(uuid, operation);
    Ok(())
}

fn unallocated(action: &ClaimAction) -> ClaimAction {
    action.map(|it| it.clone().unallocated())
}

/// Only who knows shared volumes makes them. One that is offered may be in use all the same, and is not destroyed then: neither under a
/// task that runs, nor under one that is launched by this very ACCEPT.
fn check_shared(
    belief: &Belief,
    accepting: &Accepting,
    action: &ClaimAction,
) -> Result<(), Invalid> {
    let (framework, agent) = (&accepting.framework, &accepting.agent);
    let capabilities = &belief.frameworks.at(framework).info().capabilities;
    for (index, volume) in action.resources().iter().enumerate() {
        if !volume.identity.shared {
            continue;
        }
        if !capabilities.contains(&Capability::SharedResources) {
            let why = "shared volumes are for frameworks with the capability SHARED_RESOURCES; announce it if it is understood";
            return Err(Invalid::new(format!("resources[{index}].shared"), why));
        }
        let bare = volume.clone().unallocated();
        let there = (agent, belief.agents.at(agent));
        let is_destroyed = matches!(action, ClaimAction::Destroy(_));
        if is_destroyed && is_shared_in_use(belief.offers.rows(), there, &bare.identity) {
            let users = users_of(belief.tasks.rows(), agent, &[bare].into_iter().collect());
            let why = format!("is in use by {}; end it first", users.join(", "));
            return Err(Invalid::new(format!("volumes[{index}]"), why));
        }
    }
    Ok(())
}

/// The offers to others that hold a shared volume which is destroyed.
fn offered_beside(offers: &Offers, agent: &AgentId, action: &ClaimAction) -> BTreeSet<OfferId> {
    let ClaimAction::Destroy(volumes) = action else { return BTreeSet::new() };
    let shared = volumes.iter().filter(|it| it.identity.shared);
    let offers = shared.flat_map(|it| offers.with_shared(agent, &it.identity));
    offers.map(|it| it.id.clone()).collect()
}

/// Those of these volumes of an agent that a framework made itself, or is making.
fn volumes_made(
    out: &Outbox,
    operations: &Operations,
    framework: &FrameworkId,
    agent: &AgentId,
    volumes: &[Resource],
) -> Vec<Identity> {
    let bare = volumes.iter().map(|it| it.identity.unallocated());
    let is_theirs = |identity: &Identity| {
        let mut claims = out.ledger().claims_with(agent, identity);
        claims.any(|it| it.framework.as_ref() == Some(framework))
            || is_making(operations, framework, agent, identity)
    };
    bare.filter(is_theirs).collect()
}

fn is_making(
    operations: &Operations,
    framework: &FrameworkId,
    agent: &AgentId,
    volume: &Identity,
) -> bool {
    let mut under_way =
        operations.of_agent(agent).filter(|(_, it)| it.framework.as_ref() == Some(framework));
    under_way.any(|(_, it)| match &it.action {
        ClaimAction::Create(volumes) => volumes.iter().any(|it| it.identity == *volume),
        _ => false,
    })
}
