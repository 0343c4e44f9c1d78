//! R1: recovery is idempotent: whatever crash interrupts it, starting again leads to the same
//! ledger.
//!
//! It relies on cores being pure: agents, masters and keepers are started again and again on
//! copies. It never touches those of the world.

use std::fmt::Debug;

use holdfast_agent::{self as agent, Agent, Found};
use holdfast_allocator::by_name;
use holdfast_master::{self as master, Master};
use holdfast_model::{
    AgentChange, AgentLedger, ContainerId, Event, FrameworkId, Instant, LedgerPoint, LinkId,
    MachineInfo, MasterChange, MasterLedger, OperationUuid, Report, Resource, Resources, Scalar,
    StepContext, TaskKey, TaskRecord, Term, ToMaster,
};
use holdfast_sdk::{self as sdk, KeeperChange, KeeperLedger};

use crate::difference::difference;
use crate::keepers::AnyKeeper;
use crate::machines::Machine;
use crate::rng::Rng;
use crate::work::disk_resource;

/// Starts something on `ledger`, and again after a crash at each of its commits; the ledgers must
/// agree.
fn twice<L: Clone + Debug + PartialEq, C>(
    ledger: &L,
    start: impl Fn(&L) -> Vec<Vec<C>>,
    apply: impl Fn(&mut L, &C),
    plain: impl Fn(L) -> L,
) -> Result<(), String> {
    let commits = start(ledger);
    let mut whole = ledger.clone();
    commits.iter().flatten().for_each(|change| apply(&mut whole, change));
    let whole = plain(whole);
    let mut partial = ledger.clone();
    for done in 0..=commits.len() {
        if 0 < done {
            commits[done - 1].iter().for_each(|change| apply(&mut partial, change));
        }
        let mut again = partial.clone();
        start(&partial).iter().flatten().for_each(|change| apply(&mut again, change));
        let again = plain(again);
        if again != whole {
            let (all, where_) = (commits.len(), difference(&whole, &again));
            return Err(format!("a recovery that crashed after {done} of {all} commits ends in another ledger: {where_}"));
        }
    }
    Ok(())
}

/// Recovers an agent twice, as at its start.
///
/// # Errors
/// A sentence that says where the ledgers differ.
pub(crate) fn recover_agent_twice(
    config: &agent::Config,
    ledger: &AgentLedger,
    found: &[(ContainerId, Found)],
    now: Instant,
    ids: &Rng,
) -> Result<(), String> {
    let start = |ledger: &AgentLedger| {
        let mut agent = Agent::recover(config.clone(), ledger.clone());
        let mut ids = ids.clone();
        let effects = agent
            .handle(&mut StepContext { now, ids: &mut ids }, agent::Input::Started(found.to_vec()));
        let commit = |effect| match effect {
            agent::Effect::Commit { changes, .. } => Some(changes),
            _ => None,
        };
        effects.into_iter().filter_map(commit).collect()
    };
    twice(ledger, start, |ledger, change: &AgentChange| ledger.apply(change), plain)
}

/// Recovers a leader twice, as at its election and when every agent reports.
///
/// # Errors
/// A sentence that says where the ledgers differ.
pub(crate) fn recover_master_twice(
    config: &master::Config,
    ledger: &MasterLedger,
    machines: &[Machine],
    (now, term): (Instant, Term),
    ids: &Rng,
) -> Result<(), String> {
    let reports: Vec<Report> = machines.iter().map(introduction).collect();
    let start = |ledger: &MasterLedger| {
        let policy = by_name("drf").expect("the default policy is in the table");
        let mut core = Master::new(config.clone(), policy, ledger.clone());
        let mut ids = ids.clone();
        let speak = |(link, report): (usize, &Report)| {
            master::Input::FromAgent(
                LinkId(link as u64 + 1),
                ToMaster::Report(Box::new(report.clone())),
            )
        };
        let inputs = std::iter::once(master::Input::Elected(term))
            .chain(reports.iter().enumerate().map(speak));
        let effects: Vec<master::Effect> = inputs
            .flat_map(|input| core.handle(&mut StepContext { now, ids: &mut ids }, input))
            .collect();
        let commit = |effect| match effect {
            master::Effect::Commit(_, changes) => Some(changes),
            _ => None,
        };
        effects.into_iter().filter_map(commit).collect()
    };
    twice(ledger, start, |ledger, change: &MasterChange| ledger.apply(change), |ledger| ledger)
}

