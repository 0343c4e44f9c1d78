//! The matchmaker's core: it owns nothing but the match.
//!
//! What it believes about an agent is a copy of the agent's last word, plus what it has asked the agent
//! to do since. Losing a master therefore loses nothing: the next one hears from every agent, and its
//! ledger says at once where each claim is.
//!
//! [`Master::handle`] turns one [`Input`] into a list of [`Effect`]s and does nothing else. There is no
//! clock, file, thread or randomness in this crate. Nothing that comes from outside can stop it.
//!
//! From the bottom up: `parts` own what is believed, and know nothing of each other; `flows` do what concerns several of them;
//! `handlers` are what peers, operators and time can want. This file dispatches.

mod config;
mod explain;
mod flows;
mod handlers;
mod parts;
mod step;
mod suspects;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use holdfast_allocator::Policy;
use holdfast_model::{IdSource, Instant, MasterLedger, StepContext, Term};

pub use config::Config;
pub use explain::Explanation;
pub use handlers::operator_claim::Force;
pub use handlers::recover::RecoveryPlan;
pub use holdfast_allocator::{policy::Place, Outlook, Reason, WhyNot};
pub use parts::agents::{
    AgentHealth, AgentState, AgentTrash, AgentUsed, ExecutorView, FencedAgent, ReservedByOperation,
};
pub use parts::frameworks::FrameworkState;
pub use parts::inverse_offers::InverseStatus;
pub use parts::offers::OfferRecord;
pub use parts::operations::InFlight;
pub use parts::past_statuses::{PastStatus, PastStatuses};
pub use parts::tasks::TaskView;
pub use suspects::Speaker;
pub use view::MasterView;

pub use step::{Effect, FormerBelief, Input, Refusal, RequestId};

use flows::agents::agent_lost;
use flows::allocate::allocate;
use flows::frameworks::framework_lost;
use flows::inverse_offers::ask;
use flows::offers::give_back;
use handlers::agent::agent_said;
use handlers::elected::elected;
use handlers::framework::framework_said;
use handlers::operator::operator_asks;
use handlers::passed_over::passed_over;
use handlers::tick::tick;
use parts::agents::Agents;
use parts::allocator_input::AllocatorInput;
use parts::frameworks::Frameworks;
use parts::links::Links;
use parts::offers::Offers;
use parts::operations::Operations;
use parts::outbox::Outbox;
use parts::tasks::Tasks;
use parts::timers::Timers;

/// See the crate.
pub struct Master {
    config: Arc<Config>,
    policy: Box<dyn Policy>,
    /// The ledger, the term, and what the shell is to do.
    outbox: Outbox,
    links: Links,
    belief: Belief,
}

/// What a leader believes besides its ledger: forgotten with the leadership, learnt again from agents and frameworks.
#[derive(Debug, Default)]
struct Belief {
    /// When the term began.
    since: Instant,
    agents: Agents,
    frameworks: Frameworks,
    tasks: Tasks,
    offers: Offers,
    operations: Operations,
    timers: Timers,
    allocator: AllocatorInput,
}

/// What a handler works with besides the parts of the belief: the time, fresh ids, the settings, the links, and the way out.
struct Step<'a> {
    now: Instant,
    leads_since: Instant,
    ids: &'a mut dyn IdSource,
    config: &'a Config,
    links: &'a mut Links,
    out: &'a mut Outbox,
}

impl Master {
    /// A master that does not lead yet, with what its predecessors wrote.
    pub fn new(config: Config, policy: Box<dyn Policy>, ledger: MasterLedger) -> Master {
        Master {
            config: Arc::new(config),
            policy,
            outbox: Outbox::new(ledger),
            links: Links::default(),
            belief: Belief::default(),
        }
    }

