//! What can happen to an agent, and what it can want done: two closed lists, and nothing else crosses the core's border.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::{
    AddedDisk, AgentChange, AgentId, ClaimId, ClusterId, ContainerId, DiskId, DiskRecord,
    ExecutorCall, ExecutorEvent, ExecutorId, FrameworkId, Instant, LabelledVolume, LinkId,
    MachineInfo, Mode, OpaquePayload, Term, ToAgent, ToMaster, VolumeLimit,
};

/// How a container was found after a restart of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs.
    Running,
    /// It ended while nobody looked.
    Exited(Exit),
    /// It is gone without a word (the machine was restarted, or its keeper was killed); nothing of it runs any more.
    Lost,
}

/// How a container ended. Nothing of it runs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, or 128 + signal.
    pub status: i32,
    /// Whether it was killed for using too much memory.
    pub out_of_memory: bool,
    /// For people.
    pub message: String,
}

/// A disk that the agent's settings name or that an operator added, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFound {
    /// The disk; its id is the one written on it.
    pub disk: DiskRecord,
    /// What is wrong with it; `None` when it is well. An ill disk keeps its claims and gets no new ones.
    pub fault: Option<String>,
    /// The space on its file system; `None` when that is not known, and then nothing bounds what may be claimed of the disk but its size.
    pub space: Option<FoundSpace>,
    /// The path under which an operator added it; `None` for one that the settings name, whatever else does.
    pub added: Option<String>,
}

/// The space on the file system of a disk, in megabytes (2^20 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSpace {
    /// Names the file system; disks with the same name share their space.
    pub file_system: String,
    /// Its size.
    pub total_mb: u64,
    /// What of it is free.
    pub free_mb: u64,
    /// What lies in the trash of the disk and is given back when a volume needs it.
    pub trash_mb: u64,
    /// What of it is kept free of claims.
    pub reserve_mb: u64,
    /// What keeps the disk's volumes to their sizes.
    pub limit: VolumeLimit,
    /// How much of their sizes the disk's volumes use; `None` until they were measured.
    pub used: Option<UsedSpace>,
}

/// How much of their sizes volumes use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedSpace {
    /// What of the file system was free, or would have been given back by the trash, when this was measured, in megabytes.
    pub free_mb: u64,
    /// When.
    pub at: Instant,
    /// Bytes by blocks, by volume.
    pub volumes: Arc<BTreeMap<ClaimId, u64>>,
}

/// What the machine was found to have, once its disks are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Name, port, attributes, and `resources`: what it has before any claim is laid on it.
    pub info: MachineInfo,
    /// Its disks.
    pub disks: Vec<DiskFound>,
}

/// What lies on a disk that was just opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrashFound {
    /// Destroyed volumes in its trash.
    pub trashed: Vec<ClaimId>,
    /// Volumes in their places, by their labels.
    pub volumes: Vec<LabelledVolume>,
    /// Those in either that are images of fixed size.
    pub images: Vec<ClaimId>,
}

/// Everything that can happen to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The first input of each life: what was found of the ledger's containers.
    Started(Vec<(ContainerId, Found)>),
    /// The disks are open (asked for by [`Effect::OpenDisks`]), or one of them changed.
    Opened(Machine),
    /// A link to a master stands; a greater link replaces a lesser one.
    MasterLinked(LinkId),
    /// A link broke.
    MasterLost(LinkId),
    /// A master says.
    FromMaster(LinkId, ToAgent),
    /// An executor says. Its first call on a link is SUBSCRIBE.
    FromExecutor(LinkId, FrameworkId, ExecutorId, ExecutorCall),
    /// An executor's link broke.
    ExecutorLost(LinkId),
    /// The volume's directory exists, whole and labelled, new or back from the trash; or why not.
    VolumeMade(ClaimId, Result<(), String>),
    /// The volume is in the trash, durably; or why not.
    VolumeTrashed(ClaimId, Result<(), String>),
    /// What lies in the trash of a disk, each time that it is opened anew.
    TrashFound(DiskId, TrashFound),
    /// A destroyed volume in the trash of a disk should go: its time is over (`true`), or its space is needed. Answered by
    /// [`Effect::PurgeTrash`], or not at all.
    TrashDue(DiskId, ClaimId, bool),
    /// Nothing is left of a destroyed volume, durably.
    TrashPurged(ClaimId),
    /// Whether the volume can be used now: its disk is there and both labels match.
    VolumeChecked(ClaimId, Result<(), String>),
    /// The container runs; or why not (then nothing of it runs).
    ContainerStarted(ContainerId, Result<(), String>),
    /// An [`Effect::UpdateContainer`] was carried out: for each volume of its plan, whether the container shows it now; or why not
    /// (then nothing is left at its path, unless it was shown before). A volume with two paths is named twice. One answer for each
    /// update, in the order of the updates.
    ContainerUpdated(ContainerId, Vec<(ClaimId, Result<(), String>)>),
    /// The container ended, and nothing of it runs any more.
    ContainerExited(ContainerId, Exit),
    /// Why nothing new may be claimed of this agent, because its own file system is nearly full; `None` once there is room again.
    Room(Option<String>),
    /// Time has passed; see [`crate::Agent::next_deadline`].
    Tick,
}