/// How a machine's agent would introduce itself, were it to start now.
fn introduction(machine: &Machine) -> Report {
    let ledger = machine.proven();
    let mut resources: Resources = [
        Resource::scalar("cpus", Scalar::thousandths(machine.cpus_thousandths)),
        Resource::scalar("mem", Scalar::whole(machine.mem_mb)),
    ]
    .iter()
    .collect();
    machine.disks.iter().for_each(|disk| resources.add(&disk_resource(disk)));
    Report {
        node: ledger.identity.node,
        agent: ledger.identity.agent.clone(),
        cluster: ledger.identity.cluster,
        ledger_version: ledger.identity.version,
        orders_seen: 0,
        machine: MachineInfo {
            hostname: machine.host.clone(),
            port: 5051,
            resources,
            payload: Default::default(),
        },
        disks: Vec::new(),
        claims: ledger.claims.values().cloned().collect(),
        faults: Vec::new(),
        frameworks: ledger.frameworks.values().cloned().collect(),
        executors: ledger.executors.values().cloned().collect(),
        tasks: ledger.tasks.values().cloned().collect(),
        operations: ledger.operations.values().cloned().collect(),
        version: String::new(),
        full: None,
        claims_generation: ledger.identity.claims_generation,
        history: vec![LedgerPoint {
            version: ledger.identity.version,
            checksum: ledger.identity.checksum,
        }],
        term: ledger.identity.term,
    }
}

/// Recovers a framework's keeper twice, as when it is subscribed.
///
/// # Errors
/// A sentence that says where the ledgers differ.
pub(crate) fn recover_keeper_twice(
    make: impl Fn(KeeperLedger) -> AnyKeeper,
    ledger: &KeeperLedger,
    now: Instant,
) -> Result<(), String> {
    let id = ledger.framework.clone().unwrap_or_else(|| FrameworkId::made("newcomer".to_owned()));
    let start = |ledger: &KeeperLedger| {
        let mut keeper = make(ledger.clone());
        let effects = keeper.handle(now, sdk::Input::Event(Event::Subscribed(id.clone())));
        let commit = |effect| match effect {
            sdk::Effect::Commit(changes) => Some(changes),
            _ => None,
        };
        effects.into_iter().filter_map(commit).collect()
    };
    twice(ledger, start, |ledger, change: &KeeperChange| ledger.apply(change), |ledger| ledger)
}

/// The ledger without what may differ from one recovery to the next: fresh names, counts of commits,
/// and checksums over both.
fn plain(mut ledger: AgentLedger) -> AgentLedger {
    (ledger.identity.version, ledger.identity.checksum) = (0, 0);
    ledger.points.clear();
    let blank = |task: &mut TaskRecord| {
        task.updates.iter_mut().chain(&mut task.latest).for_each(|it| {
            it.uuid = None;
            it.message = None;
        });
    };
    let tasks: Vec<TaskKey> = ledger.tasks.keys().cloned().collect();
    for key in tasks {
        if let Some(task) = ledger.tasks.get_mut(&key) {
            blank(task);
        }
    }
    let operations: Vec<OperationUuid> = ledger.operations.keys().copied().collect();
    for uuid in operations {
        if let Some(operation) = ledger.operations.get_mut(&uuid) {
            operation.status = None;
        }
    }
    ledger
}
