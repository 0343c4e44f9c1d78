//! What an agent must not forget: the fold of typed changes, each of which puts or removes one record.
//!
//! Memory and disk cannot disagree, because both are folds of the same changes. Nothing here is
//! deleted because time passed; a volume's record ends only after its owner destroyed it.

mod index;

use std::collections::BTreeMap;

pub use self::index::ClaimedSpace;
use self::index::LedgerIndex;
use crate::added_disk::AddedDisk;
use crate::claim::{Claim, Ownership};
use crate::framework::FrameworkInfo;
use crate::id::{
    AgentId, ClaimId, ClusterId, ContainerId, DiskId, ExecutorId, FrameworkId, Instant, NodeId,
    OperationUuid, PersistenceId, StatusUuid, TaskId, Term,
};
use crate::message::OperationState;
use crate::moved_disk::LeftPlace;
use crate::operation::Operation;
use crate::resource::{Identity, Source, SourceKind};
use crate::role::Role;
use crate::shared_map::SharedMap;
use crate::task::{ExecutorInfo, TaskInfo, TaskState, TaskStatus};
use crate::trash::TrashedVolume;

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentIdentity {
    /// Names this machine's agent for the life of this ledger.
    pub node: NodeId,
    /// Its name in the cluster; `None` before the first registration.
    pub agent: Option<AgentId>,
    /// The cluster that its disks belong to; `None` before the first registration.
    pub cluster: Option<ClusterId>,
    /// The greatest term heard of.
    pub term: Term,
    /// Counts commits.
    pub version: u64,
    /// Counts changes of claims: each that is new, gone, or of another generation is one.
    pub claims_generation: u64,
    /// The chained checksum of all commits up to that version; 0 in a ledger that an older version wrote last.
    pub checksum: u64,
}

/// A moment in the history of an agent's ledger. Two ledgers of one version are the same only if their checksums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerPoint {
    /// How many commits the ledger had seen.
    pub version: u64,
    /// The chained checksum of all of them.
    pub checksum: u64,
}

/// What kind of place a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskKind {
    /// The agent's own file system.
    Root,
    /// A shared directory.
    Path,
    /// A whole file system.
    Mount,
}

/// A disk of this agent, by the label that is written on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskRecord {
    /// The name that is written on the disk.
    pub id: DiskId,
    /// Whether it is the agent's own file system, a shared directory or a whole file system.
    pub kind: DiskKind,
    /// The absolute path where it is mounted or lies.
    pub root: String,
    /// Its size in megabytes (2^20 bytes), as configured.
    pub size_mb: u64,
}

impl DiskRecord {
    /// Where it lies, as resources say it; `None` for ROOT.
    pub fn source(&self) -> Option<Source> {
        match self.kind {
            DiskKind::Root => None,
            DiskKind::Path => Some(Source::path(&self.root)),
            DiskKind::Mount => Some(Source::mount(&self.root)),
        }
    }

    /// Whether what has this identity is a part of this disk.
    pub fn carries(&self, identity: &Identity) -> bool {
        if identity.name != "disk" || identity.provider.is_some() {
            return false;
        }
        let Some(source) = &identity.source else { return self.kind == DiskKind::Root };
        let same_kind = matches!(
            (source.kind, self.kind),
            (SourceKind::Path, DiskKind::Path) | (SourceKind::Mount, DiskKind::Mount)
        );
        same_kind && source.root.as_deref() == Some(self.root.as_str())
    }
}

/// The name of an executor on an agent.
pub type ExecutorKey = (FrameworkId, ExecutorId);

/// The name of a task on an agent.
pub type TaskKey = (FrameworkId, TaskId);

/// An executor and its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorRecord {
    /// The framework that it works for.
    pub framework: FrameworkId,
    /// As described; for commands, made up by the agent.
    pub info: ExecutorInfo,
    /// The container that it lives in.
    pub container: ContainerId,
    /// Whether Holdfast's own command executor runs it.
    pub command: bool,
    /// Whether it ever subscribed.
    pub registered: bool,
    /// When its container was asked for.
    pub launched: Instant,
    /// The role whose resources it was launched with.
    pub role: Role,
}