/// What is written on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeLabel {
    /// Names the directory.
    pub claim: ClaimId,
    /// The disk that carries it.
    pub disk: DiskId,
    /// The framework's or operator's name for it.
    pub persistence: String,
    /// For whom it is reserved.
    pub role: String,
    /// Who created it, if known.
    pub principal: Option<String>,
    /// The claim's generation when the label was written.
    pub generation: u64,
    /// Its size in megabytes (2^20 bytes).
    pub size_mb: u64,
    /// Whether several tasks may use it at a time.
    pub shared: bool,
}

/// What becomes a volume as it is: one that no claim stands for, or a directory; and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The directory that is moved into the volume; `None` when the volume is there.
    pub directory: Option<String>,
    /// The generation that the label of the volume had.
    pub generation: u64,
    /// How much of the space that its claim needs it must use already, in megabytes (2^20 bytes), since it is not free.
    pub own_mb: u64,
}

/// A volume to be seen in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumePlan {
    /// What must be written on it.
    pub label: VolumeLabel,
    /// Where it shows, relative to the sandbox.
    pub container_path: String,
    /// Whether it may be written.
    pub mode: Mode,
    /// It is shared and used by others now, so it is not given to the user of this container.
    pub keeps_owner: bool,
}

/// What runs in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Holdfast's own executor, for one command task.
    CommandExecutor,
    /// Holdfast's own executor, for groups.
    DefaultExecutor,
    /// The framework's executor.
    Custom,
}

/// A container to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPlan {
    /// Its name.
    pub container: ContainerId,
    /// Whose.
    pub framework: FrameworkId,
    /// The executor in it.
    pub executor: ExecutorId,
    /// What runs in it.
    pub payload: Payload,
    /// The executor's whole description, with its command.
    pub info: holdfast_model::ExecutorInfo,
    /// The agent's name, for the executor's environment.
    pub agent: AgentId,
    /// The user to run as, as framework or command say.
    pub user: String,
    /// The role whose resources it uses.
    pub role: String,
    /// Whether it outlives the agent.
    pub checkpoint: bool,
    /// Volumes; each is checked before the container starts.
    pub volumes: Vec<VolumePlan>,
    /// Processor share, in thousandths of a core.
    pub cpus_thousandths: u64,
    /// Memory, in megabytes (2^20 bytes); 0 = no limit.
    pub mem_mb: u64,
    /// The task, for a command executor.
    pub task: Option<OpaquePayload>,
}

/// Everything that an agent can want done. The shell carries effects out in order; a [`Effect::Commit`] is
/// on disk before the next effect begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write these down, durably, all or none. A shell that cannot, dies.
    Commit {
        /// The greatest term heard of, which the changes belong to.
        term: Term,
        /// What to write.
        changes: Vec<AgentChange>,
    },
    /// Tell the master.
    ToMaster(LinkId, ToMaster),
    /// Hang up on a master.
    CloseMaster(LinkId),
    /// Tell an executor.
    ToExecutor(LinkId, ExecutorEvent),
    /// Hang up on an executor.
    CloseExecutor(LinkId),
    /// Open for this cluster the disks that the settings name, and these that were added or may be; those in the first list are known.
    /// Answered by [`Input::Opened`].
    OpenDisks(ClusterId, Vec<DiskRecord>, Vec<AddedDisk>),
    /// Look at the disks that the settings name, and label none: this agent's ledger is new, and what its disks carry is of this cluster.
    /// Answered by [`Input::Opened`], as [`Effect::OpenDisks`] is.
    SurveyDisks(ClusterId),
    /// Make the volume's directory, or find it whole. Idempotent. Answered by [`Input::VolumeMade`].
    MakeVolume(VolumeLabel),
    /// See whether the volume can be used. Answered by [`Input::VolumeChecked`].
    CheckVolume(VolumeLabel),
    /// Move the volume to the trash. Idempotent. Answered by [`Input::VolumeTrashed`].
    TrashVolume(VolumeLabel),
    /// Move the volume back from the trash to its place, or find it there. Idempotent. Answered by [`Input::VolumeMade`].
    RestoreVolume(VolumeLabel),
    /// Give a volume that no claim stands for this label, if it is as it was found, and see whether it can be used; or move a directory into a
    /// volume of this label. Makes nothing empty.
    /// Idempotent. Answered by [`Input::VolumeMade`].
    AdoptVolume(VolumeLabel, Adopted),
    /// A volume has the size that its label says, whatever it had before: what its driver keeps ready for it, and what holds it to its
    /// size, have to follow. Its label on the disk stays as it was. Idempotent; not answered.
    ResizeVolume(VolumeLabel),
    /// Remove a destroyed volume from the trash of a disk. Idempotent. Answered by [`Input::TrashPurged`], which may take long.
    PurgeTrash(DiskId, ClaimId),
    /// Check the volumes, then start the container. Idempotent. Answered by [`Input::ContainerStarted`], later [`Input::ContainerExited`].
    StartContainer(Box<ContainerPlan>),
    /// Widen or narrow a running container, as far as the machine can, and show it those volumes that it does not see yet, each after
    /// a check. Takes no volume away. Answered by [`Input::ContainerUpdated`].
    UpdateContainer(Box<ContainerPlan>),
    /// Kill everything in the container. Answered by [`Input::ContainerExited`] once nothing of it runs.
    DestroyContainer(ContainerId),
    /// Nobody needs the remains of this container; its sandbox stays for people, until it is old.
    ForgetContainer(ContainerId),
    /// Worth telling a person.
    Log(String),
}
