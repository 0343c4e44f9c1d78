//! What the author of a service may decide beside its spec.
//!
//! Every hook has a default, so that a spec needs no code. Hooks answer at once, from what they know:
//! whoever has to ask a database does it beside the keeper, and tells with [`crate::Input::Poke`]
//! that there are news.

use super::ledger::ServiceLedger;
use super::member::{KeptClaim, MemberId, PodMember};
use crate::plans::{PlanKind, Step};
use crate::spec::{Refusal, ServiceSpec, TaskSpec};

/// Whether something may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Yes,
    /// Not yet, and why; it is asked again.
    NotYet(String),
    /// Only when a person says so, and why.
    Ask(String),
    /// It is so already, and why; a step counts as done then.
    Needless(String),
}

/// What is seen of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It is done.
    Done,
    /// It is under way; what it waits for.
    Running(String),
    /// Nothing of it was done: the act may be done, again.
    NotBegun,
    /// Nobody knows; the plan stops, and asks.
    Unknown(String),
}

/// A service as its hooks see it.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    /// The spec to reach.
    pub spec: &'a ServiceSpec,
    /// Members and plans.
    pub ledger: &'a ServiceLedger,
}

impl<'a> ServiceView<'a> {
    /// A member.
    pub fn member(&self, id: &MemberId) -> Option<&'a PodMember> {
        self.ledger.members.get(id)
    }

    /// The members of a pod that have a place, by number.
    pub fn placed(&self, pod: &str) -> impl Iterator<Item = &'a PodMember> {
        let from = MemberId::new(pod, 0)..=MemberId::new(pod, u32::MAX);
        self.ledger.members.range(from).map(|it| it.1).filter(|it| it.agent.is_some())
    }
}

/// What an author may decide beside the spec.
pub trait Hooks {
    /// The task as this member shall run it, given all members and their addresses: another command,
    /// more variables, other files.
    fn task(&self, _service: &ServiceView<'_>, _member: &PodMember, task: TaskSpec) -> TaskSpec {
        task
    }

    /// Whether the command of this task is an executor of its own, which runs the task and reports
    /// how it is. The checks that the spec has of such a task are its executor's to do.
    fn is_executor(&self, _member: &PodMember, _task: &TaskSpec) -> bool {
        false
    }

    /// What is to be said to the executors of members now; asked for once after each input. Nobody
    /// acknowledges a message: whoever waits for an answer says it again.
    fn say(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        Vec::new()
    }

    /// Called with a message of a member's executor. What it returns is kept as the member's note,
    /// durably.
    fn heard(&mut self, _member: &PodMember, _data: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Whether this task of the member may be started now.
    fn may_start(
        &self,
        _service: &ServiceView<'_>,
        _member: &PodMember,
        _task: &TaskSpec,
    ) -> Verdict {
        Verdict::Yes
    }

    /// Whether a step may begin now: what must hold before a member is stopped, or who belongs to
    /// the service changes.
    fn may_begin(&self, _service: &ServiceView<'_>, _step: &Step) -> Verdict {
        Verdict::Yes
    }

    /// Whose step comes before this one, of those of the same phase and act that have not begun: who
    /// is active may change after a plan was made. Whoever is named is not asked in turn.
    fn before(&self, _service: &ServiceView<'_>, _step: &Step) -> Option<MemberId> {
        None
    }

    /// The members that are told where this one is, in the order in which they are started anew once
    /// it has been replaced. [`Hooks::may_begin`] says of each whether that is needed.
    fn dependents(&self, _service: &ServiceView<'_>, _member: &MemberId) -> Vec<MemberId> {
        Vec::new()
    }

    /// Begins the author's part of a step. Its intent is durable; it is called again after a crash
    /// when [`Hooks::observe`] says that it has not begun.
    fn begin(&mut self, _step: &Step) {}

    /// How far the author's part of a step has come. Asked of steps that are done as far as the
    /// cluster knows, and of [`crate::plans::Act::Hook`] steps from their beginning.
    fn observe(&self, _service: &ServiceView<'_>, _step: &Step) -> Observation {
        Observation::Done
    }

    /// Whether the data of a claim that is kept are not needed any more. By default a person says so.
    fn may_release(
        &self,
        _service: &ServiceView<'_>,
        _member: &PodMember,
        _claim: &KeptClaim,
    ) -> Verdict {
        Verdict::Ask("nobody has said that its data are not needed any more".to_owned())
    }

    /// The steps of the author's own plans, such as `backup`; none when there is no such plan.
    fn steps(&self, _service: &ServiceView<'_>, _plan: PlanKind) -> Vec<(MemberId, String)> {
        Vec::new()
    }

    /// The author's own steps at the end of a plan that adds or removes members or puts another spec
    /// in force: what those that were there before have to do then. `added` are the members that the
    /// plan starts.
    fn afterwards(
        &self,
        _service: &ServiceView<'_>,
        _plan: PlanKind,
        _added: &[MemberId],
    ) -> Vec<(MemberId, String)> {
        Vec::new()
    }

    /// What the author refuses of another spec, beside what is never safe.
    fn refuses(&self, _service: &ServiceView<'_>, _new: &ServiceSpec) -> Vec<Refusal> {
        Vec::new()
    }

    /// The note of a member whose volumes are adopted: they may have data, and the ledger that knew
    /// of them is lost.
    fn adopted(&self, _member: &PodMember) -> Vec<u8> {
        Vec::new()
    }
}

/// No hooks: everything is as the spec says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoHooks;

impl Hooks for NoHooks {}
