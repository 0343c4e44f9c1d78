//! A small cluster for tests, built by the cores' own inputs: a master that leads from a ledger, one agent that has reported, one that is
//! expected, a framework that is subscribed and one that was removed.
//!
//! All ids and times are fixed, so that expected answers can be written out.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_agent::Agent;
use holdfast_master::{Config, Input, Master};
use holdfast_model::{
    Action, AgentChange, AgentId, AgentIdentity, AgentLedger, AgentRecord, Call, CallerIdentity,
    Capability, Claim, ClaimAction, ClaimEvent, ClaimId, ClaimState, Cluster, ClusterId,
    CommandInfo, ContainerId, DiskId, DiskKind, DiskRecord, DiskReport, DiskSpace, ExecutorId,
    ExecutorInfo, ExecutorRecord, FrameworkCall, FrameworkId, FrameworkInfo, FrameworkRecord,
    IdSource, Instant, LinkId, MachineInfo, MasterChange, MasterLedger, NodeId, Operation,
    OperationRecord, OperationState, OperationUuid, PersistenceId, Presence, Ranges, Reason,
    Report, Reservation, ReservationKind, Resource, Resources, Role, Scalar, Source, StatusSource,
    StatusUuid, StepContext, TaskId, TaskInfo, TaskRecord, TaskState, TaskStatus, Term, ToMaster,
    Value,
};
use holdfast_proto::mesos::v1::{MasterInfo, VersionInfo};
use uuid::Uuid;

use crate::v1::MasterFacts;
use crate::MasterView;

/// When the master was elected and everything happens, in milliseconds since 1970.
pub(crate) const NOW: u64 = 1_000_000;
/// The cluster's id.
pub(crate) const CLUSTER: &str = "00000000-0000-0000-0000-00000000c000";
/// The only offer.
pub(crate) const OFFER: &str = "00000000-0000-0000-0000-00000000c000-T1-O0";
/// The volume `data-0`.
pub(crate) const VOLUME: &str = "00000000-0000-0000-0000-000000000ca1";
/// The reservation that a removed framework left.
pub(crate) const RESERVATION: &str = "00000000-0000-0000-0000-000000000ca2";
/// The disk `/d1`.
pub(crate) const DISK: &str = "00000000-0000-0000-0000-00000000d15c";

struct Counter(u128);

impl IdSource for Counter {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

pub(crate) fn framework_id(id: &str) -> FrameworkId {
    FrameworkId::made(id.to_owned())
}

pub(crate) fn agent_id(id: &str) -> AgentId {
    AgentId::made(id.to_owned())
}

pub(crate) fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

pub(crate) fn amount(name: &str, thousandths: i64) -> Resource {
    Resource::scalar(name, Scalar::thousandths(thousandths))
}

fn disk(mb: i64) -> Resource {
    amount("disk", mb * 1000).on(Source::path("/d1"))
}

pub(crate) fn reservation() -> Reservation {
    Reservation {
        kind: ReservationKind::Dynamic,
        role: role("db"),
        principal: Some("db-team".to_owned()),
        labels: holdfast_model::Labels::default(),
    }
}

fn reserved(mb: i64) -> Resource {
    disk(mb).reserved(reservation())
}

fn volume() -> Resource {
    reserved(200).volume(PersistenceId::parse("data-0").unwrap(), "data", None)
}

pub(crate) fn info(id: &str, name: &str) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(framework_id(id)),
        name: name.to_owned(),
        user: "nobody".to_owned(),
        roles: vec![role("db")],
        failover_timeout_ms: 600_000,
        checkpoint: true,
        principal: Some("db-team".to_owned()),
        hostname: Some("scheduler-host".to_owned()),
        capabilities: BTreeSet::from([Capability::MultiRole, Capability::ReservationRefinement]),
        payload: Default::default(),
        constraints: Default::default(),
    }
}

