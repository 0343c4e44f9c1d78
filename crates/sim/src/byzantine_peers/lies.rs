//! Byzantine peers that pose as agents.
//!
//! It relies on agents' names and versions as the journal has them. It never reports what the
//! honest agent of that name could report.

use holdfast_model::{
    AgentId, ClusterId, ExecutorId, FrameworkId, FrameworkInfo, MachineInfo, NodeId,
    OperationState, OperationUpdate, OperationUuid, Report, Reservation, ReservationKind, Resource,
    Resources, Role, Scalar, StatusUuid, TaskId, TaskState, TaskStatus, Term, ToMaster, Value,
};
use uuid::Uuid;

use crate::rules::l2_answers::Bad;
use crate::world::World;

impl World {
    pub(super) fn annoy_as_agent(&mut self, index: usize) {
        let byzantine = &mut self.byzantine_peers[index];
        let posts: Vec<u64> = byzantine.posts.iter().copied().collect();
        match (byzantine.rng.below(8), byzantine.rng.pick(&posts).copied()) {
            (0..=2, _) => self.byzantine_poses(index),
            (3, _) | (_, None) => self.byzantine_joins(index),
            (4, Some(link)) => {
                self.byzantine_peers[index].forget(link);
                self.links.close(&mut self.agenda, link, crate::links::Side::Client);
            }
            (_, Some(link)) => self.byzantine_chatters(index, link),
        }
    }

    /// Reports what cannot be the truth about an agent of this cluster.
    fn byzantine_poses(&mut self, index: usize) {
        let Some(cluster) = self.journal.ledger.cluster.as_ref().map(|it| it.id) else { return };
        let theirs = |it: &&holdfast_model::AgentRecord| {
            self.machines.iter().any(|machine| machine.proven().identity.node == it.node)
        };
        let honest: Vec<(AgentId, NodeId, u64)> = self
            .journal
            .ledger
            .agents
            .values()
            .filter(theirs)
            .map(|it| (it.id.clone(), it.node, it.ledger_version))
            .collect();
        let Some(link) = self.byzantine_link(index) else { return };
        let byzantine = &mut self.byzantine_peers[index];
        let victim = byzantine.rng.pick(&honest).cloned();
        let mut report = blank(byzantine.node);
        report.cluster = Some(cluster);
        match (byzantine.rng.below(4), victim) {
            (0, Some((agent, node, 1..))) => (report.agent, report.node) = (Some(agent), node), // Version 0 was long acknowledged.
            (1, Some((agent, ..))) => report.agent = Some(agent), // Its name, and not its node.
            (2, Some((agent, node, _))) => {
                (report.agent, report.node) = (Some(agent), node);
                report.cluster = Some(ClusterId(Uuid::from_u128(99)));
            }
            _ => {
                (report.agent, report.node) =
                    (Some(AgentId::made("nobody".to_owned())), NodeId(Uuid::from_u128(77)))
            }
        }
        byzantine.posts.insert(link);
        self.say_as_agent(index, link, Bad::Report, ToMaster::Report(Box::new(report)));
    }

    /// An odd agent: it belongs to nobody, has nothing that anybody wants or more than there can
    /// be, and forgets its own version.
    fn byzantine_joins(&mut self, index: usize) {
        let cluster = self.journal.ledger.cluster.as_ref().map(|it| it.id);
        let Some(link) = self.byzantine_link(index) else { return };
        let byzantine = &mut self.byzantine_peers[index];
        let mut report = blank(byzantine.node);
        if byzantine.rng.one_in(2) {
            report.agent.clone_from(&byzantine.agent);
            report.cluster = cluster;
        }
        report.ledger_version =
            *byzantine.rng.pick(&[0, 1, 2, 1_000, u64::MAX]).expect("the list is not empty");
        report.orders_seen =
            *byzantine.rng.pick(&[0, 0, 1, u64::MAX]).expect("the list is not empty");
        report.term = Term(*byzantine.rng.pick(&[0, 0, u64::MAX]).expect("the list is not empty"));
        if byzantine.rng.one_in(2) {
            report.machine.resources = nobodys(&mut byzantine.rng);
        }
        if byzantine.rng.one_in(3) {
            let id = byzantine.own.clone();
            report.frameworks.extend([
                FrameworkInfo { id, ..byzantine.info() },
                FrameworkInfo { id: None, ..byzantine.info() },
            ]);
        }
        byzantine.posts.insert(link);
        if byzantine.rng.one_in(5) {
            return; // Its first message will be out of order.
        }
        self.say_as_agent(index, link, Bad::Anything, ToMaster::Report(Box::new(report)));
    }

