//! Byzantine peers that pose as frameworks.
//!
//! It relies on the byzantine peer's own offers for what it does half-honestly, and on what it
//! overheard for the rest. It never uses more of a machine than the services of a storm can spare.

use std::collections::BTreeSet;

use holdfast_model::convert::{resource::Format, task};
use holdfast_model::{
    Action, AgentId, Call, Capability, ClaimAction, CommandInfo, ExecutorId, Filters, FrameworkId,
    FrameworkInfo, Identity, Offer, OfferId, Operation, PersistenceId, Reservation,
    ReservationKind, Resource, Role, Scalar, StatusUuid, TaskId, TaskInfo, Value,
};
use uuid::Uuid;

use super::{ByzantinePeer, PRINCIPAL};
use crate::frameworks::info_as_read;
use crate::rules::l2_answers::Bad;
use crate::world::World;

/// The number of valid requests that a byzantine peer makes.
const WISHES_MAX: u64 = 15;

impl World {
    pub(super) fn annoy_as_framework(&mut self, index: usize) {
        let byzantine = &mut self.byzantine_peers[index];
        let sessions: Vec<u64> = byzantine.sessions.keys().copied().collect();
        let (kind, session) = (byzantine.rng.below(12), byzantine.rng.pick(&sessions).copied());
        match (kind, session) {
            (0, _) | (_, None) => self.byzantine_comes(index),
            (1, _) => self.byzantine_subscribes_wrongly(index),
            (2, Some(link)) => self.byzantine_speaks_for_another(index, link),
            (3 | 4, Some(link)) => self.byzantine_accepts_wrongly(index, link),
            (5..=8, Some(link)) => self.byzantine_accepts(index, link),
            (9 | 10, Some(link)) => self.byzantine_talks(index, link),
            (_, Some(link)) => {
                self.byzantine_peers[index].forget(link);
                self.links.close(&mut self.agenda, link, crate::links::Side::Client);
            }
        }
    }

    /// Comes under its own name, or for the first time; now and then it forgets to say who it is.
    fn byzantine_comes(&mut self, index: usize) {
        let Some(link) = self.byzantine_link(index) else { return };
        let byzantine = &mut self.byzantine_peers[index];
        byzantine.sessions.insert(link, None);
        if byzantine.rng.one_in(4) {
            return; // Its first call will be out of order.
        }
        if byzantine.rng.one_in(5) {
            byzantine.own = None;
        }
        let (own, info) = (byzantine.own.clone(), byzantine.info());
        self.say_call(
            index,
            link,
            Bad::Anything,
            own,
            Call::Subscribe { info: Box::new(info), suppressed: BTreeSet::new() },
        );
    }

    /// Takes another's id under another principal, or suppresses a role that it does not have.
    fn byzantine_subscribes_wrongly(&mut self, index: usize) {
        let others = self.others();
        let Some(link) = self.byzantine_link(index) else { return };
        let byzantine = &mut self.byzantine_peers[index];
        byzantine.sessions.insert(link, None);
        let mut info = byzantine.info();
        let mut suppressed = BTreeSet::new();
        match byzantine.rng.pick(&others).cloned() {
            Some((other, _)) => {
                (info.id, info.principal) = (Some(other), Some("mallory".to_owned()))
            }
            None => suppressed = BTreeSet::from([role("nobodys")]),
        }
        let named = info.id.clone();
        self.say_call(
            index,
            link,
            Bad::Subscribe,
            named,
            Call::Subscribe { info: Box::new(info), suppressed },
        );
    }

    /// Honest frameworks, each with a task that it has.
    fn others(&self) -> Vec<(FrameworkId, Option<TaskId>)> {
        let task = |it: &crate::frameworks::FrameworkProcess| {
            it.ledger.members.values().find_map(|it| Some(it.run.as_ref()?.task.clone()))
        };
        self.frameworks
            .iter()
            .filter_map(|it| Some((it.ledger.framework.clone()?, task(it))))
            .collect()
    }

    fn byzantine_speaks_for_another(&mut self, index: usize, link: u64) {
        let others = self.others();
        let byzantine = &mut self.byzantine_peers[index];
        let Some((other, Some(task))) = byzantine.rng.pick(&others).cloned() else { return };
        let call = match byzantine.rng.below(5) {
            0 => Call::Teardown,
            1 => Call::Kill { task, agent: None, grace_ms: Some(0) },
            2 => Call::Suppress(BTreeSet::new()),
            3 => Call::Accept {
                offers: byzantine.some_stale(),
                operations: byzantine.absurd(None),
                filters: Filters { refuse_ms: u64::MAX },
            },
            _ => Call::Decline {
                offers: byzantine.some_stale(),
                filters: Filters { refuse_ms: u64::MAX },
            },
        };
        self.say_call(index, link, Bad::OtherName, Some(other), call);
    }