impl ExecutorRecord {
    /// Its name.
    pub fn key(&self) -> ExecutorKey {
        (self.framework.clone(), self.info.id.clone())
    }
}

/// A task, from its acceptance until its last update is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// The framework that launched it.
    pub framework: FrameworkId,
    /// As the framework described it.
    pub info: TaskInfo,
    /// The executor that runs it.
    pub executor: ExecutorId,
    /// The newest state.
    pub state: TaskState,
    /// The newest status.
    pub latest: Option<TaskStatus>,
    /// Statuses that the framework has not acknowledged yet, oldest first.
    pub updates: Vec<TaskStatus>,
    /// Whether the executor was given it.
    pub delivered: bool,
    /// Whether somebody asked for its end.
    pub killed: bool,
    /// The role whose resources it was launched with.
    pub role: Role,
    /// The group it was launched in.
    pub group: Option<String>,
}

impl TaskRecord {
    /// Its name.
    pub fn key(&self) -> TaskKey {
        (self.framework.clone(), self.info.id.clone())
    }

    /// The name of its executor.
    pub fn executor_key(&self) -> ExecutorKey {
        (self.framework.clone(), self.executor.clone())
    }
}

/// An operation, until its outcome is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// The name that the master gave it.
    pub uuid: OperationUuid,
    /// The framework that asked for it; `None` for an operator.
    pub framework: Option<FrameworkId>,
    /// What was asked for.
    pub operation: Operation,
    /// Where it is in its life.
    pub state: OperationState,
    /// Why, when it failed.
    pub message: Option<String>,
    /// Names its status; `None` while pending.
    pub status: Option<StatusUuid>,
    /// The claims that it makes, changes or ends.
    pub claims: Vec<ClaimId>,
    /// Those that it ended, as they were at their end, which is the last event of their history.
    pub endings: Vec<Claim>,
    /// The volumes that are made for it before any of it is done; nobody has them, and nothing of it is done, as long as there are any.
    pub making: Vec<ClaimId>,
    /// Whose claims it may take from; `None` when an older master ordered it.
    pub ownership: Option<Ownership>,
}

/// A change of an agent's ledger: one record put or removed.
#[allow(clippy::large_enum_variant, reason = "changes are few, and live only until their commit")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentChange {
    /// Who it is.
    Identity(AgentIdentity),
    /// A disk.
    Disk(DiskRecord),
    /// A disk was taken out of the configuration (only when no claim lies on it).
    DiskGone(DiskId),
    /// A claim.
    Claim(Claim),
    /// A claim ended: a reservation undone, or a volume destroyed and in the trash.
    ClaimGone(ClaimId),
    /// A framework with something here.
    Framework(FrameworkInfo),
    /// A framework has nothing here any more.
    FrameworkGone(FrameworkId),
    /// An executor.
    Executor(ExecutorRecord),
    /// An executor's container is gone.
    ExecutorGone(ExecutorKey),
    /// A task.
    Task(TaskRecord),
    /// A task's last update was acknowledged.
    TaskGone(TaskKey),
    /// An operation.
    Operation(OperationRecord),
    /// An operation's outcome was acknowledged, or nobody waits for it.
    OperationGone(OperationUuid),
    /// A destroyed volume lies in the trash.
    Trashed(TrashedVolume),
    /// It is there no more: removed, or brought back.
    TrashGone(ClaimId),
    /// An operator added a disk.
    DiskAdded(AddedDisk),
    /// An operator took the disk that was added at this path away.
    DiskRemoved(String),
    /// A disk has left a place, and its claims with it.
    PlaceLeft(LeftPlace),
    /// What lies at this path may be a disk again.
    PlaceFreed(String),
    /// The masters may have acknowledged the ledger as it was then.
    Point(LedgerPoint),
    /// They have acknowledged a later version.
    PointGone(u64),
}

