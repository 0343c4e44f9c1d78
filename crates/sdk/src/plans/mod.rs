//! Plans: what is to be done to a service, in phases of steps, durable before anything of it is done.
//!
//! A step is an intent that is written down, an act that may be repeated, and what is then observed;
//! after a crash only observation decides. What is not known stops the plan, and asks.

mod make;

pub(crate) use make::{
    decommission, deploy, ending_with, of_hooks, recover, replace, restart, uninstall, update,
    PlanRequest, Rolled,
};

use std::fmt;

use holdfast_model::{Instant, TaskId};

use crate::pods::MemberId;

/// The kinds of plans. Of each kind the last plan is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanKind {
    /// The first start of all members.
    Deploy,
    /// Another spec.
    Update,
    /// Members are started anew, on their volumes.
    Restart,
    /// A member gets new volumes; the old ones are kept until they are released.
    Replace,
    /// Members are added.
    Scale,
    /// Members are taken away.
    Decommission,
    /// A member whose agent is lost is replaced, by its pod's policy.
    Recover,
    /// All members are stopped, and their claims released.
    Uninstall,
    /// The author's backup.
    Backup,
    /// The author's restoration of a backup.
    Restore,
    /// The author's repair of what copies of the data have come to differ in.
    Repair,
}

impl PlanKind {
    /// All kinds.
    pub const ALL: [PlanKind; 11] = [
        PlanKind::Deploy,
        PlanKind::Update,
        PlanKind::Restart,
        PlanKind::Replace,
        PlanKind::Scale,
        PlanKind::Decommission,
        PlanKind::Recover,
        PlanKind::Uninstall,
        PlanKind::Backup,
        PlanKind::Restore,
        PlanKind::Repair,
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            PlanKind::Deploy => "deploy",
            PlanKind::Update => "update",
            PlanKind::Restart => "restart",
            PlanKind::Replace => "replace",
            PlanKind::Scale => "scale",
            PlanKind::Decommission => "decommission",
            PlanKind::Recover => "recover",
            PlanKind::Uninstall => "uninstall",
            PlanKind::Backup => "backup",
            PlanKind::Restore => "restore",
            PlanKind::Repair => "repair",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<PlanKind> {
        PlanKind::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether another spec takes its place while it is under way.
    pub fn gives_way(self) -> bool {
        matches!(self, PlanKind::Deploy | PlanKind::Update | PlanKind::Scale)
    }
}

impl fmt::Display for PlanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// What a plan is but for its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanHead {
    /// The kind.
    pub kind: PlanKind,
    /// The number of the plan among those of its kind.
    pub serial: u64,
    /// Who asked for it.
    pub asked: Signed,
    /// Who paused it, if it is paused.
    pub paused: Option<Signed>,
    /// Who ended it before it was complete.
    pub ended: Option<Signed>,
    /// The phases, without their steps.
    pub phases: Vec<PhaseHead>,
}

/// A phase but for its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseHead {
    /// The name.
    pub name: String,
    /// Whether its steps are done all at once.
    pub is_parallel: bool,
    /// Whether the plan pauses before it.
    pub is_gated: bool,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it is but for its steps.
    pub head: PlanHead,
    /// The steps of each phase.
    pub steps: Vec<Vec<Step>>,
}

/// The place of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepKey {
    /// The plan.
    pub plan: PlanKind,
    /// The number of the plan among those of its kind.
    pub serial: u64,
    /// The number of the phase.
    pub phase: usize,
    /// The number of the step in its phase.
    pub index: usize,
}

/// What a step does to its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is started, with a claim of its own.
    Launch,
    /// Its task is ended and started anew by the new spec, on the same volumes.
    Update,
    /// Its task is ended and started anew, on the same volumes.
    Restart,
    /// Its task is ended, and it stays down.
    Stop,
    /// It is started on new volumes; the claim that it had is kept.
    Place,
    /// The claim that it had is given up, once it is said not to be needed any more.
    Release,
    /// As [`Act::Release`], without asking again.
    GiveUp,
    /// What the author's hooks do under this name.
    Hook(String),
}

impl Act {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Act::Launch => "launch",
            Act::Update => "update",
            Act::Restart => "restart",
            Act::Stop => "stop",
            Act::Place => "place",
            Act::Release => "release",
            Act::GiveUp => "give-up",
            Act::Hook(name) => name,
        }
    }

    /// Whether it changes who belongs to the service, so that no other such step may be under way.
    pub fn is_topology(&self) -> bool {
        !matches!(self, Act::Launch | Act::Update | Act::Restart)
    }
}

/// What was written down before a step was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The task that the member had, which is the one to be ended.
    pub task: Option<TaskId>,
    /// How many tasks the member had been given.
    pub launches: u64,
}