/// The volume that framework `f-0` made, and the reservation that `f-1` left.
pub(crate) fn claims() -> Vec<Claim> {
    let claim = |id: &str, resource: Resource, framework: &str, disk: Option<&str>| Claim {
        id: ClaimId::parse(id).unwrap(),
        state: ClaimState::Ready,
        resource,
        framework: Some(framework_id(framework)),
        generation: 2,
        created: Instant(500),
        disk: disk.map(|it| DiskId::parse(it).unwrap()),
        history: vec![ClaimEvent {
            at: Instant(500),
            generation: 2,
            what: "created".to_owned(),
            by: "db-team".to_owned(),
        }],
        shares: Vec::new(),
        operation: None,
    };
    vec![claim(VOLUME, volume(), "f-0", Some(DISK)), claim(RESERVATION, reserved(100), "f-1", None)]
}

fn task_info(id: &str, resources: Vec<Resource>) -> TaskInfo {
    TaskInfo {
        id: TaskId::made(id.to_owned()),
        name: format!("name of {id}"),
        agent: agent_id("S0"),
        resources,
        executor: None,
        command: Some(CommandInfo { value: Some("true".to_owned()), ..CommandInfo::default() }),
        kill_grace_ms: None,
        payload: Default::default(),
    }
}

fn task(info: TaskInfo, status: TaskStatus) -> TaskRecord {
    TaskRecord {
        framework: framework_id("f-0"),
        executor: ExecutorId::made(info.id.to_string()),
        state: status.state,
        latest: Some(status.clone()),
        updates: if status.uuid.is_some() { vec![status] } else { Vec::new() },
        delivered: true,
        killed: false,
        role: role("db"),
        group: None,
        info,
    }
}

/// One that runs on the volume, and one that failed.
pub(crate) fn tasks() -> Vec<TaskRecord> {
    let status = |id: &str, state, at| TaskStatus::new(TaskId::made(id.to_owned()), state, at);
    let running = status("db-0", TaskState::Running, Instant(5000));
    let mut failed = status("db-1", TaskState::Failed, Instant(6000)).because(
        StatusSource::Executor,
        Reason::ExecutorTerminated,
        "exited with 3",
    );
    failed.uuid = Some(StatusUuid(Uuid::from_u128(0x57a7)));
    vec![
        task(
            task_info("db-0", vec![amount("cpus", 1000), amount("mem", 128_000), volume()]),
            running,
        ),
        task(task_info("db-1", vec![amount("cpus", 2000)]), failed),
    ]
}

/// An executor of the framework's own, with half a processor.
pub(crate) fn executor() -> ExecutorRecord {
    ExecutorRecord {
        framework: framework_id("f-0"),
        info: ExecutorInfo {
            id: ExecutorId::made("keeper".to_owned()),
            kind: None,
            framework: Some(framework_id("f-0")),
            resources: vec![amount("cpus", 500)],
            command: Some(CommandInfo::default()),
            shutdown_grace_ms: None,
            payload: Default::default(),
        },
        container: ContainerId(Uuid::from_u128(0xc0)),
        command: false,
        registered: true,
        launched: Instant(4000),
        role: role("db"),
    }
}

/// The space on its disk.
pub(crate) fn disk_space() -> DiskSpace {
    DiskSpace {
        file_system: "8:1".to_owned(),
        total_mb: 2000,
        free_mb: 1500,
        trash_mb: 5,
        used_mb: Some(20),
        overcommitted_mb: 0,
        limit: "soft:report".to_owned(),
    }
}

pub(crate) fn disk_record() -> DiskRecord {
    DiskRecord {
        id: DiskId::parse(DISK).unwrap(),
        kind: DiskKind::Path,
        root: "/d1".to_owned(),
        size_mb: 1000,
    }
}

/// 8 cpus, 4096 MB of memory, 1000 MB of disk, ports.
pub(crate) fn machine() -> MachineInfo {
    let ports = Resource::unreserved("ports", Value::Ranges(Ranges::new([(31000, 31009)])));
    let base = [amount("cpus", 8000), amount("mem", 4_096_000), disk(1000), ports];
    MachineInfo {
        hostname: "host0".to_owned(),
        port: 5051,
        resources: base.iter().collect::<Resources>(),
        payload: Default::default(),
    }
}

