//! The drawer that does not survive: what an agent knows of its links, its containers and its disks in
//! this life. Everything in it is found out again after a restart.
//!
//! Never holds anything that somebody was promised; that is the ledger's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_model::{
    AgentLedger, ClaimId, DiskId, ExecutorKey, FrameworkId, Instant, LinkId, MachineInfo,
    OperationState, OperationUuid, Reason, Resource, Resources, StatusUuid, TaskKey, TaskState,
    ToAgent, Value,
};

use crate::alarms::Alarms;
use crate::launch::Launch;
use crate::step::DiskFound;

/// How many names of operations are remembered, so that an order that comes twice is done once.
const SEEN_OPERATIONS_MAX: usize = 4096;

/// How many names of statuses are remembered per task, so that a status that comes twice is told once.
const SEEN_STATUSES_MAX: usize = 64;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the hands have said what runs.
    Recovering,
    /// Not asked for yet: a volume is being made, or still held by a container that ends.
    Waiting,
    /// Asked for.
    Starting,
    /// It runs.
    Running,
    /// Its executor was asked to end.
    Ending,
    /// It is being destroyed.
    Destroying,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Recovering => "recovering",
            Phase::Waiting => "waiting",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Ending => "ending",
            Phase::Destroying => "destroying",
        }
    }
}

/// What the tasks of a container that we end are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TerminationReason {
    pub(crate) state: TaskState,
    pub(crate) reason: Reason,
    pub(crate) why: String,
}

impl TerminationReason {
    pub(crate) fn new(
        state: TaskState,
        reason: Reason,
        why: impl Into<String>,
    ) -> TerminationReason {
        TerminationReason { state, reason, why: why.into() }
    }
}

/// An executor's container in this life.
#[derive(Clone, Debug)]
pub(crate) struct LiveContainer {
    pub(crate) phase: Phase,
    /// Its newest link, while that stands.
    pub(crate) link: Option<LinkId>,
    /// Tasks to be given to it, in the order of their launch.
    pub(crate) queue: Vec<TaskKey>,
    /// Whether it was ever given a task.
    pub(crate) used: bool,
    /// Volumes that its container may see; they are free again when the container is gone, and not before.
    pub(crate) mounted: BTreeSet<ClaimId>,
    /// Of those, the ones that it was asked to show while it ran, and of which no answer has said yet that it does.
    pub(crate) unproven: BTreeSet<ClaimId>,
    /// How many updates of it are not answered yet.
    pub(crate) updates: u64,
    /// Why it is being ended, if we do it.
    pub(crate) termination: Option<TerminationReason>,
}

impl LiveContainer {
    pub(crate) fn new(phase: Phase) -> LiveContainer {
        LiveContainer {
            phase,
            link: None,
            queue: Vec::new(),
            used: false,
            mounted: BTreeSet::new(),
            unproven: BTreeSet::new(),
            updates: 0,
            termination: None,
        }
    }

    /// Whether it takes tasks.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Ending | Phase::Destroying)
    }
}

/// The link to the master.
#[derive(Debug)]
pub(crate) struct MasterLink {
    pub(crate) link: LinkId,
    /// How many orders came on it: everything that the master sends on a link except [`holdfast_model::Order::Ping`].
    pub(crate) orders_seen: u64,
    /// Whether the master has proved to be of our cluster.
    pub(crate) welcomed: bool,
    /// Orders that came before the welcome; they are obeyed after it.
    pub(crate) early: Vec<ToAgent>,
    /// What a report is wanted for, at the end of the step; `None` within it for news.
    pub(crate) wish: Option<Option<&'static str>>,
    /// Something ended after the report on this link and before its welcome, which nobody tells again.
    pub(crate) untold: bool,
}

