//! The keeper of a service of pods: it gives each member its volumes and ports for life, brings its
//! tasks back to them, and carries out plans.
//!
//! As [`crate::Keeper`] it is pure, writes down what it is about to do, and never asks for a second
//! claim while the first may exist. It gives a claim up only in a plan's step, once that is asked
//! for. A member is changed by one plan at a time.

mod command;
mod drive;
mod found;
mod hooks;
mod index;
mod ledger;
mod member;
mod observe;
mod offers;
mod place;
mod placement;
mod requests;
mod state;
mod statuses;
mod task;
#[cfg(test)]
mod tests;
mod views;

use std::collections::{BTreeMap, VecDeque};

pub use command::{Answer, Command, Refused, Request};
pub use found::{FoundVolume, Lost};
use holdfast_model::{AgentId, Call, Event, FrameworkId, Instant, TaskId};
pub use hooks::{Hooks, NoHooks, Observation, ServiceView, Verdict};
pub use ledger::{ServiceChange, ServiceLedger};
pub use member::{Fate, KeptClaim, MemberId, PodMember, PodRun, Target};
pub use state::ServiceKeeper;
#[cfg(feature = "net")]
pub(crate) use task::MEMBER_VARIABLES;
pub use views::{EndpointView, MemberView, OfferView, ServiceState};

use self::found::Guard;
use self::index::Index;
use crate::keeper::{Effect, Input};
use crate::ledger::{KeeperChange, KeeperLedger};
use crate::spec::ServiceSpec;

/// The filter on declined offers while something is wanted, in milliseconds.
const DECLINE_MS: u64 = 5_000;
/// The filter on declined offers while nothing is, in milliseconds.
const CONTENT_MS: u64 = 3_600_000;
/// The interval at which what is not settled is asked about.
const RECONCILE_MS: u64 = 10_000;
/// How many volumes are asked about in one such interval.
const ASKED_MAX: usize = 32;
/// How many offers are remembered for people.
const OFFERS_MAX: usize = 32;

impl<H: Hooks> ServiceKeeper<H> {
    /// Makes a keeper from its ledger. The spec is compared with the one in the ledger: what differs
    /// becomes a plan, or is refused and told, and the old one stays in force.
    pub fn recover(
        spec: ServiceSpec,
        hooks: H,
        lost: Lost,
        ledger: KeeperLedger,
    ) -> ServiceKeeper<H> {
        let is_new = ledger.service.is_empty();
        let guard = match (is_new, lost) {
            (true, Lost::Ask | Lost::Adopt) => Guard::Asking,
            (true, Lost::New) | (false, _) => Guard::Clear,
        };
        let mut plans = ledger.service.plans.values();
        let ledger_active = plans.find(|it| !it.is_over()).map(|it| it.head.kind);
        ServiceKeeper {
            hooks,
            index: Index::of(ledger.service.members.values()),
            ledger,
            given: Some(spec),
            refused: Vec::new(),
            guard,
            lost,
            subscribed: false,
            refuted: BTreeMap::new(),
            reasons: BTreeMap::new(),
            ended: BTreeMap::new(),
            moved: BTreeMap::new(),
            strangers: BTreeMap::new(),
            shunned: BTreeMap::new(),
            asked: None,
            paces: BTreeMap::new(),
            rests: BTreeMap::new(),
            ends: BTreeMap::new(),
            seen: BTreeMap::new(),
            offers: VecDeque::new(),
            active: ledger_active,
            cursor: None,
            look_at: None,
            reconcile_at: None,
            #[cfg(feature = "planted")]
            planted: None,
            effects: Vec::new(),
        }
    }

    /// When the next [`Input::Tick`] is wanted; earlier ones are harmless.
    pub fn next_deadline(&self) -> Option<Instant> {
        let rested = self.rests.values().copied().min();
        self.reconcile_at
            .into_iter()
            .chain(rested)
            .chain(self.look_at)
            .min()
            .filter(|_| self.subscribed)
    }

