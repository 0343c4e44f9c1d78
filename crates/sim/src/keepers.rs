//! Keepers of both kinds, as one: of a service of members, and of a service of pods.
//!
//! It relies on the SDK for everything that they decide.

use std::fmt;

use holdfast_model::Instant;
use holdfast_sdk::plans::{PlanKind, Step};
use holdfast_sdk::pods::{
    Hooks, KeptClaim, Lost, MemberId, Observation, PodMember, ServiceKeeper, ServiceView, Verdict,
};
use holdfast_sdk::spec::{Refusal, ServiceSpec, TaskSpec};
use holdfast_sdk::{Effect, Input, Keeper, KeeperLedger};

use crate::frameworks::AnyService;

/// Hooks that the simulator can start again and again.
pub trait HooksAgain: Hooks {
    /// Makes the same hooks, as at their first start.
    fn again(&self) -> Box<dyn HooksAgain>;
}

impl<H: Hooks + Clone + 'static> HooksAgain for H {
    fn again(&self) -> Box<dyn HooksAgain> {
        Box::new(self.clone())
    }
}

/// Hooks of any type.
pub struct AnyHooks(pub(crate) Box<dyn HooksAgain>);

impl fmt::Debug for AnyHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hooks")
    }
}

impl Hooks for AnyHooks {
    fn task(&self, service: &ServiceView<'_>, member: &PodMember, task: TaskSpec) -> TaskSpec {
        self.0.task(service, member, task)
    }
    fn is_executor(&self, member: &PodMember, task: &TaskSpec) -> bool {
        self.0.is_executor(member, task)
    }
    fn say(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        self.0.say()
    }
    fn heard(&mut self, member: &PodMember, data: &[u8]) -> Option<Vec<u8>> {
        self.0.heard(member, data)
    }
    fn may_start(&self, service: &ServiceView<'_>, it: &PodMember, task: &TaskSpec) -> Verdict {
        self.0.may_start(service, it, task)
    }
    fn may_begin(&self, service: &ServiceView<'_>, step: &Step) -> Verdict {
        self.0.may_begin(service, step)
    }
    fn begin(&mut self, step: &Step) {
        self.0.begin(step);
    }
    fn observe(&self, service: &ServiceView<'_>, step: &Step) -> Observation {
        self.0.observe(service, step)
    }
    fn may_release(&self, service: &ServiceView<'_>, it: &PodMember, claim: &KeptClaim) -> Verdict {
        self.0.may_release(service, it, claim)
    }
    fn steps(&self, service: &ServiceView<'_>, plan: PlanKind) -> Vec<(MemberId, String)> {
        self.0.steps(service, plan)
    }
    fn afterwards(
        &self,
        service: &ServiceView<'_>,
        plan: PlanKind,
        added: &[MemberId],
    ) -> Vec<(MemberId, String)> {
        self.0.afterwards(service, plan, added)
    }
    fn before(&self, service: &ServiceView<'_>, step: &Step) -> Option<MemberId> {
        self.0.before(service, step)
    }
    fn dependents(&self, service: &ServiceView<'_>, member: &MemberId) -> Vec<MemberId> {
        self.0.dependents(service, member)
    }
    fn refuses(&self, service: &ServiceView<'_>, new: &ServiceSpec) -> Vec<Refusal> {
        self.0.refuses(service, new)
    }
    fn adopted(&self, member: &PodMember) -> Vec<u8> {
        self.0.adopted(member)
    }
}

/// A service of pods, as at its start.
pub(crate) struct Pods {
    /// Its spec.
    pub(crate) spec: ServiceSpec,
    /// Its hooks.
    pub(crate) hooks: AnyHooks,
    /// What it does about volumes of its name when its ledger is empty.
    pub(crate) lost: Lost,
}

impl Pods {
    /// A keeper of the service over this ledger.
    pub(crate) fn keeper(&self, ledger: KeeperLedger) -> ServiceKeeper<AnyHooks> {
        let hooks = AnyHooks(self.hooks.0.again());
        ServiceKeeper::recover(self.spec.clone(), hooks, self.lost, ledger)
    }
}

/// A keeper of either kind.
#[derive(Debug)]
pub enum AnyKeeper {
    /// Of a service of members with a volume each.
    Members(Box<Keeper<AnyService>>),
    /// Of a service of pods.
    Pods(Box<ServiceKeeper<AnyHooks>>),
}

impl AnyKeeper {
    /// Handles one input.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        match self {
            AnyKeeper::Members(it) => it.handle(now, input),
            AnyKeeper::Pods(it) => it.handle(now, input),
        }
    }

    /// When its next tick is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self {
            AnyKeeper::Members(it) => it.next_deadline(),
            AnyKeeper::Pods(it) => it.next_deadline(),
        }
    }

    /// Whether it has everything that it wants.
    pub fn is_content(&self) -> bool {
        match self {
            AnyKeeper::Members(it) => it.is_content(),
            AnyKeeper::Pods(it) => it.is_content(),
        }
    }

    /// Puts a bug in on purpose.
    #[cfg(feature = "planted")]
    pub(crate) fn plant(&mut self, bug: &'static str) {
        match self {
            AnyKeeper::Members(it) => it.plant(bug),
            AnyKeeper::Pods(it) => it.plant(bug),
        }
    }
}