fn node(agent: u8) -> NodeId {
    NodeId(Uuid::from_u128(0xa0 + u128::from(agent)))
}

pub(crate) fn cluster_id() -> ClusterId {
    ClusterId::parse(CLUSTER).unwrap()
}

fn master_ledger() -> MasterLedger {
    let cluster = Cluster {
        id: cluster_id(),
        next_agent: 2,
        next_framework: 2,
        ..Cluster::new(cluster_id(), Instant(1))
    };
    let agent = |number: u8| AgentRecord {
        ledger_checksum: None,
        id: agent_id(&format!("S{number}")),
        node: node(number),
        hostname: format!("host{number}"),
        port: 5051,
        presence: Presence::Admitted,
        since: Instant(10),
        ledger_version: 4,
    };
    let framework = |id: &str, name: &str, removed: bool| FrameworkRecord {
        info: info(id, name),
        removed,
        deadline: None,
        registered: Instant(100),
    };
    let mut changes = vec![
        MasterChange::Cluster(cluster),
        MasterChange::Agent(agent(0)),
        MasterChange::Agent(agent(1)),
        MasterChange::Framework(framework("f-0", "db", false)),
        MasterChange::Framework(framework("f-1", "old", true)),
        MasterChange::Weight(role("db"), Scalar::whole(2)),
    ];
    changes.extend(claims().into_iter().map(|it| MasterChange::Claim(agent_id("S0"), it)));
    let mut ledger = MasterLedger::default();
    changes.iter().for_each(|it| ledger.apply(it));
    ledger
}

/// A master and what it is told.
pub(crate) struct Bed {
    pub(crate) master: Master,
    ids: Counter,
}

impl Bed {
    /// A leader that has heard of nobody.
    pub(crate) fn elected() -> Bed {
        let policy = holdfast_allocator::by_name("drf").unwrap();
        let master = Master::new(Config::default(), policy, master_ledger());
        let mut bed = Bed { master, ids: Counter(0) };
        bed.input(Input::Elected(Term(1)));
        bed
    }

    /// A leader whose first agent has reported, and whose framework has been offered what is free there.
    pub(crate) fn usual() -> Bed {
        let mut bed = Bed::elected();
        bed.report(report());
        bed.subscribe();
        bed
    }

    /// What the master publishes.
    pub(crate) fn view(&self) -> MasterView {
        self.master.view()
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut ctx = StepContext { now: Instant(NOW), ids: &mut self.ids };
        self.master.handle(&mut ctx, input);
    }

    /// The agent introduces itself on its link.
    pub(crate) fn report(&mut self, report: Report) {
        self.input(Input::FromAgent(LinkId(1), ToMaster::Report(Box::new(report))));
    }

    pub(crate) fn subscribe(&mut self) {
        let info = Box::new(info("f-0", "db"));
        self.say(LinkId(2), Call::Subscribe { info, suppressed: BTreeSet::new() });
    }

    /// Another framework subscribes for the first time; it is given its id.
    pub(crate) fn subscribe_new(&mut self, link: LinkId, info: FrameworkInfo) {
        let info = Box::new(FrameworkInfo { id: None, ..info });
        let call = Call::Subscribe { info, suppressed: BTreeSet::new() };
        self.input(Input::FromFramework(
            link,
            CallerIdentity::Anonymous,
            FrameworkCall { framework: None, call },
        ));
    }

    /// The framework acknowledges the end of its failed task, which is then forgotten by its agent.
    pub(crate) fn acknowledge_failure(&mut self) {
        let failed = tasks().remove(1);
        let (task, agent) = (failed.info.id, agent_id("S0"));
        let status = failed.updates[0].uuid.expect("it waits for its acknowledgement");
        self.say(LinkId(2), Call::Acknowledge { task, agent, status });
    }

    pub(crate) fn say(&mut self, link: LinkId, call: Call) {
        let framework = Some(framework_id("f-0"));
        self.input(Input::FromFramework(
            link,
            CallerIdentity::Anonymous,
            FrameworkCall { framework, call },
        ));
    }
}

