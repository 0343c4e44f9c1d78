//! A leader whose agents and frameworks answer as they are told, for the bench of offers and the test of budgets.
//!
//! Relies on the real core, and on nothing else: no clock, no thread, no disk. Never measures anything itself.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_allocator::by_name;
use holdfast_master::{Config, Effect, Input, Master, RequestId};
use holdfast_model::{
    Action, AgentId, AgentRecord, Call, CallerIdentity, Capability, Claim, ClaimAction, ClaimId,
    ClaimState, Cluster, ClusterId, CommandInfo, Event, Filters, FrameworkCall, FrameworkId,
    FrameworkInfo, FrameworkRecord, IdSource, Instant, LinkId, MachineInfo, MasterChange,
    MasterLedger, NamedOperation, NodeId, OfferId, Operation, OperationState, OperationUpdate,
    OperatorCall, Order, PersistenceId, Presence, Ranges, Report, Reservation, ReservationKind,
    Resource, Role, Scalar, Source, StatusUuid, StepContext, TaskId, TaskInfo, TaskState,
    TaskStatus, Term, ToAgent, ToMaster, Value,
};
use uuid::Uuid;

const NOW: u64 = 1_700_000_000_000;
/// Longer than anything here lasts.
pub const REFUSE_MS: u64 = 3_600_000;

struct Counter(u128);

impl IdSource for Counter {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

fn cluster() -> ClusterId {
    ClusterId(Uuid::from_u128(7))
}

pub fn agent(index: usize) -> AgentId {
    AgentId::made(format!("{}-S{index}", cluster()))
}

pub fn framework(index: usize) -> FrameworkId {
    FrameworkId::made(format!("{}-{index:04}", cluster()))
}

pub fn role(index: usize) -> Role {
    Role::parse(&format!("role-{index}")).expect("it is a role")
}

pub fn info(index: usize) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(framework(index)),
        name: format!("framework-{index}"),
        user: "nobody".to_owned(),
        roles: vec![role(index)],
        failover_timeout_ms: 600_000,
        checkpoint: true,
        principal: None,
        hostname: None,
        capabilities: [
            Capability::PartitionAware,
            Capability::MultiRole,
            Capability::ReservationRefinement,
        ]
        .into(),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

pub fn scalar(name: &str, amount: i64) -> Resource {
    Resource::scalar(name, Scalar::whole(amount))
}

fn volume(index: usize, frameworks: usize) -> Resource {
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: role(index % frameworks),
        principal: None,
        labels: holdfast_model::Labels::default(),
    };
    let id = PersistenceId::parse(&format!("v{index}")).expect("it is a name");
    scalar("disk", 100).on(Source::path("/d1")).reserved(reservation).volume(id, "data", None)
}

fn claim(index: usize, frameworks: usize) -> Claim {
    Claim {
        id: ClaimId(Uuid::from_u128(9_000_000 + index as u128)),
        state: ClaimState::Ready,
        resource: volume(index, frameworks),
        framework: None,
        generation: 1,
        created: Instant(NOW),
        disk: None,
        history: Vec::new(),
        shares: Vec::new(),
        operation: None,
    }
}

fn report(index: usize, claims: Vec<Claim>) -> Report {
    let ports = Resource::unreserved("ports", Value::Ranges(Ranges::new([(31_000, 32_000)])));
    let disk = scalar("disk", 4_096).on(Source::path("/d1"));
    Report {
        node: NodeId(Uuid::from_u128(1_000_000 + index as u128)),
        agent: Some(agent(index)),
        cluster: Some(cluster()),
        history: Vec::new(),
        term: Term(0),
        ledger_version: 10,
        claims_generation: 0,
        orders_seen: 0,
        machine: MachineInfo {
            hostname: format!("host{index}"),
            port: 5051,
            resources: [scalar("cpus", 24), scalar("mem", 4_096), disk, ports].iter().collect(),
            payload: vec![0; 300].into(),
        },
        disks: Vec::new(),
        claims,
        faults: Vec::new(),
        frameworks: Vec::new(),
        executors: Vec::new(),
        tasks: Vec::new(),
        operations: Vec::new(),
        version: "bench".to_owned(),
        full: None,
    }
}