    /// One step.
    pub fn handle(&mut self, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
        match input {
            Input::Elected(term) if self.term().is_none_or(|it| it < term) => self.begin(ctx, term),
            Input::Deposed(term) if self.term().is_some_and(|it| it <= term) => self.step_down(),
            Input::Elected(_) | Input::Deposed(_) => {} // That term is over, or known.
            input if self.term().is_none() => not_leading(&mut self.outbox, input),
            input => {
                let (mut step, _, belief) = self.step(ctx);
                dispatch(&mut step, belief, input);
            }
        }
        if self.term().is_some() {
            let (mut step, policy, belief) = self.step(ctx);
            give_back(step.config, step.now, belief);
            ask(&mut step, belief);
            allocate(&mut step, policy, belief);
        }
        self.outbox.take_effects()
    }

    /// When the next [`Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        let Belief { timers, allocator, offers, .. } = &self.belief;
        let left = [offers.next_deadline(), offers.inverse.next_deadline()];
        [timers.next(), allocator.next_deadline()].into_iter().chain(left).flatten().min()
    }

    /// Links and belief belong to one term.
    fn begin(&mut self, ctx: &mut StepContext<'_>, term: Term) {
        if self.term().is_some() {
            self.step_down();
        }
        self.outbox.begin(term);
        self.belief.since = ctx.now;
        let (mut step, _, belief) = self.step(ctx);
        elected(&mut step, belief);
    }

    fn step<'s>(
        &'s mut self,
        ctx: &'s mut StepContext<'_>,
    ) -> (Step<'s>, &'s mut dyn Policy, &'s mut Belief) {
        let Master { config, policy, outbox, links, belief } = self;
        let (now, leads_since) = (ctx.now, belief.since);
        let step = Step { now, leads_since, ids: &mut *ctx.ids, config, links, out: outbox };
        (step, policy.as_mut(), belief)
    }

    /// Forgets all but the ledger.
    fn step_down(&mut self) {
        self.outbox.end();
        let fresh = Belief { offers: Offers::after(&self.belief.offers), ..Belief::default() };
        let former = std::mem::replace(&mut self.belief, fresh);
        let effects = self.links.close_all().into_iter().chain(former.end());
        effects.for_each(|effect| self.outbox.send(effect));
    }
}

impl Belief {
    /// The term is over. Operators who wait are told so; the rest is the shell's to drop, which takes its time.
    fn end(self) -> Vec<Effect> {
        let why = "this master does not lead any more; it is not known whether the operation was done: see the claims of the agent";
        let refused = |request| Effect::Answer(request, Err(Refusal::Conflict(why.to_owned())));
        let mut effects: Vec<Effect> = self.operations.requests().map(refused).collect();
        effects.push(Effect::Discard(FormerBelief::new(self)));
        effects
    }
}

fn dispatch(step: &mut Step, belief: &mut Belief, input: Input) {
    match input {
        Input::Elected(_) | Input::Deposed(_) => unreachable!("terms were looked at before"),
        Input::FromAgent(link, message) => agent_said(step, belief, link, message),
        Input::AgentPassedOver(link, newest) => passed_over(step, belief, link, newest),
        Input::AgentLost(link) => agent_lost(step, belief, link),
        Input::FromFramework(link, _, call) => framework_said(step, belief, link, call),
        Input::FrameworkLost(link) => framework_lost(step, belief, link),
        Input::FromOperator(request, caller, call) => {
            operator_asks(step, belief, (request, caller.principal()), call)
        }
        Input::Settle(request) => step.out.send(Effect::Answer(request, Ok(()))),
        Input::Tick => tick(step, belief),
    }
}

fn not_leading(outbox: &mut Outbox, input: Input) {
    match input {
        Input::FromAgent(link, _) => outbox.send(Effect::CloseAgent(link)),
        Input::FromFramework(link, ..) => outbox.send(Effect::CloseFramework(link)),
        Input::FromOperator(request, ..) | Input::Settle(request) => {
            outbox.send(Effect::Answer(request, Err(Refusal::NotLeading)))
        }
        _ => {}
    }
}