    /// Sends updates of tasks, operations and executors that are not its own.
    fn byzantine_chatters(&mut self, index: usize, link: u64) {
        let operations: Vec<OperationUuid> = self.journal.ledger.pending.keys().copied().collect();
        let claims: Vec<_> = self.journal.ledger.claims.keys().map(|(_, id)| *id).collect();
        let honest = self.frameworks.iter().find_map(|it| it.ledger.framework.clone());
        let byzantine = &mut self.byzantine_peers[index];
        let nobody = FrameworkId::made("nobody".to_owned());
        let framework = if byzantine.rng.one_in(2) {
            honest.unwrap_or(nobody)
        } else {
            byzantine.own.clone().unwrap_or(nobody)
        };
        let executor = ExecutorId::made(byzantine.fresh_name());
        let message = match byzantine.rng.below(6) {
            0 => {
                let latest = *byzantine.rng.pick(&TaskState::ALL).expect("there are states");
                let mut status = TaskStatus::new(
                    TaskId::made(byzantine.fresh_name()),
                    latest,
                    holdfast_model::Instant(1),
                );
                status.uuid = byzantine.rng.one_in(2).then_some(StatusUuid(Uuid::from_u128(7)));
                ToMaster::TaskUpdate { framework, status, latest }
            }
            1 | 2 => {
                let uuid = byzantine
                    .rng
                    .pick(&operations)
                    .copied()
                    .unwrap_or(OperationUuid(Uuid::from_u128(5)));
                let state = *byzantine
                    .rng
                    .pick(&[
                        OperationState::Finished,
                        OperationState::Failed,
                        OperationState::Unknown,
                    ])
                    .expect("three");
                let ended = byzantine.rng.pick(&claims).copied().into_iter().collect();
                let endings = Vec::new();
                let (status, message, claims) = (StatusUuid(Uuid::from_u128(6)), None, Vec::new());
                let framework = Some(framework);
                ToMaster::OperationUpdate(OperationUpdate {
                    uuid,
                    id: None,
                    framework,
                    state,
                    message,
                    status,
                    ledger_checksum: None,
                    ledger_version: 3,
                    claims,
                    ended,
                    endings,
                    claims_generation: 0,
                })
            }
            3 => ToMaster::ExecutorExited { framework, executor, status: i32::MIN },
            4 => ToMaster::ExecutorMessage(framework, executor, vec![1; 100]),
            _ => ToMaster::Pong(
                *byzantine.rng.pick(&[0, 1, u64::MAX]).expect("the list is not empty"),
            ),
        };
        self.say_as_agent(index, link, Bad::Anything, message);
    }
}

/// A report of a machine that has nothing.
fn blank(node: NodeId) -> Report {
    let machine = MachineInfo {
        hostname: "rogue".to_owned(),
        port: 0,
        resources: Resources::new(),
        payload: Default::default(),
    };
    Report {
        node,
        agent: None,
        cluster: None,
        ledger_version: 0,
        claims_generation: 0,
        orders_seen: 0,
        machine,
        disks: Vec::new(),
        claims: Vec::new(),
        faults: Vec::new(),
        frameworks: Vec::new(),
        executors: Vec::new(),
        tasks: Vec::new(),
        operations: Vec::new(),
        version: String::new(),
        full: None,
        history: Vec::new(),
        term: Term(0),
    }
}

/// More than any machine has, reserved for a role that nobody has: what is offered of a machine
/// that does not exist would be lost time.
fn nobodys(rng: &mut crate::rng::Rng) -> Resources {
    let role = Role::parse("nobody").expect("it is a plain word");
    let reservation = Reservation {
        kind: ReservationKind::Static,
        role,
        principal: None,
        labels: holdfast_model::Labels::default(),
    };
    let amount = *rng.pick(&[i64::MAX, i64::MAX / 2, 1]).expect("the list is not empty");
    let reserved = |name: &str| {
        Resource::unreserved(name, Value::Scalar(Scalar::thousandths(amount)))
            .reserved(reservation.clone())
    };
    ["cpus", "mem", "disk"].map(reserved).iter().collect()
}