/// How far a step has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It has not begun.
    Pending,
    /// It has begun, or is about to.
    Begun(Intent),
    /// It is stopped, and waits for `retry` or `force-complete`.
    Failed {
        /// Why.
        why: String,
        /// What was written down, if it had begun.
        intent: Option<Intent>,
    },
    /// It is done, as was observed.
    Done,
    /// Somebody says that it is done.
    Forced(Signed),
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whom it concerns.
    pub member: MemberId,
    /// What it does.
    pub act: Act,
    /// How far it has come.
    pub state: StepState,
    /// Who had it tried again last.
    pub retried: Option<Signed>,
}

impl Step {
    /// A step that has not begun.
    pub fn new(member: MemberId, act: Act) -> Step {
        Step { member, act, state: StepState::Pending, retried: None }
    }

    /// The name, unique in its plan but for repeated acts on one member.
    pub fn name(&self) -> String {
        format!("{}:{}", self.member, self.act.name())
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.state, StepState::Done | StepState::Forced(_))
    }

    /// What was written down before it was begun, while it is not over.
    pub fn intent(&self) -> Option<&Intent> {
        match &self.state {
            StepState::Begun(intent) => Some(intent),
            StepState::Failed { intent, .. } => intent.as_ref(),
            _ => None,
        }
    }
}

/// The state of a plan, a phase or a step for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing of it has begun.
    Pending,
    /// It is under way.
    InProgress,
    /// It is paused.
    Waiting,
    /// It is done.
    Complete,
    /// It has stopped, and asks.
    Error(String),
}

impl Status {
    /// The name, as it is served.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::InProgress => "IN_PROGRESS",
            Status::Waiting => "WAITING",
            Status::Complete => "COMPLETE",
            Status::Error(_) => "ERROR",
        }
    }
}

impl Step {
    /// Its state for people.
    pub fn status(&self) -> Status {
        match &self.state {
            StepState::Pending => Status::Pending,
            StepState::Begun(_) => Status::InProgress,
            StepState::Failed { why, .. } => Status::Error(why.clone()),
            StepState::Done | StepState::Forced(_) => Status::Complete,
        }
    }
}

impl Plan {
    /// A plan without steps yet.
    pub fn new(head: &PlanHead) -> Plan {
        Plan { steps: vec![Vec::new(); head.phases.len()], head: head.clone() }
    }

    /// Puts another head on; that of another plan comes without steps.
    pub(crate) fn set_head(&mut self, head: &PlanHead) {
        if head.serial != self.head.serial {
            *self = Plan::new(head);
        }
        self.head = head.clone();
    }

    /// Puts a step in its place; one of another plan is none of this one's.
    pub(crate) fn set_step(&mut self, key: &StepKey, step: &Step) {
        if key.serial != self.head.serial {
            return;
        }
        let Some(steps) = self.steps.get_mut(key.phase) else { return };
        match steps.get_mut(key.index) {
            Some(place) => *place = step.clone(),
            None => steps.push(step.clone()),
        }
    }

    /// All steps with their places.
    pub fn all_steps(&self) -> impl Iterator<Item = (StepKey, &Step)> {
        let (plan, serial) = (self.head.kind, self.head.serial);
        self.steps.iter().enumerate().flat_map(move |(phase, steps)| {
            steps
                .iter()
                .enumerate()
                .map(move |(index, it)| (StepKey { plan, serial, phase, index }, it))
        })
    }

    /// The step in a place.
    pub fn step(&self, phase: usize, index: usize) -> Option<&Step> {
        self.steps.get(phase)?.get(index)
    }

    /// The step of that name that is not over, or else the last of that name.
    pub fn step_named(&self, name: &str) -> Option<(StepKey, &Step)> {
        let mut named = self.all_steps().filter(|(_, it)| it.name() == name);
        let first = named.next()?;
        if first.1.is_over() {
            return named.find(|(_, it)| !it.is_over()).or(Some(first));
        }
        Some(first)
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.head.ended.is_some() || self.steps.iter().flatten().all(Step::is_over)
    }

    /// The state of a phase for people.
    pub fn phase_status(&self, phase: usize) -> Status {
        status_of(self.steps.get(phase).into_iter().flatten(), self.head.paused.is_some())
    }

    /// Its state for people.
    pub fn status(&self) -> Status {
        if self.head.ended.is_some() {
            return Status::Complete;
        }
        status_of(self.steps.iter().flatten(), self.head.paused.is_some())
    }
}

fn status_of<'a>(steps: impl Iterator<Item = &'a Step> + Clone, is_paused: bool) -> Status {
    let failed = steps.clone().find_map(|it| match &it.state {
        StepState::Failed { why, .. } => Some(format!("{}: {why}", it.name())),
        _ => None,
    });
    if let Some(why) = failed {
        return Status::Error(why);
    }
    if steps.clone().all(Step::is_over) {
        return Status::Complete;
    }
    if is_paused {
        return Status::Waiting;
    }
    match steps.clone().all(|it| it.state == StepState::Pending) {
        true => Status::Pending,
        false => Status::InProgress,
    }
}
