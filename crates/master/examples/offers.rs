//! What offers cost a leader, by the names of the grids of Mesos's own benchmarks: `PersistentVolumes`, `DeclineOffers`,
//! `SuppressOffers`, and rows of our own for REVIVE, filters that expire all at once, launches, and one changed agent among many.
//!
//! `cargo run --release -p holdfast-master --example offers [row [agents [frameworks]]]`; without arguments, the whole table. Each
//! line gives CPU time of this process, and the longest step by the wall's clock; under `valgrind --tool=callgrind
//! --toggle-collect='offers::measured'` the same run counts instructions, of what a row measures and nothing else.
//! Relies on the real core, and on nothing else: no clock but to measure, no thread, no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Duration;

use holdfast_allocator::by_name;
use holdfast_master::{Config, Effect, Input, Master};
use holdfast_model::{
    Action, AgentId, AgentRecord, Call, CallerIdentity, Capability, Claim, ClaimId, ClaimState,
    Cluster, ClusterId, CommandInfo, Event, Filters, FrameworkCall, FrameworkId, FrameworkInfo,
    FrameworkRecord, IdSource, Instant, LinkId, MachineInfo, MasterChange, MasterLedger, NodeId,
    OfferId, Operation, PersistenceId, Presence, Ranges, Report, Reservation, ReservationKind,
    Resource, Role, Scalar, Source, StepContext, TaskId, TaskInfo, TaskState, TaskStatus, Term,
    ToMaster, Value,
};
use uuid::Uuid;

const NOW: u64 = 1_700_000_000_000;
/// Longer than any row lasts.
const REFUSE_MS: u64 = 3_600_000;

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

fn framework(index: usize) -> FrameworkId {
    FrameworkId::made(format!("{}-{index:04}", cluster()))
}

fn role(index: usize) -> Role {
    Role::parse(&format!("role-{index}")).expect("it is a role")
}

fn info(index: usize) -> FrameworkInfo {
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
    }
}

fn scalar(name: &str, amount: i64) -> Resource {
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
    }
}

fn report(index: usize, claims: Vec<Claim>) -> Report {
    let ports = Resource::unreserved("ports", Value::Ranges(Ranges::new([(31_000, 32_000)])));
    let disk = scalar("disk", 4_096).on(Source::path("/d1"));
    Report {
        node: NodeId(Uuid::from_u128(1_000_000 + index as u128)),
        agent: Some(agent(index)),
        cluster: Some(cluster()),
        ledger_version: 10,
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
    }
}

/// A leader, and what it said.
struct World {
    master: Master,
    ids: Counter,
    now: u64,
    frameworks: usize,
    /// The offers that stand, by framework.
    offers: BTreeMap<FrameworkId, BTreeMap<OfferId, AgentId>>,
    made: usize,
    /// Whether this is what a row is about.
    is_measured: bool,
    longest: Duration,
}

