//! A large cluster that comes back to a new leader, for the benches beside this folder.
//!
//! Relies on the real core. Never measures anything itself.

use holdfast_allocator::by_name;
use holdfast_master::{Config, Effect, Input, Master};
use holdfast_model::{
    AgentId, AgentRecord, Call, CallerIdentity, Capability, Claim, ClaimId, ClaimState, Cluster,
    ClusterId, CommandInfo, FrameworkCall, FrameworkId, FrameworkInfo, FrameworkRecord, LinkId,
    MachineInfo, MasterChange, MasterLedger, NodeId, OpaquePayload, PersistenceId, Presence,
    Report, Reservation, ReservationKind, Resource, Role, Scalar, Source, StepContext, TaskId,
    TaskInfo, TaskRecord, TaskState, Term, ToMaster,
};
use uuid::Uuid;

use crate::clock::{Counter, NOW};

const FRAMEWORKS: usize = 10;

fn cluster() -> ClusterId {
    ClusterId(Uuid::from_u128(7))
}

/// The name of an agent.
pub fn agent(index: usize) -> AgentId {
    AgentId::made(format!("{}-S{index}", cluster()))
}

fn node(index: usize) -> NodeId {
    NodeId(Uuid::from_u128(1_000_000 + index as u128))
}

/// The framework that owns what is on an agent.
pub fn framework(index: usize) -> FrameworkId {
    FrameworkId::made(format!("{}-{:04}", cluster(), index % FRAMEWORKS))
}

fn role() -> Role {
    Role::parse("db").expect("it is a role")
}

/// How it describes itself.
pub fn info(index: usize) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(framework(index)),
        name: format!("keeper-{index}"),
        user: "nobody".to_owned(),
        roles: vec![role()],
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
        payload: OpaquePayload::default(),
        constraints: Default::default(),
    }
}

fn disk(mb: i64) -> Resource {
    Resource::scalar("disk", Scalar::whole(mb)).on(Source::path("/d1"))
}

fn volume(index: usize) -> Resource {
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: role(),
        principal: None,
        labels: holdfast_model::Labels::default(),
    };
    let id = PersistenceId::parse(&format!("v{index}")).expect("it is a name");
    disk(1_000).reserved(reservation).volume(id, "data", None)
}

fn claim(index: usize) -> Claim {
    Claim {
        id: ClaimId(Uuid::from_u128(9_000_000 + index as u128)),
        state: ClaimState::Ready,
        resource: volume(index),
        framework: Some(framework(index)),
        generation: 1,
        created: NOW,
        disk: None,
        history: Vec::new(),
        shares: Vec::new(),
        operation: None,
    }
}

fn task(index: usize, number: usize) -> TaskRecord {
    let mut resources = vec![
        Resource::scalar("cpus", Scalar::whole(1)),
        Resource::scalar("mem", Scalar::whole(512)),
    ];
    if number == 0 {
        resources.push(volume(index));
    }
    let id = TaskId::made(format!("task-{index}-{number}"));
    let info = TaskInfo {
        name: id.to_string(),
        id,
        agent: agent(index),
        resources,
        executor: None,
        command: Some(CommandInfo {
            shell: true,
            value: Some("true".to_owned()),
            ..CommandInfo::default()
        }),
        kill_grace_ms: None,
        payload: vec![0; 300].into(),
    };
    TaskRecord {
        framework: framework(index),
        executor: info.executor_id(),
        info,
        state: TaskState::Running,
        latest: None,
        updates: Vec::new(),
        delivered: true,
        killed: false,
        role: role(),
        group: None,
    }
}

/// What an agent says when it comes back: so many tasks, the first of which has a volume.
pub fn report(index: usize, tasks: usize) -> Report {
    let cpus = Resource::scalar("cpus", Scalar::whole(16));
    let mem = Resource::scalar("mem", Scalar::whole(65_536));
    Report {
        node: node(index),
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
            resources: [cpus, mem, disk(100_000)].iter().collect(),
            payload: vec![0; 300].into(),
        },
        disks: Vec::new(),
        claims: vec![claim(index)],
        faults: Vec::new(),
        frameworks: vec![info(index % FRAMEWORKS)],
        executors: Vec::new(),
        tasks: (0..tasks).map(|number| task(index, number)).collect(),
        operations: Vec::new(),
        version: "bench".to_owned(),
        full: None,
    }
}

/// What the former leader wrote.
pub fn ledger(agents: usize) -> MasterLedger {
    let mut ledger = MasterLedger::default();
    let next_agent = agents as u64;
    ledger.apply(&MasterChange::Cluster(Cluster {
        id: cluster(),
        next_agent,
        next_framework: FRAMEWORKS as u64,
        created: NOW,
        lost: None,
    }));
    for index in 0..FRAMEWORKS {
        let record =
            FrameworkRecord { info: info(index), removed: false, deadline: None, registered: NOW };
        ledger.apply(&MasterChange::Framework(record));
    }
    for index in 0..agents {
        ledger.apply(&MasterChange::Agent(AgentRecord {
            ledger_checksum: None,
            id: agent(index),
            node: node(index),
            hostname: format!("host{index}"),
            port: 5051,
            presence: Presence::Admitted,
            since: NOW,
            ledger_version: 10,
        }));
        ledger.apply(&MasterChange::Claim(agent(index), claim(index)));
    }
    ledger
}

/// A new leader to whom all frameworks and agents have come back. What it wants done is given to `note`.
pub fn lead(agents: usize, tasks: usize, mut note: impl FnMut(&Effect)) -> Master {
    let policy = by_name("drf").expect("the default policy is in the table");
    let mut master = Master::new(Config::default(), policy, ledger(agents));
    let mut ids = Counter(1 << 100);
    let mut step = |input| {
        let effects = master.handle(&mut StepContext { now: NOW, ids: &mut ids }, input);
        effects.iter().for_each(&mut note);
    };
    step(Input::Elected(Term(2)));
    for index in 0..FRAMEWORKS {
        let call = Call::Subscribe { info: Box::new(info(index)), suppressed: Default::default() };
        let call = FrameworkCall { framework: Some(framework(index)), call };
        step(Input::FromFramework(LinkId(index as u64 + 1), CallerIdentity::Anonymous, call));
    }
    for index in 0..agents {
        step(Input::FromAgent(link_of(index), ToMaster::Report(Box::new(report(index, tasks)))));
    }
    master
}

/// The link that an agent speaks on.
pub fn link_of(agent: usize) -> LinkId {
    LinkId((FRAMEWORKS + agent) as u64 + 1)
}
