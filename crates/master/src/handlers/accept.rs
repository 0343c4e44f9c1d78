//! ACCEPT: a framework uses offers. Operations are tried strictly in order, each on what the earlier
//! ones left; one that fails is dropped with a reason, and the later ones are still tried.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, AgentId, ClaimAction, Event, Filters, FrameworkId, MasterChange, NamedOperation,
    OfferId, Operation, OperationState, OperationUuid, Order, Ownership, Reason, Resource,
    Resources, Role, StatusSource, TaskId, TaskState, TaskStatus, Unreadable,
};

use super::accept_claim::accept_claim;
use super::launch::{accept_group, accept_launch, tell_invalid};
use crate::flows::inverse_offers::use_changed;
use crate::flows::offers::{decline, take_offer};
use crate::flows::operations::tell_operation;
use crate::flows::tasks::tell_of_namesake;
use crate::flows::telling::{order, tell};
use crate::parts::agents::AgentHealth;
use crate::{Belief, Step};

/// An ACCEPT half-way through its list.
pub(super) struct Accepting {
    pub(super) framework: FrameworkId,
    pub(super) agent: AgentId,
    pub(super) role: Role,
    /// What is left of the offers, allocated, as the earlier operations changed it.
    pub(super) pool: Resources,
    /// What goes to the agent.
    pub(super) orders: Vec<NamedOperation>,
    pub(super) pending: Vec<MasterChange>,
    /// The first of its operations on claims.
    pub(super) group: Option<OperationUuid>,
    /// Those who made some of what its operations take, and were removed.
    pub(super) removed: BTreeSet<FrameworkId>,
}

/// A framework accepts offers for some operations.
pub(crate) fn accept(
    step: &mut Step,
    belief: &mut Belief,
    framework: &FrameworkId,
    offers: Vec<OfferId>,
    operations: Vec<Operation>,
    filters: Filters,
) {
    let (mut accepting, offered) = match pool(step, belief, framework, &offers) {
        Ok(pooled) => pooled,
        Err(why) => return accept_failed(step, belief, framework, operations, &why),
    };
    for operation in operations {
        accept_one(step, belief, &mut accepting, operation);
    }
    let Accepting { agent, role, pool, orders, pending, group, removed, .. } = accepting;
    let anybody = step.config.mesos_ownership;
    let ownership = Ownership { anybody, removed: removed.into_iter().collect(), claim: None };
    let destroys = orders
        .iter()
        .any(|it| matches!(it.operation.action, Action::Claim(ClaimAction::Destroy(_))));
    send_orders(step, belief, framework, (&agent, &role), (orders, ownership), pending);
    let (left, made): (Vec<Resource>, Vec<Resource>) =
        pool.iter().partition(|it| offered.contains_one(it));
    let left = left.iter().collect::<Resources>().unallocated();
    let takes = made.is_empty() && left.quantities() != offered.quantities();
    // What was made and not used is offered as soon as it is there, together with what was left beside it. Trash takes its time,
    // though, and nobody else's machine waits for it.
    let together = group.filter(|_| !made.is_empty() && !destroys);
    let waits = together.is_some_and(|it| belief.agents.at_mut(&agent).reserve_with(&it, &left));
    // What was offered and is left unchanged is declined. One who takes a part and asks for no filter is not made to wait: it would be
    // passed over by those who are due after it. It cannot go on for ever, since there is less each time.
    let wants_more = filters.refuse_ms == 0 && takes;
    if !waits && !wants_more {
        let when = (step.config, step.now);
        decline(when, &mut belief.allocator, framework, &role, &agent, left, filters);
    }
    belief.allocator.touch_free(&agent);
    use_changed(step, belief, &agent);
}

/// Uses the offers up, and pools what they hold.
fn pool(
    step: &Step,
    belief: &mut Belief,
    framework: &FrameworkId,
    offers: &[OfferId],
) -> Result<(Accepting, Resources), String> {
    let mut seen = BTreeSet::new();
    let mut error = offers.is_empty().then(|| "an ACCEPT must name at least one offer".to_owned());
    let mut pooled: Option<Accepting> = None;
    for id in offers {
        if !seen.insert(id) {
            error = Some(format!("offer {id} is named twice"));
            continue;
        }
        if !belief.offers.is_of(id, framework) {
            error = Some(format!(
                "offer {id} is no longer valid: it was rescinded, answered before, or never yours"
            ));
            continue;
        }
        if error.is_some() {
            belief.offers.give_back(id.clone(), None); // Used up for nothing, however many they are.
            continue;
        }
        let (offer, _) = take_offer(step.config, belief, id).expect("it was just looked up");
        let accepting =
            pooled.get_or_insert_with(|| Accepting::new(framework, &offer.agent, &offer.role));
        if accepting.agent != offer.agent || accepting.role != offer.role {
            error = Some("the offers are of different agents or roles".to_owned());
        }
        accepting.pool.add_all(&offer.resources);
    }
    let accepting = match (error, pooled) {
        (None, Some(accepting)) => accepting,
        (error, _) => return Err(error.unwrap_or_else(|| "there was no valid offer".to_owned())),
    };
    if *belief.agents.at(&accepting.agent).health() != AgentHealth::Well {
        return Err(format!("agent {} cannot be used now; wait for a new offer", accepting.agent));
    }
    let offered = accepting.pool.clone();
    Ok((accepting, offered))
}