/// See the file.
#[derive(Debug, Default)]
pub(crate) struct Soft {
    pub(crate) started: bool,
    /// Changes were made since it was last seen what can go on because of them.
    pub(crate) stirred: bool,
    /// The machine; `None` until its disks are open.
    pub(crate) machine: Option<MachineInfo>,
    /// Its disks, as found.
    pub(crate) disks: Vec<DiskFound>,
    pub(crate) disk_faults: BTreeMap<DiskId, String>,
    /// Claims on whole disks of another size than the claim says, and that size.
    pub(crate) drifts: Vec<(ClaimId, Value)>,
    pub(crate) volume_faults: BTreeMap<ClaimId, String>,
    /// Whether the disks are being opened, for the first time or again.
    pub(crate) opening: bool,
    /// Volumes that the hands were asked to make, and have not answered.
    pub(crate) making: BTreeSet<ClaimId>,
    /// Volumes whose check is under way.
    pub(crate) checking: BTreeSet<ClaimId>,
    /// Whether a check has brought something that the master does not know.
    pub(crate) checks_changed: bool,
    /// The machine with all claims laid on it.
    pub(crate) total: Resources,
    /// Claims that do not fit on the machine.
    pub(crate) misfits: BTreeSet<ClaimId>,
    pub(crate) master: Option<MasterLink>,
    pub(crate) newest_link: Option<LinkId>,
    pub(crate) runs: BTreeMap<ExecutorKey, LiveContainer>,
    pub(crate) executor_links: BTreeMap<LinkId, ExecutorKey>,
    /// Tasks for containers that run already, and the volumes that those must be seen to show first.
    pub(crate) unshown: BTreeMap<TaskKey, BTreeSet<ClaimId>>,
    /// Volumes of an unfinished CREATE that are made while others of the same operation are not.
    pub(crate) made: BTreeSet<ClaimId>,
    pub(crate) alarms: Alarms,
    /// Operations that wait for others, and who asked.
    pub(crate) waiting: Vec<(OperationUuid, String)>,
    /// Launches that wait for operations.
    pub(crate) deferred: Vec<Launch>,
    /// How long tasks may take to end, as their kills said, in milliseconds.
    pub(crate) kill_graces_ms: BTreeMap<TaskKey, u64>,
    /// Frameworks that were shut down; nobody will acknowledge their updates.
    pub(crate) leaving: BTreeSet<FrameworkId>,
    /// Operations that a report of this link called pending.
    pub(crate) reported_pending: BTreeSet<OperationUuid>,
    seen_operations: VecDeque<OperationUuid>,
    seen_statuses: BTreeMap<TaskKey, VecDeque<StatusUuid>>,
}

impl Soft {
    /// As it is right after a restart.
    pub(crate) fn of(ledger: &AgentLedger) -> Soft {
        let mut soft = Soft::default();
        for (key, record) in &ledger.executors {
            let mut run = LiveContainer::new(Phase::Recovering);
            run.mounted.extend(volumes_of(ledger, &record.info.resources));
            soft.runs.insert(key.clone(), run);
        }
        for (key, task) in &ledger.tasks {
            let Some(run) = soft.runs.get_mut(&(task.framework.clone(), task.executor.clone()))
            else {
                continue;
            };
            run.mounted.extend(volumes_of(ledger, &task.info.resources));
            run.used |= task.delivered;
            if !task.delivered && !task.state.is_terminal() {
                run.queue.push(key.clone());
            }
        }
        let waits = ledger
            .operations
            .values()
            .filter(|it| it.state == OperationState::Pending && it.claims.is_empty());
        let by = |it: &holdfast_model::OperationRecord| {
            it.framework.as_ref().map_or_else(|| "operator".to_owned(), ToString::to_string)
        };
        soft.waiting = waits.map(|it| (it.uuid, by(it))).collect();
        soft.stirred = true;
        soft
    }

    /// Notes an operation's name; says whether it is new.
    pub(crate) fn note_operation(&mut self, uuid: OperationUuid) -> bool {
        note(&mut self.seen_operations, uuid, SEEN_OPERATIONS_MAX)
    }

    /// Notes a status's name; says whether it is new.
    pub(crate) fn note_status(&mut self, task: &TaskKey, uuid: StatusUuid) -> bool {
        note(self.seen_statuses.entry(task.clone()).or_default(), uuid, SEEN_STATUSES_MAX)
    }

    /// Forgets what was kept about a task.
    pub(crate) fn forget_task(&mut self, task: &TaskKey) {
        self.seen_statuses.remove(task);
        self.kill_graces_ms.remove(task);
        self.unshown.remove(task);
        self.alarms.clear(&crate::alarms::Alarm::Kill(task.clone()));
        self.alarms.clear(&crate::alarms::Alarm::Update(task.clone()));
    }

    /// When nothing was set for it yet, or something later: sets the alarm.
    pub(crate) fn set_earlier(&mut self, alarm: crate::alarms::Alarm, at: Instant) {
        if self.alarms.at(&alarm).is_none_or(|it| at < it) {
            self.alarms.set(alarm, at);
        }
    }
}

fn note<T: PartialEq>(seen: &mut VecDeque<T>, name: T, max: usize) -> bool {
    if seen.contains(&name) {
        return false;
    }
    if max <= seen.len() {
        seen.pop_front();
    }
    seen.push_back(name);
    true
}

/// The claims behind the volumes among `resources`.
pub(crate) fn volumes_of(ledger: &AgentLedger, resources: &[Resource]) -> Vec<ClaimId> {
    let volumes = resources.iter().filter(|it| it.identity.persistence.is_some());
    volumes
        .filter_map(|it| crate::claims::find_volume(ledger, &it.identity).map(|claim| claim.id))
        .collect()
}