    /// Uses offers that are not there, others', the same twice; or asks of its own for more than
    /// there is.
    fn byzantine_accepts_wrongly(&mut self, index: usize, link: u64) {
        let byzantine = &mut self.byzantine_peers[index];
        let (name, own) = (byzantine.name_on(link), byzantine.offer_on(link));
        let offers = match (byzantine.rng.below(5), &own) {
            (0, Some(offer)) => vec![offer.id.clone(), offer.id.clone()],
            (1 | 2, Some(offer)) => vec![offer.id.clone()],
            (3, _) => vec![OfferId::made("no such offer".to_owned())],
            _ => byzantine.some_stale(),
        };
        let operations = byzantine.absurd(own.as_ref());
        byzantine.stale.extend(own.map(|it| it.id));
        let refuse_ms = if byzantine.rng.one_in(2) { u64::MAX } else { 0 };
        self.say_call(
            index,
            link,
            Bad::Accept,
            name,
            Call::Accept { offers, operations, filters: Filters { refuse_ms } },
        );
    }

    /// Uses an offer as anybody might, and answers it once more.
    fn byzantine_accepts(&mut self, index: usize, link: u64) {
        let byzantine = &mut self.byzantine_peers[index];
        let Some(offer) = byzantine.offer_on(link) else { return };
        let (own, offers) = (byzantine.name_on(link), vec![offer.id.clone()]);
        byzantine.stale.push_back(offer.id.clone());
        byzantine.wished += 1;
        let operations =
            if byzantine.wished < WISHES_MAX { byzantine.wishes(&offer) } else { Vec::new() };
        let filters = Filters { refuse_ms: byzantine.rng.below(4_000) };
        let again = byzantine.rng.one_in(3);
        if operations.is_empty() {
            self.say_call(
                index,
                link,
                Bad::Anything,
                own.clone(),
                Call::Decline { offers: offers.clone(), filters },
            );
        } else {
            let (offers, operations) = (offers.clone(), operations.clone());
            self.say_call(
                index,
                link,
                Bad::Anything,
                own.clone(),
                Call::Accept { offers, operations, filters },
            );
        }
        if again {
            // Of a task of that name nothing is told a second time: it may live.
            let again = operations.into_iter().filter_map(|it| {
                Some(Operation { id: Some(format!("{}-again", it.id?)), action: it.action })
            });
            let operations = again.collect();
            self.say_call(
                index,
                link,
                Bad::Accept,
                own,
                Call::Accept { offers, operations, filters },
            );
        }
    }

    /// Asks, kills, acknowledges and revives what is not there.
    fn byzantine_talks(&mut self, index: usize, link: u64) {
        let others = self.others();
        let byzantine = &mut self.byzantine_peers[index];
        let (agent, executor) =
            (AgentId::made("none".to_owned()), ExecutorId::made("e".to_owned()));
        let task = byzantine
            .rng
            .pick(&others)
            .and_then(|it| it.1.clone())
            .unwrap_or_else(|| TaskId::made("x".to_owned()));
        let own = byzantine.name_on(link);
        let call = match byzantine.rng.below(12) {
            0 => Call::Kill { task, agent: Some(agent), grace_ms: Some(u64::MAX) },
            1 => Call::Shutdown(executor, agent),
            2 => Call::Message(agent, executor, vec![0; 100]),
            3 => Call::Revive(BTreeSet::from([role("nobodys")])),
            4 => Call::ReconcileOperations(
                (0..50).map(|it| (format!("r{it}"), Some(agent.clone()))).collect(),
            ),
            5 => Call::Reconcile((0..50).map(|_| (task.clone(), None)).collect()),
            6 => Call::UpdateFramework {
                info: Box::new(byzantine.info()),
                suppressed: BTreeSet::from([role("nobodys")]),
            },
            7 => Call::UpdateFramework {
                info: Box::new(byzantine.info()),
                suppressed: BTreeSet::from([role("rogue")]),
            },
            8 => Call::AcknowledgeOperation {
                agent: None,
                operation: "r1".to_owned(),
                status: StatusUuid(Uuid::nil()),
            },
            9 => Call::Suppress(BTreeSet::new()),
            10 if byzantine.rng.one_in(3) => Call::Teardown,
            _ => match byzantine.statuses.pop_front() {
                Some((agent, task, status)) => Call::Acknowledge { agent, task, status },
                None => Call::Acknowledge { agent, task, status: StatusUuid(Uuid::nil()) },
            },
        };
        self.say_call(index, link, Bad::Anything, own, call);
    }
}

fn role(name: &str) -> Role {
    Role::parse(name).expect("it is a plain word")
}

impl ByzantinePeer {
    /// The description that it subscribes with.
    pub(super) fn info(&mut self) -> FrameworkInfo {
        let info = FrameworkInfo {
            id: None,
            name: "rogue".to_owned(),
            user: "root".to_owned(),
            roles: vec![role("rogue")],
            failover_timeout_ms: *self
                .rng
                .pick(&[0, 1, 30_000, 1_000_000_000])
                .expect("the list is not empty"),
            checkpoint: true,
            principal: Some(PRINCIPAL.to_owned()),
            hostname: None,
            capabilities: [
                Capability::MultiRole,
                Capability::ReservationRefinement,
                Capability::PartitionAware,
            ]
            .into(),
            payload: Default::default(),
            constraints: Default::default(),
        };
        FrameworkInfo { id: self.own.clone(), ..info_as_read(&info) }
    }

