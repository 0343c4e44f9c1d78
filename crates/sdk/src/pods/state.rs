//! The state of a keeper of pods, and the few things that everything else does with it: look a member
//! up, commit, call, log.
//!
//! It relies on nothing else of the keeper, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_model::{AgentId, Call, Instant, PersistenceId};

use super::drive::Cursor;
use super::found::{Guard, Lost};
use super::hooks::{Hooks, ServiceView};
use super::index::Index;
use super::ledger::ServiceChange;
use super::member::{KeptClaim, MemberId, PodMember};
use super::views::OfferView;
use crate::keeper::Effect;
use crate::ledger::{KeeperChange, KeeperLedger};
use crate::pace::Pace;
use crate::plans::PlanKind;
use crate::spec::{PodSpec, Refusal, ServiceSpec};

/// The core of a service of pods.
#[derive(Debug)]
pub struct ServiceKeeper<H> {
    pub(super) hooks: H,
    pub(super) ledger: KeeperLedger,
    pub(super) index: Index,
    /// The spec that it was started with, until it is accepted or refused.
    pub(super) given: Option<ServiceSpec>,
    /// Why the spec that it was started with is not the one in force.
    pub(super) refused: Vec<Refusal>,
    pub(super) guard: Guard,
    pub(super) lost: Lost,
    pub(super) subscribed: bool,
    /// Volumes whose CREATE is known not to have happened, the first of each claim.
    pub(super) refuted: BTreeMap<MemberId, PersistenceId>,
    /// Why members wait; each reason is told once.
    pub(super) reasons: BTreeMap<MemberId, String>,
    /// Members whose volume was ended by somebody, and how.
    pub(super) ended: BTreeMap<MemberId, String>,
    /// Volumes that were moved, until all of a member's have been.
    pub(super) moved: BTreeMap<MemberId, BTreeMap<PersistenceId, AgentId>>,
    /// Members of which there are volumes that the ledger does not know.
    pub(super) strangers: BTreeMap<MemberId, String>,
    /// Since when a disk that a member has left is offered to it, and no other with room.
    pub(super) shunned: BTreeMap<MemberId, Instant>,
    /// The last member that was asked about.
    pub(super) asked: Option<MemberId>,
    pub(super) paces: BTreeMap<MemberId, Pace>,
    /// Members that rest after an early end of their task, and until when.
    pub(super) rests: BTreeMap<MemberId, Instant>,
    /// How often a member's task has ended since its step began, and its last words.
    pub(super) ends: BTreeMap<MemberId, (u32, String)>,
    /// Values of attributes that were offered, of those that pods are spread over.
    pub(super) seen: BTreeMap<String, BTreeSet<String>>,
    pub(super) offers: VecDeque<OfferView>,
    /// The plan that is under way.
    pub(super) active: Option<PlanKind>,
    pub(super) cursor: Option<Cursor>,
    /// When a step is to be looked at without anything having happened.
    pub(super) look_at: Option<Instant>,
    pub(super) reconcile_at: Option<Instant>,
    #[cfg(feature = "planted")]
    pub(super) planted: Option<&'static str>,
    pub(super) effects: Vec<Effect>,
}

impl<H: Hooks> ServiceKeeper<H> {
    /// The durable state.
    pub fn ledger(&self) -> &KeeperLedger {
        &self.ledger
    }

    /// The author's hooks.
    pub fn hooks(&self) -> &H {
        &self.hooks
    }

    /// The author's hooks, to tell them what was learnt beside the keeper; [`Input::Poke`] follows.
    pub fn hooks_mut(&mut self) -> &mut H {
        &mut self.hooks
    }

    /// The spec to reach, or the one that it was started with while none is accepted.
    ///
    /// # Panics
    /// Never: one of both is always there.
    pub fn spec(&self) -> &ServiceSpec {
        let wanted = self.ledger.service.wanted().map(|it| it.1);
        wanted.or(self.given.as_ref()).expect("a keeper is made with a spec")
    }

    #[cfg(feature = "planted")]
    pub(super) fn is_planted(&self, bug: &str) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    pub(super) fn is_planted(&self, _bug: &str) -> bool {
        false
    }

    /// Claims that are to be given up.
    pub(super) fn releasing(&self) -> impl Iterator<Item = (&MemberId, &KeptClaim)> {
        let ids: BTreeSet<&MemberId> = self.index.kept.values().flatten().collect();
        let members = ids.into_iter().filter_map(|it| self.ledger.service.members.get(it));
        members.flat_map(|member| {
            let released = member.kept.iter().filter(|it| it.released.is_some());
            released.map(|it| (&member.id, it))
        })
    }

    /// The spec by which a member is launched.
    pub(super) fn pod_of(&self, member: &PodMember) -> Option<PodSpec> {
        let spec = self.ledger.service.spec_of(member.generation)?;
        spec.pod(&member.id.pod).or_else(|| self.spec().pod(&member.id.pod)).cloned()
    }

    pub(super) fn member(&self, id: &MemberId) -> Option<&PodMember> {
        self.ledger.service.members.get(id)
    }

    pub(super) fn view(&self) -> ServiceView<'_> {
        ServiceView { spec: self.spec(), ledger: &self.ledger.service }
    }

    /// Revives offers, since something is needed again.
    pub(super) fn revive(&mut self) {
        if self.subscribed {
            self.call(Call::Revive(BTreeSet::new()));
        }
    }

    pub(super) fn commit_member(&mut self, member: PodMember) {
        self.commit_service(vec![ServiceChange::Member(Box::new(member))]);
    }

    pub(super) fn commit_service(&mut self, changes: Vec<ServiceChange>) {
        self.commit(changes.into_iter().map(|it| KeeperChange::Service(Box::new(it))).collect());
    }

    pub(super) fn commit(&mut self, changes: Vec<KeeperChange>) {
        for change in &changes {
            if let KeeperChange::Service(it) = change {
                if let ServiceChange::Member(member) = &**it {
                    let old = self.ledger.service.members.get(&member.id);
                    self.index.change(old, member);
                }
            }
            self.ledger.apply(change);
        }
        match self.effects.last_mut() {
            Some(Effect::Commit(last)) => last.extend(changes),
            _ => self.effects.push(Effect::Commit(changes)),
        }
    }

    pub(super) fn call(&mut self, call: Call) {
        self.effects.push(Effect::Call(Box::new(call)));
    }

    pub(super) fn log(&mut self, line: String) {
        self.effects.push(Effect::Log(line));
    }

    /// Says why a member waits, once for each reason.
    pub(super) fn waits(&mut self, id: &MemberId, why: String) {
        if self.reasons.get(id) != Some(&why) {
            self.log(format!("member {id} waits: {why}"));
            self.reasons.insert(id.clone(), why);
        }
    }

    /// Has the place of the plan that is under way worked out again.
    pub(super) fn relocate(&mut self) {
        self.cursor = None;
    }
}