/// What the agent says of itself.
pub(crate) fn report() -> Report {
    Report {
        history: Vec::new(),
        term: Term(0),
        node: node(0),
        agent: Some(agent_id("S0")),
        cluster: Some(cluster_id()),
        ledger_version: 7,
        claims_generation: 3,
        orders_seen: 0,
        machine: machine(),
        disks: vec![DiskReport {
            disk: disk_record(),
            fault: None,
            space: Some(disk_space()),
            added: false,
            orphans: Vec::new(),
            more_orphans: 0,
        }],
        claims: claims(),
        faults: Vec::new(),
        frameworks: vec![info("f-0", "db")],
        executors: vec![executor()],
        tasks: tasks(),
        operations: Vec::new(),
        version: "0.1.0".to_owned(),
        full: None,
    }
}

/// An operation of an operator that was settled and of which nobody heard yet.
pub(crate) fn operation() -> OperationRecord {
    let destroy = ClaimAction::Destroy(vec![volume()]);
    OperationRecord {
        uuid: OperationUuid(Uuid::from_u128(0x0b)),
        framework: None,
        operation: Operation { id: None, action: Action::Claim(destroy) },
        state: OperationState::Finished,
        message: None,
        status: Some(StatusUuid(Uuid::from_u128(0x0c))),
        claims: Vec::new(),
        endings: Vec::new(),
        making: Vec::new(),
        ownership: None,
    }
}

pub(crate) fn facts() -> MasterFacts {
    MasterFacts {
        info: MasterInfo {
            id: "m-1".to_owned(),
            ip: 0,
            port: 5050,
            pid: Some("master@10.0.0.1:5050".to_owned()),
            hostname: Some("m1".to_owned()),
            ..MasterInfo::default()
        },
        version: VersionInfo {
            version: "1.11.0".to_owned(),
            build_user: Some("holdfast 0.1.0".to_owned()),
            ..VersionInfo::default()
        },
        started_s: 12.5,
        flags: [("port".to_owned(), "5050".to_owned())].into(),
    }
}

/// The same agent, as it knows itself after a restart.
pub(crate) fn agent() -> Agent {
    let mut ledger = AgentLedger::new(node(0));
    ledger.identity = AgentIdentity {
        checksum: 1,
        node: node(0),
        agent: Some(agent_id("S0")),
        cluster: Some(cluster_id()),
        term: Term(1),
        version: 7,
        claims_generation: 0,
    };
    let changes = [AgentChange::Disk(disk_record()), AgentChange::Framework(info("f-0", "db"))];
    let claims = claims().into_iter().map(AgentChange::Claim);
    let tasks = tasks().into_iter().map(|mut task| {
        task.executor = executor().info.id;
        AgentChange::Task(task)
    });
    let executor = std::iter::once(AgentChange::Executor(executor()));
    for change in changes.into_iter().chain(claims).chain(executor).chain(tasks) {
        ledger.apply(&change);
    }
    Agent::recover(holdfast_agent::Config::default(), ledger)
}

/// The same agent, whose volume was found to use so many bytes of its 200 MB.
pub(crate) fn agent_with_used(bytes: u64) -> Agent {
    use holdfast_agent::{DiskFound, FoundSpace, Input, Machine, UsedSpace};
    let volumes = std::collections::BTreeMap::from([(ClaimId::parse(VOLUME).unwrap(), bytes)]);
    let used = UsedSpace { free_mb: 1500, at: Instant(900), volumes: Arc::new(volumes) };
    let space = FoundSpace {
        file_system: "8:1".to_owned(),
        total_mb: 2000,
        free_mb: 1500,
        trash_mb: 0,
        reserve_mb: 0,
        limit: holdfast_model::VolumeLimit::default(),
        used: Some(used),
    };
    let disk = DiskFound { disk: disk_record(), fault: None, space: Some(space), added: None };
    let opened = Input::Opened(Machine { info: machine(), disks: vec![disk] });
    let mut agent = agent();
    for input in [Input::Started(Vec::new()), opened] {
        agent.handle(&mut StepContext { now: Instant(1000), ids: &mut Counter(0) }, input);
    }
    agent
}