    /// The name that it was given on a link.
    fn name_on(&self, link: u64) -> Option<FrameworkId> {
        self.sessions.get(&link).cloned().flatten()
    }

    /// An offer that was made to it on a link, or under the name that it has there.
    fn offer_on(&mut self, link: u64) -> Option<Offer> {
        let name = self.name_on(link)?;
        let at = self.offers.iter().position(|it| it.framework == name)?;
        self.offers.remove(at)
    }

    fn some_stale(&mut self) -> Vec<OfferId> {
        let all: Vec<OfferId> = self.stale.iter().cloned().collect();
        (0..self.rng.below(3)).filter_map(|_| self.rng.pick(&all).cloned()).collect()
    }

    /// Operations of which none can be done, whatever was offered.
    fn absurd(&mut self, offer: Option<&Offer>) -> Vec<Operation> {
        let much = Value::Scalar(Scalar::thousandths(i64::MAX));
        let disk = Resource::unreserved("disk", much.clone());
        let reserve = ClaimAction::Reserve {
            resources: vec![disk.clone().reserved(reservation())],
            source: Vec::new(),
        };
        let volume = PersistenceId::made(self.fresh_name());
        let create =
            ClaimAction::Create(vec![disk.reserved(reservation()).volume(volume, "data", None)]);
        let agent = offer.map_or_else(|| AgentId::made("none".to_owned()), |it| it.agent.clone());
        let task = self.task(&agent, vec![Resource::unreserved("cpus", much)]);
        vec![
            Operation { id: Some(self.fresh_name()), action: Action::Claim(reserve) },
            Operation { id: Some(self.fresh_name()), action: Action::Claim(create) },
            Operation { id: Some(self.fresh_name()), action: Action::Unsupported("CREATE_DISK") },
            Operation { id: None, action: Action::Launch(task.into_iter().collect()) },
        ]
    }

    /// What a small framework could want of an offer: a reservation, two volumes in it, a task, and
    /// its volumes destroyed again.
    fn wishes(&mut self, offer: &Offer) -> Vec<Operation> {
        let volumes: Vec<Resource> =
            offer.resources.iter().filter(|it| it.identity.persistence.is_some()).collect();
        if !volumes.is_empty() && self.rng.one_in(2) {
            return vec![Operation {
                id: Some(self.fresh_name()),
                action: Action::Claim(ClaimAction::Destroy(volumes)),
            }];
        }
        let plain = |it: &Identity| {
            it.source.is_none() && !it.is_reserved() && it.persistence.is_none() && !it.revocable
        };
        let part = |name: &str, amount: i64| {
            let found = offer
                .resources
                .iter()
                .find(|it| it.identity.name == name && plain(&it.identity))?;
            let amount = Scalar::thousandths(amount);
            (amount <= found.value.quantity())
                .then_some(Resource { value: Value::Scalar(amount), ..found })
        };
        let mut wishes = Vec::new();
        if let Some(disk) = part("disk", 40_000).filter(|_| self.rng.one_in(2)) {
            let reserved = disk.reserved(reservation());
            let half = Resource { value: Value::Scalar(Scalar::whole(20)), ..reserved.clone() };
            let both = (0..2)
                .map(|_| {
                    half.clone().volume(
                        PersistenceId::made(self.fresh_name()),
                        "data",
                        Some(PRINCIPAL),
                    )
                })
                .collect();
            let reserve = ClaimAction::Reserve { resources: vec![reserved], source: Vec::new() };
            wishes.push(Operation { id: Some(self.fresh_name()), action: Action::Claim(reserve) });
            wishes.push(Operation {
                id: Some(self.fresh_name()),
                action: Action::Claim(ClaimAction::Create(both)),
            });
        }
        if let (Some(cpus), Some(mem)) = (part("cpus", 100), part("mem", 32_000)) {
            let task = self.task(&offer.agent, vec![cpus, mem]);
            wishes.push(Operation { id: None, action: Action::Launch(task.into_iter().collect()) });
        }
        wishes
    }

    /// A task as a master reads it from the wire; nothing when the wire would have refused it.
    fn task(&mut self, agent: &AgentId, resources: Vec<Resource>) -> Option<TaskInfo> {
        let command =
            CommandInfo { shell: true, value: Some("sleep".to_owned()), ..CommandInfo::default() };
        let (id, name) = (TaskId::made(self.fresh_name()), "rogue".to_owned());
        let (agent, command) = (agent.clone(), Some(command));
        let info = TaskInfo {
            id,
            name,
            agent,
            resources,
            executor: None,
            command,
            kill_grace_ms: None,
            payload: Default::default(),
        };
        task::from_proto(task::to_proto(&info, Format::WHOLE)).ok()
    }
}

fn reservation() -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: role("rogue"),
        principal: Some(PRINCIPAL.to_owned()),
        labels: holdfast_model::Labels::default(),
    }
}