impl World {
    /// All agents and frameworks are there; whoever is first was offered everything, or, if `suppressed`, nobody anything.
    fn new(agents: usize, frameworks: usize, volumes: bool, suppressed: bool) -> World {
        let mut ledger = MasterLedger::default();
        let created = Instant(NOW);
        ledger.apply(&MasterChange::Cluster(Cluster {
            id: cluster(),
            next_agent: agents as u64,
            next_framework: frameworks as u64,
            created,
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
            is_measured: false,
            longest: Duration::ZERO,
        };
        world.step(Input::Elected(Term(2)));
        for index in 0..frameworks {
            let suppressed = if suppressed { [role(index)].into() } else { BTreeSet::new() };
            let info = Box::new(info(index));
            world.call(index, Call::Subscribe { info, suppressed });
        }
        for index in 0..agents {
            let claims = volumes.then(|| claim(index, frameworks)).into_iter().collect();
            let link = LinkId((frameworks + index) as u64 + 1);
            let report = ToMaster::Report(Box::new(report(index, claims)));
            world.step(Input::FromAgent(link, report));
        }
        world.settle();
        world
    }

    fn step(&mut self, input: Input) {
        let before = std::time::Instant::now();
        let ctx = &mut StepContext { now: Instant(self.now), ids: &mut self.ids };
        let effects = match self.is_measured {
            true => measured(&mut self.master, ctx, input),
            false => self.master.handle(ctx, input),
        };
        self.longest = self.longest.max(before.elapsed());
        effects.into_iter().for_each(|effect| self.hear(effect));
    }

    fn hear(&mut self, effect: Effect) {
        let Effect::ToFramework(link, event, _) = effect else { return };
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

    fn call(&mut self, index: usize, call: Call) {
        let call = FrameworkCall { framework: Some(framework(index)), call };
        let link = LinkId(index as u64 + 1);
        self.step(Input::FromFramework(link, CallerIdentity::Anonymous, call));
    }

    /// What steps left for later is done.
    fn settle(&mut self) {
        while self.master.next_deadline().is_some_and(|it| it.0 <= self.now) {
            self.step(Input::Tick);
        }
    }

    fn take(&mut self, index: usize) -> Vec<(OfferId, AgentId)> {
        self.offers.remove(&framework(index)).unwrap_or_default().into_iter().collect()
    }

    /// A framework declines all that it is offered.
    fn decline(&mut self, index: usize) {
        let offers: Vec<OfferId> = self.take(index).into_iter().map(|it| it.0).collect();
        if !offers.is_empty() {
            let filters = Filters { refuse_ms: REFUSE_MS };
            self.call(index, Call::Decline { offers, filters });
        }
        self.settle();
    }

    /// Everybody declines until nobody is offered anything.
    fn decline_all(&mut self) {
        while self.offers.values().any(|it| !it.is_empty()) {
            (0..self.frameworks).for_each(|it| self.decline(it));
        }
    }
}

#[inline(never)]
fn measured(master: &mut Master, ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
    black_box(master.handle(ctx, input))
}

/// The CPU time that this process has used.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default();
    Duration::from_nanos(ns)
}

/// How many bytes this process keeps in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|it| it.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

fn row(name: &str, world: &mut World, per: &str, count: usize, work: impl FnOnce(&mut World)) {
    let agents = world.master.agents().len();
    (world.made, world.longest, world.is_measured) = (0, Duration::ZERO, true);
    let before = cpu();
    work(world);
    world.is_measured = false;
    let spent = cpu() - before;
    let count = if count == 0 { world.made } else { count }.max(1);
    println!(
        "{name} {agents} x {}: {:.1} ms, {:.2} us per {per}, {} offers, longest step {:.2} ms",
        world.frameworks,
        spent.as_secs_f64() * 1e3,
        spent.as_secs_f64() * 1e6 / count as f64,
        world.made,
        world.longest.as_secs_f64() * 1e3,
    );
}

/// Each framework in turn declines all that it is offered, and others are offered it, volumes and all.
fn offers(name: &str, agents: usize, frameworks: usize, volumes: bool) {
    let mut world = World::new(agents, frameworks, volumes, false);
    row(name, &mut world, "offer", 0, |world| {
        for _ in 0..3 {
            (0..frameworks).for_each(|it| world.decline(it));
        }
    });
}

fn suppress_offers(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, true);
    row("SuppressOffers, one revives", &mut world, "offer", 0, |world| {
        world.call(0, Call::Revive(BTreeSet::new()));
        world.settle();
    });
}

fn filters(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, false);
    let before = resident();
    world.decline_all();
    let filters = world.master.filters_len();
    let grown = resident().saturating_sub(before);
    println!("memory: {} bytes per filter, offers that ended included", grown / filters.max(1));
    row(&format!("UPDATE_FRAMEWORK, {filters} filters"), &mut world, "cycle", 1, |world| {
        let (info, suppressed) = (Box::new(info(1)), BTreeSet::new());
        world.call(1, Call::UpdateFramework { info, suppressed });
        world.settle();
    });
    row(&format!("REVIVE, {filters} filters"), &mut world, "revive", 1, |world| {
        world.call(1, Call::Revive(BTreeSet::new()));
        world.settle();
    });
    world.decline(1);
    row(&format!("{filters} filters expire"), &mut world, "filter", filters, |world| {
        world.now += 2 * REFUSE_MS;
        world.settle();
    });
}

