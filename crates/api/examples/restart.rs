//! What the core of an agent does when it starts again beside containers that run on, each with a task and a volume, and by which power of
//! their number it grows: 1 is linear.
//!
//! `cargo xtask bench restart` runs it. From the ledger in memory to the report to the master, drivers answering at once. Says the least of
//! several runs by the clock. Never judges.

mod clock;

use std::collections::VecDeque;
use std::time::Instant;

use clock::{Counter, NOW};
use holdfast_agent::{Agent, Config, DiskFound, Effect, Found, Input, Machine};
use holdfast_model::{
    AgentChange, AgentId, AgentIdentity, AgentLedger, Claim, ClaimId, ClaimState, ClusterId,
    CommandInfo, ContainerId, DiskId, DiskKind, DiskRecord, ExecutorInfo, ExecutorRecord,
    FrameworkId, FrameworkInfo, LinkId, MachineInfo, NodeId, OpaquePayload, Order, PersistenceId,
    Reservation, ReservationKind, Resource, Role, Scalar, Source, StepContext, TaskId, TaskInfo,
    TaskRecord, TaskState, Term, ToAgent, ToMaster,
};
use uuid::Uuid;

const SIZES: [usize; 3] = [500, 1_000, 3_000];
const LINK: LinkId = LinkId(1);

fn framework() -> FrameworkInfo {
    FrameworkInfo {
        id: Some(FrameworkId::made("f".to_owned())),
        name: "keeper".to_owned(),
        user: "nobody".to_owned(),
        roles: vec![role()],
        failover_timeout_ms: 600_000,
        checkpoint: true,
        principal: None,
        hostname: None,
        capabilities: Default::default(),
        payload: OpaquePayload::default(),
        constraints: Default::default(),
    }
}

fn role() -> Role {
    Role::parse("db").expect("it is a role")
}

fn disk(mb: i64) -> Resource {
    Resource::scalar("disk", Scalar::whole(mb)).on(Source::path("/d1"))
}

fn disk_record() -> DiskRecord {
    DiskRecord {
        id: DiskId(Uuid::from_u128(0xd1)),
        kind: DiskKind::Path,
        root: "/d1".to_owned(),
        size_mb: 1_000_000,
    }
}

fn volume(number: usize) -> Resource {
    let reservation = Reservation {
        kind: ReservationKind::Dynamic,
        role: role(),
        principal: None,
        labels: holdfast_model::Labels::default(),
    };
    let id = PersistenceId::parse(&format!("v{number}")).expect("it is a name");
    disk(10).reserved(reservation).volume(id, "data", None)
}

/// A task with a volume, its executor and its claim.
fn changes(number: usize) -> [AgentChange; 3] {
    let claim = Claim {
        id: ClaimId(Uuid::from_u128(number as u128 + 1)),
        state: ClaimState::Ready,
        resource: volume(number),
        framework: framework().id,
        generation: 1,
        created: NOW,
        disk: Some(disk_record().id),
        history: Vec::new(),
        shares: Vec::new(),
        operation: None,
    };
    let id = TaskId::made(format!("task-{number}"));
    let info = TaskInfo {
        name: id.to_string(),
        id,
        agent: AgentId::made("S0".to_owned()),
        resources: vec![Resource::scalar("cpus", Scalar::thousandths(1)), volume(number)],
        executor: None,
        command: Some(CommandInfo {
            shell: true,
            value: Some("true".to_owned()),
            ..CommandInfo::default()
        }),
        kill_grace_ms: None,
        payload: OpaquePayload::default(),
    };
    let executor = ExecutorRecord {
        framework: framework().id.expect("it has one"),
        info: ExecutorInfo {
            id: info.executor_id(),
            kind: None,
            framework: framework().id,
            resources: Vec::new(),
            command: None,
            shutdown_grace_ms: None,
            payload: OpaquePayload::default(),
        },
        container: container(number),
        command: true,
        registered: true,
        launched: NOW,
        role: role(),
    };
    let task = TaskRecord {
        framework: executor.framework.clone(),
        executor: info.executor_id(),
        info,
        state: TaskState::Running,
        latest: None,
        updates: Vec::new(),
        delivered: true,
        killed: false,
        role: role(),
        group: None,
    };
    [AgentChange::Claim(claim), AgentChange::Executor(executor), AgentChange::Task(task)]
}

fn container(number: usize) -> ContainerId {
    ContainerId(Uuid::from_u128(0xc000_0000 + number as u128))
}

fn ledger(containers: usize) -> AgentLedger {
    let mut ledger = AgentLedger::new(NodeId(Uuid::from_u128(1)));
    ledger.identity = AgentIdentity {
        agent: Some(AgentId::made("S0".to_owned())),
        cluster: Some(ClusterId(Uuid::from_u128(7))),
        ..ledger.identity
    };
    ledger.apply(&AgentChange::Disk(disk_record()));
    ledger.apply(&AgentChange::Framework(framework()));
    (0..containers).flat_map(changes).for_each(|it| ledger.apply(&it));
    ledger
}

fn machine() -> Machine {
    let cpus = Resource::scalar("cpus", Scalar::whole(16));
    Machine {
        info: MachineInfo {
            hostname: "host1".to_owned(),
            port: 5051,
            resources: [cpus, disk(1_000_000)].iter().collect(),
            payload: OpaquePayload::default(),
        },
        disks: vec![DiskFound { disk: disk_record(), fault: None, space: None, added: None }],
    }
}

/// Microseconds from the ledger to the first report that names all tasks.
fn restart(ledger: AgentLedger, containers: usize) -> f64 {
    let found = (0..containers).map(|it| (container(it), Found::Running)).collect();
    let began = Instant::now();
    let mut agent = Agent::recover(Config::default(), ledger);
    let greeting = ToAgent { term: Term(1), order: Order::Resync };
    let first = [Input::Started(found), Input::MasterLinked(LINK)];
    let mut waiting: VecDeque<Input> = first.into_iter().collect();
    waiting.push_back(Input::FromMaster(LINK, greeting));
    let (mut ids, mut reported) = (Counter(1 << 100), 0);
    while let Some(input) = waiting.pop_front() {
        for effect in agent.handle(&mut StepContext { now: NOW, ids: &mut ids }, input) {
            match effect {
                Effect::OpenDisks(..) => waiting.push_back(Input::Opened(machine())),
                Effect::CheckVolume(it) => {
                    waiting.push_back(Input::VolumeChecked(it.claim, Ok(())));
                }
                Effect::ToMaster(_, ToMaster::Report(report)) => reported = report.tasks.len(),
                _ => {}
            }
        }
    }
    assert_eq!(reported, containers, "all tasks are reported");
    began.elapsed().as_nanos() as f64 / 1_000.0
}

fn main() {
    let mut figures = Vec::new();
    for containers in SIZES {
        let ledger = ledger(containers);
        let runs = (0..5).map(|_| restart(ledger.clone(), containers));
        let took = runs.fold(f64::INFINITY, f64::min);
        println!("restart beside {containers} containers\t{:.1} ms", took / 1_000.0);
        figures.push(((containers as f64).ln(), took.ln()));
    }
    let ((small, little), (large, much)) = (figures[0], figures[figures.len() - 1]);
    println!("restart, exponent\t{:.2}", (much - little) / (large - small));
}
