//! Operators: people who reserve disk and make and destroy volumes of a role of their own, at
//! random, while all else goes on.
//!
//! It relies on what an operator can see: the claims of an agent. An answer that never came says
//! nothing. It never touches a framework's claims.

use std::collections::BTreeMap;

use holdfast_master::{Input, Refusal, RequestId};
use holdfast_model::{
    AgentId, AgentLedger, CallerIdentity, Claim, ClaimAction, ClaimId, ClaimState, IdSource,
    OperatorCall, PersistenceId, Reservation, ReservationKind, Resource, Role, Scalar, SourceKind,
    Value,
};

use crate::agenda::{AgendaEntry, Node, ANY_LIFE};
use crate::fact::Fact;
use crate::rng::Rng;
use crate::world::World;

/// A request of an operator.
#[derive(Clone, Debug)]
struct Asked {
    master: usize,
    agent: AgentId,
    action: ClaimAction,
    /// What is wanted of a destroyed volume, in place of making one.
    trashed: Option<Trashed>,
}

/// What an operator may want of a destroyed volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trashed {
    /// To have it back.
    Undelete(ClaimId),
    /// To have it removed for good.
    Purge(ClaimId),
}

/// The operators, and their open requests.
#[derive(Debug)]
pub(crate) struct Operator {
    rng: Rng,
    role: Role,
    next: u64,
    waiting: BTreeMap<RequestId, Asked>,
    /// The newest answer, for people.
    pub(crate) answers: BTreeMap<RequestId, Result<(), Refusal>>,
}

impl Operator {
    pub(crate) fn new(rng: Rng) -> Operator {
        let role = Role::parse("ops").expect("it is a plain word");
        Operator { rng, role, next: 0, waiting: BTreeMap::new(), answers: BTreeMap::new() }
    }

    /// Drops the requests at a master.
    pub(crate) fn forget_master(&mut self, index: usize) {
        self.waiting.retain(|_, it| it.master != index);
    }

    /// The number of requests without an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn is_ours(&self, claim: &Claim) -> bool {
        claim.resource.identity.role() == self.role
    }

    fn reserve(&mut self, disk: &crate::drivers::disks::Disk) -> ClaimAction {
        let whole = disk.kind == holdfast_model::DiskKind::Mount;
        let size_mb = if whole { disk.size_mb as i64 } else { self.rng.between(1, 3) as i64 * 100 };
        let amount = Resource::unreserved("disk", Value::Scalar(Scalar::whole(size_mb)));
        let amount = match disk.kind {
            holdfast_model::DiskKind::Root => amount,
            holdfast_model::DiskKind::Path => amount.on(holdfast_model::Source::path(&disk.root)),
            holdfast_model::DiskKind::Mount => amount.on(holdfast_model::Source::mount(&disk.root)),
        };
        let labels =
            [("lot".to_owned(), Some(self.rng.below(4).to_string()))].into_iter().collect();
        let reservation = Reservation {
            kind: ReservationKind::Dynamic,
            role: self.role.clone(),
            principal: Some("ops".to_owned()),
            labels,
        };
        ClaimAction::Reserve { resources: vec![amount.reserved(reservation)], source: Vec::new() }
    }

    fn on_reservation(&mut self, claim: &Claim) -> ClaimAction {
        let exclusive =
            claim.resource.identity.source.as_ref().is_some_and(|it| it.kind == SourceKind::Mount);
        let mut part = claim.resource.clone();
        if !exclusive && self.rng.one_in(2) {
            part.value = Value::Scalar(Scalar::whole(100));
        }
        if self.rng.one_in(2) {
            return ClaimAction::Unreserve(vec![part]);
        }
        let room = if exclusive {
            1
        } else {
            claim.resource.value.quantity().as_thousandths()
                / part.value.quantity().as_thousandths()
        };
        let volumes = 1 + self.rng.below(room.clamp(1, 3) as u64);
        let name = |rng: &mut Rng| {
            PersistenceId::made(format!("ops-v{}", &rng.fresh().simple().to_string()[..8]))
        };
        // One in four is shared, as its name has it.
        let named = |name: PersistenceId| {
            let shared = name.as_str().ends_with(['0', '1', '2', '3']);
            let mut volume = part.clone().volume(name, "data", Some("ops"));
            volume.identity.shared = shared;
            volume
        };
        ClaimAction::Create((0..volumes).map(|_| named(name(&mut self.rng))).collect())
    }

    /// Brings a destroyed volume back: one of ours that nobody is bringing back already.
    fn undelete(&mut self, ledger: &AgentLedger) -> Option<(ClaimId, ClaimAction)> {
        let waits = |id: &ClaimId| {
            self.waiting.values().any(|it| it.trashed == Some(Trashed::Undelete(*id)))
        };
        let back = ledger.trash.values().filter(|it| self.is_ours(&it.claim) && !it.purging);
        let back =
            back.filter(|it| !waits(&it.claim.id) && !ledger.claims.contains_key(&it.claim.id));
        let back: Vec<&Claim> = back.map(|it| &it.claim).collect();
        let claim = *self.rng.pick(&back)?;
        Some((claim.id, ClaimAction::Create(vec![claim.resource.clone()])))
    }

    /// Makes a volume larger, by some of its reservation or by more than there is of it; or smaller, as long as something is left.
    fn resize(&mut self, claim: &Claim) -> ClaimAction {
        let volume = claim.resource.clone();
        let mb = Scalar::whole(self.rng.between(1, 3) as i64 * 50);
        if self.rng.one_in(2) {
            return ClaimAction::Shrink { volume, subtract: mb };
        }
        let addition = Resource { value: Value::Scalar(mb), ..volume.without_volume() };
        ClaimAction::Grow { volume, addition }
    }

    /// Gives up a volume, and now and then others with it.
    fn destroy(&mut self, claim: &Claim, ours: &[Claim]) -> ClaimAction {
        let others = ours.iter().filter(|it| it.is_volume() && it.id != claim.id);
        let more: Vec<Resource> =
            others.filter(|_| self.rng.one_in(2)).map(|it| it.resource.clone()).collect();
        ClaimAction::Destroy(std::iter::once(claim.resource.clone()).chain(more).collect())
    }
}