/// Tasks are launched one after the other, each on a part of what is offered, and end.
fn launches(frameworks: usize) {
    const TASKS: usize = 200;
    let mut world = World::new(10, frameworks, false, false);
    let wanted = [scalar("cpus", 1), scalar("mem", 32)];
    row("launch and end", &mut world, "task", TASKS, |world| {
        for number in 0..TASKS {
            let holder = (0..frameworks)
                .find(|it| world.offers.get(&framework(*it)).is_some_and(|it| !it.is_empty()))
                .expect("somebody is offered something");
            let (offer, agent) = world.take(holder).remove(0);
            let id = TaskId::made(format!("task-{number}"));
            let task = TaskInfo {
                name: id.to_string(),
                id: id.clone(),
                agent: agent.clone(),
                resources: wanted.to_vec(),
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
            world.call(holder, Call::Accept { offers, operations, filters });
            let index: usize = agent.as_str().rsplit('S').next().expect("S").parse().expect("n");
            let link = LinkId((frameworks + index) as u64 + 1);
            let status = TaskStatus::new(id, TaskState::Finished, Instant(world.now));
            world.step(Input::FromAgent(
                link,
                ToMaster::TaskUpdate {
                    framework: framework(holder),
                    status,
                    latest: TaskState::Finished,
                },
            ));
            world.now += 200;
            world.settle();
        }
    });
}

/// One offer among many agents is declined: how soon is the agent offered again?
fn one_agent(agents: usize, frameworks: usize) {
    let mut world = World::new(agents, frameworks, false, false);
    row("one changed agent", &mut world, "offer", 100, |world| {
        for _ in 0..100 {
            let holder = (0..frameworks)
                .find(|it| world.offers.get(&framework(*it)).is_some_and(|it| !it.is_empty()))
                .expect("somebody is offered something");
            let known = world.offers.get_mut(&framework(holder)).expect("it was just found");
            let (offer, _) = known.pop_first().expect("it was just found");
            let filters = Filters { refuse_ms: REFUSE_MS };
            world.call(holder, Call::Decline { offers: vec![offer], filters });
        }
    });
}

fn main() {
    let mut args = std::env::args().skip(1);
    let which = args.next();
    let mut number = |usual: usize| args.next().and_then(|it| it.parse().ok()).unwrap_or(usual);
    if let Some(which) = which {
        let (agents, frameworks) = (number(1_000), number(50));
        return match which.as_str() {
            "PersistentVolumes" => offers("PersistentVolumes", agents, frameworks, true),
            "DeclineOffers" => offers("DeclineOffers", agents, frameworks, false),
            "SuppressOffers" => suppress_offers(agents, frameworks),
            "filters" => filters(agents, frameworks),
            "launches" => launches(frameworks),
            "one" => one_agent(agents, frameworks),
            _ => eprintln!(
                "rows: PersistentVolumes, DeclineOffers, SuppressOffers, filters, launches, one"
            ),
        };
    }
    for (agents, frameworks) in [(1_000, 50), (1_000, 200), (1_000, 1_000), (10_000, 200)] {
        offers("PersistentVolumes", agents, frameworks, true);
    }
    for (agents, frameworks) in [(1_000, 50), (1_000, 200), (1_000, 1_000)] {
        offers("DeclineOffers", agents, frameworks, false);
    }
    for agents in [1_000, 10_000] {
        suppress_offers(agents, 200);
    }
    filters(1_000, 200);
    for frameworks in [50, 200, 1_000] {
        launches(frameworks);
    }
    for agents in [1_000, 50_000] {
        one_agent(agents, 50);
    }
}