/// Nothing of it can be done: every task and every operation hears why.
fn accept_failed(
    step: &mut Step,
    belief: &Belief,
    framework: &FrameworkId,
    operations: Vec<Operation>,
    why: &str,
) {
    for operation in operations {
        match operation.action {
            Action::Launch(tasks) | Action::LaunchGroup(_, tasks) => {
                for task in tasks {
                    tell_dropped(step, belief, framework, &task.id, Some(&task.agent), why);
                }
            }
            Action::Unreadable(Unreadable { tasks, .. }) if !tasks.is_empty() => {
                tasks
                    .iter()
                    .for_each(|task| tell_dropped(step, belief, framework, task, None, why));
            }
            _ => {
                let (frameworks, state) = (&belief.frameworks, OperationState::Error);
                tell_operation(step, frameworks, framework, operation.id, state, why);
            }
        }
    }
}

fn tell_dropped(
    step: &mut Step,
    belief: &Belief,
    framework: &FrameworkId,
    task: &TaskId,
    agent: Option<&AgentId>,
    why: &str,
) {
    let key = (framework.clone(), task.clone());
    if tell_of_namesake(step, &belief.frameworks, &belief.tasks, &key, why) {
        return;
    }
    let status = TaskStatus::new(key.1, TaskState::Dropped, step.now);
    let status = agent.into_iter().fold(status, |status, agent| status.at_agent(agent));
    let status = status.because(StatusSource::Master, Reason::InvalidOffers, why);
    tell(step, &belief.frameworks, framework, Event::Update(status));
}

fn accept_one(
    step: &mut Step,
    belief: &mut Belief,
    accepting: &mut Accepting,
    operation: Operation,
) {
    let Operation { id, action } = operation;
    let why = match action {
        Action::Claim(action) => match accept_claim(step, belief, accepting, id.clone(), action) {
            Ok(()) => return,
            Err(invalid) => invalid.to_string(),
        },
        Action::Launch(tasks) => return accept_launch(step, belief, accepting, id, tasks),
        Action::LaunchGroup(executor, tasks) => {
            return accept_group(step, belief, accepting, id, executor, tasks)
        }
        Action::Unsupported(name) => format!("{name} is not supported yet"),
        Action::Unreadable(Unreadable { why, tasks, .. }) if tasks.is_empty() => why.to_string(),
        Action::Unreadable(Unreadable { why, tasks, group }) => {
            let reason = if group { Reason::TaskGroupInvalid } else { Reason::TaskInvalid };
            let why = why.to_string();
            let tell = |task| tell_invalid(step, belief, accepting, task, reason, &why);
            return tasks.iter().for_each(tell);
        }
    };
    let state = OperationState::Error;
    tell_operation(step, &belief.frameworks, &accepting.framework, id, state, &why);
}

/// Sends what an ACCEPT came to; the masters' memory of it is written in parallel, since the agent's is the truth.
fn send_orders(
    step: &mut Step,
    belief: &mut Belief,
    framework: &FrameworkId,
    (agent, role): (&AgentId, &Role),
    (operations, ownership): (Vec<NamedOperation>, Ownership),
    pending: Vec<MasterChange>,
) {
    if operations.is_empty() {
        return;
    }
    let info = Box::new(belief.frameworks.at(framework).info().clone());
    let by = info.principal.clone().unwrap_or_else(|| info.name.clone());
    let (framework, role, ownership) = (Some(info), Some(role.clone()), Some(ownership));
    let apply = Order::Apply { framework, role, by, operations, ownership };
    order(step, &mut belief.agents, agent, apply);
    step.out.commit(pending);
}

impl Accepting {
    fn new(framework: &FrameworkId, agent: &AgentId, role: &Role) -> Accepting {
        Accepting {
            framework: framework.clone(),
            agent: agent.clone(),
            role: role.clone(),
            pool: Resources::new(),
            orders: Vec::new(),
            pending: Vec::new(),
            group: None,
            removed: BTreeSet::new(),
        }
    }

    /// Notes what goes to the agent.
    pub(super) fn order(&mut self, uuid: OperationUuid, operation: Operation) {
        self.orders.push(NamedOperation { uuid, operation });
    }
}