/// What of an agent survives a crash. A clone shares what did not change since.
///
/// Rows are read as they like, and put in and taken out by [`AgentLedger::apply`] alone, which keeps what finds them by other things than
/// their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLedger {
    /// Who it is.
    pub identity: AgentIdentity,
    /// Its disks.
    pub disks: SharedMap<DiskId, DiskRecord>,
    /// What is claimed of it.
    pub claims: SharedMap<ClaimId, Claim>,
    /// Frameworks with something here.
    pub frameworks: SharedMap<FrameworkId, FrameworkInfo>,
    /// Executors whose containers may live.
    pub executors: SharedMap<ExecutorKey, ExecutorRecord>,
    /// Tasks not yet forgotten.
    pub tasks: SharedMap<TaskKey, TaskRecord>,
    /// Operations not yet forgotten.
    pub operations: SharedMap<OperationUuid, OperationRecord>,
    /// Destroyed volumes in the trash of its disks. One whose claim is there, too, is being brought back.
    pub trash: SharedMap<ClaimId, TrashedVolume>,
    /// The disks that operators added, by their paths. The agent has them beside those that its settings name.
    pub added_disks: SharedMap<String, AddedDisk>,
    /// The places that its disks have left, by their paths.
    pub left_places: SharedMap<String, LeftPlace>,
    /// The checksums of the versions that the masters may have acknowledged, by version.
    pub points: BTreeMap<u64, u64>,
    index: LedgerIndex,
}

impl AgentLedger {
    /// The empty ledger of a new agent.
    pub fn new(node: NodeId) -> AgentLedger {
        AgentLedger {
            identity: AgentIdentity {
                node,
                agent: None,
                cluster: None,
                term: Term::default(),
                version: 0,
                claims_generation: 0,
                checksum: 0,
            },
            disks: SharedMap::new(),
            claims: SharedMap::new(),
            frameworks: SharedMap::new(),
            executors: SharedMap::new(),
            tasks: SharedMap::new(),
            operations: SharedMap::new(),
            trash: SharedMap::new(),
            added_disks: SharedMap::new(),
            left_places: SharedMap::new(),
            points: BTreeMap::new(),
            index: LedgerIndex::default(),
        }
    }

    /// The claims with exactly this identity, which has no allocation, in the order of their ids.
    pub fn claims_with(&self, identity: &Identity) -> impl Iterator<Item = &Claim> {
        self.index.claims.of(identity).map(|it| &self.claims[it])
    }

    /// The claims of all volumes that bear this name in a role, whatever their state.
    pub fn volumes_named(&self, role: Role, id: PersistenceId) -> impl Iterator<Item = &Claim> {
        self.index.volumes.of(&(role, id)).map(|it| &self.claims[it])
    }

    /// Of which disks something is claimed, as they were before any claim was laid on them, and how much.
    pub fn claimed_space(&self) -> impl Iterator<Item = (&Identity, &ClaimedSpace)> {
        self.index.space.iter()
    }

    /// The unsettled operations that change a claim.
    pub fn operations_on(&self, claim: ClaimId) -> impl Iterator<Item = &OperationRecord> {
        self.index.operations.of(&claim).map(|it| &self.operations[it])
    }

    /// The executor whose container this is.
    pub fn executor_in(&self, container: ContainerId) -> Option<&ExecutorRecord> {
        let key = self.index.executors.of(&container).next()?;
        Some(&self.executors[key])
    }

    /// The tasks of an executor, in the order of their ids.
    pub fn tasks_of(&self, key: &ExecutorKey) -> impl Iterator<Item = &TaskRecord> {
        self.index.tasks.of(key).map(|it| &self.tasks[it])
    }

    /// The tasks that use a volume, whose identity is given without allocation.
    pub fn tasks_with(&self, volume: &Identity) -> impl Iterator<Item = &TaskRecord> {
        self.index.tasks_of_volume.of(volume).map(|it| &self.tasks[it])
    }

    /// The executors that use a volume themselves.
    pub fn executors_with(&self, volume: &Identity) -> impl Iterator<Item = &ExecutorRecord> {
        self.index.executors_of_volume.of(volume).map(|it| &self.executors[it])
    }

