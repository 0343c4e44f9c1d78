//! What a master believes besides its ledger: forgotten in a crash, learnt again from agents and frameworks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_allocator::RoleView;
use holdfast_model::{
    AgentId, ClaimAction, ClaimId, DiskReport, ExecutorId, ExecutorKey, FrameworkId, FrameworkInfo,
    Instant, LinkId, MachineInfo, Offer, OpaquePayload, OperationUuid, Order, Resources, Role,
    TaskId, TaskKey, TaskState, TaskStatus,
};

use crate::step::RequestId;
use crate::withhold::Withheld;

/// How the master stands with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentHealth {
    /// Connected, and its last report was believed.
    Well,
    /// Connected; it was asked to tell everything again.
    Resyncing,
    /// Connected, but it has not joined yet (its disks are being opened).
    Joining,
    /// Not connected since then.
    Away(Instant),
    /// It has lost data, or belongs elsewhere; it is not believed.
    Fenced(String),
}

/// What the master believes of an agent.
#[derive(Clone, Debug)]
pub struct AgentState {
    /// The link it speaks on.
    pub link: Option<LinkId>,
    /// How it stands.
    pub health: AgentHealth,
    /// Orders sent on this link, pings not counted.
    pub orders_sent: u64,
    /// `orders_sent` when it was last asked to tell everything again, while the answer is still to come.
    pub asked: Option<u64>,
    /// Orders that wait for that answer: were they sent, it would be out of date when it comes.
    pub held_back: Vec<Order>,
    /// Tasks that were forgotten since it was asked, which the answer may still name.
    pub forgotten: BTreeSet<TaskKey>,
    /// Whether it has told this leader what it has.
    pub heard: bool,
    /// Since when it is expected; means nothing while it is connected.
    pub away_since: Instant,
    /// The machine, as last reported.
    pub machine: MachineInfo,
    /// Disks, as last reported.
    pub disks: Vec<DiskReport>,
    /// Claims that cannot be used now, and why.
    pub faults: BTreeMap<ClaimId, String>,
    /// The agent's version.
    pub version: String,
    /// All it has, claims laid on it, as far as we know.
    pub total: Resources,
    /// What tasks, executors and offers hold of it, without allocations.
    pub held: Resources,
    /// What is in the total and not to be offered yet, by the first of the operations that were sent together.
    pub withheld: BTreeMap<OperationUuid, Withheld>,
    /// Its tasks.
    pub tasks: BTreeSet<TaskKey>,
    /// Its tasks whose names belong to tasks of other agents, with what they use, without allocations.
    pub strays: BTreeMap<TaskKey, Resources>,
    /// Operations that it was told to forget, the newest last.
    pub acknowledged: VecDeque<OperationUuid>,
    /// Its executors with what they use themselves.
    pub executors: BTreeMap<ExecutorKey, ExecutorView>,
    /// Offers of it.
    pub offers: BTreeSet<holdfast_model::OfferId>,
    /// When it was seen first and last (re)registered.
    pub registered: Instant,
    /// When it last (re)registered.
    pub reregistered: Instant,
    /// The last ping, and how many in a row were not answered.
    pub ping: (u64, u32),
}

/// What the master believes of an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorView {
    /// What it uses itself, allocated.
    pub resources: Resources,
    /// The whole description, as received.
    pub payload: OpaquePayload,
    /// Whether Holdfast's own command executor runs it.
    pub command: bool,
}

/// What the master believes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Whose.
    pub framework: FrameworkId,
    /// Which.
    pub id: TaskId,
    /// For people.
    pub name: String,
    /// Where.
    pub agent: AgentId,
    /// In which executor.
    pub executor: ExecutorId,
    /// What it uses, allocated.
    pub resources: Resources,
    /// The newest state.
    pub state: TaskState,
    /// The newest status that was sent or could have been.
    pub latest: Option<TaskStatus>,
    /// The whole description, as received.
    pub payload: OpaquePayload,
}

/// What the master believes of a framework that is, or may come back.
#[derive(Clone, Debug)]
pub struct FrameworkState {
    /// As it described itself last.
    pub info: FrameworkInfo,
    /// The link it is subscribed on.
    pub link: Option<LinkId>,
    /// Its roles with what it holds for each.
    pub roles: Vec<RoleView>,
    /// Its offers.
    pub offers: BTreeSet<holdfast_model::OfferId>,
    /// When it (re)subscribed last.
    pub subscribed: Instant,
}

/// An offer and when it ends.
#[derive(Clone, Debug)]
pub struct OfferRecord {
    /// The offer.
    pub offer: Offer,
    /// When it was made.
    pub made: Instant,
}

/// An operation that an agent has yet to settle, or a framework to acknowledge.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// Whose; `None` for an operator's.
    pub framework: Option<FrameworkId>,
    /// The framework's name for it.
    pub id: Option<String>,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub action: ClaimAction,
    /// The operator who waits for it.
    pub request: Option<RequestId>,
    /// Its latest status; `None` while it is under way. Kept until the framework has acknowledged it.
    pub settled: Option<holdfast_model::OperationStatus>,
}

/// What can be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// An offer was not answered.
    Offer(holdfast_model::OfferId),
    /// A framework did not come back.
    Framework(FrameworkId),
    /// An agent did not come back.
    Agent(AgentId),
    /// Time to ask whether an agent hears us.
    Ping(AgentId, LinkId),
}

/// A task that has ended and been acknowledged, for people.
pub const COMPLETED_TASKS_MAX: usize = 1000;

impl TaskView {
    /// Its name.
    pub fn key(&self) -> TaskKey {
        (self.framework.clone(), self.id.clone())
    }

    /// Whether what it uses is counted as held: it lives, and its agent can be reached.
    pub fn holds(&self) -> bool {
        !self.state.is_terminal() && self.state != TaskState::Unreachable
    }
}

impl AgentState {
    /// An agent that is expected but has not spoken yet.
    pub(crate) fn away(now: Instant) -> AgentState {
        AgentState {
            link: None,
            health: AgentHealth::Away(now),
            orders_sent: 0,
            asked: None,
            held_back: Vec::new(),
            forgotten: BTreeSet::new(),
            heard: false,
            away_since: now,
            machine: MachineInfo::default(),
            disks: Vec::new(),
            faults: BTreeMap::new(),
            version: String::new(),
            total: Resources::new(),
            held: Resources::new(),
            withheld: BTreeMap::new(),
            tasks: BTreeSet::new(),
            strays: BTreeMap::new(),
            acknowledged: VecDeque::new(),
            executors: BTreeMap::new(),
            offers: BTreeSet::new(),
            registered: now,
            reregistered: now,
            ping: (0, 0),
        }
    }

    /// What is neither used nor offered nor on its way.
    pub fn free(&self) -> Resources {
        let mut free = self.total.clone();
        free.subtract_all(&self.held);
        self.withheld.values().for_each(|it| free.subtract_all(&it.what));
        free
    }
}

/// Operations by the name that their framework gave them.
pub type OperationNames = BTreeMap<(FrameworkId, String), OperationUuid>;

/// What a framework holds for a role it no longer names is still counted there.
pub fn role_view(role: &Role, suppressed: bool) -> RoleView {
    RoleView { role: role.clone(), suppressed, allocated: BTreeMap::new(), min_allocatable: None }
}