impl World {
    pub(crate) fn operate(&mut self) {
        if !self.is_storm() {
            return;
        }
        let pause_ms = self.operator.rng.between(400, 4_000);
        self.agenda.after(pause_ms, Node::World, ANY_LIFE, AgendaEntry::Operate);
        let Some((master, _)) = self.election.leader else { return };
        let index = self.operator.rng.below(self.machines.len() as u64) as usize;
        let machine = &self.machines[index];
        let Some(agent) = machine.proven().identity.agent.clone() else { return };
        let claims = machine.proven().claims.values();
        let ours: Vec<Claim> = claims
            .filter(|it| self.operator.is_ours(it) && it.state == ClaimState::Ready)
            .cloned()
            .collect();
        if self.operator.rng.one_in(3) {
            let trash = self.machines[index].proven();
            let back = self.operator.undelete(trash);
            if let Some((claim, action)) = back {
                self.ask_for(master, agent, action, Some(Trashed::Undelete(claim)));
                return;
            }
        }
        let most = if self.operator.rng.one_in(4) { 0 } else { 3 };
        let action = match self.operator.rng.pick(&ours).cloned() {
            Some(claim) if claim.is_volume() && self.operator.rng.one_in(3) => {
                self.operator.resize(&claim)
            }
            Some(claim) if claim.is_volume() && most <= ours.len() => {
                self.operator.destroy(&claim, &ours)
            }
            Some(claim) if !claim.is_volume() => self.operator.on_reservation(&claim),
            _ => {
                let disks = &self.machines[index].disks;
                let disk = self.operator.rng.below(disks.len() as u64) as usize;
                self.operator.reserve(&disks[disk])
            }
        };
        self.ask(master, agent, action);
    }

    /// Sends a request to a master; returns the request id.
    pub(crate) fn ask(&mut self, master: usize, agent: AgentId, action: ClaimAction) -> RequestId {
        self.ask_for(master, agent, action, None)
    }

    /// As [`World::ask`]; of a destroyed volume, `action` is the CREATE that would make it.
    pub(crate) fn ask_for(
        &mut self,
        master: usize,
        agent: AgentId,
        action: ClaimAction,
        trashed: Option<Trashed>,
    ) -> RequestId {
        self.operator.next += 1;
        let request = RequestId(self.operator.next);
        if !matches!(trashed, Some(Trashed::Purge(_))) {
            self.rules_see(&Fact::OperatorAsks { agent: &agent, action: &action });
        }
        self.operator.waiting.insert(request, Asked { master, agent, action, trashed });
        let life = self.masters[master].process.life;
        self.agenda.after(1, Node::Master(master), life, AgendaEntry::Asked(request));
        request
    }

    /// Delivers a request. A master that does not lead drops the connection.
    pub(crate) fn asked(&mut self, master: usize, request: RequestId) {
        let Some(Asked { agent, action, trashed, .. }) =
            self.operator.waiting.get(&request).cloned()
        else {
            return;
        };
        if self.masters[master].core.is_none() {
            self.operator.waiting.remove(&request);
            return;
        }
        let caller = CallerIdentity::Principal("ops".to_owned());
        let call = match trashed {
            Some(Trashed::Undelete(claim)) => OperatorCall::Undelete { agent, claim },
            Some(Trashed::Purge(claim)) => OperatorCall::PurgeTrash { agent, claim },
            None => OperatorCall::Claim { agent, action },
        };
        self.step_master(master, Input::FromOperator(request, caller, call));
    }

    pub(crate) fn answered(&mut self, request: RequestId, answer: &Result<(), Refusal>) {
        let Some(asked) = self.operator.waiting.remove(&request) else { return };
        if !matches!(asked.trashed, Some(Trashed::Purge(_))) {
            let Asked { agent, action, .. } = &asked;
            self.rules_see(&Fact::OperatorHears { agent, action, answer });
        }
        let why = |it: &Result<(), Refusal>| match it {
            Ok(()) => "done".to_owned(),
            Err(why) => format!("refused: {why:?}"),
        };
        let name = match asked.trashed {
            Some(Trashed::Undelete(_)) => "UNDELETE",
            Some(Trashed::Purge(_)) => "PURGE",
            None => asked.action.name(),
        };
        self.note(|| format!("operator's {name} {}: {}", first(&asked.action), why(answer)));
        if !self.is_storm() {
            self.operator.answers.insert(request, answer.clone());
        }
    }
}

fn first(action: &ClaimAction) -> String {
    action.resources().first().map(ToString::to_string).unwrap_or_default()
}
