//! What a service shows of itself: members, endpoints, plans, offers, and why each waits.
//!
//! Values made on request; nothing here changes anything.

use holdfast_model::{AgentId, Instant};

use super::found::{FoundVolume, Guard};
use super::hooks::Hooks;
use super::member::{Fate, KeptClaim, MemberId, PodMember, Target};
use super::ServiceKeeper;
use crate::plans::{Plan, PlanKind, StepKey};
use crate::spec::Refusal;

/// A service as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Whether the masters know it now.
    pub is_subscribed: bool,
    /// Whether every member that shall run is ready, and no plan is under way.
    pub is_content: bool,
    /// The plan that is under way.
    pub plan: Option<PlanKind>,
    /// Why the spec that it was started with is not in force.
    pub refused: Vec<Refusal>,
    /// Volumes that bear its name while its ledger is empty: it has stopped, and asks.
    pub found: Vec<FoundVolume>,
    /// Members that wait, each with the reason.
    pub waits: Vec<(MemberId, String)>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Which one.
    pub id: MemberId,
    /// STOPPED, WAITING, STARTING, RUNNING, READY, UNREACHABLE or UNKNOWN.
    pub state: &'static str,
    /// Why it is not ready.
    pub waits: Option<String>,
    /// Its task.
    pub task: Option<String>,
    /// The agent that it is at.
    pub agent: Option<AgentId>,
    /// The name of that agent's machine.
    pub hostname: String,
    /// Its volumes.
    pub volumes: Vec<String>,
    /// Its ports by name.
    pub ports: Vec<(String, u16)>,
    /// The generation of the spec that it runs by.
    pub generation: u64,
    /// Claims that it had and that are kept.
    pub kept: Vec<KeptClaim>,
}

/// An address at which a member serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// The name of the port.
    pub name: String,
    /// Whose it is.
    pub member: MemberId,
    /// `host:port`.
    pub address: String,
    /// Whether the member is ready.
    pub is_ready: bool,
}

/// An offer that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferView {
    /// The agent.
    pub agent: AgentId,
    /// The name of its machine.
    pub hostname: String,
    /// When.
    pub at: Instant,
    /// What it was used for.
    pub taken: Vec<String>,
    /// Why it was not used for what is wanted.
    pub why_not: Vec<String>,
}

impl<H: Hooks> ServiceKeeper<H> {
    /// The service as a whole.
    pub fn state(&self) -> ServiceState {
        let found = match &self.guard {
            Guard::Halted { found, .. } => found.iter().cloned().collect(),
            Guard::Clear | Guard::Asking => Vec::new(),
        };
        let waits = self.index.unready.iter().filter_map(|it| {
            let member = self.member(it)?;
            Some((it.clone(), self.why_not_ready(member)))
        });
        ServiceState {
            is_subscribed: self.subscribed,
            is_content: self.is_content(),
            plan: self.active,
            refused: self.refused.clone(),
            found,
            waits: waits.collect(),
        }
    }

    /// Whether every member that shall run is ready, and no plan is under way.
    pub fn is_content(&self) -> bool {
        self.guard == Guard::Clear
            && self.given.is_none()
            && self.active.is_none()
            && self.index.unready.is_empty()
    }

    /// The members, by pod and number.
    pub fn members(&self) -> impl Iterator<Item = MemberView> + '_ {
        self.ledger.service.members.values().map(|it| self.member_view(it))
    }

    fn member_view(&self, it: &PodMember) -> MemberView {
        let state = match (it.run.as_ref().map(|it| it.fate), it.target) {
            (None, Target::Stopped) => "STOPPED",
            (None, Target::Up) => "WAITING",
            (Some(Fate::Launched), _) => "STARTING",
            (Some(Fate::Running), _) => "RUNNING",
            (Some(Fate::Ready), _) => "READY",
            (Some(Fate::Unreachable(_)), _) => "UNREACHABLE",
            (Some(Fate::Unknown(_)), _) => "UNKNOWN",
        };
        let is_waiting = it.target == Target::Up && !it.is_ready();
        MemberView {
            id: it.id.clone(),
            state,
            waits: is_waiting.then(|| self.why_not_ready(it)),
            task: it.run.as_ref().map(|it| it.task.to_string()),
            agent: it.agent.clone(),
            hostname: it.hostname.clone(),
            volumes: it.volumes.iter().map(ToString::to_string).collect(),
            ports: it.ports.iter().map(|(name, port)| (name.clone(), *port)).collect(),
            generation: it.generation,
            kept: it.kept.clone(),
        }
    }

    /// The addresses that are published.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointView> + '_ {
        let members = self.ledger.service.members.values();
        let members = members.filter(|it| it.target == Target::Up && it.agent.is_some());
        members.flat_map(|it| {
            let pod = self.spec().pod(&it.id.pod);
            let ports = pod.into_iter().flat_map(|it| it.ports.iter()).filter(|it| it.publish);
            ports.filter_map(|port| {
                let number = it.ports.get(&port.name)?;
                Some(EndpointView {
                    name: port.name.clone(),
                    member: it.id.clone(),
                    address: format!("{}:{number}", it.hostname),
                    is_ready: it.is_ready(),
                })
            })
        })
    }

    /// The last plan of each kind.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.ledger.service.plans.values()
    }

    /// The last plan of a kind.
    pub fn plan(&self, kind: PlanKind) -> Option<&Plan> {
        self.ledger.service.plans.get(&kind)
    }

    /// What a step waits for, if that is known.
    pub fn step_reason(&self, key: &StepKey) -> Option<&str> {
        self.step_waits(key)
    }

    /// The last offers, the oldest first, and why each was not used for what is wanted.
    pub fn offers(&self) -> impl Iterator<Item = &OfferView> {
        self.offers.iter()
    }
}
