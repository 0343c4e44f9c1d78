//! Events to frameworks and orders to agents. Both are promised to nobody: who is not connected hears nothing, and asks when it is back.

use holdfast_model::convert::Format;
use holdfast_model::{AgentId, Capability, Event, FrameworkId, LinkId, Order, TaskStatus, ToAgent};

use crate::parts::agents::{Agents, Sent};
use crate::parts::frameworks::Frameworks;
use crate::{Effect, Step};

/// Tells a framework, if it is connected.
pub(crate) fn tell(
    step: &mut Step,
    frameworks: &Frameworks,
    framework: &FrameworkId,
    event: Event,
) {
    // Agents speak of frameworks that were removed, or that never came to this leader.
    let Some(state) = frameworks.get(framework) else { return };
    let Some(link) = state.link() else { return };
    let event = match event {
        Event::Update(status) if !state.info().can(Capability::PartitionAware) => {
            Event::Update(TaskStatus { state: status.state.for_unaware(), ..status })
        }
        event => event,
    };
    step.out.send(Effect::ToFramework(link, event, Format::of(state.info())));
}

/// Refuses whoever is on that link, with a reason, and hangs up.
pub(crate) fn refuse_framework(step: &mut Step, link: LinkId, why: &str) {
    step.out.send(Effect::ToFramework(link, Event::Error(why.to_owned()), Format::WHOLE));
    step.out.send(Effect::CloseFramework(link));
}

/// Orders an agent, if it is connected; says whether it was. While it is asked to tell everything again, the order waits.
pub(crate) fn order(step: &mut Step, agents: &mut Agents, agent: &AgentId, order: Order) -> bool {
    // Frameworks name agents as they like.
    let Some(state) = agents.get_mut(agent) else { return false };
    match state.order(order) {
        Sent::On(link, order) => {
            let term = step.out.term_led();
            step.out.send(Effect::ToAgent(link, ToAgent { term, order }));
            true
        }
        Sent::Queued => true,
        Sent::Lost => false,
    }
}
