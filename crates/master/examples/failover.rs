//! What a failover costs a new leader: agents with five tasks and a volume each introduce themselves, and what is free is offered.
//!
//! `cargo xtask bench failover` runs it. Prints the CPU time for each agent at several sizes, and by which power of their number the whole
//! grows: 1 is linear. Relies on `/proc` for the time of this thread alone, so that a busy machine disturbs little. Never judges.

use holdfast_allocator::by_name;
use holdfast_master::{Config, Effect, Input, Master};
use holdfast_model::{
    AgentId, AgentRecord, Call, CallerIdentity, Capability, Claim, ClaimId, ClaimState, Cluster,
    ClusterId, CommandInfo, FrameworkCall, FrameworkId, FrameworkInfo, FrameworkRecord, IdSource,
    Instant, LinkId, MachineInfo, MasterChange, MasterLedger, NodeId, OpaquePayload, PersistenceId,
    Presence, Report, Reservation, ReservationKind, Resource, Role, Scalar, Source, StepContext,
    TaskId, TaskInfo, TaskRecord, TaskState, Term, ToMaster,
};
use uuid::Uuid;

const SIZES: [usize; 3] = [1_000, 4_000, 16_000];
const FRAMEWORKS: usize = 10;
const TASKS: usize = 5;
const NOW: Instant = Instant(1_700_000_000_000);

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

fn agent(index: usize) -> AgentId {
    AgentId::made(format!("{}-S{index}", cluster()))
}

fn node(index: usize) -> NodeId {
    NodeId(Uuid::from_u128(1_000_000 + index as u128))
}

fn framework(index: usize) -> FrameworkId {
    FrameworkId::made(format!("{}-{:04}", cluster(), index % FRAMEWORKS))
}

fn role() -> Role {
    Role::parse("db").expect("it is a role")
}

fn info(index: usize) -> FrameworkInfo {
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
        labels: Vec::new(),
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
        payload: OpaquePayload(vec![0; 300]),
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

fn report(index: usize) -> Report {
    let cpus = Resource::scalar("cpus", Scalar::whole(16));
    let mem = Resource::scalar("mem", Scalar::whole(65_536));
    Report {
        node: node(index),
        agent: Some(agent(index)),
        cluster: Some(cluster()),
        ledger_version: 10,
        orders_seen: 0,
        machine: MachineInfo {
            hostname: format!("host{index}"),
            port: 5051,
            resources: [cpus, mem, disk(100_000)].iter().collect(),
            payload: OpaquePayload(vec![0; 300]),
        },
        disks: Vec::new(),
        claims: vec![claim(index)],
        faults: Vec::new(),
        frameworks: vec![info(index % FRAMEWORKS)],
        executors: Vec::new(),
        tasks: (0..TASKS).map(|number| task(index, number)).collect(),
        operations: Vec::new(),
        version: "bench".to_owned(),
    }
}

/// What the former leader wrote.
fn ledger(agents: usize) -> MasterLedger {
    let mut ledger = MasterLedger::default();
    let next_agent = agents as u64;
    ledger.apply(&MasterChange::Cluster(Cluster {
        id: cluster(),
        next_agent,
        next_framework: FRAMEWORKS as u64,
        created: NOW,
    }));
    for index in 0..FRAMEWORKS {
        let record =
            FrameworkRecord { info: info(index), removed: false, deadline: None, registered: NOW };
        ledger.apply(&MasterChange::Framework(record));
    }
    for index in 0..agents {
        ledger.apply(&MasterChange::Agent(AgentRecord {
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

/// Nanoseconds that this thread has run.
fn ran_ns() -> u64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat");
    let said = said.ok().and_then(|it| it.split(' ').next().and_then(|it| it.parse().ok()));
    said.expect("this machine says how long a thread has run")
}

/// Fails over to a new leader; nanoseconds for all.
fn fail_over(agents: usize) -> u64 {
    let policy = by_name("drf").expect("the default policy is in the table");
    let mut master = Master::new(Config::default(), policy, ledger(agents));
    let reports: Vec<Report> = (0..agents).map(report).collect();
    let (mut ids, mut offers) = (Counter(1 << 100), 0);
    let before = ran_ns();
    let mut step = |input| {
        let effects = master.handle(&mut StepContext { now: NOW, ids: &mut ids }, input);
        offers += effects.iter().filter(|it| matches!(it, Effect::ToFramework(..))).count();
    };
    step(Input::Elected(Term(2)));
    for index in 0..FRAMEWORKS {
        let call = Call::Subscribe { info: Box::new(info(index)), suppressed: Default::default() };
        let call = FrameworkCall { framework: Some(framework(index)), call };
        step(Input::FromFramework(LinkId(index as u64 + 1), CallerIdentity::Anonymous, call));
    }
    for (index, report) in reports.into_iter().enumerate() {
        let link = LinkId((FRAMEWORKS + index) as u64 + 1);
        step(Input::FromAgent(link, ToMaster::Report(Box::new(report))));
    }
    let took = ran_ns() - before;
    assert!(agents <= offers, "each agent is offered as soon as it has reported");
    took
}

/// Nanoseconds for all, in a process of its own: memory that a former run has left in pieces is no cost of a failover.
fn measured(agents: usize) -> u64 {
    let this = std::env::current_exe().expect("a program knows where it is");
    let output = std::process::Command::new(this).arg(agents.to_string()).output();
    let said = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    said.ok().and_then(|it| it.parse().ok()).expect("it prints one number")
}

fn main() {
    if let Some(agents) = std::env::args().nth(1).and_then(|it| it.parse().ok()) {
        println!("{}", (0..3).map(|_| fail_over(agents)).min().expect("it is measured"));
        return;
    }
    let mut figures = Vec::new();
    for agents in SIZES {
        let took = measured(agents);
        let each_us = took as f64 / agents as f64 / 1_000.0;
        println!("failover of {agents} agents\t{each_us:.1} us CPU each");
        figures.push(((agents as f64).ln(), (took as f64).ln()));
    }
    let ((small, little), (large, much)) = (figures[0], figures[figures.len() - 1]);
    println!("failover, exponent\t{:.3}", (much - little) / (large - small));
}