    /// Puts a bug in on purpose, for the simulator to find.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: &'static str) {
        self.planted = Some(bug);
    }

    /// Handles one input.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        match input {
            Input::Disconnected => self.subscribed = false,
            Input::Tick => self.tick(now),
            Input::Ended(endings) => self.endings(&endings),
            Input::Event(Event::Subscribed(id)) => self.subscribe(now, id),
            Input::Event(event) => self.event(now, event),
            Input::Found(found) => self.found(now, found),
            Input::Poke => {}
            Input::Command(ticket, command) => {
                let answer = self.command(now, *command);
                self.effects.push(Effect::Answer(ticket, Box::new(answer)));
            }
        }
        self.drive(now);
        self.say();
        std::mem::take(&mut self.effects)
    }

    /// Says to executors what the hooks have to say. Whoever has none to hear it is not told.
    fn say(&mut self) {
        for (id, words) in self.hooks.say() {
            let member = self.member(&id);
            let to = member.and_then(|it| Some((it.run.as_ref()?.task.clone(), it.agent.clone()?)));
            if let Some((task, agent)) = to.filter(|_| self.subscribed) {
                self.call(Call::Message(agent, member::executor_of(&task), words));
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Offers(offers) => self.offered_all(now, &offers),
            Event::Update(status) => self.updated(now, status),
            Event::UpdateOperation(status) => self.operation_updated(status),
            Event::Message(_, executor, data) => self.heard(executor.as_str(), &data),
            Event::Error(why) => self.log(format!("the master says: {why}")),
            Event::Subscribed(_) | Event::Rescind(_) | Event::Failure { .. } => {}
            // They ask, and nothing follows from an answer: what is here moves when its operator says so.
            Event::InverseOffers(_) | Event::RescindInverse(_) => {}
        }
    }

    fn subscribe(&mut self, now: Instant, id: FrameworkId) {
        if self.ledger.framework.as_ref() != Some(&id) {
            self.commit(vec![KeeperChange::Framework(id)]);
        }
        self.subscribed = true;
        self.forget_sent();
        if self.guard == Guard::Asking {
            self.effects.push(Effect::AskFound);
        }
        self.accept_given(now);
        self.reconcile(now, true);
    }

    fn tick(&mut self, now: Instant) {
        if self.subscribed && self.reconcile_at.is_some_and(|at| at <= now) {
            if self.guard == Guard::Asking {
                self.effects.push(Effect::AskFound);
            }
            self.ask_ended();
            self.recover_lost(now);
            self.reconcile(now, false);
        }
        let rested = self.rests.iter().filter(|it| *it.1 <= now).map(|it| it.0.clone());
        let rested: Vec<MemberId> = rested.collect();
        for id in &rested {
            self.rests.remove(id);
            self.paces.entry(id.clone()).or_default().wake(now);
        }
        if !rested.is_empty() {
            self.revive();
        }
    }

    /// Asks about what may not be as the ledger says: everything after a subscription, later what is
    /// not settled.
    fn reconcile(&mut self, now: Instant, is_all: bool) {
        let members = &self.ledger.service.members;
        let asked = |it: &PodMember| Some((it.run.as_ref()?.task.clone(), it.agent.clone()));
        let runs: Vec<(TaskId, Option<AgentId>)> = match is_all {
            true => members.values().filter_map(asked).collect(),
            false => {
                let unsettled = self.index.unready.union(&self.index.lost);
                unsettled.filter_map(|it| asked(members.get(it)?)).collect()
            }
        };
        if !runs.is_empty() {
            self.call(Call::Reconcile(runs));
        }
        if !self.index.idle.is_empty() || self.guard != Guard::Clear {
            // A task that the ledger does not know may hold a member's volumes.
            self.call(Call::Reconcile(Vec::new()));
        }
        let claiming = self.index.claiming.iter().filter_map(|it| {
            let member = self.ledger.service.members.get(it)?;
            Some((member::create_id(member.volumes.first()?), member.agent.clone()))
        });
        let released = self.releasing().map(|(_, it)| {
            (it.volumes.first().map(member::destroy_id).unwrap_or_default(), Some(it.agent.clone()))
        });
        let operations: Vec<_> = claiming.chain(released).collect();
        if !operations.is_empty() {
            self.call(Call::ReconcileOperations(operations));
        }
        self.reconcile_at = Some(now.plus_ms(RECONCILE_MS));
    }
}
