//! What frameworks say. The first call on each link is SUBSCRIBE; until then nothing else is heard.

use std::collections::BTreeSet;

use holdfast_model::{
    Call, Filters, FrameworkCall, FrameworkId, Instant, LinkId, OfferId, Order, Role,
};

use super::accept::accept;
use super::acknowledge::{acknowledge, acknowledge_operation};
use super::kill::kill;
use super::reconcile::{reconcile, reconcile_operations};
use super::subscribe::subscribe;
use super::update_framework::update_framework;
use crate::flows::frameworks::remove_framework;
use crate::flows::inverse_offers::answered;
use crate::flows::telling::order;
use crate::parts::offers::Offers;
use crate::{Belief, Effect, Step};

/// A call of a framework.
pub(crate) fn framework_said(
    step: &mut Step,
    belief: &mut Belief,
    link: LinkId,
    call: FrameworkCall,
) {
    let FrameworkCall { framework, call } = call;
    if let Call::Subscribe { info, suppressed } = call {
        return subscribe(step, belief, link, *info, suppressed);
    }
    let Some(id) = step.links.framework_at(link).cloned() else {
        return step.out.send(Effect::CloseFramework(link)); // It has to subscribe first.
    };
    if let Some(other) = framework.filter(|it| *it != id) {
        return step
            .out
            .log(format!("framework {id} called in the name of {other}; its call is ignored"));
    }
    if belief.frameworks.at(&id).link() != Some(link) {
        return; // It has failed over; only the newest link speaks for it.
    }
    called(step, belief, &id, call);
}

fn called(step: &mut Step, belief: &mut Belief, id: &FrameworkId, call: Call) {
    match call {
        Call::Subscribe { .. } => unreachable!("subscriptions were taken before"),
        Call::Request => {} // A hint that changes nothing.
        Call::AnswerInverse { offers, accepts, filters } => {
            answered(step, belief, id, offers, (accepts, filters))
        }
        Call::Teardown => remove_framework(step, belief, id),
        Call::UpdateFramework { info, suppressed } => {
            update_framework(step, belief, id, *info, suppressed)
        }
        Call::Accept { offers, operations, filters } => {
            accept(step, belief, id, offers, operations, filters)
        }
        Call::Decline { offers, filters } => {
            decline_offers(&mut belief.offers, id, offers, (step.now, filters))
        }
        Call::Revive(roles) => suppress(step, belief, id, &roles, false),
        Call::Suppress(roles) => suppress(step, belief, id, &roles, true),
        Call::Kill { task, agent, grace_ms } => {
            kill(step, belief, (id.clone(), task), agent, grace_ms)
        }
        Call::Shutdown(executor, agent) => {
            let shutdown = Order::ShutdownExecutor(id.clone(), executor);
            order(step, &mut belief.agents, &agent, shutdown);
        }
        Call::Acknowledge { agent, task, status } => {
            acknowledge(step, belief, &agent, (id.clone(), task), status)
        }
        Call::Reconcile(tasks) => reconcile(step, belief, id, tasks),
        Call::Message(agent, executor, data) => {
            let message = Order::ExecutorMessage(id.clone(), executor, data);
            order(step, &mut belief.agents, &agent, message);
        }
        Call::AcknowledgeOperation { operation, status, .. } => {
            let Belief { agents, operations, .. } = belief;
            acknowledge_operation(step, agents, operations, id, &operation, status)
        }
        Call::ReconcileOperations(operations) => reconcile_operations(step, belief, id, operations),
    }
}

/// DECLINE: what was offered is not wanted for a while.
fn decline_offers(
    offers: &mut Offers,
    framework: &FrameworkId,
    declined: Vec<OfferId>,
    answer: (Instant, Filters),
) {
    for id in declined {
        // Others were rescinded or answered before, or are somebody else's.
        if offers.is_of(&id, framework) {
            offers.give_back(id, Some(answer));
        }
    }
}

/// SUPPRESS and REVIVE. Reviving also ends what was declined.
fn suppress(
    step: &mut Step,
    belief: &mut Belief,
    id: &FrameworkId,
    roles: &BTreeSet<Role>,
    is_suppressed: bool,
) {
    let named = &belief.frameworks.at(id).info().roles;
    if let Some(stranger) = roles.iter().find(|role| !named.contains(role)) {
        return step.out.log(format!("framework {id} has no role {stranger}; its call is ignored"));
    }
    let had_waited = belief.frameworks.suppress(id, roles, is_suppressed);
    if !is_suppressed {
        belief.offers.revive(id, roles);
        belief.allocator.revive(id, roles, had_waited);
    }
}