/// One step of a leader, measured or not.
pub type Stepping = fn(&mut Master, &mut StepContext<'_>, Input) -> Vec<Effect>;

/// A leader, and what it said.
pub struct World {
    pub master: Master,
    ids: Counter,
    pub now: u64,
    pub frameworks: usize,
    /// The offers that stand, by framework.
    pub offers: BTreeMap<FrameworkId, BTreeMap<OfferId, AgentId>>,
    /// How many offers were made.
    pub made: usize,
    /// How it takes a step.
    pub stepping: Stepping,
    /// What agents were ordered and have not answered.
    ordered: Vec<NamedOperation>,
}

impl World {
    /// All agents and frameworks are there; whoever is first was offered everything, or, if `suppressed`, nobody anything.
    pub fn new(agents: usize, frameworks: usize, volumes: bool, suppressed: bool) -> World {
        let mut world = World::elected(agents, frameworks);
        world.come_back(agents, volumes, suppressed);
        world
    }

    /// A new leader, whom nobody has found yet.
    pub fn elected(agents: usize, frameworks: usize) -> World {
        let mut ledger = MasterLedger::default();
        let created = Instant(NOW);
        ledger.apply(&MasterChange::Cluster(Cluster {
            id: cluster(),
            next_agent: agents as u64,
            next_framework: frameworks as u64,
            created,
            lost: None,
        }));
        for index in 0..frameworks {
            ledger.apply(&MasterChange::Framework(FrameworkRecord {
                info: info(index),
                removed: false,
                deadline: None,
                registered: created,
            }));
        }
        for index in 0..agents {
            ledger.apply(&MasterChange::Agent(AgentRecord {
                ledger_checksum: None,
                id: agent(index),
                node: NodeId(Uuid::from_u128(1_000_000 + index as u128)),
                hostname: format!("host{index}"),
                port: 5051,
                presence: Presence::Admitted,
                since: created,
                ledger_version: 10,
            }));
        }
        let config = Config { offer_timeout_ms: None, ..Config::default() };
        let policy = by_name("drf").expect("the default policy is in the table");
        let mut world = World {
            master: Master::new(config, policy, ledger),
            ids: Counter(1 << 100),
            now: NOW,
            frameworks,
            offers: BTreeMap::new(),
            made: 0,
            stepping: Master::handle,
            ordered: Vec::new(),
        };
        world.step(Input::Elected(Term(2)));
        world
    }

    /// All frameworks and agents find their leader.
    pub fn come_back(&mut self, agents: usize, volumes: bool, suppressed: bool) {
        for index in 0..self.frameworks {
            let suppressed = if suppressed { [role(index)].into() } else { BTreeSet::new() };
            let info = Box::new(info(index));
            self.call(index, Call::Subscribe { info, suppressed });
        }
        for index in 0..agents {
            let claims = volumes.then(|| claim(index, self.frameworks)).into_iter().collect();
            let link = LinkId((self.frameworks + index) as u64 + 1);
            let report = ToMaster::Report(Box::new(report(index, claims)));
            self.step(Input::FromAgent(link, report));
        }
        self.settle();
    }

    pub fn step(&mut self, input: Input) {
        let ctx = &mut StepContext { now: Instant(self.now), ids: &mut self.ids };
        let effects = (self.stepping)(&mut self.master, ctx, input);
        effects.into_iter().for_each(|effect| self.hear(effect));
    }

    fn hear(&mut self, effect: Effect) {
        let (link, event) = match effect {
            Effect::ToFramework(link, event, _) => (link, event),
            Effect::ToAgent(_, ToAgent { order: Order::Apply { operations, .. }, .. }) => {
                return self.ordered.extend(operations);
            }
            _ => return,
        };
        let id = framework(link.0 as usize - 1);
        match event {
            Event::Offers(offers) => {
                self.made += offers.len();
                let known = self.offers.entry(id).or_default();
                known.extend(offers.into_iter().map(|it| (it.id, it.agent)));
            }
            Event::Rescind(offer) => {
                self.offers.entry(id).or_default().remove(&offer);
            }
            _ => {}
        }
    }

    pub fn call(&mut self, index: usize, call: Call) {
        let call = FrameworkCall { framework: Some(framework(index)), call };
        let link = LinkId(index as u64 + 1);
        self.step(Input::FromFramework(link, CallerIdentity::Anonymous, call));
    }

    /// What steps left for later is done.
    pub fn settle(&mut self) {
        while self.master.next_deadline().is_some_and(|it| it.0 <= self.now) {
            self.step(Input::Tick);
        }
    }

    pub fn take(&mut self, index: usize) -> Vec<(OfferId, AgentId)> {
        self.offers.remove(&framework(index)).unwrap_or_default().into_iter().collect()
    }

    /// A framework declines all that it is offered.
    pub fn decline(&mut self, index: usize) {
        let offers: Vec<OfferId> = self.take(index).into_iter().map(|it| it.0).collect();
        if !offers.is_empty() {
            let filters = Filters { refuse_ms: REFUSE_MS };
            self.call(index, Call::Decline { offers, filters });
        }
        self.settle();
    }

    /// The link of an agent.
    fn link_of(&self, agent: &AgentId) -> LinkId {
        let index: usize = agent.as_str().rsplit('S').next().expect("S").parse().expect("n");
        LinkId((self.frameworks + index) as u64 + 1)
    }

    /// A framework that is offered something.
    pub fn holder(&self) -> usize {
        let mut all = 0..self.frameworks;
        let holds = |it: &usize| self.offers.get(&framework(*it)).is_some_and(|it| !it.is_empty());
        all.find(holds).expect("somebody is offered something")
    }

    /// A task is launched on a part of what somebody is offered, and ends.
    pub fn launch_and_end(&mut self, number: usize) {
        let holder = self.holder();
        let (offer, agent) = self.take(holder).remove(0);
        let id = TaskId::made(format!("task-{number}"));
        let task = TaskInfo {
            name: id.to_string(),
            id: id.clone(),
            agent: agent.clone(),
            resources: vec![scalar("cpus", 1), scalar("mem", 32)],
            executor: None,
            command: Some(CommandInfo {
                shell: true,
                value: Some("true".to_owned()),
                ..CommandInfo::default()
            }),
            kill_grace_ms: None,
            payload: vec![0; 300].into(),
        };
        let operations = vec![Operation { id: None, action: Action::Launch(vec![task]) }];
        let (offers, filters) = (vec![offer], Filters { refuse_ms: 0 });
        self.call(holder, Call::Accept { offers, operations, filters });
        self.ordered.clear();
        let (framework, latest) = (framework(holder), TaskState::Finished);
        let status = TaskStatus::new(id, latest, Instant(self.now));
        let update = ToMaster::TaskUpdate { framework, status, latest };
        self.step(Input::FromAgent(self.link_of(&agent), update));
        self.now += 200;
        self.settle();
    }

    /// An operator reserves disk on an agent, under a label of its own, and the agent has done it.
    pub fn reserve(&mut self, on: usize, number: usize) {
        let reservation = Reservation {
            kind: ReservationKind::Dynamic,
            role: role(0),
            principal: None,
            labels: [("number".to_owned(), Some(number.to_string()))].into_iter().collect(),
        };
        let resource = scalar("disk", 1).on(Source::path("/d1")).reserved(reservation);
        let action = ClaimAction::Reserve { resources: vec![resource.clone()], source: Vec::new() };
        let (request, caller) = (RequestId(number as u64), CallerIdentity::Anonymous);
        let call = OperatorCall::Claim { agent: agent(on), action };
        self.step(Input::FromOperator(request, caller, call));
        let ordered = self.ordered.pop().expect("the agent is ordered to do it");
        let update = OperationUpdate {
            uuid: ordered.uuid,
            id: None,
            framework: None,
            state: OperationState::Finished,
            message: None,
            status: StatusUuid(Uuid::from_u128(5_000_000 + number as u128)),
            ledger_checksum: None,
            ledger_version: 11 + number as u64,
            claims: vec![Claim {
                id: ClaimId(Uuid::from_u128(7_000_000 + number as u128)),
                resource,
                ..claim(number, self.frameworks)
            }],
            ended: Vec::new(),
            endings: Vec::new(),
            claims_generation: 0,
        };
        let link = self.link_of(&agent(on));
        self.step(Input::FromAgent(link, ToMaster::OperationUpdate(update)));
        self.settle();
    }
}