    /// Folds one change in.
    ///
    /// # Panics
    /// When a state would go backwards: that is a bug, and going on would put it on disk.
    pub fn apply(&mut self, change: &AgentChange) {
        match change.clone() {
            AgentChange::Identity(identity) => {
                assert!(self.identity.term <= identity.term, "terms only grow");
                self.identity = identity;
            }
            AgentChange::Disk(disk) => drop(self.disks.insert(disk.id, disk)),
            AgentChange::DiskGone(disk) => drop(self.disks.remove(&disk)),
            AgentChange::Claim(claim) => self.put_claim(claim),
            AgentChange::ClaimGone(claim) => {
                if let Some(gone) = self.claims.remove(&claim) {
                    self.index.remove_claim(&gone);
                }
            }
            AgentChange::Framework(info) => {
                let id = info.id.clone().expect("a framework on an agent has its id");
                self.frameworks.insert(id, info);
            }
            AgentChange::FrameworkGone(framework) => drop(self.frameworks.remove(&framework)),
            AgentChange::Executor(executor) => self.put_executor(executor),
            AgentChange::ExecutorGone(key) => {
                if let Some(gone) = self.executors.remove(&key) {
                    self.index.remove_executor(&gone);
                }
            }
            AgentChange::Task(task) => self.put_task(task),
            AgentChange::TaskGone(key) => {
                if let Some(gone) = self.tasks.remove(&key) {
                    self.index.remove_task(&gone);
                }
            }
            AgentChange::Operation(operation) => self.put_operation(operation),
            AgentChange::OperationGone(uuid) => {
                if let Some(gone) = self.operations.remove(&uuid) {
                    self.index.remove_operation(&gone);
                }
            }
            AgentChange::Trashed(volume) => self.put_trashed(volume),
            AgentChange::TrashGone(claim) => drop(self.trash.remove(&claim)),
            AgentChange::DiskAdded(disk) => drop(self.added_disks.insert(disk.root.clone(), disk)),
            AgentChange::DiskRemoved(root) => drop(self.added_disks.remove(&root)),
            AgentChange::PlaceLeft(place) => {
                self.left_places.insert(place.root.clone(), place);
            }
            AgentChange::PlaceFreed(root) => drop(self.left_places.remove(&root)),
            AgentChange::Point(point) => {
                self.points.insert(point.version, point.checksum);
            }
            AgentChange::PointGone(version) => drop(self.points.remove(&version)),
        }
    }

    fn put_claim(&mut self, claim: Claim) {
        let old = self.claims.get(&claim.id);
        if let Some(old) = old {
            assert!(
                old.state <= claim.state && old.generation <= claim.generation,
                "a claim only goes forward"
            );
        }
        if old.is_none_or(|it| it.resource != claim.resource) {
            if let Some(old) = old {
                self.index.remove_claim(old);
            }
            self.index.add_claim(&claim);
        }
        self.claims.insert(claim.id, claim);
    }

    fn put_trashed(&mut self, volume: TrashedVolume) {
        let old = self.trash.get(&volume.claim.id);
        assert!(old.is_none_or(|it| it.purging <= volume.purging), "a removal is not undone");
        self.trash.insert(volume.claim.id, volume);
    }

    fn put_executor(&mut self, executor: ExecutorRecord) {
        let key = executor.key();
        let is_same = |old: &ExecutorRecord| {
            old.container == executor.container && old.info.resources == executor.info.resources
        };
        let old = self.executors.get(&key);
        if !old.is_some_and(is_same) {
            if let Some(old) = old {
                self.index.remove_executor(old);
            }
            self.index.add_executor(&executor);
        }
        self.executors.insert(key, executor);
    }

    fn put_task(&mut self, task: TaskRecord) {
        let key = task.key();
        let old = self.tasks.get(&key);
        if let Some(old) = old {
            assert!(!old.state.is_terminal() || old.state == task.state, "a task ends once");
        }
        let is_same = |old: &TaskRecord| {
            old.executor == task.executor && old.info.resources == task.info.resources
        };
        if !old.is_some_and(is_same) {
            if let Some(old) = old {
                self.index.remove_task(old);
            }
            self.index.add_task(&task);
        }
        self.tasks.insert(key, task);
    }

    fn put_operation(&mut self, operation: OperationRecord) {
        if let Some(old) = self.operations.get(&operation.uuid) {
            self.index.remove_operation(old);
        }
        self.index.add_operation(&operation);
        self.operations.insert(operation.uuid, operation);
    }
}
